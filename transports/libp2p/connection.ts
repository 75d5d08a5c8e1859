import type { Connection as LibConnection, Stream } from '@libp2p/interface'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream, Connection } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { CLOSE_MS_MAX, OPEN_MS_MAX } from '../bounds.ts'
import { settled } from '../settled.ts'
import { isRelayed, withoutPeer } from './address.ts'
import type { Admission } from './guard.ts'
import { STREAMS_MAX, sayGoodbye } from './muxer.ts'
import { PING_BYTES, PING_PROTOCOL, roundTrip } from './probe.ts'
import { Libp2pStream } from './stream.ts'

export class Libp2pConnection implements Connection, Admission {
  readonly id: string
  readonly peerId: string
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly path: 'direct' | 'relay'
  readonly #connection: LibConnection
  readonly #clock: Clock
  readonly #random: Random
  #admitted = false
  #closing: Promise<void> | undefined
  #onAdmit: (() => void)[] = []
  #onClose: (() => void)[] = []
  /** Inbound streams open now, by protocol. */
  readonly #serving = new Map<string, number>()

  constructor (connection: LibConnection, clock: Clock, random: Random) {
    this.id = connection.id
    this.peerId = connection.remotePeer.toString()
    this.address = withoutPeer(connection.remoteAddr)
    this.direction = connection.direction
    this.path = isRelayed(connection.remoteAddr) ? 'relay' : 'direct'
    this.#connection = connection
    this.#clock = clock
    this.#random = random
    connection.addEventListener('close', () => { this.#closed() })
  }

  get admitted (): boolean {
    return this.#admitted
  }

  get isOpen (): boolean {
    return this.#connection.status === 'open' && this.#closing === undefined
  }

  admit (): void {
    if (this.#admitted || !this.isOpen) return
    this.#admitted = true
    for (const listener of this.#onAdmit.splice(0)) listener()
  }

  onAdmit (listener: () => void): void {
    if (this.#admitted) listener()
    else this.#onAdmit.push(listener)
  }

  onClose (listener: () => void): void {
    if (this.#isGone) listener()
    else this.#onClose.push(listener)
  }

  async open (protocol: string, signal: AbortSignal): Promise<ByteStream> {
    return new Libp2pStream(await this.openRaw(protocol, signal))
  }

  /** libp2p's own connection. */
  get raw (): LibConnection {
    return this.#connection
  }

  /** Opens a stream as libp2p has it. @throws SwarmError as `open` */
  async openRaw (protocol: string, signal: AbortSignal): Promise<Stream> {
    if (signal.aborted) throw this.#aborted(protocol, signal)
    if (!this.isOpen) throw new SwarmError('CLOSED', `open ${protocol}: the connection to ${this.peerId} is closed`)
    const bound = deadline(this.#clock, OPEN_MS_MAX, signal)
    try {
      return await this.#negotiate(protocol, bound.signal)
    } catch (cause) {
      if (signal.aborted) throw this.#aborted(protocol, signal)
      // The other end said goodbye, or we do not hear it any more: nothing can be opened here again.
      if (isMuxerGone(cause)) this.#connection.abort(new SwarmError('CLOSED', `${this.peerId} closed the connection`, { cause }))
      const why = bound.signal.aborted ? `gave no answer in ${OPEN_MS_MAX} ms` : this.isOpen ? 'refused' : 'is gone'
      throw new SwarmError('UNREACHABLE', `open ${protocol}: ${this.peerId} ${why}`, { cause, details: isUnspoken(cause) ? { reason: 'unspoken' } : {} })
    } finally {
      bound.done()
    }
  }

  async probe (signal: AbortSignal): Promise<number> {
    return await roundTrip(await this.open(PING_PROTOCOL, signal), this.#random.bytes(PING_BYTES), this.#clock, signal)
  }

  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  abort (error: Error): void {
    this.#connection.abort(error)
    this.#closed()
  }

  /**
   * Counts an inbound stream against the limit of its protocol.
   *
   * @returns false if it is one too many
   */
  serve (stream: Stream, protocol: string, streamsMax: number): boolean {
    const serving = this.#serving.get(protocol) ?? 0
    if (serving >= streamsMax) return false
    this.#serving.set(protocol, serving + 1)
    stream.addEventListener('close', () => { this.#serving.set(protocol, (this.#serving.get(protocol) ?? 1) - 1) }, { once: true })
    return true
  }

  get #isGone (): boolean {
    return this.#connection.status !== 'open' && this.#connection.status !== 'closing'
  }

  async #negotiate (protocol: string, signal: AbortSignal): Promise<Stream> {
    const opening = this.#connection.newStream(protocol, { signal, maxOutboundStreams: STREAMS_MAX, runOnLimitedConnection: true })
    return await new Promise<Stream>((resolve, reject) => {
      const onAbort = (): void => { reject(signal.reason as Error) }
      signal.addEventListener('abort', onAbort, { once: true })
      opening.then(stream => {
        signal.removeEventListener('abort', onAbort)
        if (signal.aborted) stream.abort(new SwarmError('ABORTED', `open ${protocol} was given up`))
        else resolve(stream)
      }, (error: Error) => {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      })
    })
  }

  async #close (): Promise<void> {
    if (this.#isGone) return
    const gone = new Promise<void>(resolve => { this.onClose(resolve) })
    const bound = deadline(this.#clock, CLOSE_MS_MAX)
    try {
      await sayGoodbye(this.#connection, bound.signal)
      await settled(gone, bound.signal)
    } catch (cause) {
      this.#connection.abort(new SwarmError('CLOSED', `${this.peerId} took no bytes for ${CLOSE_MS_MAX} ms`, { cause }))
    } finally {
      bound.done()
    }
    if (!this.#isGone) this.#connection.abort(new SwarmError('CLOSED', `${this.peerId} did not close the connection`))
  }

  #closed (): void {
    this.#onAdmit = []
    for (const listener of this.#onClose.splice(0)) listener()
  }

  #aborted (protocol: string, signal: AbortSignal): SwarmError {
    return new SwarmError('ABORTED', `open ${protocol} to ${this.peerId} was given up`, { cause: signal.reason })
  }
}

/** Whether the other end has said that it does not speak a protocol. */
function isUnspoken (error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedProtocolError'
}

function isMuxerGone (error: unknown): boolean {
  return error instanceof Error && (error.name === 'ConnectionClosedError' || error.name === 'MuxerClosedError')
}
