/**
 * What other members may send the table: so many bytes on one stream, and so many bytes of questions on one connection in a while.
 * kad-dht itself reads messages of up to 4 MiB, as often as they come, and takes each of the peers in them apart.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'

/** Bytes read of one question: the longest names one provider and its addresses. */
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
    limit(stream, QUESTION_BYTES_MAX).addEventListener('message', ({ data }) => {
      if (!this.#spend(connection, data.byteLength) && stream.status === 'open') stream.abort(new SwarmError('OVERLOADED', 'too many questions to the table'))
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
