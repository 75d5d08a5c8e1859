import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openWitness } from '#witness'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { START, type Head, type Standing } from '../../lib/base/witness.ts'
import { sha256 } from '#hash'
import * as page from '../../lib/storage/witness.browser.ts'
import { readBoot } from '../../lib/storage/boot.node.ts'
import { MARK_AT, PAGE_BYTES, PLACES } from '../../lib/storage/page.ts'

const root = mkdtempSync(join(tmpdir(), 'swarm-witness-'))
const fresh = (): string => mkdtempSync(join(root, 'store-'))
const fileOf = (folder: string): string => join(folder, 'witness')
const keyOf = (number: number): string => number.toString(16).padStart(32, '0')
const headOf = (sequence: number): Head => ({ sequence, hash: new Uint8Array(16).fill(sequence) })

const mapOf = (batch: readonly (readonly [number, number])[]): ReadonlyMap<string, Head> => new Map(batch.map(([number, sequence]) => [keyOf(number), headOf(sequence)]))

async function write (folder: string, ...batches: (readonly (readonly [number, number])[])[]): Promise<void> {
  const witness = await openWitness(folder)
  for (const batch of batches) {
    await witness.claim(mapOf(batch))
    await witness.confirm()
  }
  await witness.close()
}

async function read (folder: string, number: number): Promise<number | 'lost' | undefined> {
  const witness = await openWitness(folder)
  const standing = await witness.read(keyOf(number))
  await witness.close()
  return sequenceOf(standing)
}

function sequenceOf (standing: Standing | 'lost' | undefined): number | 'lost' | undefined {
  if (typeof standing !== 'object') return standing
  assert.is(standing.claimed, undefined)
  assert.equal(standing.sure.hash, headOf(standing.sure.sequence).hash)
  return standing.sure.sequence
}

/** Which copy of a page was written last, by its generation. */
function newest (folder: string): number {
  const bytes = readFileSync(fileOf(folder))
  return bytes.readBigUInt64BE(12) > bytes.readBigUInt64BE(PAGE_BYTES + 12) ? 0 : PAGE_BYTES
}

function spoil (folder: string, offset: number): void {
  const bytes = readFileSync(fileOf(folder))
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  writeFileSync(fileOf(folder), bytes)
}

test('knows which start of the machine this is', async () => {
  const witness = await openWitness(fresh())
  assert.is(witness.boot, await readBoot())
  await witness.close()
})

test('gives back the last head of each document after the next open', async () => {
  const folder = fresh()
  assert.is(await read(folder, 1), undefined)
  assert.not(existsSync(fileOf(folder)), 'nothing is made by reading')
  await write(folder, [[1, 5], [2, 7]], [[1, 6]], [[3, 1]])
  assert.equal([await read(folder, 1), await read(folder, 2), await read(folder, 3), await read(folder, 4)], [6, 7, 1, undefined])
  await write(folder, [[2, 8]])
  assert.equal([await read(folder, 1), await read(folder, 2)], [6, 8])
  assert.is(statSync(fileOf(folder)).mode & 0o777, 0o600)
})

test('holds documents of many pages, in any order, over many opens', async () => {
  const folder = fresh()
  const count = 40 * PLACES + 3
  await write(folder, Array.from({ length: count }, (_, number) => [number, 1] as const))
  const random = seededRandom(7)
  const model = new Map<number, number>()
  for (let round = 0; round < 3; round++) {
    await write(folder, ...Array.from({ length: 10 }, (_, step) => Array.from({ length: 20 }, () => {
      const entry = [Math.floor(random.next() * (count + 50)), 10 * round + step + 2] as const
      model.set(...entry)
      return entry
    })))
    for (const [number, sequence] of model) assert.is(await readFrom(folder, number), sequence)
  }
})

