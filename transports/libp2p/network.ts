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
import { ADDRESSES_MAX, isRelayed, withoutPeer } from './address.ts'
import { Libp2pConnection } from './connection.ts'
import { dialFirst, readTargets } from './dial.ts'
import type { Libp2pGossip } from './gossip.ts'
import type { Components, Guard } from './guard.ts'
import { STREAMS_MAX } from './muxer.ts'
import type { Relay } from './relay.ts'
import { Relaying } from './relaying.ts'
import type { Libp2pRouting } from './routing.ts'
import { Libp2pStream } from './stream.ts'
import { settled } from '../settled.ts'
import { ADMISSION_MS_MAX, UNADMITTED_MAX, Waiting, limitAdmission } from '../strangers.ts'

/** Longest wait for libp2p to stop after every connection is closed. */
const STOP_MS_MAX = 500

/** Between attempts to learn a peer's protocols, while it may not have admitted us yet: doubled each time. */
const IDENTIFY_PAUSE_MS = 50

/** Longest that a direct connection is tried for beside a relayed one, in milliseconds. */
const PUNCH_MS_MAX = 6_000

/** Between two looks at this machine's interfaces, for a peer that listens on all of them. */
const INTERFACES_MS = 1_000

export interface NetworkParts {
  readonly node: Libp2p
  readonly guard: Guard
  readonly components: Components
  readonly identify: Identify
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
  #openingGossip: Promise<Gossip> | undefined
  #gossip: Libp2pGossip | undefined
  #openingRouting: Promise<Routing> | undefined
  #routing: Libp2pRouting | undefined
  #openingRelay: Promise<Relay> | undefined
  readonly #relaying: Relaying | undefined
  #knownAddresses = ''
  #stopLooking = (): void => {}
  #closed: Promise<void> | undefined

