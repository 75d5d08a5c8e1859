/** Compression of large messages: raw DEFLATE (RFC 1951), by what every browser and Node bring along. */
import { SwarmError } from '../base/error.ts'
import type { Large } from './frame.ts'

/** Messages of fewer bytes go as they are: it would cost more than it saves. */
export const PACK_BYTES_MIN = 16 * 1024

/** Bytes given to the unpacker at once: bounds what it can have made before it is seen to be too much. */
const FEED_BYTES = 64 * 1024

/** A large message as it is to go out: packed, if that makes it smaller. */
export async function pack (message: Uint8Array): Promise<Large> {
  const plain = { bytes: message, isPacked: false, messageBytes: message.byteLength }
  if (message.byteLength < PACK_BYTES_MIN) return plain
  const packed = await pass(message, new CompressionStream('deflate-raw'), message.byteLength - 1)
  return packed === undefined ? plain : { bytes: packed, isPacked: true, messageBytes: message.byteLength }
}

/**
 * The message again.
 *
 * @throws SwarmError MALFORMED if it is not what it says, as soon as that is seen: it never holds more than `messageBytes` and a little
 */
export async function unpack ({ bytes, isPacked, messageBytes }: Large): Promise<Uint8Array> {
  if (!isPacked) return bytes
  let message: Uint8Array | undefined
  try {
    message = await pass(bytes, new DecompressionStream('deflate-raw'), messageBytes)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `a message of ${bytes.byteLength} bytes cannot be unpacked`, { cause })
  }
  if (message?.byteLength !== messageBytes) throw new SwarmError('MALFORMED', `a message says that it has ${messageBytes} bytes, and has ${message === undefined ? 'more' : message.byteLength}`)
  return message
}

/** @returns undefined as soon as there is more than `bytesMax` */
async function pass (bytes: Uint8Array, through: CompressionStream | DecompressionStream, bytesMax: number): Promise<Uint8Array | undefined> {
  const writer = through.writable.getWriter()
  const reader = (through.readable as ReadableStream<Uint8Array>).getReader()
  const written = feed(writer, bytes)
  written.catch(() => undefined) // the reader is told of the same
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.byteLength
    if (length > bytesMax) {
      await Promise.allSettled([reader.cancel(), writer.abort()])
      return undefined
    }
    parts.push(value)
  }
  await written
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.byteLength
  }
  return whole
}

async function feed (writer: WritableStreamDefaultWriter, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.byteLength; start += FEED_BYTES) {
    await writer.ready
    await writer.write(bytes.subarray(start, start + FEED_BYTES))
  }
  await writer.close()
}
