/**
 * The bytes of what a document has on disk. Every value ends in a hash that also covers the document's key, so that a value of
 * another document, or of another place in this one, does not pass for its own.
 *
 * A record, the log's unit, is one update. Big-endian:
 *
 *     version 1 | sequence 8 | hash of the previous record 16 | bytes of origin 1 | origin | update | hash 16
 *
 * The sequence grows by one from 1; the first record's previous hash is zeros. A value whose hash is right and whose version is
 * not ours was written by a newer release; one whose hash is wrong is damaged, whatever its version says. The hash stays last,
 * and what it covers stays the same, in all versions.
 */
import { textOf, utf8 } from '../lib/base/bytes.ts'
import { SwarmError, assert } from '../lib/base/error.ts'
import { HASH_BYTES, type Head } from '../lib/base/witness.ts'
import { sha256 } from '#hash'

/** Version of every value written here. */
export const RECORD_VERSION = 1

/** Longest origin, in bytes: a peer id, or '' for an update of this peer's own. */
export const ORIGIN_BYTES_MAX = 255

/** Largest update in one record; a larger one is refused before it is appended. */
export const UPDATE_BYTES_MAX = 64 * 2 ** 20

/** The previous hash of the first record. */
export const NO_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

const SEQUENCE_AT = 1
const PREVIOUS_AT = 9
const ORIGIN_AT = PREVIOUS_AT + HASH_BYTES

/** Of a sequence in a key: 13 hexadecimal digits hold every safe integer, and sort as it does. */
const SEQUENCE_DIGITS = 13

export interface LogRecord extends Head {
  readonly previous: Uint8Array
  /** The peer that the update came from; '' for this one. */
  readonly origin: string
  readonly update: Uint8Array
}

/** Why a value cannot be used. */
export type Flaw = 'checksum' | 'version' | 'format'

/**
 * Writes a record.
 *
 * @param place what the hash covers first: the bytes of the document's key
 * @returns the value to store, and its hash
 * @throws SwarmError TOO_LARGE for an update over UPDATE_BYTES_MAX
 */
export function writeRecord (place: Uint8Array, sequence: number, previous: Uint8Array, origin: string, update: Uint8Array): { value: Uint8Array, hash: Uint8Array } {
  if (update.byteLength > UPDATE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `an update of ${update.byteLength} bytes; limit ${UPDATE_BYTES_MAX}`)
  assert(Number.isSafeInteger(sequence) && sequence > 0, `${sequence} is no sequence`)
  const from = origin === '' ? NO_BYTES : utf8(origin)
  assert(from.byteLength <= ORIGIN_BYTES_MAX, `an origin has at most ${ORIGIN_BYTES_MAX} bytes, unlike ${origin}`)
  const sealed = new Uint8Array(place.byteLength + ORIGIN_AT + 1 + from.byteLength + update.byteLength + HASH_BYTES)
  sealed.set(place)
  const value = sealed.subarray(place.byteLength)
  value[0] = RECORD_VERSION
  writeSequence(value, SEQUENCE_AT, sequence)
  value.set(previous, PREVIOUS_AT)
  value[ORIGIN_AT] = from.byteLength
  value.set(from, ORIGIN_AT + 1)
  value.set(update, ORIGIN_AT + 1 + from.byteLength)
  return { value, hash: seal(sealed) }
}

/**
 * Reads a record back.
 *
 * @param sequence what its key says
 * @returns views on `value`, which must stay as it is; or what is wrong with it
 */
export function readRecord (place: Uint8Array, sequence: number, value: Uint8Array): LogRecord | Flaw {
  const hash = unseal(place, value)
  if (hash === undefined) return 'checksum'
  if (value[0] !== RECORD_VERSION) return 'version'
  const originBytes = value[ORIGIN_AT] ?? 0
  const from = ORIGIN_AT + 1 + originBytes
  if (from + HASH_BYTES > value.byteLength || readSequence(value, SEQUENCE_AT) !== sequence) return 'format'
  return {
    sequence,
    hash,
    previous: value.subarray(PREVIOUS_AT, ORIGIN_AT),
    origin: originBytes === 0 ? '' : textOf(value.subarray(ORIGIN_AT + 1, from)),
    update: value.subarray(from, value.byteLength - HASH_BYTES)
  }
}

/** Appends a hash that covers the key under which the value will lie, and the body. */
export function sealValue (key: string, body: Uint8Array): Uint8Array {
  const place = utf8(key)
  const sealed = new Uint8Array(place.byteLength + body.byteLength + HASH_BYTES)
  sealed.set(place)
  sealed.set(body, place.byteLength)
  seal(sealed)
  return sealed.subarray(place.byteLength)
}

/** The body of a sealed value, a view on it; undefined if its hash is wrong. */
export function openValue (key: string, value: Uint8Array): Uint8Array | undefined {
  return unseal(utf8(key), value) === undefined ? undefined : value.subarray(0, value.byteLength - HASH_BYTES)
}

export function sequenceText (sequence: number): string {
  return sequence.toString(16).padStart(SEQUENCE_DIGITS, '0')
}

/** The sequence that a key's end tells, or undefined if it tells none. */
export function sequenceOf (text: string): number | undefined {
  return /^[0-9a-f]{13}$/.test(text) ? parseInt(text, 16) : undefined
}

export function writeSequence (bytes: Uint8Array, offset: number, sequence: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint32(offset, Math.floor(sequence / 2 ** 32))
  view.setUint32(offset + 4, sequence >>> 0)
}

export function readSequence (bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4)
}

/** Refuses what a newer release wrote. */
export function newerVersion (key: string, version: number | undefined): SwarmError {
  return new SwarmError('VERSION_UNSUPPORTED', `what lies under ${key} has format ${version}; this release reads ${RECORD_VERSION}. Use the release that wrote it`, { details: { versions: [version] } })
}

export function hex (bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

const NO_BYTES = new Uint8Array(0)

/** Hashes all but the last HASH_BYTES, and puts the hash there. */
function seal (sealed: Uint8Array): Uint8Array {
  const end = sealed.byteLength - HASH_BYTES
  const hash = sha256(sealed.subarray(0, end)).subarray(0, HASH_BYTES)
  sealed.set(hash, end)
  return hash
}

function unseal (place: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  const end = value.byteLength - HASH_BYTES
  if (end < 1) return undefined
  const covered = new Uint8Array(place.byteLength + end)
  covered.set(place)
  covered.set(value.subarray(0, end), place.byteLength)
  const hash = sha256(covered)
  for (let index = 0; index < HASH_BYTES; index++) {
    if (hash[index] !== value[end + index]) return undefined
  }
  return value.subarray(end)
}
