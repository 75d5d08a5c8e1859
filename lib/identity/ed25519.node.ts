import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'

/** DER in front of a raw key. Source: RFC 8410, sections 4 and 7. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Public keys kept as OpenSSL has them. Half of them, the older ones, go at once. */
export const KEYS_MAX = 512

const keys = new Map<string, KeyObject>()

/**
 * The public half of a seed of 32 bytes, and what signs with it. The key is set up once for both: that takes OpenSSL several times as
 * long as a signature. Source: RFC 8032 (Ed25519).
 */
export function halvesOf (seed: Uint8Array): { publicKey: Uint8Array, sign: (bytes: Uint8Array) => Uint8Array } {
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return { publicKey: Uint8Array.from(der.subarray(PUBLIC_PREFIX.byteLength)), sign: bytes => Uint8Array.from(sign(null, bytes, key)) }
}

/** Whether the signature of 64 bytes is by the public key of 32 bytes. */
export function isSigned (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, bytes, keyOf(publicKey), signature)
}

function keyOf (publicKey: Uint8Array): KeyObject {
  const raw = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength)
  const name = raw.toString('latin1')
  const known = keys.get(name)
  if (known !== undefined) return known
  // Not as DER: OpenSSL then tries its decoders in turn, which takes as long as to check a signature, 125 µs where this takes 25.
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
  if (keys.size >= KEYS_MAX) for (const oldest of [...keys.keys()].slice(0, KEYS_MAX / 2)) keys.delete(oldest)
  keys.set(name, key)
  return key
}

/** Public keys that are kept now. */
export function keptKeys (): number {
  return keys.size
}