/** Many reads of one open. */
let opened: { folder: string, stamp: number, witness: Awaited<ReturnType<typeof openWitness>> } | undefined
async function readFrom (folder: string, number: number): Promise<unknown> {
  const stamp = statSync(fileOf(folder)).mtimeMs
  if (opened?.folder !== folder || opened.stamp !== stamp) opened = { folder, stamp, witness: await openWitness(folder) }
  return sequenceOf(await opened.witness.read(keyOf(number)))
}

test('a write that tore its page leaves the head before it', async () => {
  for (const offset of [0, 13, 40, 2_000, PAGE_BYTES - 1]) {
    const folder = fresh()
    await write(folder, [[1, 5]], [[1, 6]])
    spoil(folder, newest(folder) + offset)
    assert.is(await read(folder, 1), 5)
    await write(folder, [[1, 7]])
    assert.is(await read(folder, 1), 7)
  }
})

test('a page lost in both copies is told, for all documents that it may have held, for ever', async () => {
  const folder = fresh()
  await write(folder, Array.from({ length: PLACES + 1 }, (_, number) => [number, 3] as const), [[1, 4]])
  for (const copy of [0, 1]) spoil(folder, copy * PAGE_BYTES + 50)
  assert.equal([await read(folder, 1), await read(folder, PLACES), await read(folder, 9_999)], ['lost', 3, 'lost'])
  await write(folder, [[1, 5]])
  assert.equal([await read(folder, 1), await read(folder, 2)], [5, 'lost'])
})

test('a file cut short is told', async () => {
  const folder = fresh()
  await write(folder, Array.from({ length: 2 * PLACES }, (_, number) => [number, 3] as const))
  truncateSync(fileOf(folder), 2 * PAGE_BYTES)
  assert.equal([await read(folder, 0), await read(folder, 2 * PLACES - 1)], [3, 'lost'])
  truncateSync(fileOf(folder), 0)
  assert.is(await read(folder, 0), 'lost')
})

test('a newer release\'s file is refused, and left alone', async () => {
  const folder = fresh()
  await write(folder, [[1, 5]])
  const bytes = readFileSync(fileOf(folder))
  for (const at of [0, PAGE_BYTES]) {
    bytes[at + 4] = 3
    bytes.set(sha256(bytes.subarray(at, at + MARK_AT)).subarray(0, 16), at + PAGE_BYTES - 16)
  }
  writeFileSync(fileOf(folder), bytes)
  try {
    await openWitness(folder)
    assert.unreachable()
  } catch (error) {
    assert.is((error as SwarmError).code, 'VERSION_UNSUPPORTED')
  }
  assert.equal(readFileSync(fileOf(folder)), bytes)
})

test('after a write that failed, the next one makes the file anew, with all heads', async () => {
  const folder = fresh()
  const witness = await openWitness(folder)
  rmSync(folder, { recursive: true })
  const failed = await witness.claim(new Map([[keyOf(1), headOf(1)]])).then(() => undefined, (error: unknown) => error)
  assert.is((failed as SwarmError).code, 'FOLDER_UNUSABLE')
  writeFileSync(folder, '') // something else in its place
  assert.instance(await witness.claim(new Map([[keyOf(2), headOf(2)]])).catch((error: unknown) => error), SwarmError)
  rmSync(folder)
  const { mkdirSync } = await import('node:fs')
  mkdirSync(folder)
  await witness.claim(mapOf([[1, 1], [2, 2]]))
  await witness.confirm()
  await witness.close()
  assert.equal([await read(folder, 1), await read(folder, 2)], [1, 2])
})

/** What another process would find, or this one after `kill -9`. */
async function standings (folder: string, ...numbers: number[]): Promise<unknown[]> {
  const witness = await openWitness(folder)
  const found = await Promise.all(numbers.map(async number => await witness.read(keyOf(number))))
  await witness.close()
  return found
}

/** As after a power cut: what was written without a flush is not there. */
function loseMarks (folder: string): void {
  const bytes = readFileSync(fileOf(folder))
  for (let at = 0; at < bytes.byteLength; at += PAGE_BYTES) bytes.fill(0, at + MARK_AT, at + MARK_AT + 16)
  writeFileSync(fileOf(folder), bytes)
}

