import { ed25519 } from '@noble/curves/ed25519.js'

/** Public half of a seed of 32 bytes. */
export function publicHalf (seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(seed)
}

/** A function that signs with a seed of 32 bytes. Source: RFC 8032 (Ed25519). */
export function signerOf (seed: Uint8Array): (bytes: Uint8Array) => Uint8Array {
  const own = Uint8Array.from(seed)
  return bytes => ed25519.sign(bytes, own)
}

/**
 * Whether the signature of 64 bytes is by the public key of 32 bytes. By the strict rules of RFC 8032, as its twin on Node,
 * and not by ZIP 215, so that a page and a Node peer agree about every key that was made by the rules.
 */
export function isSigned (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  return ed25519.verify(signature, bytes, publicKey, { zip215: false })
}
