import { hash } from 'node:crypto'

/** SHA-256, 32 bytes; synchronous on every platform. */
export function sha256 (bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'))
}

/** Whether the SHA-256 of bytes begins with these: as a text, it costs half of what a buffer for it does. */
export function isSha256 (bytes: Uint8Array, beginning: Uint8Array): boolean {
  const text = hash('sha256', bytes, 'binary')
  for (let index = 0; index < beginning.byteLength; index++) if (text.charCodeAt(index) !== beginning[index]) return false
  return true
}
