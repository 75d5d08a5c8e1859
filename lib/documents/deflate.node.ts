/** Raw DEFLATE (RFC 1951) by zlib, on a thread of its own. */
import { deflateRaw, inflateRaw } from 'node:zlib'
import { promisify } from 'node:util'

const [deflating, inflating] = [promisify(deflateRaw), promisify(inflateRaw)]

/** Quick rather than small: on a LAN what a higher level saves takes longer than to send it. */
const LEVEL = 1

/** @returns undefined where that is longer than `bytesMax` */
export async function deflate (bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | undefined> {
  const packed = await deflating(bytes, { level: LEVEL })
  return packed.byteLength > bytesMax ? undefined : packed
}

/** @returns undefined where there is more than `bytesMax`, as soon as that is seen @throws what zlib does, of bytes that are no such */
export async function inflate (bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    return await inflating(bytes, { maxOutputLength: Math.max(1, bytesMax) })
  } catch (error) {
    if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw error
  }
}
