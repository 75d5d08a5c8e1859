/**
 * Newline-delimited text on a byte stream: the framing of every protocol of ours, and what MCP asks of byte-stream
 * transports ("SHOULD reuse the stdio framing", revision 2026-07-28).
 *
 * Writes of one turn of the event loop leave together: with many calls in flight that is worth several times the
 * throughput. A line over the limit is noticed before it is held in full. Invariants: lines arrive in order, whole, without
 * their newline; `closed` comes exactly once, last; after it nothing is sent.
 *
 * A serving end sets `holdWhenFull`: while its answers pile up unread, it stops reading questions, so memory stays bounded.
 * A calling end must not (two ends that both hold would wait for each other); it bounds its calls in flight instead.
 */
import { afterTurn } from './clock.ts'
import { SwarmError, messageOf } from './error.ts'
import type { ByteStream } from './network.ts'

/** Longest line accepted by default, in bytes without its newline. */
export const LINE_BYTES_MAX = 4 * 2 ** 20

/** Unsent bytes above which `send` says false and a serving end stops reading. */
export const UNSENT_BYTES_HIGH = 2 ** 20

/** Unsent bytes above which a stream is given up: the other end does not read. Room for one longest line and its escapes. */
export const UNSENT_BYTES_MAX = 16 * 2 ** 20

/** Bytes handed to the stream at once: below the frame size of every muxer, so that streams take turns. */
const CHUNK_BYTES = 64 * 2 ** 10

const NEWLINE = 10

export interface LineReader {
  line (text: string): void
  /** The other end sends nothing more. Default: end our side too. */
  ended? (): void
  /** Called exactly once, last; `error` unless both ends ended in order. */
  closed (error?: Error): void
}

export interface LineOptions {
  /** Default LINE_BYTES_MAX. */
  readonly lineBytesMax?: number
  readonly holdWhenFull?: boolean
}

export class LineStream {
  readonly #stream: ByteStream
  readonly #lineBytesMax: number
  readonly #holdWhenFull: boolean
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  readonly #encoder = new TextEncoder()
  #reader: LineReader | undefined
  #partial: Uint8Array[] = []
  #partialBytes = 0
  #outbox: string[] = []
  #outboxUnits = 0
  #flushing = false
  #ending = false
  #closed = false
  #waiting: (() => void)[] = []

  constructor (stream: ByteStream, options: LineOptions = {}) {
    this.#stream = stream
    this.#lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX
    this.#holdWhenFull = options.holdWhenFull ?? false
  }

  get protocol (): string {
    return this.#stream.protocol
  }

  get isClosed (): boolean {
    return this.#closed
  }

  /** Starts reading; called exactly once. A reader may be replaced later by `handOver`. */
  read (reader: LineReader): void {
    this.#reader = reader
    this.#stream.read({
      data: bytes => { this.#take(bytes) },
      ended: () => {
        if (this.#partialBytes > 0) return this.abort(new SwarmError('MALFORMED', `stream ${this.protocol} ended inside a line`))
        if (this.#reader?.ended === undefined) void this.end()
        else this.#reader.ended()
      },
      closed: error => { this.#close(error) }
    })
  }

  /** From the next line on, another reader hears: for protocols whose first line decides the rest. */
  handOver (reader: LineReader): void {
    this.#reader = reader
  }

  /**
   * Queues a line, which holds no newline, to leave at the end of this turn.
   *
   * @returns false when the other end reads too slowly: wait for `drained`
   * @throws SwarmError CLOSED after the end, TOO_LARGE over the limit of a line
   */
  send (line: string): boolean {
    if (this.#closed || this.#ending) throw new SwarmError('CLOSED', `stream ${this.protocol} is closed`)
    if (line.length * 3 > this.#lineBytesMax) {
      const bytes = this.#encoder.encode(line).byteLength
      if (bytes > this.#lineBytesMax) throw new SwarmError('TOO_LARGE', `message of ${bytes} bytes; limit ${this.#lineBytesMax}`)
    }
    this.#outbox.push(line)
    this.#outboxUnits += line.length + 1
    if (this.#outboxUnits > UNSENT_BYTES_MAX) {
      this.abort(new SwarmError('OVERLOADED', `${this.#outboxUnits} bytes unsent on ${this.protocol}; limit ${UNSENT_BYTES_MAX}`))
      return false
    }
    if (!this.#flushing) {
      this.#flushing = true
      afterTurn(() => { void this.#flush() })
    }
    if (this.#outboxUnits <= UNSENT_BYTES_HIGH) return true
    if (this.#holdWhenFull) this.#stream.pause()
    return false
  }

  /** Resolves when `send` would say true again, or the stream has closed. */
  async drained (): Promise<void> {
    if (this.#closed || this.#outboxUnits <= UNSENT_BYTES_HIGH) return
    await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }

  /** Sends what is queued, then ends our side. */
  async end (): Promise<void> {
    if (this.#closed || this.#ending) return
    this.#ending = true
    if (!this.#flushing) await this.#stream.end()
  }

  abort (error: Error): void {
    if (this.#closed) return
    this.#stream.abort(error)
    this.#close(error)
  }

  async #flush (): Promise<void> {
    try {
      while (this.#outbox.length > 0 && !this.#closed) {
        const lines = this.#outbox
        const units = this.#outboxUnits
        this.#outbox = []
        lines.push('')
        const bytes = this.#encoder.encode(lines.join('\n'))
        for (let start = 0; start < bytes.byteLength; start += CHUNK_BYTES) {
          if (!this.#stream.send(bytes.subarray(start, start + CHUNK_BYTES))) await this.#stream.drained()
        }
        this.#outboxUnits -= units
        this.#relieve()
      }
      if (this.#ending && !this.#closed) await this.#stream.end()
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      this.#flushing = false
    }
  }

  #relieve (): void {
    if (this.#outboxUnits > UNSENT_BYTES_HIGH) return
    if (this.#holdWhenFull && !this.#closed) this.#stream.resume()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #take (bytes: Uint8Array): void {
    const last = bytes.lastIndexOf(NEWLINE)
    const first = last === -1 ? bytes.byteLength : bytes.indexOf(NEWLINE)
    if (this.#partialBytes + first > this.#lineBytesMax) return this.#refuse()
    if (last === -1) return this.#hold(bytes)
    let text: string
    try {
      text = this.#decoder.decode(this.#partialBytes === 0 ? bytes.subarray(0, last) : concat([...this.#partial, bytes.subarray(0, last)]))
    } catch (cause) {
      return this.abort(new SwarmError('MALFORMED', `stream ${this.protocol} sent bytes that are not UTF-8`, { cause }))
    }
    this.#partial = []
    this.#partialBytes = 0
    for (const line of text.split('\n')) {
      if (this.#closed) return
      if (line.length > this.#lineBytesMax) return this.#refuse()
      this.#reader?.line(line)
    }
    if (last + 1 < bytes.byteLength) this.#hold(bytes.subarray(last + 1))
  }

  #hold (bytes: Uint8Array): void {
    if (this.#partialBytes + bytes.byteLength > this.#lineBytesMax) return this.#refuse()
    this.#partial.push(bytes)
    this.#partialBytes += bytes.byteLength
  }

  #refuse (): void {
    this.abort(new SwarmError('TOO_LARGE', `a line on ${this.protocol} is over the limit of ${this.#lineBytesMax} bytes`))
  }

  #close (error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#outbox = []
    this.#outboxUnits = 0
    this.#partial = []
    this.#relieve()
    this.#reader?.closed(error)
  }
}

function concat (parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.byteLength
  }
  return whole
}
