import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Level } from 'level'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { VERSION_KEY } from '../../lib/storage/engine.node.ts'
import { openStorage } from '../../lib/storage/level.ts'
import { programArgs } from '../support/source.ts'
import { all, testStorage } from './conformance.ts'

const BOUND_MS = 60_000
const root = mkdtempSync(join(tmpdir(), 'swarm-storage-'))
let count = 0
const fresh = (): string => join(root, `${++count}`, 'store')
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

testStorage(test, 'memory', async () => await openStorage(undefined))
testStorage(test, 'folder', async () => await openStorage(fresh()))

async function failure (folder: string): Promise<SwarmError> {
  try {
    await (await openStorage(folder)).close()
  } catch (error) {
    assert.instance(error, SwarmError, String(error))
    return error as SwarmError
  }
  throw new Error(`${folder} opens`)
}

/** Runs the helper script in a process of its own, which may be refused things that root is not. */
async function child (script: string[], shell = ''): Promise<string> {
  const args = [process.execPath, ...programArgs(new URL('../support/store.ts', import.meta.url)), ...script]
  const { stdout } = await promisify(execFile)('sh', ['-c', `${shell} exec "$@"`, 'sh', ...args], { timeout: BOUND_MS })
  return stdout.trim()
}

/** A store with something in it, closed. */
async function filled (entries = 1): Promise<string> {
  const folder = fresh()
  const storage = await openStorage(folder)
  await storage.write(Array.from({ length: entries }, (_, index) => ({ key: `a/${index}`, value: bytes(index & 255) })), { sync: true })
  await storage.close()
  return folder
}

test('what was written is there after the next open', async () => {
  const folder = await filled(3)
  const storage = await openStorage(folder)
  assert.equal(await all(storage, 'a/'), [['a/0', [0]], ['a/1', [1]], ['a/2', [2]]])
  await storage.close()
})

test('the folder is made with everything above it, and is private', async () => {
  const folder = await filled()
  assert.is(statSync(folder).mode & 0o777, 0o700)
})

test('a second open is refused, from here and from elsewhere, and neither loosens the first', async () => {
  const folder = fresh()
  const storage = await openStorage(folder)
  assert.is(await child(['open', folder]), 'FOLDER_IN_USE', 'the barrier of the first open has kept the lock')
  assert.is((await failure(folder)).code, 'FOLDER_IN_USE')
  assert.is((await failure(join(folder, '..', 'store'))).code, 'FOLDER_IN_USE', 'by another path')
  assert.is(await child(['open', folder]), 'FOLDER_IN_USE', 'the refused open has kept the lock')
  await storage.close()
  assert.is(await child(['open', folder]), 'open')
})

test('everything is flushed before the format is written, and only in a new folder', async () => {
  const folder = fresh()
  const first = (await flushes(folder)).map(path => path.slice(folder.length + 1))
  for (const name of ['CURRENT', 'MANIFEST-000002', '000003.log', '']) assert.ok(first.includes(name), `${name} of ${first.join(' ')}`)
  assert.not(first.includes('LOCK'))
  assert.equal(await flushes(folder), [])
})

test('an open that died before its flush flushes the next time', async () => {
  const folder = fresh()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const level = new Level(folder)
  await level.open()
  await level.close()
  assert.ok((await flushes(folder)).length > 3)
})

/** The paths that a first or later open flushes, as the process that does it tells. */
async function flushes (folder: string): Promise<string[]> {
  return (JSON.parse(await child(['flushes', folder])) as string[]).filter(path => path.startsWith(folder))
}

test('a store of a newer release is refused and left alone', async () => {
  const folder = await filled()
  const level = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' })
  await level.put(VERSION_KEY, bytes(2))
  await level.close()
  const error = await failure(folder)
  assert.is(error.code, 'VERSION_UNSUPPORTED')
  assert.match(error.message, /format 2/)
  assert.is((await failure(folder)).code, 'VERSION_UNSUPPORTED', 'and it was let go')
})

test('a store with a damaged or lost manifest is mended, and has all that it had', async () => {
  for (const damage of [
    (folder: string) => { for (const name of readdirSync(folder)) if (name.startsWith('MANIFEST')) truncateSync(join(folder, name), 7) },
    (folder: string) => { for (const name of readdirSync(folder)) if (name.startsWith('MANIFEST')) truncateSync(join(folder, name), 0) },
    (folder: string) => { for (const name of readdirSync(folder)) if (name.startsWith('MANIFEST')) writeFileSync(join(folder, name), new Uint8Array(50)) },
    (folder: string) => { writeFileSync(join(folder, 'CURRENT'), 'rubbish') },
    (folder: string) => { writeFileSync(join(folder, 'CURRENT'), 'MANIFEST-999999\n') },
    (folder: string) => { rmSync(join(folder, 'CURRENT')) },
    (folder: string) => { writeFileSync(join(folder, 'mending'), '') }
  ]) {
    const folder = await filled(100)
    damage(folder)
    for (let round = 0; round < 2; round++) {
      const storage = await openStorage(folder)
      assert.is((await all(storage, 'a/')).length, 100)
      await storage.close()
    }
    assert.not(existsSync(join(folder, 'mending')))
    assert.is(statSync(join(folder, 'lost')).mode & 0o777, 0o700)
  }
})

