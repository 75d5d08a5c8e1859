import { watchInterfaces } from '#interfaces'
import type { Connection as LibConnection, Libp2p, Stream } from '@libp2p/interface'
import type { Identify } from '@libp2p/identify'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline, sleep } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { Emitter } from '../../lib/base/emitter.ts'
import { SwarmError, assert, messageOf } from '../../lib/base/error.ts'
import type { Connection, DialOptions, Gossip, HandleOptions, Network, RelayOptions, Routing, StreamHandler } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { PROTOCOL_STREAMS_MAX } from '../bounds.ts'
import { isRelayed, withoutPeer } from './address.ts'
import { Libp2pConnection } from './connection.ts'
import { dialFirst, readTargets } from './dial.ts'
import type { Components, Guard } from './guard.ts'
import { STREAMS_MAX } from './muxer.ts'
import { Services } from './services.ts'
import { Libp2pStream } from './stream.ts'
import { settled } from '../settled.ts'
import { ADMISSION_MS_MAX, UNADMITTED_MAX, Waiting, limitAdmission } from '../strangers.ts'

/** Longest wait for libp2p to stop after every connection is closed. */
const STOP_MS_MAX = 500

/** Between attempts to learn a peer's protocols, while it may not have admitted us yet: doubled each time. */
const IDENTIFY_PAUSE_MS = 50

export interface NetworkParts {
  readonly node: Libp2p
  readonly guard: Guard
  readonly components: Components
  readonly identify: Identify
  readonly announce: readonly Multiaddr[]
  readonly swarmId: string | undefined
  readonly relay: RelayOptions | undefined
  readonly clock: Clock
  readonly random: Random
}

export class Libp2pNetwork implements Network {
  readonly #parts: NetworkParts
  readonly #events = new Emitter<{ connection: Connection, addresses: undefined }>()
  readonly #byConnection = new WeakMap<LibConnection, Libp2pConnection>()
  readonly #byPeer = new Map<string, Set<Libp2pConnection>>()
  readonly #dialling = new Map<string, Promise<unknown>>()
  readonly #unadmitted = new Waiting(UNADMITTED_MAX, 'wait for admission')
  readonly #closing = new AbortController()
  readonly #services: Services
  #knownAddresses = ''
  #stopLooking = (): void => {}
  #closed: Promise<void> | undefined

