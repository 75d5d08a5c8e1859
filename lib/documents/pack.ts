/** Compression of large messages: raw DEFLATE (RFC 1951), by what Node and every browser bring along. */
import { deflate, inflate } from '#deflate'
import { SwarmError } from '../base/error.ts'
import type { Large } from './frame.ts'

/** Messages of fewer bytes go as they are: it would cost more than it saves. */
export const PACK_BYTES_MIN = 16 * 1024

/** A large message as it is to go out: packed, if that makes it smaller. */
export async function pack (message: Uint8Array): Promise<Large> {
  const plain = { bytes: message, isPacked: false, messageBytes: message.byteLength }
  if (message.byteLength < PACK_BYTES_MIN) return plain
  const packed = await deflate(message, message.byteLength - 1)
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
    message = await inflate(bytes, messageBytes)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `a message of ${bytes.byteLength} bytes cannot be unpacked`, { cause })
  }
  if (message?.byteLength !== messageBytes) throw new SwarmError('MALFORMED', `a message says that it has ${messageBytes} bytes, and has ${message === undefined ? 'more' : message.byteLength}`)
  return message
}
