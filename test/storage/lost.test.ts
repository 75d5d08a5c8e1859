import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openStorage } from '../../lib/storage/level.ts'
import { GONE, LOST_BYTES_MAX, LOST_FILES_MAX, trimLost } from '../../lib/storage/lost.node.ts'

const root = mkdtempSync(join(tmpdir(), 'swarm-lost-'))
const fresh = (): string => mkdtempSync(join(root, 'lost-'))

/** A file of holes, so old. */
function put (folder: string, name: string, bytes: number, ageS: number): void {
  writeFileSync(join(folder, name), '')
  truncateSync(join(folder, name), bytes)
  utimesSync(join(folder, name), 1_000_000 - ageS, 1_000_000 - ageS)
}

test('of too many files the oldest go, and it is told how many, over many times', async () => {
  const folder = fresh()
  for (let number = 0; number < LOST_FILES_MAX + 5; number++) put(folder, `${number}.ldb`, 10, number)
  await trimLost(folder)
  const left = readdirSync(folder)
  assert.is(left.length, LOST_FILES_MAX + 1)
  assert.ok(left.includes('0.ldb') && !left.includes(`${LOST_FILES_MAX}.ldb`))
  assert.match(readFileSync(join(folder, GONE), 'utf8'), /^5 files of 50 bytes /)
  put(folder, 'another.ldb', 10, 0)
  await trimLost(folder)
  assert.match(readFileSync(join(folder, GONE), 'utf8'), /^6 files of 60 bytes /)
})

test('of too many bytes the oldest go; the newest stays, whatever its size', async () => {
  const folder = fresh()
  for (const [name, bytes, ageS] of [['old', 100, 3], ['middle', LOST_BYTES_MAX / 2, 2], ['new', LOST_BYTES_MAX / 2, 1]] as const) put(folder, name, bytes, ageS)
  await trimLost(folder)
  assert.equal(readdirSync(folder).sort(), [GONE, 'middle', 'new'])
  put(folder, 'huge', LOST_BYTES_MAX + 1, 0)
  await trimLost(folder)
  assert.equal(readdirSync(folder).sort(), [GONE, 'huge'])
})

test('little is left alone, and nothing is told', async () => {
  const folder = fresh()
  put(folder, 'one', 10, 0)
  await trimLost(folder)
  assert.equal(readdirSync(folder), ['one'])
})

test('a mending trims what was set aside before', async () => {
  const folder = join(fresh(), 'store')
  await (await openStorage(folder)).close()
  mkdirSync(join(folder, 'lost'), { mode: 0o700 })
  for (let number = 0; number < LOST_FILES_MAX + 5; number++) put(join(folder, 'lost'), `x${number}`, 10, number)
  writeFileSync(join(folder, 'mending'), '')
  await (await openStorage(folder)).close()
  const left = readdirSync(join(folder, 'lost'))
  assert.is(left.length, LOST_FILES_MAX + 1)
  assert.ok(left.includes(GONE))
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
