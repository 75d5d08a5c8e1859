/**
 * Newline-delimited text on a byte stream: the framing of every protocol of ours, and what MCP asks of byte-stream
 * transports ("SHOULD reuse the stdio framing", revision 2026-07-28).
 *
 * Writes of one turn of the event loop leave together: with many calls in flight that is worth several times the
 * throughput. A line over the limit is noticed before it is held in full. Invariants: lines arrive in order, whole, without
 * their newline, and the same ones however the bytes were split; `closed` comes exactly once, last; after it nothing is sent.
 * What is held of an unfinished line is copied: a view would keep the whole buffer it came in alive, and a peer that sends
 * byte by byte would cost a hundred times what it sends.
 *
 * A serving end sets `holdWhenFull`: while its answers pile up unread, it stops reading questions, so memory stays bounded.
 * A calling end must not (two ends that both hold would wait for each other); it bounds its calls in flight instead.
 */
import { afterTurn } from './clock.ts'
import { SwarmError, assert, messageOf } from './error.ts'
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

/** What is kept allocated between lines to gather the next unfinished one, in bytes. */
const GATHER_BYTES_KEPT = 64 * 2 ** 10

export interface LineReader {
  /** A SwarmError thrown here resets the stream with it; anything else is a bug: it resets the stream and surfaces. */
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
  // A byte order mark is content here: were it dropped, what a line says would depend on where the bytes were split.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  readonly #encoder = new TextEncoder()
  #reader: LineReader | undefined
  #partial = new Uint8Array(0)
  #partialBytes = 0
  #outbox: string[] = []
  #outboxUnits = 0
  #flushing: Promise<void> | undefined
  #ending: Promise<void> | undefined
  #holding = false
  #closed = false
  #error: Error | undefined
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
    assert(this.#reader === undefined, 'a line stream is read once')
    this.#reader = reader
    if (this.#closed) {
      queueMicrotask(() => { this.#reader?.closed(this.#error) })
      return
    }
    this.#stream.read({
      data: bytes => { this.#take(bytes) },
      ended: () => {
        if (this.#closed) return
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
    if (this.#closed || this.#ending !== undefined) throw new SwarmError('CLOSED', `stream ${this.protocol} is closed`)
    assert(!line.includes('\n'), 'a line holds no newline')
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
    this.#flushing ??= new Promise(resolve => { afterTurn(() => { void this.#flush().then(resolve) }) })
    if (this.#outboxUnits <= UNSENT_BYTES_HIGH) return true
    if (this.#holdWhenFull && !this.#holding) {
      this.#holding = true
      this.#stream.pause()
    }
    return false
  }

  /** Resolves when `send` would say true again, or the stream has closed. */
  async drained (): Promise<void> {
    if (this.#closed || this.#outboxUnits <= UNSENT_BYTES_HIGH) return
    await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }

  /** Sends what is queued, then ends our side; resolves when both are done, or the stream has closed. Never rejects. */
  async end (): Promise<void> {
    if (this.#closed) return
    this.#ending ??= this.#finish()
    await this.#ending
  }

  abort (error: Error): void {
    if (this.#closed) return
    this.#stream.abort(error)
    this.#close(error)
  }

  async #finish (): Promise<void> {
    try {
      await this.#flushing
      if (!this.#closed) await this.#stream.end()
    } catch (error) {
      this.abort(errorOf(error))
    }
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
          if (this.#closed) return
        }
        this.#outboxUnits -= units
        this.#relieve()
      }
    } catch (error) {
      this.abort(errorOf(error))
    } finally {
      this.#flushing = undefined
    }
  }

  #relieve (): void {
    if (this.#outboxUnits > UNSENT_BYTES_HIGH) return
    if (this.#holding && !this.#closed) this.#stream.resume()
    this.#holding = false
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #take (bytes: Uint8Array): void {
    if (this.#closed) return
    let start = 0
    if (this.#partialBytes > 0) {
      const first = bytes.indexOf(NEWLINE)
      if (!this.#hold(first === -1 ? bytes : bytes.subarray(0, first)) || first === -1) return
      const line = this.#partial.subarray(0, this.#partialBytes)
      this.#partialBytes = 0
      if (this.#partial.byteLength > GATHER_BYTES_KEPT) this.#partial = new Uint8Array(0)
      this.#deliver(line)
      start = first + 1
    }
    const last = bytes.lastIndexOf(NEWLINE)
    if (last >= start) this.#deliver(bytes.subarray(start, last))
    if (!this.#closed) this.#hold(bytes.subarray(Math.max(start, last + 1)))
  }

  /** Hands on whole lines, separated by newlines. */
  #deliver (block: Uint8Array): void {
    // Decoding a block at once is far cheaper than line by line; only a block that may hold a wrong line needs that.
    const text = block.byteLength > this.#lineBytesMax ? undefined : this.#decode(block)
    if (text !== undefined) {
      for (const line of text.split('\n')) this.#tell(line)
      return
    }
    for (let start = 0; start <= block.byteLength && !this.#closed;) {
      const newline = block.indexOf(NEWLINE, start)
      const end = newline === -1 ? block.byteLength : newline
      if (end - start > this.#lineBytesMax) return this.#refuse()
      const line = this.#decode(block.subarray(start, end))
      if (line === undefined) return this.abort(new SwarmError('MALFORMED', `stream ${this.protocol} sent bytes that are not UTF-8`))
      this.#tell(line)
      start = end + 1
    }
  }

  #decode (bytes: Uint8Array): string | undefined {
    try {
      return this.#decoder.decode(bytes)
    } catch {
      return undefined // a fatal decoder throws for one reason alone: this is not UTF-8
    }
  }

  #tell (line: string): void {
    if (this.#closed) return
    try {
      this.#reader?.line(line)
    } catch (error) {
      this.abort(errorOf(error))
      if (!(error instanceof SwarmError)) throw error
    }
  }

  /** Keeps a copy of an unfinished line. @returns false if that makes it longer than the limit: the stream is reset */
  #hold (bytes: Uint8Array): boolean {
    const wanted = this.#partialBytes + bytes.byteLength
    if (wanted > this.#lineBytesMax) {
      this.#refuse()
      return false
    }
    if (wanted > this.#partial.byteLength) {
      const roomier = new Uint8Array(Math.min(Math.max(wanted, 2 * this.#partial.byteLength), this.#lineBytesMax))
      roomier.set(this.#partial.subarray(0, this.#partialBytes))
      this.#partial = roomier
    }
    this.#partial.set(bytes, this.#partialBytes)
    this.#partialBytes = wanted
    return true
  }

  #refuse (): void {
    this.abort(new SwarmError('TOO_LARGE', `a line on ${this.protocol} is over the limit of ${this.#lineBytesMax} bytes`))
  }

  #close (error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#outbox = []
    this.#outboxUnits = 0
    this.#partial = new Uint8Array(0)
    this.#partialBytes = 0
    this.#relieve()
    this.#reader?.closed(error)
  }
}

function errorOf (thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown))
}
