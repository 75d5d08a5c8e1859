/** Two ends of one connection, joined in memory: bytes arrive in order, a turn later; every wait of the other end's is real. */
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream, Connection, StreamReader } from '../../lib/base/network.ts'

export type Answer = (stream: ByteStream, connection: PairedConnection) => void

/** One end of a connection; `answers` says what this end serves. */
export class PairedConnection implements Connection {
  readonly id: string
  readonly peerId: string
  readonly address = '/memory/pair'
  readonly direction: 'inbound' | 'outbound'
  readonly path: 'direct' | 'relay'
  readonly answers = new Map<string, Answer>()
  /** Protocols that the other end opened here before this end had admitted it, and that are refused therefore. */
  readonly refused: string[] = []
  admitted = false
  closed = false
  other!: PairedConnection
  readonly #streams = new Set<PairedStream>()
  readonly #listeners: (() => void)[] = []

  constructor (peerId: string, direction: 'inbound' | 'outbound', path: 'direct' | 'relay' = 'direct') {
    this.path = path
    this.id = `${direction} ${peerId}`
    this.peerId = peerId
    this.direction = direction
  }

  admit (): void {
    this.admitted = true
  }

  async open (protocol: string, signal: AbortSignal): Promise<ByteStream> {
    signal.throwIfAborted()
    if (this.closed) throw new SwarmError('CLOSED', 'connection closed')
    await new Promise<void>(queueMicrotask) // in order: after the bytes that were sent before
    const answer = this.other.answers.get(protocol)
    if (answer === undefined) throw new SwarmError('UNREACHABLE', `${protocol} is not served`)
    if (!this.other.admitted && !protocol.includes('/hello/')) {
      this.other.refused.push(protocol)
      throw new SwarmError('UNREACHABLE', `${protocol} is refused before admission`)
    }
    const [near, far] = linkedStreams(protocol)
    this.#streams.add(near)
    this.other.#streams.add(far)
    answer(far, this.other)
    return near
  }

  async probe (): Promise<number> {
    return 0
  }

  async close (): Promise<void> {
    this.abort(new SwarmError('CLOSED', 'connection closed'))
  }

  abort (error: Error): void {
    if (this.closed) return
    this.closed = true
    for (const stream of this.#streams) stream.abort(error)
    for (const listener of this.#listeners) listener()
    queueMicrotask(() => { this.other.abort(error) })
  }

  onClose (listener: () => void): void {
    if (this.closed) listener()
    else this.#listeners.push(listener)
  }
}

/** Two joined ends; each knows the other by the peer id given for it. */
export function pairConnections (diallerId: string, listenerId: string, path: 'direct' | 'relay' = 'direct'): { dialler: PairedConnection, listener: PairedConnection } {
  const [dialler, listener] = [new PairedConnection(listenerId, 'outbound', path), new PairedConnection(diallerId, 'inbound', path)]
  dialler.other = listener
  listener.other = dialler
  return { dialler, listener }
}

export function linkedStreams (protocol: string): [PairedStream, PairedStream] {
  const [near, far] = [new PairedStream(protocol), new PairedStream(protocol)]
  near.other = far
  far.other = near
  return [near, far]
}

export class PairedStream implements ByteStream {
  readonly protocol: string
  readonly sent: Uint8Array[] = []
  other!: PairedStream
  aborted: Error | undefined
  #reader: StreamReader | undefined
  #held: (() => void)[] = []
  #sendingEnded = false
  #readingEnded = false
  #closed = false

  constructor (protocol: string) {
    this.protocol = protocol
  }

  /** All that this end has sent, as text. */
  get text (): string {
    return Buffer.concat(this.sent).toString()
  }

  send (bytes: Uint8Array): boolean {
    if (this.#sendingEnded || this.#closed) throw new SwarmError('CLOSED', 'stream closed')
    this.sent.push(Uint8Array.from(bytes))
    this.other.#deliver(reader => { reader.data(Uint8Array.from(bytes)) })
    return true
  }

  async drained (): Promise<void> {
    if (this.#closed) throw new SwarmError('CLOSED', 'stream closed')
  }

  read (reader: StreamReader): void {
    this.#reader = reader
    for (const hold of this.#held.splice(0)) hold()
  }

  pause (): void { throw new Error('not needed here') }
  resume (): void { throw new Error('not needed here') }

  async end (): Promise<void> {
    if (this.#sendingEnded || this.#closed) return
    this.#sendingEnded = true
    const { other } = this
    other.#deliver(reader => {
      other.#readingEnded = true
      reader.ended()
      other.#closeIfDone()
    })
    this.#closeIfDone()
  }

  abort (error: Error): void {
    if (this.#closed) return
    this.aborted = error
    this.#close(error)
    queueMicrotask(() => { this.other.#close(new SwarmError('CLOSED', 'stream reset')) })
  }

  #deliver (arrive: (reader: StreamReader) => void): void {
    const hold = (): void => {
      if (!this.#closed && this.#reader !== undefined) arrive(this.#reader)
    }
    queueMicrotask(() => {
      if (this.#reader === undefined) this.#held.push(hold)
      else hold()
    })
  }

  #closeIfDone (): void {
    if (this.#sendingEnded && this.#readingEnded) this.#close()
  }

  #close (error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#reader?.closed(error)
  }
}
