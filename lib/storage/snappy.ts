/** Largest output: an index of a table is far smaller. */
export const UNPACKED_BYTES_MAX = 16 * 2 ** 20

/**
 * Unpacks bytes in the Snappy format, of which LevelDB makes blocks.
 * Source: Google, "Snappy compressed format description", 2011.
 *
 * @returns undefined if they are not in that format, or hold more than UNPACKED_BYTES_MAX
 */
export function unpackSnappy (packed: Uint8Array): Uint8Array | undefined {
  let [size, shift, at] = [0, 0, 0]
  for (;;) {
    const byte = packed[at++]
    if (byte === undefined || shift > 28) return undefined
    size += (byte & 127) * 2 ** shift
    if (byte < 128) break
    shift += 7
  }
  if (size > UNPACKED_BYTES_MAX) return undefined
  const unpacked = new Uint8Array(size)
  let end = 0
  while (at < packed.byteLength) {
    const tag = packed[at++] as number
    const kind = tag & 3
    let [length, offsetBytes, lengthBytes] = [(tag >> 2) + 1, kind === 3 ? 4 : kind, 0]
    if (kind === 0 && length > 60) [lengthBytes, length] = [length - 60, 1]
    if (kind === 1) [length, offsetBytes] = [(tag >> 2 & 7) + 4, 1]
    if (at + lengthBytes + offsetBytes > packed.byteLength) return undefined
    length += little(packed, at, lengthBytes)
    const offset = little(packed, at, offsetBytes) + (kind === 1 ? (tag >> 5) * 256 : 0)
    at += lengthBytes + offsetBytes
    if (end + length > size) return undefined
    if (kind === 0) {
      if (at + length > packed.byteLength) return undefined
      unpacked.set(packed.subarray(at, at + length), end)
      at += length
    } else {
      if (offset === 0 || offset > end) return undefined
      // Byte by byte: a copy may reach into what it makes.
      for (let index = 0; index < length; index++) unpacked[end + index] = unpacked[end + index - offset] as number
    }
    end += length
  }
  return end === size ? unpacked : undefined
}

function little (bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let index = 0; index < count; index++) value += (bytes[at + index] as number) * 2 ** (8 * index)
  return value
}
