import { SwarmError, messageOf } from '../../lib/base/error.ts'
import type { ByteStream, StreamReader } from '../../lib/base/network.ts'
import { UNSENT_BYTES_MAX } from '../bounds.ts'

/** Bytes sent and not yet taken by the other end's reader, above which `send` says false: yamux's first window. */
export const HIGH_WATER_BYTES = 256 * 2 ** 10

/** What a stream's other end is told, in order. */
export type Signal =
  | { readonly kind: 'data', readonly bytes: Uint8Array }
  | { readonly kind: 'taken', readonly count: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }

interface Waiter { resolve: () => void, reject: (error: Error) => void }

/** One end of a stream; what it tells the other end goes through `tell`, and what it is told comes in by `receive`. */
export class MemoryStream implements ByteStream {
  readonly protocol: string
  readonly #tellOther: (signal: Signal) => void
  readonly #onClose: () => void
  #reader: StreamReader | undefined
  #flowing = false
  #held = false
  #inbox: Uint8Array[] = []
  #untakenBytes = 0
  #ended = false
  #otherEnded = false
  #toldEnd = false
  #told = false
  #fate: { error: Error | undefined } | undefined
  #waiting: Waiter[] = []

  constructor (protocol: string, tellOther: (signal: Signal) => void, onClose: () => void) {
    this.protocol = protocol
    this.#tellOther = tellOther
    this.#onClose = onClose
  }

  send (bytes: Uint8Array): boolean {
    if (this.#fate !== undefined || this.#ended) throw this.#closedError()
    if (bytes.byteLength === 0) return this.#untakenBytes < HIGH_WATER_BYTES
    this.#untakenBytes += bytes.byteLength
    if (this.#untakenBytes > UNSENT_BYTES_MAX) {
      this.abort(new SwarmError('OVERLOADED', `${this.#untakenBytes} bytes unsent on ${this.protocol}; limit ${UNSENT_BYTES_MAX}`))
      return false
    }
    this.#tellOther({ kind: 'data', bytes: bytes.slice() })
    return this.#untakenBytes < HIGH_WATER_BYTES
  }

  async drained (): Promise<void> {
    if (this.#fate !== undefined) throw this.#closedError()
    if (this.#untakenBytes < HIGH_WATER_BYTES) return
    await new Promise<void>((resolve, reject) => { this.#waiting.push({ resolve, reject }) })
  }

  read (reader: StreamReader): void {
    this.#reader = reader
    queueMicrotask(() => {
      this.#flowing = true
      this.#flow()
    })
  }

  pause (): void {
    this.#held = true
  }

  resume (): void {
    this.#held = false
    this.#flow()
  }

  async end (): Promise<void> {
    if (this.#fate !== undefined || this.#ended) return
    this.#ended = true
    this.#tellOther({ kind: 'end' })
    if (this.#otherEnded) this.settle(undefined)
  }

  abort (error: Error): void {
    if (this.#fate === undefined) this.#tellOther({ kind: 'reset' })
    this.settle(error)
  }

  receive (signal: Signal): void {
    if (this.#fate !== undefined) return
    switch (signal.kind) {
      case 'data':
        this.#inbox.push(signal.bytes)
        return this.#flow()
      case 'taken':
        this.#untakenBytes -= signal.count
        if (this.#untakenBytes < HIGH_WATER_BYTES) for (const { resolve } of this.#waiting.splice(0)) resolve()
        return
      case 'end':
        this.#otherEnded = true
        if (this.#ended) this.settle(undefined)
        return this.#flow()
      case 'reset':
        return this.settle(new SwarmError('CLOSED', `the other end reset stream ${this.protocol}`))
    }
  }

  /** Decides how the stream ended; the reader hears of an orderly end only after the last bytes. */
  settle (error: Error | undefined): void {
    if (this.#told || this.#fate?.error !== undefined) return
    if (this.#fate === undefined) this.#onClose()
    this.#fate = { error }
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closedError())
    if (error !== undefined) this.#inbox = []
    queueMicrotask(() => { this.#flow() })
  }

  #flow (): void {
    const reader = this.#reader
    if (reader === undefined || !this.#flowing || this.#told) return
    while (!this.#held && this.#inbox.length > 0) {
      const bytes = this.#inbox.shift() as Uint8Array
      if (this.#fate === undefined) this.#tellOther({ kind: 'taken', count: bytes.byteLength })
      this.#call(() => { reader.data(bytes) })
    }
    if (this.#inbox.length > 0 || this.#told) return
    if (this.#otherEnded && !this.#toldEnd && this.#fate?.error === undefined) {
      this.#toldEnd = true
      this.#call(() => { reader.ended() })
    }
    if (this.#fate === undefined || this.#told) return
    this.#told = true
    const { error } = this.#fate
    this.#call(() => { reader.closed(error) })
  }

  #call (tell: () => void): void {
    try {
      tell()
    } catch (cause) {
      this.abort(cause instanceof Error ? cause : new SwarmError('CLOSED', `reader of ${this.protocol}: ${messageOf(cause)}`))
    }
  }

  #closedError (): SwarmError {
    return new SwarmError('CLOSED', `stream ${this.protocol} is closed`, { cause: this.#fate?.error })
  }
}
