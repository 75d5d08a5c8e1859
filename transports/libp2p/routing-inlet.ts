/**
 * What other members may send the table: one question a stream, so many bytes, and so many bytes of questions on one connection in a
 * while. kad-dht itself reads messages of up to 4 MiB, as often as they come, and takes each of the peers in them apart; of the
 * smallest ones, a few thousand a second keep a core busy.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'

/** Bytes of one question: the longest names one provider and its addresses. */
export const QUESTION_BYTES_MAX = 8 * 2 ** 10

/** Bytes read of one answer: 8 peers and 64 providers, each with a dozen addresses, fit in. */
export const ANSWER_BYTES_MAX = 128 * 2 ** 10

/** Bytes of questions that one connection may bring at once, and each second after that; further streams are reset. */
export const QUESTIONS_BYTES_AT_ONCE = 256 * 2 ** 10
export const QUESTIONS_BYTES_PER_SECOND = 16 * 2 ** 10

/** What a stream costs beside its bytes: agreeing on it is work. */
export const QUESTION_COST_BYTES = 256

/** Resets a stream that brings more. @returns the same stream */
export function limit (stream: Stream, bytesMax: number): Stream {
  let bytes = 0
  stream.addEventListener('message', ({ data }) => {
    bytes += data.byteLength
    if (bytes > bytesMax && stream.status === 'open') stream.abort(new SwarmError('TOO_LARGE', `more than ${bytesMax} bytes for the table`))
  })
  return stream
}

export class Inlet {
  readonly #clock: Clock
  readonly #left = new WeakMap<Connection, { bytes: number, atMs: number }>()

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Takes a question in, or resets its stream. @returns whether it is taken in */
  admit (stream: Stream, connection: Connection): boolean {
    if (!this.#spend(connection, QUESTION_COST_BYTES)) {
      stream.abort(new SwarmError('OVERLOADED', 'too many questions to the table'))
      return false
    }
    const cut = (error: SwarmError): void => { if (stream.status === 'open') stream.abort(error) }
    const question = new FirstMessage()
    stream.addEventListener('message', ({ data }) => {
      if (!question.takes(data.subarray())) cut(new SwarmError('TOO_LARGE', `more than one question of ${QUESTION_BYTES_MAX} bytes for the table`))
      else if (!this.#spend(connection, data.byteLength)) cut(new SwarmError('OVERLOADED', 'too many questions to the table'))
    })
    return true
  }

  #spend (connection: Connection, bytes: number): boolean {
    const nowMs = this.#clock.nowMs()
    const last = this.#left.get(connection)
    const left = last === undefined ? QUESTIONS_BYTES_AT_ONCE : Math.min(QUESTIONS_BYTES_AT_ONCE, last.bytes + (nowMs - last.atMs) / 1_000 * QUESTIONS_BYTES_PER_SECOND)
    this.#left.set(connection, { bytes: Math.max(0, left - bytes), atMs: nowMs })
    return left >= bytes
  }
}

/** Follows one message behind its length, an unsigned varint, as its bytes come. */
class FirstMessage {
  #bytes = 0
  #length = 0
  #lengthBytes = 0
  #isLengthKnown = false

  /** @returns whether these bytes still belong to it */
  takes (bytes: Uint8Array): boolean {
    for (const byte of bytes) {
      if (this.#isLengthKnown) break
      this.#length += (byte & 127) * 128 ** this.#lengthBytes
      this.#lengthBytes += 1
      this.#isLengthKnown = byte < 128
      if (this.#length > QUESTION_BYTES_MAX || this.#lengthBytes > LENGTH_BYTES_MAX) return false
    }
    this.#bytes += bytes.byteLength
    return !this.#isLengthKnown || this.#bytes <= this.#lengthBytes + this.#length
  }
}

/** Bytes of the length of a message. */
const LENGTH_BYTES_MAX = 4
