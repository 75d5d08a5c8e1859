/**
 * Records of a log, one update each, lie on disk in runs: what was appended while one write was under way goes out as one value, with
 * one hash. Thousands of small updates then cost one key, and one look at all of them when they are read.
 *
 * Big-endian:
 *
 *     run      version 1 | first sequence 8 | records 4 | hash of the previous run 16 | records… | hash 16
 *     record   bytes of origin 1 | origin | bytes of update 4 | update
 *
 * The sequence grows by one with each record, from 1; of a run's later records none is written. An origin whose length says
 * SAME_ORIGIN is that of the record before. The first run's previous hash is zeros.
 */
import { textOf, utf8 } from '../lib/base/bytes.ts'
import { SwarmError, assert } from '../lib/base/error.ts'
import { HASH_BYTES, type Head } from '../lib/base/witness.ts'
import { RECORD_VERSION, roomFor, seal, unseal, writeSequence, type Flaw } from './record.ts'

/** Records of one run: bounds what one damaged value costs, and how long it takes to read. */
export const RUN_RECORDS_MAX = 4_096

/** Bytes of one run, but for a record that alone has more. */
export const RUN_BYTES_MAX = 2 ** 20

/** Longest origin, in bytes: a peer id, or '' for an update of this peer's own. */
export const ORIGIN_BYTES_MAX = 254

/** Largest update in one record; a larger one is refused before it is appended. */
export const UPDATE_BYTES_MAX = 64 * 2 ** 20

/** The previous hash of the first run. */
export const NO_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

/** Bytes of a run beside its records. */
export const RUN_HEAD_BYTES = 1 + 8 + 4 + HASH_BYTES + HASH_BYTES

const SAME_ORIGIN = 255
const FIRST_AT = 1
const COUNT_AT = 9
const PREVIOUS_AT = 13
const RECORDS_AT = PREVIOUS_AT + HASH_BYTES
const RECORD_HEAD_BYTES = 1 + 4

export interface LogRecord {
  readonly sequence: number
  readonly update: Uint8Array
  /** The peer that the update came from; '' for this one. */
  readonly origin: string
}

/** A run as it was read; its head is that of its last record. */
export interface Run extends Head {
  readonly first: number
  readonly previous: Uint8Array
  /** In order; views on the value. */
  readonly records: readonly LogRecord[]
}

/** What a record takes in a run, at most, for one of ASCII origin. */
export function recordBytes (update: Uint8Array, origin: string): number {
  return RECORD_HEAD_BYTES + origin.length + update.byteLength
}

/** @throws SwarmError TOO_LARGE for an update over UPDATE_BYTES_MAX */
export function checkUpdate (update: Uint8Array): void {
  if (update.byteLength > UPDATE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `an update of ${update.byteLength} bytes; limit ${UPDATE_BYTES_MAX}`)
}

/**
 * Writes a run.
 *
 * @param place what the hash covers first: the bytes of the document's key
 * @param records one or more, in order
 * @returns the value to store, and its hash
 */
export function writeRun (place: Uint8Array, first: number, previous: Uint8Array, records: readonly Omit<LogRecord, 'sequence'>[]): { value: Uint8Array, hash: Uint8Array } {
  assert(Number.isSafeInteger(first) && first > 0 && records.length > 0, `${records.length} records from ${first} are no run`)
  const origins = records.map(({ origin }, index) => index > 0 && records[index - 1]?.origin === origin ? undefined : utf8(origin))
  let bytes = RECORDS_AT
  records.forEach(({ update }, index) => { bytes += RECORD_HEAD_BYTES + (origins[index]?.byteLength ?? 0) + update.byteLength })
  const { sealed, value } = roomFor(place, bytes)
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  value[0] = RECORD_VERSION
  writeSequence(value, FIRST_AT, first)
  view.setUint32(COUNT_AT, records.length)
  value.set(previous, PREVIOUS_AT)
  let at = RECORDS_AT
  records.forEach(({ update }, index) => {
    const origin = origins[index]
    assert((origin?.byteLength ?? 0) <= ORIGIN_BYTES_MAX, `an origin has at most ${ORIGIN_BYTES_MAX} bytes`)
    value[at++] = origin?.byteLength ?? SAME_ORIGIN
    if (origin !== undefined) value.set(origin, at)
    at += origin?.byteLength ?? 0
    view.setUint32(at, update.byteLength)
    value.set(update, at + 4)
    at += 4 + update.byteLength
  })
  return { value, hash: seal(sealed) }
}

/**
 * Reads a run back.
 *
 * @param first what its key says
 * @returns views on `value`, which must stay as it is; or what is wrong with it
 */
export function readRun (place: Uint8Array, first: number, value: Uint8Array): Run | Flaw {
  const hash = unseal(place, value)
  if (hash === undefined) return 'checksum'
  if (value[0] !== RECORD_VERSION) return 'version'
  const end = value.byteLength - HASH_BYTES
  if (end < RECORDS_AT) return 'format'
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  if (view.getUint32(FIRST_AT) * 2 ** 32 + view.getUint32(FIRST_AT + 4) !== first) return 'format'
  const count = view.getUint32(COUNT_AT)
  const records: LogRecord[] = []
  let [at, origin] = [RECORDS_AT, '']
  while (at < end) {
    const originBytes = value[at++] as number
    if (originBytes !== SAME_ORIGIN) {
      origin = originBytes === 0 ? '' : textOf(value.subarray(at, at + originBytes))
      at += originBytes
    }
    const from = at + 4
    if (from > end) return 'format'
    at = from + view.getUint32(from - 4)
    if (at > end) return 'format'
    records.push({ sequence: first + records.length, origin, update: value.subarray(from, at) })
  }
  if (records.length === 0 || records.length !== count) return 'format'
  return { first, sequence: first + count - 1, hash, previous: value.subarray(PREVIOUS_AT, RECORDS_AT), records }
}
