/**
 * What all values of a document on disk have in common: each begins with a version, and ends in a hash that also covers where it
 * lies, so that a value of another document, or of another place in this one, does not pass for its own.
 *
 * A value whose hash is right and whose version is not ours was written by a newer release; one whose hash is wrong is damaged,
 * whatever its version says. The hash stays last, and what it covers stays the same, in all versions.
 */
import { utf8 } from '../lib/base/bytes.ts'
import { SwarmError } from '../lib/base/error.ts'
import { HASH_BYTES } from '../lib/base/witness.ts'
import { isSha256, sha256 } from '#hash'

/** Version of every value written here. */
export const RECORD_VERSION = 1

/** Of a sequence in a key: 13 hexadecimal digits hold every safe integer, and sort as it does. */
const SEQUENCE_DIGITS = 13

/** Why a value cannot be used. */
export type Flaw = 'checksum' | 'version' | 'format'

/**
 * Room for a value, and before it for the place that its hash covers.
 *
 * @param place what the hash covers first
 * @param bytes of the body alone
 * @returns `sealed`, to be given to `seal` once `value`, a view on its end, is filled
 */
export function roomFor (place: Uint8Array, bytes: number): { readonly sealed: Uint8Array, readonly value: Uint8Array } {
  const sealed = new Uint8Array(place.byteLength + bytes + HASH_BYTES)
  sealed.set(place)
  return { sealed, value: sealed.subarray(place.byteLength) }
}

/** Hashes all but the last HASH_BYTES, and puts the hash there. */
export function seal (sealed: Uint8Array): Uint8Array {
  const end = sealed.byteLength - HASH_BYTES
  const hash = sha256(sealed.subarray(0, end)).subarray(0, HASH_BYTES)
  sealed.set(hash, end)
  return hash
}

/** The hash at a value's end, a view on it; undefined if it is wrong. */
export function unseal (place: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  const end = value.byteLength - HASH_BYTES
  if (end < 1) return undefined
  const bytes = place.byteLength + end
  const covered = bytes <= scratch.byteLength ? scratch.subarray(0, bytes) : new Uint8Array(bytes)
  covered.set(place)
  covered.set(value.subarray(0, end), place.byteLength)
  const hash = value.subarray(end)
  return isSha256(covered, hash) ? hash : undefined
}

/** Of short values, what the hash covers is put together here. */
const scratch = new Uint8Array(4_096)

/** Appends a hash that covers the key under which the value will lie, and the body. */
export function sealValue (key: string, body: Uint8Array): Uint8Array {
  const { sealed, value } = roomFor(utf8(key), body.byteLength)
  value.set(body)
  seal(sealed)
  return value
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