  constructor (parts: NetworkParts) {
    this.#parts = parts
    parts.node.addEventListener('connection:open', event => { this.#arrived(event.detail) })
    parts.node.addEventListener('self:peer:update', () => { this.#lookAtAddresses() })
    parts.node.addEventListener('start', () => {
      this.#knownAddresses = this.addresses().join()
      if (listensEverywhere(parts)) this.#lookOften()
    })
    if (parts.relay !== undefined) this.#relaying = new Relaying({
      components: parts.components, clock: parts.clock, options: parts.relay,
      protocol: this.#protocol('dialback'),
      relay: async () => await this.#relay(),
      handle: (protocol, handler, options) => { this.handle(protocol, handler, options) },
      ports: () => this.#ports()
    })
  }

  get peerId (): string {
    return this.#parts.node.peerId.toString()
  }

  addresses (): string[] {
    return [...new Set(this.#parts.node.getMultiaddrs().map(withoutPeer))]
  }

  async dial (peerId: string, addresses: readonly string[], signal: AbortSignal, { anew = false }: DialOptions = {}): Promise<Connection> {
    const elder = new Set(anew ? this.#byPeer.get(peerId) : [])
    const targets = readTargets(peerId, addresses, address => this.#isDialable(address))
    if (targets.some(isRelayed)) await this.#relay()
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
    if (this.#closed !== undefined) throw new SwarmError('CLOSED', 'gossip: this peer has closed')
    this.#openingGossip ??= this.#openGossip()
    return await this.#openingGossip
  }

  onAddresses (listener: () => void): () => void {
    return this.#events.on('addresses', listener)
  }

  async routing (): Promise<Routing> {
    if (this.#closed !== undefined) throw new SwarmError('CLOSED', 'routing: this peer has closed')
    this.#openingRouting ??= this.#openRouting()
    return await this.#openingRouting
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
      const identified = this.#identify(raw, connection)
      if (connection.path === 'relay' && this.#parts.relay !== undefined) void identified.then(async () => { await this.#punch(connection) })
      this.#gossip?.meet(connection)
      this.#routing?.meet(raw)
      this.#relaying?.meet(connection)
      if (this.#parts.relay?.serve === true) void this.#serveRelay()
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

  /** Peers that gossip nothing never load what it takes. */
  async #openGossip (): Promise<Gossip> {
    const { openGossip } = await import('./gossip.ts')
    const { components, guard, clock, random, swarmId } = this.#parts
    const gossip = await openGossip({ swarmId, components, guard, clock, random, find: raw => this.#byConnection.get(raw) })
    if (this.#closed !== undefined) {
      gossip.close()
      throw new SwarmError('CLOSED', 'gossip: this peer has closed')
    }
    this.#gossip = gossip
    for (const siblings of this.#byPeer.values()) for (const connection of siblings) if (connection.admitted) gossip.meet(connection)
    return gossip
  }

  /** Peers that look nothing up never load what it takes. */
  async #openRouting (): Promise<Routing> {
    const { openRouting } = await import('./routing.ts')
    const { components, guard, clock, random } = this.#parts
    const routing = await openRouting({
      components, guard, clock, random,
      protocol: this.#protocol('kad'),
      isDialable: address => this.#isDialable(address),
      isClosed: () => this.#closed !== undefined,
      find: peerId => this.#admittedTo(peerId),
      connect: async (peerId, addresses, signal) => await this.#connect(peerId, addresses, signal)
    })
    if (this.#closed !== undefined) {
      routing.close()
      throw new SwarmError('CLOSED', 'routing: this peer has closed')
    }
    this.#routing = routing
    for (const siblings of this.#byPeer.values()) for (const connection of siblings) if (connection.admitted) routing.meet(connection.raw)
    return routing
  }

  /** The name of a protocol that is the swarm's own. */
  #protocol (name: string): string {
    const { swarmId } = this.#parts
    return `/mcp-swarm/${swarmId === undefined ? '' : `${swarmId}/`}${name}/1.0.0`
  }

  /**
   * Tries for a direct connection beside a relayed one: both ends dial the other where it listens, at the same moment. That makes one
   * where either can be dialled after all, or the routers between let two that call each other through.
   */
  async #punch ({ peerId, raw }: Libp2pConnection): Promise<void> {
    const { clock, components } = this.#parts
    const told = await components.peerStore.get(raw.remotePeer).then(({ addresses }) => addresses.map(({ multiaddr }) => multiaddr), () => [])
    const direct = told.filter(address => !isRelayed(address) && this.#isDialable(address)).slice(0, ADDRESSES_MAX)
    if (direct.length === 0 || this.#closed !== undefined) return
    const bound = deadline(clock, PUNCH_MS_MAX, this.#closing.signal)
    const targets = readTargets(peerId, direct.map(withoutPeer), () => true)
    // The relayed one goes on if it fails: that is what it is for.
    await dialFirst(peerId, targets, components.transportManager, clock, bound.signal).catch(() => undefined)
    bound.done()
  }

  /** Begins to lend addresses, with the first connection: before that there is nobody to lend one. */
  async #serveRelay (): Promise<void> {
    try {
      await (await this.#relay()).serve(this.#parts.relay?.reservationsMax)
    } catch (error) {
      if (this.#closed === undefined) throw error
    }
  }

  /** Peers that neither offer nor dial through others never load what it takes. */
  async #relay (): Promise<Relay> {
    if (this.#closed !== undefined) throw new SwarmError('CLOSED', 'relay: this peer has closed')
    this.#openingRelay ??= import('./relay.ts').then(async ({ Relay }) => {
      const { components, guard, clock } = this.#parts
      return await Relay.open({ components, guard, clock, find: peerId => this.#admittedTo(peerId), connect: async (...args) => await this.#connect(...args) })
    })
    return await this.#openingRelay
  }

  async #connect (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Libp2pConnection> {
    return await admitted(await this.dial(peerId, addresses, signal) as Libp2pConnection, signal)
  }

  #ports (): number[] {
    const ports = this.#parts.components.transportManager.getAddrs().flatMap(address =>
      isRelayed(address) ? [] : address.getComponents().filter(({ name }) => name === 'tcp').map(({ value }) => Number(value)))
    return [...new Set(ports)]
  }

  #isDialable (address: Multiaddr): boolean {
    return isRelayed(address) || this.#parts.components.transportManager.dialTransportForMultiaddr(address) !== undefined
  }

  #admittedTo (peerId: string): Libp2pConnection | undefined {
    const all = [...this.#byPeer.get(peerId) ?? []].filter(connection => connection.isOpen && connection.admitted)
    return all.find(({ path }) => path === 'direct') ?? all[0]
  }

  /** libp2p does not notice when an interface comes or goes. */
  #lookOften (): void {
    this.#stopLooking = this.#parts.clock.after(INTERFACES_MS, () => {
      this.#lookAtAddresses()
      this.#lookOften()
    })
  }

  #lookAtAddresses (): void {
    const now = this.addresses().join()
    if (now === this.#knownAddresses || this.#closed !== undefined) return
    this.#knownAddresses = now
    this.#events.emit('addresses', undefined)
  }

  /** Learns what an admitted peer speaks, for the topologies of libp2p's own services; the other end may admit us later. */
  async #identify (raw: LibConnection, connection: Libp2pConnection): Promise<void> {
    const { clock, identify } = this.#parts
    for (let pauseMs = IDENTIFY_PAUSE_MS; pauseMs < ADMISSION_MS_MAX && connection.isOpen; pauseMs *= 2) {
      if (await identify.identify(raw).then(() => true, () => false)) return
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
    this.#gossip?.close()
    this.#routing?.close()
    this.#relaying?.close()
    await Promise.all([...this.#byPeer.values()].flatMap(siblings => [...siblings].map(async connection => { await connection.close() })))
    const { node, clock } = this.#parts
    const bound = deadline(clock, STOP_MS_MAX)
    await settled(Promise.resolve(node.stop()), bound.signal)
    bound.done()
  }
}

/** Resolves with a connection when it is admitted. @throws SwarmError UNREACHABLE, ABORTED */
async function admitted (connection: Libp2pConnection, signal: AbortSignal): Promise<Libp2pConnection> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => { reject(new SwarmError('ABORTED', `waiting for ${connection.peerId} was given up`, { cause: signal.reason })) }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    connection.onAdmit(resolve)
    connection.onClose(() => { reject(new SwarmError('UNREACHABLE', `${connection.peerId} is no member`)) })
  })
  return connection
}

function listensEverywhere ({ components }: NetworkParts): boolean {
  return components.addressManager.getListenAddrs().some(address => /^\/ip[46]\/(0\.0\.0\.0|::)\//.test(address.toString()))
}
