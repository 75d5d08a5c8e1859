/**
 * What a peer does on its admitted connections besides carrying streams: gossip, the hash table, relaying. Each is opened, and its code
 * loaded, at first use; from then on it meets every connection that is admitted.
 */
import type { Connection as LibConnection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Gossip, HandleOptions, Routing, StreamHandler } from '../../lib/base/network.ts'
import { ADDRESSES_MAX, isRelayed, withoutPeer } from './address.ts'
import type { Libp2pConnection } from './connection.ts'
import { dialFirst, readTargets } from './dial.ts'
import type { Libp2pGossip } from './gossip.ts'
import type { NetworkParts } from './network.ts'
import type { Relay } from './relay.ts'
import { Relaying } from './relaying.ts'
import type { Libp2pRouting } from './routing.ts'

/** Longest that a direct connection is tried for beside a relayed one, in milliseconds. */
const PUNCH_MS_MAX = 6_000

export interface ServicesParts extends NetworkParts {
  readonly handle: (protocol: string, handler: StreamHandler, options?: HandleOptions) => void
  readonly dial: (peerId: string, addresses: readonly string[], signal: AbortSignal) => Promise<Libp2pConnection>
  readonly isDialable: (address: Multiaddr) => boolean
  readonly find: (raw: LibConnection) => Libp2pConnection | undefined
  /** Asks the other end of an admitted connection what it speaks, and where it listens. */
  readonly learn: (connection: Libp2pConnection) => Promise<void>
  readonly connectionsTo: (peerId: string) => Iterable<Libp2pConnection>
  readonly connections: () => readonly Libp2pConnection[]
}

export class Services {
  readonly #parts: ServicesParts
  readonly #closing = new AbortController()
  readonly #relaying: Relaying | undefined
  #openingGossip: Promise<Gossip> | undefined
  #gossip: Libp2pGossip | undefined
  #openingRouting: Promise<Routing> | undefined
  #routing: Libp2pRouting | undefined
  #openingRelay: Promise<Relay> | undefined
  /** Questions to the other ends of connections: one each, and only where somebody needs the answer, as it is a fifth of what a link costs. */
  readonly #identified = new WeakMap<Libp2pConnection, Promise<void>>()

  constructor (parts: ServicesParts) {
    this.#parts = parts
    if (parts.relay !== undefined) this.#relaying = new Relaying({
      components: parts.components, clock: parts.clock, options: parts.relay,
      protocol: this.#protocol('dialback'),
      relay: async () => await this.relay(),
      handle: parts.handle,
      ports: () => this.#ports()
    })
  }

  async gossip (): Promise<Gossip> {
    this.#check('gossip')
    this.#openingGossip ??= this.#openGossip()
    return await this.#openingGossip
  }

  async routing (): Promise<Routing> {
    this.#check('routing')
    this.#openingRouting ??= this.#openRouting()
    return await this.#openingRouting
  }

  /** For a dial through another peer, and to be dialled or to pass bytes on in that way. */
  async relay (): Promise<Relay> {
    this.#check('relay')
    this.#openingRelay ??= import('./relay.ts').then(async ({ Relay }) => {
      const { components, guard, clock } = this.#parts
      return await Relay.open({ components, guard, clock, find: peerId => this.#admittedTo(peerId), connect: async (...args) => await this.#connect(...args) })
    })
    return await this.#openingRelay
  }

  /** A connection was admitted. */
  meet (connection: Libp2pConnection): void {
    const { relay } = this.#parts
    if (connection.path === 'relay' && relay !== undefined) void this.#identify(connection).then(async () => { await this.#punch(connection) })
    this.#gossip?.meet(connection)
    if (this.#routing !== undefined) this.#route(this.#routing, connection)
    this.#relaying?.meet(connection)
    if (relay?.serve === true) void this.#serveRelay()
  }

  close (): void {
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#gossip?.close()
    this.#routing?.close()
    this.#relaying?.close()
  }

  get #isClosed (): boolean {
    return this.#closing.signal.aborted
  }

  #check (what: string): void {
    if (this.#isClosed) throw new SwarmError('CLOSED', `${what}: this peer has closed`)
  }

  async #openGossip (): Promise<Gossip> {
    const { openGossip } = await import('./gossip.ts')
    const { components, guard, clock, random, swarmId, find } = this.#parts
    const gossip = await openGossip({ swarmId, components, guard, clock, random, find })
    if (this.#isClosed) {
      gossip.close()
      this.#check('gossip')
    }
    this.#gossip = gossip
    for (const connection of this.#parts.connections()) if (connection.admitted) gossip.meet(connection)
    return gossip
  }

  async #openRouting (): Promise<Routing> {
    const { openRouting } = await import('./routing.ts')
    const { components, guard, clock, random, isDialable } = this.#parts
    const routing = await openRouting({
      components, guard, clock, random, isDialable,
      protocol: this.#protocol('kad'),
      isClosed: () => this.#isClosed,
      find: peerId => this.#admittedTo(peerId),
      connect: async (peerId, addresses, signal) => await this.#connect(peerId, addresses, signal)
    })
    if (this.#isClosed) {
      routing.close()
      this.#check('routing')
    }
    this.#routing = routing
    for (const connection of this.#parts.connections()) if (connection.admitted) this.#route(routing, connection)
    return routing
  }

  /** Routing passes on where peers say that they listen. */
  #route (routing: Libp2pRouting, connection: Libp2pConnection): void {
    routing.meet(connection.raw)
    void this.#identify(connection)
  }

  async #identify (connection: Libp2pConnection): Promise<void> {
    const asked = this.#identified.get(connection) ?? this.#parts.learn(connection)
    this.#identified.set(connection, asked)
    await asked
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
    const { clock, components, isDialable } = this.#parts
    const told = await components.peerStore.get(raw.remotePeer).then(({ addresses }) => addresses.map(({ multiaddr }) => multiaddr), () => [])
    const direct = told.filter(address => !isRelayed(address) && isDialable(address)).slice(0, ADDRESSES_MAX)
    if (direct.length === 0 || this.#isClosed) return
    const bound = deadline(clock, PUNCH_MS_MAX, this.#closing.signal)
    const targets = readTargets(peerId, direct.map(withoutPeer), () => true)
    // The relayed one goes on if it fails: that is what it is for.
    await dialFirst(peerId, targets, components.transportManager, clock, bound.signal).catch(() => undefined)
    bound.done()
  }

  /** Begins to lend addresses, with the first connection: before that there is nobody to lend one. */
  async #serveRelay (): Promise<void> {
    try {
      await (await this.relay()).serve(this.#parts.relay?.reservationsMax)
    } catch (error) {
      if (!this.#isClosed) throw error
    }
  }

  async #connect (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Libp2pConnection> {
    return await admitted(await this.#parts.dial(peerId, addresses, signal), signal)
  }

  #admittedTo (peerId: string): Libp2pConnection | undefined {
    const all = [...this.#parts.connectionsTo(peerId)].filter(connection => connection.isOpen && connection.admitted)
    return all.find(({ path }) => path === 'direct') ?? all[0]
  }

  #ports (): number[] {
    const ports = this.#parts.components.transportManager.getAddrs().flatMap(address =>
      isRelayed(address) ? [] : address.getComponents().filter(({ name }) => name === 'tcp').map(({ value }) => Number(value)))
    return [...new Set(ports)]
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