  constructor (parts: NetworkParts) {
    this.#parts = parts
    parts.node.addEventListener('connection:open', event => { this.#arrived(event.detail) })
    parts.node.addEventListener('self:peer:update', () => { this.#lookAtAddresses() })
    parts.node.addEventListener('start', () => {
      this.#knownAddresses = this.addresses().join()
      // libp2p does not notice when an interface comes or goes.
      if (listensEverywhere(parts)) this.#stopLooking = watchInterfaces(parts.clock, () => { this.#lookAtAddresses() })
    })
    this.#services = new Services({
      ...parts,
      handle: (protocol, handler, options) => { this.handle(protocol, handler, options) },
      dial: async (peerId, addresses, signal) => await this.dial(peerId, addresses, signal),
      isDialable: address => this.#isDialable(address),
      find: raw => this.#byConnection.get(raw),
      learn: async connection => { await this.#identify(connection) },
      connectionsTo: peerId => this.#byPeer.get(peerId) ?? [],
      connections: () => [...this.#byPeer.values()].flatMap(siblings => [...siblings])
    })
  }

  get peerId (): string {
    return this.#parts.node.peerId.toString()
  }

  addresses (): string[] {
    const { announce, node } = this.#parts
    return [...new Set([...announce, ...node.getMultiaddrs()].map(withoutPeer))] // those announced first, which libp2p has last
  }

  async dial (peerId: string, addresses: readonly string[], signal: AbortSignal, { anew = false }: DialOptions = {}): Promise<Libp2pConnection> {
    const elder = new Set(anew ? this.#byPeer.get(peerId) : [])
    const targets = readTargets(peerId, addresses, address => this.#isDialable(address))
    if (targets.some(isRelayed)) await this.#services.relay()
    for (;;) {
      if (this.#closed !== undefined) throw new SwarmError('CLOSED', `dial ${peerId}: this peer has closed`)
      if (signal.aborted) throw new SwarmError('ABORTED', `dial ${peerId} was given up`, { cause: signal.reason })
      if (peerId === this.peerId) throw new SwarmError('UNREACHABLE', `dial ${peerId}: that is this peer itself`)
      const open = this.#openTo(peerId, elder)
      if (open !== undefined) return open
      const other = this.#dialling.get(peerId)
      if (other === undefined) break
      await settled(other, signal)
    }
    const dialling = this.#dial(peerId, targets, signal)
    this.#dialling.set(peerId, dialling)
    try {
      return await dialling
    } finally {
      this.#dialling.delete(peerId)
    }
  }

  handle (protocol: string, handler: StreamHandler, options: HandleOptions = {}): void {
    if (this.#closed !== undefined) throw new SwarmError('CLOSED', `handle ${protocol}: this peer has closed`)
    const { guard } = this.#parts
    const streamsMax = options.streamsMax ?? PROTOCOL_STREAMS_MAX
    const serve = async (stream: Stream, connection: LibConnection): Promise<void> => {
      await this.#serve(protocol, handler, streamsMax, stream, connection)
    }
    const limits = { maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX, runOnLimitedConnection: true }
    void (options.beforeAdmission === true ? guard.handleOpen(protocol, serve, limits) : guard.handle(protocol, serve, limits))
  }

  unhandle (protocol: string): void {
    void this.#parts.guard.unhandle(protocol)
  }

  onConnection (listener: (connection: Connection) => void): () => void {
    return this.#events.on('connection', listener)
  }

  async gossip (): Promise<Gossip> {
    return await this.#services.gossip()
  }

  onAddresses (listener: () => void): () => void {
    return this.#events.on('addresses', listener)
  }

  async routing (): Promise<Routing> {
    return await this.#services.routing()
  }

  async close (): Promise<void> {
    this.#closed ??= this.#close()
    await this.#closed
  }

  async #dial (peerId: string, targets: Parameters<typeof dialFirst>[1], signal: AbortSignal): Promise<Libp2pConnection> {
    const { components, clock } = this.#parts
    const dialled = await dialFirst(peerId, targets, components.transportManager, clock, AbortSignal.any([signal, this.#closing.signal])).catch((error: unknown) => {
      throw this.#closed === undefined || signal.aborted ? error : new SwarmError('CLOSED', `dial ${peerId}: this peer has closed`, { cause: error })
    })
    const connection = this.#byConnection.get(dialled)
    assert(connection !== undefined, 'libp2p tells of a connection before the dial resolves')
    if (connection.peerId !== peerId || !connection.isOpen) {
      connection.abort(new SwarmError('UNREACHABLE', `dial ${peerId}: the connection did not last`))
      throw new SwarmError('UNREACHABLE', `dial ${peerId}: the connection closed at once`)
    }
    return connection
  }

  #openTo (peerId: string, elder: ReadonlySet<Libp2pConnection>): Libp2pConnection | undefined {
    for (const connection of this.#byPeer.get(peerId) ?? []) if (connection.isOpen && !elder.has(connection)) return connection
    return undefined
  }

  #arrived (raw: LibConnection): void {
    const { guard, clock, random } = this.#parts
    const connection = new Libp2pConnection(raw, clock, random)
    this.#byConnection.set(raw, connection)
    guard.watch(raw, connection)
    if (this.#closed !== undefined) return connection.abort(new SwarmError('CLOSED', 'this peer has closed'))
    const siblings = this.#byPeer.get(connection.peerId) ?? new Set()
    this.#byPeer.set(connection.peerId, siblings.add(connection))
    const waitNoMore = this.#await(connection)
    connection.onAdmit(() => {
      waitNoMore()
      this.#services.meet(connection)
    })
    connection.onClose(() => {
      waitNoMore()
      siblings.delete(connection)
      if (siblings.size === 0 && this.#byPeer.get(connection.peerId) === siblings) this.#byPeer.delete(connection.peerId)
    })
    this.#events.emit('connection', connection)
  }

  #await (connection: Libp2pConnection): () => void {
    const cancel = limitAdmission(connection, this.#parts.clock)
    if (connection.direction === 'inbound') this.#unadmitted.add(connection)
    return () => {
      cancel()
      this.#unadmitted.delete(connection)
    }
  }

  #isDialable (address: Multiaddr): boolean {
    return isRelayed(address) || this.#parts.components.transportManager.dialTransportForMultiaddr(address) !== undefined
  }

  #lookAtAddresses (): void {
    const now = this.addresses().join()
    if (now === this.#knownAddresses || this.#closed !== undefined) return
    this.#knownAddresses = now
    this.#events.emit('addresses', undefined)
  }

  /** Learns what an admitted peer speaks and where it listens, which libp2p then tells by an event; the other end may admit us later. */
  async #identify (connection: Libp2pConnection): Promise<void> {
    const { clock, identify } = this.#parts
    for (let pauseMs = IDENTIFY_PAUSE_MS; pauseMs < ADMISSION_MS_MAX && connection.isOpen; pauseMs *= 2) {
      if (await identify.identify(connection.raw).then(() => true, () => false)) return
      await sleep(clock, pauseMs)
    }
  }

  async #serve (protocol: string, handler: StreamHandler, streamsMax: number, raw: Stream, over: LibConnection): Promise<void> {
    const connection = this.#byConnection.get(over)
    if (connection === undefined || !connection.serve(raw, protocol, streamsMax)) {
      return raw.abort(new SwarmError('OVERLOADED', `more than ${streamsMax} streams of ${protocol}`))
    }
    const stream = new Libp2pStream(raw)
    try {
      await handler(stream, connection)
    } catch (cause) {
      stream.abort(cause instanceof Error ? cause : new SwarmError('CLOSED', `handler of ${protocol}: ${messageOf(cause)}`))
    }
  }

  async #close (): Promise<void> {
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#stopLooking()
    this.#services.close()
    await Promise.all([...this.#byPeer.values()].flatMap(siblings => [...siblings].map(async connection => { await connection.close() })))
    const { node, clock } = this.#parts
    const bound = deadline(clock, STOP_MS_MAX)
    await settled(Promise.resolve(node.stop()), bound.signal)
    bound.done()
  }
}

function listensEverywhere ({ components }: NetworkParts): boolean {
  return components.addressManager.getListenAddrs().some(address => /^\/ip[46]\/(0\.0\.0\.0|::)\//.test(address.toString()))
}
