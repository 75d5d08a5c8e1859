/** What every implementation of routing refuses, in the same words. */
import { SwarmError, assert } from '../lib/base/error.ts'
import { ROUTING_KEYS_MAX, ROUTING_KEY_BYTES } from '../lib/base/network.ts'

/** @param provided keys this peer provides already @throws SwarmError OVERLOADED */
export function checkProvide (provided: number): void {
  if (provided >= ROUTING_KEYS_MAX) throw new SwarmError('OVERLOADED', `this peer provides ${provided} keys; limit ${ROUTING_KEYS_MAX}`)
}

/** A key as text, to look it up by. */
export function nameOfKey (key: Uint8Array): string {
  assert(key.byteLength === ROUTING_KEY_BYTES, `a key of ${key.byteLength} bytes`)
  return Array.from(key, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** @param what was being done @throws SwarmError ABORTED */
export function checkWanted (signal: AbortSignal, what: string): void {
  if (signal.aborted) throw new SwarmError('ABORTED', `${what} was given up`, { cause: signal.reason })
}
