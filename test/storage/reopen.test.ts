import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkRoom } from '#folder'
import { SwarmError } from '../../lib/base/error.ts'
import { openStorage } from '../../lib/storage/level.ts'
import { ReopeningStorage, openReopening } from '../../lib/storage/reopen.ts'
import { FaultyStorage } from '../support/faulty.ts'
import { needs } from '../support/needs.ts'
import { testStorage } from './conformance.ts'

const root = mkdtempSync(join(tmpdir(), 'swarm-reopen-'))
let count = 0
const fresh = (): string => join(root, `${++count}`, 'store')
const code = async (work: Promise<unknown>): Promise<unknown> => await work.then(() => undefined, (error: unknown) => (error as SwarmError).code)
const put = (key: string): { key: string, value: Uint8Array } => ({ key, value: Uint8Array.of(1) })

testStorage(test, 'reopening', async () => await openReopening(fresh()))
testStorage(test, 'reopening, in memory', async () => await openReopening(undefined))

test('after a failed write the next one opens it anew; until it may be opened, it is read as it is', async () => {
  const [first, second] = [new FaultyStorage(), new FaultyStorage()]
  let [hasRoom, opened] = [false, 0]
  const storage = new ReopeningStorage(first, async () => { if (!hasRoom) throw new SwarmError('FOLDER_UNUSABLE', 'no room') }, async () => { opened++; return second })
  await storage.write([put('a/1')])
  first.fails = true
  assert.is(await code(storage.write([put('a/2')])), 'FOLDER_UNUSABLE')
  first.fails = false
  assert.is(await code(storage.write([put('a/3')])), 'FOLDER_UNUSABLE', 'not behind what may be half written')
  assert.equal([first.writes.length, opened, await storage.get('a/1')], [2, 0, Uint8Array.of(1)])
  hasRoom = true
  await Promise.all([storage.write([put('a/4')]), storage.write([put('a/5')])])
  assert.equal([opened, second.writes.length, await storage.get('a/5')], [1, 2, Uint8Array.of(1)])
  await storage.close()
  assert.is(opened, 1)
})

test('a folder has room, or says that it has none', async () => {
  const folder = join(root, 'room')
  mkdirSync(folder)
  await checkRoom(folder, 2 ** 20)
  assert.is(await code(checkRoom(join(root, 'nowhere'), 2 ** 20)), 'FOLDER_UNUSABLE')
})

needs(test, 'root', 'linux')('a disk that is full: reads go on, writes fail, and all is well again when there is room', async () => {
  const disk = join(root, 'disk')
  mkdirSync(disk, { mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', disk])
  try {
    const folder = join(disk, 'store')
    const storage = await openReopening(folder)
    const ballast = join(disk, 'ballast')
    let written = 0
    const fill = async (): Promise<void> => {
      for (;; written++) await storage.write([{ key: `a/${String(written).padStart(6, '0')}`, value: new Uint8Array(10_000).fill(written & 255) }], { sync: true })
    }
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(ballast, new Uint8Array(bavail * bsize - 3 * 2 ** 20))
    assert.is(await code(fill()), 'FOLDER_UNUSABLE')
    const before = written
    assert.ok(before > 50, `${before} written`)
    for (let round = 0; round < 3; round++) assert.is(await code(fill()), 'FOLDER_UNUSABLE')
    assert.is(written, before, 'nothing is acknowledged while it is full')
    for (let index = 0; index < before; index++) assert.is((await storage.get(`a/${String(index).padStart(6, '0')}`))?.byteLength, 10_000)
    rmSync(ballast)
    for (; written < before + 50; written++) await storage.write([{ key: `a/${String(written).padStart(6, '0')}`, value: new Uint8Array(10_000).fill(written & 255) }], { sync: true })
    await storage.close()
    const again = await openStorage(folder)
    let found = 0
    for await (const [key, value] of again.entries('a/')) {
      assert.is(value[0], Number(key.slice(2)) & 255)
      found++
    }
    assert.is(found, written)
    await again.close()
  } finally {
    execFileSync('umount', [disk])
  }
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
