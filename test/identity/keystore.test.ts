import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KEY_FILE_BYTES_MAX, loadOrCreateKey, localKeyPath, userDataFolder } from '#keystore'
import * as page from '../../lib/identity/keystore.browser.ts'
import type * as node from '../../lib/identity/keystore.node.ts'
import { toBase64Url } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { keyFromSeed } from '../../lib/identity/key.ts'
import { needs } from '../support/needs.ts'
import { programArgs } from '../support/source.ts'

const PROCESSES = 10
const BOUND_MS = 60_000
const root = mkdtempSync(join(tmpdir(), 'swarm-keystore-'))
let count = 0
const freshPath = (): string => join(root, `${++count}`, 'deep', 'local.key')

async function failure (path: string): Promise<SwarmError> {
  try {
    await loadOrCreateKey(path, systemRandom)
  } catch (error) {
    assert.instance(error, SwarmError, String(error))
    return error as SwarmError
  }
  throw new Error(`${path} was loaded`)
}

/** Puts a text where a key is looked for. */
function place (text: string | Uint8Array, mode = 0o600): string {
  const path = freshPath()
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const key = keyFromSeed(seededRandom(1).bytes(32))
const seed = toBase64Url(key.seed)
const line = JSON.stringify({ v: 1, peerId: key.peerId, seed })

test('makes a key at first use, and finds it again', async () => {
  const path = freshPath()
  const made = await loadOrCreateKey(path, systemRandom)
  const found = await loadOrCreateKey(path, systemRandom)
  assert.equal(found.seed, made.seed)
  assert.is(statSync(path).mode & 0o777, 0o600)
  assert.is(statSync(dirname(path)).mode & 0o777, 0o700)
  assert.equal(readdirSync(dirname(path)), ['local.key'], 'no draft is left')
})

test('a key file is one line of JSON that never changes its form', async () => {
  assert.is((await loadOrCreateKey(place(`${line}\n`), systemRandom)).peerId, key.peerId)
  const path = freshPath()
  await loadOrCreateKey(path, seededRandom(1))
  assert.is(readFileSync(path, 'utf8'), `{"v":1,"peerId":"${key.peerId}","seed":"${seed}"}\n`)
})

for (const mode of [0o640, 0o604, 0o620, 0o601, 0o660, 0o644, 0o666, 0o777]) {
  test(`refuses a key file of mode ${mode.toString(8)}, naming the cure`, async () => {
    const path = place(line, mode)
    const error = await failure(path)
    assert.is(error.code, 'KEY_EXPOSED')
    assert.ok(error.message.includes(`chmod 600 '${path}'`), error.message)
    chmodSync(path, 0o600)
    assert.is((await loadOrCreateKey(path, systemRandom)).peerId, key.peerId, 'the cure works')
  })
}

test('takes a key file that is not even writable', async () => {
  assert.is((await loadOrCreateKey(place(line, 0o400), systemRandom)).peerId, key.peerId)
})

needs(test, 'root')('refuses a key file of another user', async () => {
  const path = place(line)
  chownSync(path, 12345, 12345)
  const error = await failure(path)
  assert.is(error.code, 'KEY_EXPOSED')
  assert.ok(error.message.includes('chown 0'), error.message)
})

test('looks at the file behind a link, not at the link', async () => {
  const [target, path] = [place(line, 0o644), join(root, 'link.key')]
  symlinkSync(target, path)
  assert.is((await failure(path)).code, 'KEY_EXPOSED')
  chmodSync(target, 0o600)
  assert.is((await loadOrCreateKey(path, systemRandom)).peerId, key.peerId)
})

test('quotes a path so that the command given is safe to run', async () => {
  const path = join(root, 'it\'s $(here)', 'a.key')
  mkdirSync(dirname(path))
  writeFileSync(path, line)
  chmodSync(path, 0o644)
  assert.ok((await failure(path)).message.includes(`chmod 600 '${path.replace('\'', '\'\\\'\'')}'`))
})

for (const [name, text, code] of [
  ['an empty file', '', 'KEY_INVALID'],
  ['a file cut short', line.slice(0, -9), 'KEY_INVALID'],
  ['a file with a broken seed', line.replace(seed, `${seed.slice(0, -1)}!`), 'KEY_INVALID'],
  ['a seed too short', line.replace(seed, seed.slice(0, -4)), 'KEY_INVALID'],
  ['another peer id', line.replace(key.peerId, keyFromSeed(new Uint8Array(32)).peerId), 'KEY_INVALID'],
  ['no version', line.replace('"v":1,', ''), 'KEY_INVALID'],
  ['the version 0', line.replace('"v":1', '"v":0'), 'KEY_INVALID'],
  ['a newer version', line.replace('"v":1', '"v":2'), 'VERSION_UNSUPPORTED'],
  ['a list', `[${line}]`, 'KEY_INVALID'],
  ['null', 'null', 'KEY_INVALID'],
  ['a bare seed', seed, 'KEY_INVALID'],
  ['bytes that are no text', Uint8Array.of(0xff, 0, 0xfe), 'KEY_INVALID'],
  ['a file over the limit', `${line}${' '.repeat(KEY_FILE_BYTES_MAX)}`, 'KEY_INVALID']
] as const) {
  test(`refuses ${name}, keeps it, and tells nothing of what it holds`, async () => {
    const path = place(text)
    const error = await failure(path)
    assert.is(error.code, code)
    assert.equal(readFileSync(path), Buffer.from(text))
    const shown = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error.details)
    for (let start = 0; start + 8 <= seed.length; start++) assert.not(shown.includes(seed.slice(start, start + 8)), shown)
  })
}

