import { sha256 as digest } from '@noble/hashes/sha2.js'

/** SHA-256, 32 bytes; synchronous on every platform. */
export function sha256 (bytes: Uint8Array): Uint8Array {
  return digest(bytes)
}

/** Whether the SHA-256 of bytes begins with these. */
export function isSha256 (bytes: Uint8Array, beginning: Uint8Array): boolean {
  const whole = digest(bytes)
  return beginning.every((byte, index) => byte === whole[index])
}
