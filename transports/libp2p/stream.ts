/**
 * A libp2p stream behind our port.
 *
 * What libp2p leaves to its users is settled here. A stream nobody reads yet is paused, so that an early sender is
 * held back by the muxer's window instead of filling a buffer until the stream breaks. A stream that closes because its
 * connection went away looks to libp2p like one that ended in order; here only two sent ends are in order, all else is an
 * error. And `onDrain` of libp2p resolves at once from its second use on, so that `drained` listens to the event instead.
 */
import type { Stream, StreamCloseEvent } from '@libp2p/interface'
import { SwarmError, messageOf } from '../../lib/base/error.ts'
import type { ByteStream, StreamReader } from '../../lib/base/network.ts'

interface Waiter { resolve: () => void, reject: (error: Error) => void }

export class Libp2pStream implements ByteStream {
  readonly protocol: string
  readonly #stream: Stream
  #reader: StreamReader | undefined
  #held = false
  #remoteEnded: boolean
  #ending: Promise<boolean> | undefined
  #fate: { error: Error | undefined } | undefined
  #toldEnd = false
  #told = false
  #waiting: Waiter[] = []

  /** @param stream negotiated already; from here on no one else listens to it */
  constructor (stream: Stream) {
    this.protocol = stream.protocol
    this.#stream = stream
    this.#remoteEnded = stream.remoteWriteStatus === 'closed'
    if (stream.readStatus === 'readable') stream.pause()
    stream.addEventListener('remoteCloseWrite', () => { this.#remoteEnded = true })
    stream.addEventListener('drain', () => { queueMicrotask(() => { this.#relieve() }) })
    stream.addEventListener('end', () => { this.#tell() })
    stream.addEventListener('close', event => { this.#onClose(event) })
    if (stream.status !== 'open') this.#settle(new SwarmError('CLOSED', `stream ${this.protocol} closed while it opened`))
  }

  send (bytes: Uint8Array): boolean {
    if (this.#fate !== undefined || this.#ending !== undefined) throw this.#closedError()
    try {
      return this.#stream.send(bytes) && !this.#stream.writableNeedsDrain
    } catch (cause) {
      throw this.#closedError(cause)
    }
  }

  async drained (): Promise<void> {
    if (this.#fate !== undefined) throw this.#closedError()
    if (!this.#stream.writableNeedsDrain) return
    await new Promise<void>((resolve, reject) => { this.#waiting.push({ resolve, reject }) })
  }

  read (reader: StreamReader): void {
    this.#reader = reader
    this.#stream.addEventListener('message', event => {
      if (this.#told) return
      const { data } = event
      try {
        reader.data(data instanceof Uint8Array ? data : data.subarray())
      } catch (cause) {
        this.#onThrow(cause)
      }
      // What came with the answer to negotiation is pushed back after libp2p has told of the end, and that it tells once.
      if (this.#remoteEnded) this.#tell()
    })
    queueMicrotask(() => {
      if (!this.#held) this.#flow()
      this.#tell()
    })
  }

  pause (): void {
    this.#held = true
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  resume (): void {
    this.#held = false
    if (this.#reader !== undefined) this.#flow()
  }

  async end (): Promise<void> {
    if (this.#fate !== undefined) return
    this.#ending ??= this.#finish()
    await this.#ending
  }

  abort (error: Error): void {
    this.#stream.abort(error)
    // A stream whose two sides have ended, but whose bytes were not all read, is past libp2p's abort.
    this.#settle(error)
  }

  /** Whether our end went out; what went wrong otherwise is what `closed` tells. */
  async #finish (): Promise<boolean> {
    return await this.#stream.close().then(() => true, () => false)
  }

  #flow (): void {
    if (this.#stream.readStatus === 'paused' && this.#fate?.error === undefined) this.#stream.resume()
  }

  #relieve (): void {
    if (this.#waiting.length === 0 || this.#stream.writableNeedsDrain) return
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  #onClose ({ error, local }: StreamCloseEvent): void {
    if (error?.name === 'StreamBufferError') return this.#settle(new SwarmError('OVERLOADED', `stream ${this.protocol}: ${error.message}`, { cause: error }))
    if (error !== undefined && local === true) return this.#settle(error)
    if (error !== undefined) return this.#settle(new SwarmError('CLOSED', `the other end reset stream ${this.protocol}`, { cause: error }))
    const lost = new SwarmError('CLOSED', `the connection under stream ${this.protocol} closed`)
    if (!this.#remoteEnded || this.#ending === undefined) return this.#settle(lost)
    void this.#ending.then(sent => { this.#settle(sent ? undefined : lost) })
  }

  #settle (error: Error | undefined): void {
    if (this.#told || this.#fate?.error !== undefined) return
    this.#fate = { error }
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closedError())
    this.#tell()
  }

  /** Tells the reader what is due: the end only after the last bytes, the close only after the end. */
  #tell (): void {
    const reader = this.#reader
    if (reader === undefined || this.#told) return
    const broken = this.#fate?.error
    if (broken === undefined) {
      if (this.#stream.readBufferLength > 0) return
      if (this.#remoteEnded && !this.#toldEnd && !isBroken(this.#stream)) {
        this.#toldEnd = true
        this.#call(() => { reader.ended() })
      }
      if (this.#fate === undefined || this.#told) return
    }
    this.#told = true
    this.#call(() => { reader.closed(broken) })
  }

  /** A reader that throws has lost track of its protocol: the stream ends there, and nobody else's. */
  #call (tell: () => void): void {
    try {
      tell()
    } catch (cause) {
      this.#onThrow(cause)
    }
  }

  #onThrow (cause: unknown): void {
    this.abort(cause instanceof Error ? cause : new SwarmError('CLOSED', `reader of ${this.protocol}: ${messageOf(cause)}`))
  }

  #closedError (cause?: unknown): SwarmError {
    return new SwarmError('CLOSED', `stream ${this.protocol} is closed`, { cause: cause ?? this.#fate?.error })
  }
}

function isBroken (stream: Stream): boolean {
  return stream.status === 'aborted' || stream.status === 'reset'
}