test('tells of a folder that cannot be used, with the cause', async () => {
  const error = await failure(join(place('a file, not a folder'), 'below.key'))
  assert.is(error.code, 'FOLDER_UNUSABLE')
  assert.instance(error.cause, Error)
})

test('refuses what is no file, without waiting on it', async () => {
  const folder = dirname(place(line))
  assert.is((await failure(folder)).code, 'KEY_INVALID')
  execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')])
  assert.is((await failure(join(folder, 'pipe'))).code, 'KEY_INVALID')
})

test(`${PROCESSES} processes at once end with the same key`, async () => {
  const path = freshPath()
  const children = Array.from({ length: PROCESSES }, () => spawn(process.execPath, [...programArgs(new URL('../support/loadkey.ts', import.meta.url)), path]))
  const timer = setTimeout(() => { for (const child of children) child.kill('SIGKILL') }, BOUND_MS)
  try {
    const runs = children.map(linesOf)
    for (const run of runs) assert.is((await run.next()).value, 'ready')
    assert.not(existsSync(path))
    for (const child of children) child.stdin.write('go\n')
    const peerIds = await Promise.all(runs.map(async run => (await run.next()).value as string))
    assert.equal(new Set(peerIds).size, 1, peerIds.join(' '))
    assert.is((await loadOrCreateKey(path, systemRandom)).peerId, peerIds[0])
    assert.equal(readdirSync(dirname(path)), ['local.key'])
  } finally {
    clearTimeout(timer)
    for (const child of children) child.kill('SIGKILL')
  }
})

async function * linesOf (child: ChildProcessWithoutNullStreams): AsyncGenerator<string> {
  let problems = ''
  child.stderr.on('data', (data: Buffer) => { problems += data.toString() })
  for await (const text of createInterface(child.stdout)) yield text
  throw new Error(`a child process ended: ${problems}`)
}

for (const [platform, env, expected] of [
  ['linux', {}, join('/home/u', '.local/share')],
  ['linux', { XDG_DATA_HOME: '/data' }, '/data'],
  ['linux', { XDG_DATA_HOME: 'relative' }, join('/home/u', '.local/share')],
  ['linux', { XDG_DATA_HOME: '' }, join('/home/u', '.local/share')],
  ['freebsd', {}, join('/home/u', '.local/share')],
  ['darwin', {}, join('/home/u', 'Library/Application Support')],
  ['darwin', { XDG_DATA_HOME: '/data' }, '/data'],
  ['win32', { LOCALAPPDATA: 'C:\\Users\\u\\AppData\\Local' }, 'C:\\Users\\u\\AppData\\Local'],
  ['win32', {}, join('/home/u', 'AppData', 'Local')]
] as const) {
  test(`data lies in ${expected} on ${platform} with ${JSON.stringify(env)}`, () => {
    assert.is(userDataFolder(env, platform, '/home/u'), expected)
  })
}

test('the local key lies below the user\'s data', () => {
  assert.is(localKeyPath(), join(userDataFolder(), 'mcp-swarm', 'local.key'))
})

test('a page has the same functions, and no key of its user', () => {
  const twin: Omit<typeof node, 'KEY_FILE_BYTES_MAX'> = page // what it does with them: test/browser/
  for (const call of [twin.localKeyPath, twin.userDataFolder]) {
    assert.throws(call, (error: unknown) => error instanceof SwarmError && error.code === 'NEEDS_TICKET')
  }
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
