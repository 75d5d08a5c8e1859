import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError, assert, messageOf } from '../../lib/base/error.ts'
import type { ByteStream, Connection, StreamHandler } from '../../lib/base/network.ts'
import { OPEN_MS_MAX } from '../bounds.ts'
import type { Packet } from './gossip.ts'
import type { Router } from './routing.ts'
import { MemoryStream } from './stream.ts'
import type { Signal } from './stream.ts'

/** How a protocol is answered. */
export interface Service {
  readonly handler: StreamHandler
  readonly beforeAdmission: boolean
  readonly streamsMax: number
}

/** What an end of a connection needs from the network it belongs to. */
export interface Home extends Router {
  readonly clock: Clock
  /** Does something at the other peer, later. @param isGossip nobody relies on it: a bad network may lose it */
  carry (to: string, deliver: () => void, isGossip?: boolean): void
  service (protocol: string): Service | undefined
  /** Takes gossip from an admitted connection. */
  heard (packet: Packet, from: MemoryConnection): void
}

/** One end of a connection between two peers of a hub. */
export class MemoryConnection implements Connection {
  readonly id: string
  readonly peerId: string
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly path = 'direct'
  readonly #home: Home
  readonly #opened = new Map<number, MemoryStream>()
  readonly #served = new Map<number, MemoryStream>()
  readonly #questions = new Map<number, (yes: boolean) => void>()
  #other: MemoryConnection | undefined
  #admitted = false
  #isOpen = true
  #asked = 0
  #onAdmit: (() => void)[] = []
  #onClose: (() => void)[] = []

  constructor (id: string, peerId: string, address: string, direction: 'inbound' | 'outbound', home: Home) {
    this.id = id
    this.peerId = peerId
    this.address = address
    this.direction = direction
    this.#home = home
  }

  /** Makes two ends one connection; before anything else. */
  static join (first: MemoryConnection, second: MemoryConnection): void {
    first.#other = second
    second.#other = first
  }

  get admitted (): boolean {
    return this.#admitted
  }

  get isOpen (): boolean {
    return this.#isOpen
  }

  /** The peer at the other end, once both have admitted each other. */
  get partner (): Router | undefined {
    return this.#isOpen && this.#admitted && this.#other?.admitted === true ? this.#other.#home : undefined
  }

  admit (): void {
    if (this.#admitted || !this.#isOpen) return
    this.#admitted = true
    for (const listener of this.#onAdmit.splice(0)) listener()
  }

  onAdmit (listener: () => void): void {
    this.#onAdmit.push(listener)
  }

  /** Hands gossip to the other end, which takes it if it too has admitted this connection. */
  whisper (packet: Packet): void {
    if (!this.#admitted) return
    this.#tell(other => { if (other.#admitted) other.#home.heard(packet, other) }, packet.kind === 'message')
  }

  onClose (listener: () => void): void {
    if (this.#isOpen) this.#onClose.push(listener)
    else listener()
  }

  async open (protocol: string, signal: AbortSignal): Promise<ByteStream> {
    const id = ++this.#asked
    const stream = new MemoryStream(protocol, told => {
      this.#tell(other => { other.#served.get(id)?.receive(told) })
    }, () => { this.#opened.delete(id) })
    if (this.#isOpen) this.#opened.set(id, stream)
    try {
      await this.#ask(id, `open ${protocol}`, signal, other => { other.#serve(id, protocol) })
      return stream
    } catch (error) {
      stream.abort(new SwarmError('ABORTED', `open ${protocol} failed`, { cause: error }))
      throw error
    }
  }

  async probe (signal: AbortSignal): Promise<number> {
    const id = ++this.#asked
    const startMs = this.#home.clock.nowMs()
    await this.#ask(id, 'probe', signal, other => { other.#answer(id, other.#admitted) })
    return this.#home.clock.nowMs() - startMs
  }

  async close (): Promise<void> {
    this.lose(new SwarmError('CLOSED', `the connection to ${this.peerId} was closed`))
  }

  abort (error: Error): void {
    this.lose(error)
  }

  /** Ends this end at once, and the other as soon as it hears of it. */
  lose (error: Error): void {
    if (!this.#isOpen) return
    this.#tell(other => { other.lose(new SwarmError('CLOSED', `${other.peerId} closed the connection`)) })
    this.#isOpen = false
    for (const stream of [...this.#opened.values(), ...this.#served.values()]) stream.settle(error)
    for (const answer of [...this.#questions.values()]) answer(false)
    this.#onAdmit = []
    for (const listener of this.#onClose.splice(0)) listener()
  }

  /** Asks the other end something and waits for its yes. */
  async #ask (id: number, what: string, signal: AbortSignal, question: (other: MemoryConnection) => void): Promise<void> {
    if (signal.aborted) throw new SwarmError('ABORTED', `${what} to ${this.peerId} was given up`, { cause: signal.reason })
    if (!this.#isOpen) throw new SwarmError('CLOSED', `${what}: the connection to ${this.peerId} is closed`)
    const bound = deadline(this.#home.clock, OPEN_MS_MAX, signal)
    const yes = await new Promise<boolean>(resolve => {
      this.#questions.set(id, resolve)
      bound.signal.addEventListener('abort', () => { resolve(false) }, { once: true })
      this.#tell(question)
    })
    this.#questions.delete(id)
    bound.done()
    if (yes) return
    if (signal.aborted) throw new SwarmError('ABORTED', `${what} to ${this.peerId} was given up`, { cause: signal.reason })
    const why = bound.signal.aborted ? `gave no answer in ${OPEN_MS_MAX} ms` : this.#isOpen ? 'refused' : 'is gone'
    throw new SwarmError('UNREACHABLE', `${what}: ${this.peerId} ${why}`, { details: why === 'refused' ? { reason: 'unspoken' } : {} })
  }

  #answer (id: number, yes: boolean): void {
    this.#tell(other => { other.#questions.get(id)?.(yes) })
  }

  #serve (id: number, protocol: string): void {
    const service = this.#home.service(protocol)
    if (service === undefined || !(this.#admitted || service.beforeAdmission)) return this.#answer(id, false)
    this.#answer(id, true)
    const tellOther = (told: Signal): void => { this.#tell(other => { other.#opened.get(id)?.receive(told) }) }
    const stream = new MemoryStream(protocol, tellOther, () => { this.#served.delete(id) })
    let serving = 0
    for (const other of this.#served.values()) if (other.protocol === protocol) serving += 1
    if (serving >= service.streamsMax) return stream.abort(new SwarmError('OVERLOADED', `more than ${service.streamsMax} streams of ${protocol}`))
    this.#served.set(id, stream)
    void this.#run(service.handler, stream)
  }

  async #run (handler: StreamHandler, stream: MemoryStream): Promise<void> {
    try {
      await handler(stream, this)
    } catch (cause) {
      stream.abort(cause instanceof Error ? cause : new SwarmError('CLOSED', `handler of ${stream.protocol}: ${messageOf(cause)}`))
    }
  }

  #tell (act: (other: MemoryConnection) => void, isGossip = false): void {
    if (!this.#isOpen) return
    this.#home.carry(this.peerId, () => {
      assert(this.#other !== undefined, 'both ends of a connection know each other')
      if (this.#other.#isOpen) act(this.#other)
    }, isGossip)
  }
}
