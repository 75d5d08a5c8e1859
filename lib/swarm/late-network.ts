/**
 * A network that opens when it is told to: a peer can be made, and say what it knows, before it has loaded what it takes to
 * meet others. Until then it has no address; a dial waits for it.
 */
import { Emitter } from '../base/emitter.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, DialOptions, Gossip, HandleOptions, Network, Routing, StreamHandler } from '../base/network.ts'

export class LateNetwork implements Network {
  readonly peerId: string
  readonly #openInner: () => Promise<Network>
  readonly #handlers = new Map<string, readonly [StreamHandler, HandleOptions | undefined]>()
  readonly #events = new Emitter<{ connection: Connection, addresses: undefined }>()
  readonly #opened: Promise<Network>
  #settle: { resolve: (network: Network) => void, reject: (error: unknown) => void } | undefined
  #inner: Network | undefined
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor (peerId: string, open: () => Promise<Network>) {
    this.peerId = peerId
    this.#openInner = open
    this.#opened = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })
    this.#opened.catch(() => undefined) // told to whoever opens, and to each dial
  }

  /** Listens from now on. A second call waits for the first. @throws SwarmError ADDRESS_INVALID, PORT_IN_USE, CLOSED */
  async open (): Promise<void> {
    this.#opening ??= this.#open()
    await this.#opening
  }

  addresses (): string[] {
    return this.#inner?.addresses() ?? []
  }

  async dial (peerId: string, addresses: readonly string[], signal: AbortSignal, options?: DialOptions): Promise<Connection> {
    const network = this.#inner ?? await this.#waited(`dial ${peerId}`, signal)
    return await network.dial(peerId, addresses, signal, options)
  }

  handle (protocol: string, handler: StreamHandler, options?: HandleOptions): void {
    if (this.#inner !== undefined) return this.#inner.handle(protocol, handler, options)
    if (this.#closing !== undefined) throw new SwarmError('CLOSED', `handle ${protocol}: this peer has closed`)
    this.#handlers.set(protocol, [handler, options])
  }

  unhandle (protocol: string): void {
    this.#handlers.delete(protocol)
    this.#inner?.unhandle(protocol)
  }

  onConnection (listener: (connection: Connection) => void): () => void {
    return this.#events.on('connection', listener)
  }

  onAddresses (listener: () => void): () => void {
    return this.#events.on('addresses', listener)
  }

  async gossip (): Promise<Gossip> {
    return await (await this.#opened).gossip()
  }

  async routing (): Promise<Routing> {
    return await (await this.#opened).routing()
  }

  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #open (): Promise<void> {
    try {
      if (this.#closing !== undefined) throw new SwarmError('CLOSED', 'listen: this peer has closed')
      const inner = await this.#openInner()
      if (this.#closing !== undefined) {
        await inner.close()
        throw new SwarmError('CLOSED', 'listen: this peer has closed')
      }
      // All in one turn: whoever connects meets every handler.
      inner.onConnection(connection => { this.#events.emit('connection', connection) })
      inner.onAddresses(() => { this.#events.emit('addresses', undefined) })
      for (const [protocol, [handler, options]] of this.#handlers) inner.handle(protocol, handler, options)
      this.#inner = inner
      this.#settle?.resolve(inner)
    } catch (error) {
      this.#settle?.reject(error)
      throw error
    }
  }

  async #waited (what: string, signal: AbortSignal): Promise<Network> {
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => { reject(new SwarmError('ABORTED', `${what} was given up`, { cause: signal.reason })) }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      this.#opened.finally(() => { signal.removeEventListener('abort', onAbort) }).then(resolve, reject)
    })
  }

  async #close (): Promise<void> {
    this.#settle?.reject(new SwarmError('CLOSED', 'this peer has closed'))
    await this.#opening?.catch(() => undefined) // whoever opened has the error
    await this.#inner?.close()
  }
}
