/** CRC-32C (Castagnoli), eight bytes at a time. Source: Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based CRC Generators", 2005. */
const POLYNOMIAL = 0x82f63b78
const SLICES = 8

const tables = Array.from({ length: SLICES }, () => new Int32Array(256))
const [T0, T1, T2, T3, T4, T5, T6, T7] = tables as [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1
  T0[byte] = crc
}
for (let slice = 1; slice < SLICES; slice++) {
  for (let byte = 0; byte < 256; byte++) {
    const before = tables[slice - 1]?.[byte] as number
    ;(tables[slice] as Int32Array)[byte] = before >>> 8 ^ (T0[before & 255] as number)
  }
}

/** @returns unsigned, 32 bits */
export function crc32c (bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.byteLength - bytes.byteLength % SLICES
  let crc = -1
  for (let at = 0; at < whole; at += SLICES) {
    const low = view.getInt32(at, true) ^ crc
    const high = view.getInt32(at + 4, true)
    crc = (T7[low & 255] as number) ^ (T6[low >>> 8 & 255] as number) ^ (T5[low >>> 16 & 255] as number) ^ (T4[low >>> 24] as number) ^
      (T3[high & 255] as number) ^ (T2[high >>> 8 & 255] as number) ^ (T1[high >>> 16 & 255] as number) ^ (T0[high >>> 24] as number)
  }
  for (let at = whole; at < bytes.byteLength; at++) crc = crc >>> 8 ^ (T0[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc >>> 0
}

/** As LevelDB keeps it, so that a CRC over bytes that hold CRCs is a good one too. Source: LevelDB, doc/log_format.md. */
export function maskedCrc32c (bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0
}
