/** The stream on which we send to one neighbour: what leaves in one turn of the event loop leaves, and is encrypted, together. */
import type { Stream } from '@libp2p/interface'
import { concatBytes } from '../../lib/base/bytes.ts'
import { afterTurn } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Libp2pConnection } from './connection.ts'

/** Bytes a neighbour may leave unread before its streams are given up. */
export const OUTBOUND_BYTES_MAX = 4 * 2 ** 20

/** Bytes gathered in one turn that leave without waiting for its end: one frame of the muxer. */
const FLUSH_BYTES = 60_000

/** How long a neighbour may take nothing before that is a stream that is broken. */
const STUCK_MS_MAX = 5_000

export class Outbound {
  readonly connection: Libp2pConnection
  /** Whether gossipsub was told of it. */
  hasBegun = false
  readonly #stream: Stream
  #unsent: Uint8Array[] = []
  #unsentBytes = 0
  /** When it was first seen that the neighbour takes nothing more. */
  #stuckMs: number | undefined
  /** Who waits for all of it to leave. */
  #waiting: (() => void)[] = []

  /** @param onReset told when the stream has ended, whoever ended it */
  constructor (stream: Stream, connection: Libp2pConnection, onReset: () => void) {
    this.connection = connection
    this.#stream = stream
    stream.maxWriteBufferLength = OUTBOUND_BYTES_MAX
    stream.addEventListener('drain', () => {
      this.#stuckMs = undefined
      this.#relieve()
    })
    stream.addEventListener('close', () => {
      this.#relieve()
      onReset()
    }, { once: true })
  }

  put (frame: Uint8Array): void {
    this.#unsent.push(frame)
    this.#unsentBytes += frame.byteLength
    if (this.#unsentBytes >= FLUSH_BYTES) this.#flush()
    else if (this.#unsent.length === 1) afterTurn(() => { this.#flush() })
  }

  /** Sends what waits, and resolves when it has left our queues, or cannot any more; undefined if it has. */
  drained (): Promise<void> | undefined {
    this.#flush()
    if (!this.#stream.writableNeedsDrain) return undefined
    return new Promise(resolve => { this.#waiting.push(resolve) })
  }

  /** Whether the neighbour takes nothing, but may be only slow. */
  isSlow (nowMs: number): boolean {
    if (this.#stream.writeBufferLength > 0) this.#stuckMs ??= nowMs
    return this.#stuckMs !== undefined && nowMs - this.#stuckMs < STUCK_MS_MAX
  }

  abort (why: string): void {
    this.#stream.abort(new SwarmError('CLOSED', `gossip: ${why}`))
  }

  #flush (): void {
    const { status, writeStatus } = this.#stream
    if (this.#unsent.length === 0) return
    const unsent = this.#unsent
    this.#unsent = []
    this.#unsentBytes = 0
    if (status === 'open' && writeStatus === 'writable') this.#stream.send(unsent.length === 1 ? unsent[0] as Uint8Array : concatBytes(...unsent))
    this.#relieve()
  }

  #relieve (): void {
    if (this.#stream.status === 'open' && (this.#unsent.length > 0 || this.#stream.writableNeedsDrain)) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
