/**
 * Snapshots on disk: the log up to a sequence, folded into one update, in chunks that no single write is too large for.
 *
 *     base    version 1 | sequence 8 | hash of that record 16 | snapshot 8 | bytes 8 | chunks 4 | hash over the chunks' hashes 16 | hash 16
 *     chunk   version 1 | number 4 | of how many 4 | bytes of the update | hash 16
 *
 * Chunks are written first, under a number of a snapshot that nothing names. The base, one small value, then names them in one
 * write: before it the old snapshot counts, after it the new one, and at no time none.
 */
import { concatBytes } from '../lib/base/bytes.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import { HASH_BYTES, type Head } from '../lib/base/witness.ts'
import { sha256 } from '#hash'
import type { Place } from './place.ts'
import { RECORD_VERSION, newerVersion, openValue, readSequence, sealValue, sequenceOf, sequenceText, writeSequence } from './record.ts'

/** Largest chunk, with its head and hash. */
export const CHUNK_BYTES_MAX = 2 ** 20

/** Largest snapshot, 1 GiB: what one call of Yjs can still take in. */
export const SNAPSHOT_BYTES_MAX = 2 ** 30

const CHUNK_HEAD_BYTES = 9
const PAYLOAD_BYTES = CHUNK_BYTES_MAX - CHUNK_HEAD_BYTES - HASH_BYTES
const BASE_BYTES = 1 + 8 + HASH_BYTES + 8 + 8 + 4 + HASH_BYTES

/** Which snapshot counts; the log goes on after its head. */
export interface Base extends Head {
  /** Number of the snapshot, growing by one with each. */
  readonly snapshot: number
  readonly bytes: number
  readonly chunks: number
  /** Over the hashes of all chunks. */
  readonly root: Uint8Array
}

/** Cuts a snapshot into the chunks to write, and makes the base that will name them. */
export function * chunksOf (place: Place, snapshot: number, update: Uint8Array): Generator<Change & { readonly value: Uint8Array }> {
  const count = chunkCount(update)
  for (let number = 0; number < count; number++) {
    const payload = update.subarray(number * PAYLOAD_BYTES, (number + 1) * PAYLOAD_BYTES)
    const body = new Uint8Array(CHUNK_HEAD_BYTES + payload.byteLength)
    const view = new DataView(body.buffer)
    body[0] = RECORD_VERSION
    view.setUint32(1, number)
    view.setUint32(5, count)
    body.set(payload, CHUNK_HEAD_BYTES)
    const key = `${place.chunks}${sequenceText(snapshot)}/${sequenceText(number)}`
    yield { key, value: sealValue(key, body) }
  }
}

export function chunkCount (update: Uint8Array): number {
  return Math.max(1, Math.ceil(update.byteLength / PAYLOAD_BYTES))
}

/** The end of a sealed value is its hash. */
export function hashOf (value: Uint8Array): Uint8Array {
  return value.slice(value.byteLength - HASH_BYTES)
}

export function rootOf (hashes: readonly Uint8Array[]): Uint8Array {
  return sha256(concatBytes(...hashes)).slice(0, HASH_BYTES)
}

export function baseChange (place: Place, base: Base): Change {
  const body = new Uint8Array(BASE_BYTES)
  body[0] = RECORD_VERSION
  writeSequence(body, 1, base.sequence)
  body.set(base.hash, 9)
  writeSequence(body, 25, base.snapshot)
  writeSequence(body, 33, base.bytes)
  new DataView(body.buffer).setUint32(41, base.chunks)
  body.set(base.root, 45)
  return { key: place.base, value: sealValue(place.base, body) }
}

/** @returns undefined if there is none, 'damaged' if it cannot be read. @throws SwarmError VERSION_UNSUPPORTED */
export async function readBase (storage: Storage, place: Place): Promise<Base | 'damaged' | undefined> {
  const value = await storage.get(place.base)
  if (value === undefined) return undefined
  const body = openValue(place.base, value)
  if (body === undefined) return 'damaged'
  if (body[0] !== RECORD_VERSION) throw newerVersion(place.base, body[0])
  if (body.byteLength !== BASE_BYTES) return 'damaged'
  return {
    sequence: readSequence(body, 1),
    hash: body.slice(9, 25),
    snapshot: readSequence(body, 25),
    bytes: readSequence(body, 33),
    chunks: new DataView(body.buffer, body.byteOffset).getUint32(41),
    root: body.slice(45, 45 + HASH_BYTES)
  }
}

/** The update that the base names, or undefined if anything of it is missing or wrong. */
export async function readSnapshot (storage: Storage, place: Place, base: Base): Promise<Uint8Array | undefined> {
  const whole = (await readChunks(storage, place, base.snapshot)).get(base.snapshot)
  if (whole === undefined || whole.hashes.length !== base.chunks || whole.update.byteLength !== base.bytes) return undefined
  return rootOf(whole.hashes).every((byte, index) => byte === base.root[index]) ? whole.update : undefined
}

/** The last snapshot that is whole by what its chunks say: what is left to go by where no base can be read. */
export async function readLastSnapshot (storage: Storage, place: Place): Promise<Uint8Array | undefined> {
  const all = await readChunks(storage, place)
  return all.get(Math.max(...all.keys()))?.update
}

/** All snapshots of a document that are whole, or one. @throws SwarmError VERSION_UNSUPPORTED */
async function readChunks (storage: Storage, place: Place, snapshot?: number): Promise<Map<number, { update: Uint8Array, hashes: Uint8Array[] }>> {
  const parts = new Map<number, { payloads: Uint8Array[], hashes: Uint8Array[], count: number }>()
  for await (const [key, value] of storage.entries(snapshot === undefined ? place.chunks : `${place.chunks}${sequenceText(snapshot)}/`)) {
    const number = chunkSnapshot(place, key)
    const body = openValue(key, value)
    if (number === undefined || body === undefined) continue
    if (body[0] !== RECORD_VERSION) throw newerVersion(key, body[0])
    const view = new DataView(body.buffer, body.byteOffset)
    const part = parts.get(number) ?? { payloads: [], hashes: [], count: view.getUint32(5) }
    parts.set(number, part)
    part.payloads[view.getUint32(1)] = body.subarray(CHUNK_HEAD_BYTES)
    part.hashes.push(hashOf(value))
  }
  const whole = [...parts].filter(([, { payloads, hashes, count }]) => payloads.length === count && hashes.length === count)
  return new Map(whole.map(([number, { payloads, hashes }]) => [number, { update: concatBytes(...payloads), hashes }]))
}

/** The number of the snapshot that a chunk's key tells, or undefined for a key that is none of ours. */
export function chunkSnapshot (place: Place, key: string): number | undefined {
  return sequenceOf(key.slice(place.chunks.length).split('/')[0] ?? '')
}