const sure = (sequence: number): Standing => ({ sure: headOf(sequence), claimed: undefined })

test('a claim is told beside what was sure, until it is confirmed; that is there after kill -9', async () => {
  const folder = fresh()
  const witness = await openWitness(folder)
  await witness.claim(mapOf([[1, 5]]))
  assert.equal(shape(await standings(folder, 1)), [{ sure: START, claimed: headOf(5) }])
  await witness.confirm()
  assert.equal(shape(await standings(folder, 1)), [sure(5)])
  await witness.claim(mapOf([[1, 6], [2, 1]]))
  assert.equal(shape(await standings(folder, 1, 2)), [{ sure: headOf(5), claimed: headOf(6) }, { sure: START, claimed: headOf(1) }])
  await witness.confirm()
  assert.equal(shape(await standings(folder, 1, 2)), [sure(6), sure(1)])
  await witness.close()
})

/** Without what only the file knows. */
function shape (found: readonly unknown[]): unknown[] {
  return found.map(standing => typeof standing === 'object' ? { sure: (standing as Standing).sure, claimed: (standing as Standing).claimed } : standing)
}

test('after a power cut the last confirmation may be a claim again; the one before is told by the claim after it', async () => {
  const folder = fresh()
  await write(folder, [[1, 5]], [[1, 6]])
  loseMarks(folder)
  assert.equal(shape(await standings(folder, 1)), [{ sure: headOf(5), claimed: headOf(6) }])
})

test('a claim torn in its page leaves what was confirmed before it, its mark on disk or not', async () => {
  for (const isMarkLost of [true, false]) {
    const folder = fresh()
    await write(folder, [[1, 5]], [[1, 6]], [[1, 7]])
    const at = newest(folder)
    if (isMarkLost) loseMarks(folder)
    spoil(folder, at + 40)
    assert.equal(shape(await standings(folder, 1)), [sure(6)])
  }
})

test('a claim that was never confirmed stays one, whatever is claimed and confirmed of others', async () => {
  for (const isOpenedAnew of [true, false]) {
    const folder = fresh()
    await write(folder, [[1, 5], [2, 1]])
    let witness = await openWitness(folder)
    await witness.claim(mapOf([[1, 6]]))
    if (isOpenedAnew) {
      await witness.close()
      witness = await openWitness(folder)
    }
    for (const sequence of [2, 3, 4]) {
      await witness.claim(mapOf([[2, sequence]]))
      await witness.confirm()
      assert.equal(shape(await standings(folder, 1, 2)), [{ sure: headOf(5), claimed: headOf(6) }, sure(sequence)])
    }
    await witness.claim(mapOf([[1, 7]]))
    await witness.confirm()
    await witness.close()
    assert.equal(shape(await standings(folder, 1, 2)), [sure(7), sure(4)])
  }
})

test('a claim after one that was not confirmed does not vouch for it: torn, it leaves the doubt', async () => {
  const folder = fresh()
  await write(folder, [[1, 5]])
  const witness = await openWitness(folder)
  for (const sequence of [6, 7]) {
    await witness.claim(mapOf([[1, sequence]])) // the log was not written: what it has is on disk as claimed
    const bytes = readFileSync(fileOf(folder))
    const blank = newest(folder) === 0 ? PAGE_BYTES : 0
    assert.ok(bytes.subarray(blank, blank + PAGE_BYTES).every(byte => byte === 0), 'no page is beside it that would say more')
    assert.equal(shape(await standings(folder, 1)), [{ sure: headOf(5), claimed: headOf(sequence) }])
  }
  await witness.close()
})

test('a page of a browser has none', async () => {
  assert.is(await page.openWitness('x'), undefined)
})

test.after(async () => {
  await opened?.witness.close()
  rmSync(root, { recursive: true, force: true })
})
test.run()
