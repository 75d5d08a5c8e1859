/**
 * Gossipsub's bytes on a stream: messages of its protocol, each with its length in front as a varint.
 *
 * We cut them apart ourselves, before gossipsub sees any: what is too long must end the streams where the watchdog sees it
 * (gossipsub would stop reading and say nothing), and two messages are ours, the watchdog's question and answer. Those are
 * messages with nothing in them but a field that gossipsub does not know, which one that reads them would skip.
 * Source: libp2p specifications, pubsub/README.md.
 */
import { concatBytes, equalBytes, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'

/** Longest message of the protocol, either way: many messages of peers, and lists of what was said, travel as one. */
export const RPC_BYTES_MAX = 2 * 2 ** 20

/** Bytes that RPC_BYTES_MAX takes as a varint. */
const LENGTH_BYTES_MAX = 4

/** Field 1,000, a varint: 1 asks, 2 answers. */
export const QUESTION = Uint8Array.of(3, 0xc0, 0x3e, 1)
export const ANSWER = Uint8Array.of(3, 0xc0, 0x3e, 2)

export function isQuestion (frame: Uint8Array): boolean {
  return equalBytes(frame, QUESTION)
}

export function isAnswer (frame: Uint8Array): boolean {
  return equalBytes(frame, ANSWER)
}

/** A message to be published, as it goes over the wire. */
export interface Message {
  readonly topic: string
  readonly frame: Uint8Array
  /** A view on the frame. */
  readonly data: Uint8Array
}

/**
 * Frames one message as gossipsub itself would: field 2 of its protocol, with the data in field 2 and the topic in field 4.
 *
 * @param parts its data, copied
 */
export function frameMessage (topic: string, ...parts: readonly Uint8Array[]): Message {
  const name = utf8(topic)
  const dataBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const [dataHead, topicHead] = [[0x12, ...varint(dataBytes)], [0x22, ...varint(name.byteLength)]]
  const messageBytes = dataHead.length + dataBytes + topicHead.length + name.byteLength
  const messageHead = [0x12, ...varint(messageBytes)]
  const head = [...varint(messageHead.length + messageBytes), ...messageHead, ...dataHead]
  const frame = concatBytes(Uint8Array.from(head), ...parts, Uint8Array.from(topicHead), name)
  return { topic, frame, data: frame.subarray(head.length, head.length + dataBytes) }
}

function varint (value: number): number[] {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left]
    bytes.push(left % 128 + 128)
  }
}

/** What a whole frame holds behind its length. */
export function bodyOf (frame: Uint8Array): Uint8Array {
  let at = 0
  while ((frame[at] as number) >= 128) at++
  return frame.subarray(at + 1)
}

export class FrameReader {
  #parts: Uint8Array[] = []
  #held = 0
  /** Bytes to hold before there can be another whole frame. */
  #needed = 1

  /**
   * @param bytes as they come; kept
   * @returns whole frames, lengths included
   * @throws SwarmError TOO_LARGE, MALFORMED: what follows cannot be told apart any more
   */
  take (bytes: Uint8Array): Uint8Array[] {
    this.#parts.push(bytes)
    this.#held += bytes.byteLength
    if (this.#held < this.#needed) return []
    const held = this.#parts.length === 1 ? bytes : concatBytes(...this.#parts)
    const frames: Uint8Array[] = []
    let start = 0
    for (;;) {
      const whole = frameLength(held.subarray(start, start + LENGTH_BYTES_MAX))
      this.#needed = whole ?? held.byteLength - start + 1
      if (whole === undefined || held.byteLength - start < whole) break
      frames.push(held.subarray(start, start + whole))
      start += whole
    }
    this.#parts = start < held.byteLength ? [held.subarray(start)] : []
    this.#held = held.byteLength - start
    return frames
  }
}

/** @returns bytes of the frame that begins here, its length included; undefined if the length is cut short */
function frameLength (bytes: Uint8Array): number | undefined {
  let length = 0
  for (let index = 0; index < bytes.byteLength; index++) {
    const byte = bytes[index] as number
    length += (byte & 127) * 2 ** (7 * index)
    if (byte >= 128) continue
    if (length > RPC_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a gossip message of ${length} bytes; limit ${RPC_BYTES_MAX}`)
    return length + index + 1
  }
  if (bytes.byteLength === LENGTH_BYTES_MAX) throw new SwarmError('MALFORMED', 'a gossip message whose length does not end')
  return undefined
}
