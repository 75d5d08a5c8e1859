import { ed25519 } from '@noble/curves/ed25519.js'

/** The public half of a seed of 32 bytes, and what signs with it. Source: RFC 8032 (Ed25519). */
export function halvesOf (seed: Uint8Array): { publicKey: Uint8Array, sign: (bytes: Uint8Array) => Uint8Array } {
  const own = Uint8Array.from(seed)
  return { publicKey: ed25519.getPublicKey(own), sign: bytes => ed25519.sign(bytes, own) }
}

/**
 * Whether the signature of 64 bytes is by the public key of 32 bytes. By the strict rules of RFC 8032, as its twin on Node,
 * and not by ZIP 215, so that a page and a Node peer agree about every key that was made by the rules.
 */
export function isSigned (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  return ed25519.verify(signature, bytes, publicKey, { zip215: false })
}