/** A store with tables in it, and their names. */
async function tabled (): Promise<{ folder: string, tables: string[] }> {
  const folder = fresh()
  const storage = await openStorage(folder)
  for (let part = 0; part < 12; part++) {
    await storage.write(Array.from({ length: 100 }, (_, index) => ({ key: `a/${part}/${index}`, value: randomBytes(10_000) })), { sync: true })
  }
  const tablesOf = (): string[] => readdirSync(folder).filter(name => name.endsWith('.ldb'))
  // LevelDB makes its tables beside: until there are two, it is given more to do.
  for (let part = 0; part < 200 && tablesOf().length < 2; part++) await storage.write([{ key: `b/${part}`, value: randomBytes(500_000) }], { sync: true })
  await storage.close()
  const tables = tablesOf()
  assert.ok(tables.length > 1, tables.join(' '))
  return { folder, tables }
}

test('a damaged table is set aside, as it was found, and the rest opens', async () => {
  const { folder, tables } = await tabled()
  const name = tables[0] as string
  const spoiled = readFileSync(join(folder, name))
  spoiled.fill(0, 5_000, 9_000)
  writeFileSync(join(folder, name), spoiled)
  for (let round = 0; round < 2; round++) {
    const storage = await openStorage(folder)
    const left = (await all(storage, 'a/')).length
    assert.ok(left > 100 && left < 1_200, `${left} left`)
    await storage.close()
  }
  assert.equal(readFileSync(join(folder, 'lost', name)), spoiled)
})

test('a table that is gone is mended', async () => {
  const { folder, tables } = await tabled()
  rmSync(join(folder, tables[0] as string))
  const storage = await openStorage(folder)
  assert.ok((await all(storage, 'a/')).length > 100)
  await storage.close()
})

test('a store that another process has open is not mended under its feet', async () => {
  const folder = await filled(100)
  const storage = await openStorage(folder)
  writeFileSync(join(folder, '000077.ldb'), 'half written')
  assert.is(await child(['open', folder]), 'FOLDER_IN_USE')
  assert.ok(existsSync(join(folder, '000077.ldb')))
  await storage.write([{ key: 'a/100', value: bytes(1) }], { sync: true })
  await storage.close()
  const again = await openStorage(folder)
  assert.is((await all(again, 'a/')).length, 101)
  await again.close()
})

test('a creation cut short before its CURRENT starts again', async () => {
  const folder = fresh()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, 'MANIFEST-000001'), 'half')
  writeFileSync(join(folder, '000003.log'), '')
  const storage = await openStorage(folder)
  await storage.write([{ key: 'a', value: bytes(1) }])
  await storage.close()
})

test('a folder that cannot be is refused with its cause', async () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  for (const folder of [file, join(file, 'below')]) assert.is((await failure(folder)).code, 'FOLDER_UNUSABLE')
})

test('a folder that cannot be written to is refused', async () => {
  const folder = fresh()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(join(folder, '..'), 0o755)
  chmodSync(root, 0o755)
  assert.is(await child(['open-read-only', folder]), 'FOLDER_UNUSABLE')
  assert.not(existsSync(join(folder, 'CURRENT')))
})

test('a full disk fails the write that meets it, and loses nothing written before', async () => {
  const folder = fresh()
  const [code, written] = (await child(['fill', folder], 'trap "" XFSZ; ulimit -f 256;')).split(' ') as [string, string]
  assert.is(code, 'FOLDER_UNUSABLE')
  assert.ok(Number(written) > 0)
  const storage = await openStorage(folder)
  for (let index = 0; index < Number(written); index++) assert.is((await storage.get(`a/${index}`))?.byteLength, 4096, `entry ${index} of ${written}`)
  await storage.close()
})

test('kill -9 amid writes leaves each batch whole or absent, and the acknowledged ones whole', async () => {
  const folder = fresh()
  const acknowledged = Number(await child(['write-and-die', folder]).catch((error: unknown) => (error as { stdout: string }).stdout.trim().split('\n').at(-1)))
  assert.ok(acknowledged > 20, `${acknowledged} acknowledged`)
  const storage = await openStorage(folder)
  const [left, right] = [await all(storage, 'left/'), await all(storage, 'right/')]
  assert.equal(left.map(([key]) => key.slice(5)), right.map(([key]) => key.slice(6)))
  assert.ok(left.length >= acknowledged, `${left.length} of ${acknowledged}`)
  await storage.close()
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
