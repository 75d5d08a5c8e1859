import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { loadOrCreateToken } from '../../lib/mcp/token.node.ts'

const folder = mkdtempSync(join(tmpdir(), 'mcs-token-'))
test.after(() => { rmSync(folder, { recursive: true, force: true }) })

async function expectCode (path: string, code: ErrorCode): Promise<SwarmError> {
  const error = await loadOrCreateToken(path).then(() => undefined, (thrown: unknown) => thrown)
  assert.ok(error instanceof SwarmError && error.code === code, String(error))
  return error
}

test('a token is made at first use, for this user alone, and stays', async () => {
  const path = join(folder, 'made')
  writeFileSync(`${path}.new`, 'what a crash has left')
  const token = await loadOrCreateToken(path)
  assert.match(token, /^[\w-]{43}$/)
  assert.is(readFileSync(path, 'utf8'), `${token}\n`)
  if (process.platform !== 'win32') assert.is(statSync(path).mode & 0o777, 0o600)
  assert.is(await loadOrCreateToken(path), token)
  assert.is.not(await loadOrCreateToken(join(folder, 'another')), token)
  assert.equal(readdirSync(folder).sort(), ['another', 'made'])
})

if (process.platform !== 'win32') {
  test('a token that others may read is refused, with the command that cures it', async () => {
    const path = join(folder, 'open')
    const token = await loadOrCreateToken(path)
    chmodSync(path, 0o640)
    const error = await expectCode(path, 'KEY_EXPOSED')
    assert.is(error.details['cure'], `chmod 600 '${path}'`)
    assert.not.match(error.message, token)
  })
}

for (const [name, text] of [['nothing', ''], ['too little', 'abc\n'], ['too much', `${'a'.repeat(300)}\n`], ['what no header may hold', `${'a'.repeat(42)} \n`]] as const) {
  test(`a file that holds ${name} is no token, and is not replaced`, async () => {
    const path = join(folder, 'broken')
    writeFileSync(path, text, { mode: 0o600 })
    const error = await expectCode(path, 'KEY_INVALID')
    assert.is(error.cause, undefined)
    assert.is(readFileSync(path, 'utf8'), text)
  })
}

test('a folder that is not there is told', async () => {
  await expectCode(join(folder, 'none', 'token'), 'FOLDER_UNUSABLE')
})

test.run()
