// bound: 20 s
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openWitness } from '#witness'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { Head } from '../../lib/base/witness.ts'
import { sha256 } from '#hash'
import * as page from '../../lib/storage/witness.browser.ts'
import { PAGE_BYTES, PLACES } from '../../lib/storage/witness.node.ts'

const root = mkdtempSync(join(tmpdir(), 'swarm-witness-'))
const fresh = (): string => mkdtempSync(join(root, 'store-'))
const fileOf = (folder: string): string => join(folder, 'witness')
const keyOf = (number: number): string => number.toString(16).padStart(32, '0')
const headOf = (sequence: number): Head => ({ sequence, hash: new Uint8Array(16).fill(sequence) })

async function write (folder: string, ...batches: (readonly (readonly [number, number])[])[]): Promise<void> {
  const witness = await openWitness(folder)
  for (const batch of batches) await witness.write(new Map(batch.map(([number, sequence]) => [keyOf(number), headOf(sequence)])))
  await witness.close()
}

async function read (folder: string, number: number): Promise<number | 'lost' | undefined> {
  const witness = await openWitness(folder)
  const head = await witness.read(keyOf(number))
  await witness.close()
  if (typeof head === 'object') assert.equal(head.hash, headOf(head.sequence).hash)
  return typeof head === 'object' ? head.sequence : head
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
  const head = await opened.witness.read(keyOf(number))
  return typeof head === 'object' ? head.sequence : head
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
    bytes[at + 4] = 2
    bytes.set(sha256(bytes.subarray(at, at + PAGE_BYTES - 16)).subarray(0, 16), at + PAGE_BYTES - 16)
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
  const failed = await witness.write(new Map([[keyOf(1), headOf(1)]])).then(() => undefined, (error: unknown) => error)
  assert.is((failed as SwarmError).code, 'FOLDER_UNUSABLE')
  writeFileSync(folder, '') // something else in its place
  assert.instance(await witness.write(new Map([[keyOf(2), headOf(2)]])).catch((error: unknown) => error), SwarmError)
  rmSync(folder)
  const { mkdirSync } = await import('node:fs')
  mkdirSync(folder)
  await witness.write(new Map())
  await witness.close()
  assert.equal([await read(folder, 1), await read(folder, 2)], [1, 2])
})

test('a page of a browser has none', async () => {
  assert.is(await page.openWitness('x'), undefined)
})

test.after(async () => {
  await opened?.witness.close()
  rmSync(root, { recursive: true, force: true })
})
test.run()
