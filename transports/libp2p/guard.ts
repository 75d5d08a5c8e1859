/**
 * Stands between libp2p and everything that registers protocols with it, so that a connection nobody admitted meets a peer
 * that speaks the protocols opened to strangers and nothing else: not by name, not by behaviour, not by a list.
 *
 * libp2p's own services (identify, ping, later gossipsub, kad-dht and relay) answer and greet every connection. The guard
 * takes the registrar's place among libp2p's components before any of them is made: a handler is reached only over an
 * admitted connection, a topology hears of a peer once it is admitted, and protocol negotiation with a stranger, its `ls`
 * included, knows only what is open to strangers. A connection it does not know counts as not admitted.
 */
import type { AbortOptions, Connection, PeerId, Stream, StreamHandler, StreamHandlerOptions, StreamHandlerRecord, StreamMiddleware, Topology } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'
import { SwarmError, assert } from '../../lib/base/error.ts'

/** What libp2p hands to those who make its transports and services. */
export type Components = Parameters<NonNullable<Libp2pOptions['transports']>[number]>[0]
type Registrar = Components['registrar']

/** What the guard asks of the network about a connection. */
export interface Admission {
  readonly admitted: boolean
  /** Calls back once on admission; never if the connection closes first. */
  onAdmit (listener: () => void): void
}

export class Guard implements Registrar {
  readonly #open = new Set<string>()
  readonly #admissions = new WeakMap<Connection, Admission>()
  readonly #byStreams = new WeakMap<readonly Stream[], Admission>()
  #registrar: Registrar | undefined
  #negotiating: { admission: Admission | undefined } | undefined

  /** Takes the registrar's place among the components; services made from then on see only the guard. */
  install (components: { registrar: Registrar }): void {
    assert(this.#registrar === undefined, 'one guard serves one libp2p')
    this.#registrar = components.registrar
    components.registrar = this
  }

  /** Makes a connection known. */
  watch (connection: Connection, admission: Admission): void {
    this.#admissions.set(connection, admission)
    this.#byStreams.set(connection.streams, admission)
  }

  /** Runs the muxer's announcement of a new inbound stream, during which libp2p asks for the protocols it may choose. */
  during<Result> (streams: readonly Stream[], announce: () => Result): Result {
    const outer = this.#negotiating
    this.#negotiating = { admission: this.#byStreams.get(streams) }
    try {
      return announce()
    } finally {
      this.#negotiating = outer
    }
  }

  /** Answers a protocol to strangers too. */
  async handleOpen (protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void> {
    this.#open.add(protocol)
    await this.#inner.handle(protocol, handler, options)
  }

  async handle (protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void> {
    await this.#inner.handle(protocol, async (stream, connection) => {
      if (this.#admissions.get(connection)?.admitted === true) await handler(stream, connection)
      else stream.abort(new SwarmError('NOT_ADMITTED', `stream ${protocol} before admission`))
    }, options)
  }

  async unhandle (protocol: string, options?: AbortOptions): Promise<void> {
    this.#open.delete(protocol)
    await this.#inner.unhandle(protocol, options)
  }

  getProtocols (): string[] {
    const protocols = this.#inner.getProtocols()
    const negotiating = this.#negotiating
    if (negotiating === undefined || negotiating.admission?.admitted === true) return protocols
    return protocols.filter(protocol => this.#open.has(protocol))
  }

  async register (protocol: string, topology: Topology, options?: AbortOptions): Promise<string> {
    const guarded: Topology = {
      ...topology,
      onConnect: async (peerId, connection) => { await this.#introduce(topology, peerId, connection) },
      onDisconnect: async peerId => { await topology.onDisconnect?.(peerId) }
    }
    return await this.#inner.register(protocol, guarded, options)
  }

  unregister (id: string): void {
    this.#inner.unregister(id)
  }

  getHandler (protocol: string): StreamHandlerRecord {
    return this.#inner.getHandler(protocol)
  }

  getTopologies (protocol: string): Topology[] {
    return this.#inner.getTopologies(protocol)
  }

  use (protocol: string, middleware: StreamMiddleware[]): void {
    this.#inner.use(protocol, middleware)
  }

  unuse (protocol: string): void {
    this.#inner.unuse(protocol)
  }

  getMiddleware (protocol: string): StreamMiddleware[] {
    return [...this.#inner.getMiddleware(protocol)] // libp2p appends to what it is given
  }

  get #inner (): Registrar {
    assert(this.#registrar !== undefined, 'the guard is installed before it is used')
    return this.#registrar
  }

  async #introduce (topology: Topology, peerId: PeerId, connection: Connection): Promise<void> {
    const admission = this.#admissions.get(connection)
    if (admission === undefined) return
    if (!admission.admitted) await new Promise<void>(resolve => { admission.onAdmit(resolve) })
    await topology.onConnect?.(peerId, connection)
  }
}
