/**
 * How messages lie on a stream of `/mcp-swarm/<swarmId>/sync/1.0.0`: in frames, so that small messages come between the parts of
 * a large one.
 *
 *     frame: bytes of the body 4, big-endian | kind 1 | body
 *     0 whole   a message
 *     1 first   a large message begins: packed 1 | bytes of the message 4 | bytes in parts 4
 *     2 part    its next bytes
 *
 * One large message is under way at a time. `packed` 1: the parts together are the message, compressed (pack.ts).
 * Memory that a sender can claim grows with what it has sent, never with what it says it will send.
 */
import { SwarmError, assert } from '../base/error.ts'
import { MESSAGE_BYTES_MAX } from '../../crdt/message.ts'

/** Bytes of a frame's body: a larger message goes in parts. Below the frame size of every muxer, so that streams take turns. */
export const PART_BYTES_MAX = 64 * 1024 - 5

const HEAD_BYTES = 5
const WHOLE = 0, FIRST = 1, PART = 2
const FIRST_BYTES = 9

/** A message that is too large for one frame, as it goes out. */
export interface Large {
  /** What is sent: the message, or the message packed. */
  readonly bytes: Uint8Array
  readonly isPacked: boolean
  /** Of the message itself. */
  readonly messageBytes: number
}

export function wholeFrame (message: Uint8Array): Uint8Array {
  return frame(WHOLE, message)
}

/** The frames of a large message, one after the other. */
export function * largeFrames ({ bytes, isPacked, messageBytes }: Large): Generator<Uint8Array> {
  const first = new Uint8Array(FIRST_BYTES)
  const view = new DataView(first.buffer)
  view.setUint8(0, isPacked ? 1 : 0)
  view.setUint32(1, messageBytes)
  view.setUint32(5, bytes.byteLength)
  yield frame(FIRST, first)
  for (let start = 0; start < bytes.byteLength; start += PART_BYTES_MAX) yield frame(PART, bytes.subarray(start, start + PART_BYTES_MAX))
}

function frame (kind: number, body: Uint8Array): Uint8Array {
  assert(body.byteLength <= PART_BYTES_MAX, `a frame of ${body.byteLength} bytes`)
  const bytes = new Uint8Array(HEAD_BYTES + body.byteLength)
  new DataView(bytes.buffer).setUint32(0, body.byteLength)
  bytes[4] = kind
  bytes.set(body, HEAD_BYTES)
  return bytes
}

/** Puts messages together from bytes as they come. */
export class FrameReader {
  #held = new Uint8Array(0)
  #heldBytes = 0
  #large: { readonly isPacked: boolean, readonly messageBytes: number, readonly partBytes: number, bytes: Uint8Array, length: number } | undefined

  /** Of the large message under way, the bytes that it is to have in parts; 0 for none. */
  get awaited (): number {
    return this.#large?.partBytes ?? 0
  }

  /** Whether a frame or a large message has begun and not ended. */
  get isAmid (): boolean {
    return this.#heldBytes > 0 || this.#large !== undefined
  }

  /**
   * @returns the messages that are complete now, small ones as copies
   * @throws SwarmError MALFORMED, TOO_LARGE: then the stream is of no use any more
   */
  take (bytes: Uint8Array): (Uint8Array | Large)[] {
    const messages: (Uint8Array | Large)[] = []
    let rest = bytes
    if (this.#heldBytes > 0) {
      // Fill up the frame that has begun, its head first.
      for (const wanted of [() => HEAD_BYTES, () => HEAD_BYTES + lengthOf(this.#held)]) {
        const missing = Math.min(wanted() - this.#heldBytes, rest.byteLength)
        if (missing > 0) this.#hold(rest.subarray(0, missing))
        rest = rest.subarray(Math.max(0, missing))
        if (this.#heldBytes < wanted()) return messages
      }
      this.#read(this.#held[4] as number, this.#held.subarray(HEAD_BYTES, this.#heldBytes), messages)
      this.#heldBytes = 0
    }
    while (rest.byteLength >= HEAD_BYTES) {
      const end = HEAD_BYTES + lengthOf(rest)
      if (rest.byteLength < end) break
      this.#read(rest[4] as number, rest.subarray(HEAD_BYTES, end), messages)
      rest = rest.subarray(end)
    }
    if (rest.byteLength > 0) this.#hold(rest)
    return messages
  }

  #read (kind: number, body: Uint8Array, messages: (Uint8Array | Large)[]): void {
    if (kind === WHOLE) messages.push(body.slice())
    else if (kind === FIRST) this.#begin(body)
    else if (kind === PART) this.#add(body, messages)
    else throw new SwarmError('MALFORMED', `a frame about documents is of kind ${kind}`)
  }

  #begin (body: Uint8Array): void {
    if (body.byteLength !== FIRST_BYTES || this.#large !== undefined) throw new SwarmError('MALFORMED', 'a large message about documents begins wrongly')
    const view = new DataView(body.buffer, body.byteOffset)
    const [packed, messageBytes, partBytes] = [view.getUint8(0), view.getUint32(1), view.getUint32(5)]
    if (messageBytes > MESSAGE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a message of ${messageBytes} bytes about documents; limit ${MESSAGE_BYTES_MAX}`)
    const isPacked = packed === 1
    if (packed > 1 || partBytes === 0 || (isPacked ? partBytes > messageBytes : partBytes !== messageBytes)) {
      throw new SwarmError('MALFORMED', `a message of ${messageBytes} bytes about documents comes in ${partBytes}`)
    }
    this.#large = { isPacked, messageBytes, partBytes, bytes: new Uint8Array(Math.min(partBytes, PART_BYTES_MAX)), length: 0 }
  }

  #add (body: Uint8Array, messages: (Uint8Array | Large)[]): void {
    const large = this.#large
    const length = (large?.length ?? 0) + body.byteLength
    if (large === undefined || body.byteLength === 0 || length > large.partBytes) throw new SwarmError('MALFORMED', 'a part of no message about documents')
    if (length > large.bytes.byteLength) large.bytes = grown(large.bytes, Math.min(large.partBytes, Math.max(length, 2 * large.bytes.byteLength)))
    large.bytes.set(body, large.length)
    large.length = length
    if (length < large.partBytes) return
    this.#large = undefined
    messages.push({ bytes: large.bytes, isPacked: large.isPacked, messageBytes: large.messageBytes })
  }

  /** Copies: a view would keep alive the whole buffer that it came in. */
  #hold (bytes: Uint8Array): void {
    const length = this.#heldBytes + bytes.byteLength
    if (length > this.#held.byteLength) this.#held = grown(this.#held, Math.max(length, 2 * this.#held.byteLength))
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes = length
  }
}

function grown (bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length)
  larger.set(bytes)
  return larger
}

function lengthOf (head: Uint8Array): number {
  const length = new DataView(head.buffer, head.byteOffset).getUint32(0)
  if (length > PART_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a frame of ${length} bytes about documents; limit ${PART_BYTES_MAX}`)
  return length
}
