/**
 * kad-dht among admitted peers, with everything it does by itself turned off.
 *
 * It gets stand-ins for libp2p's components. Its handler is behind the guard. Peers enter its table when they say over an admitted
 * connection that they take part, or ask or answer there, never because somebody named them: a list of invented peers must not make us dial. Addresses of private
 * networks and of loopback count like others, since those are what members of a swarm have. Its own timers (queries for itself, random
 * walks, providing anew) and its lookups are left out: routing.ts and routing-lookup.ts do what of that is wanted, on our clock.
 */
import { MessageType, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import type { DisjointPath, PeerResponseEvent, QueryEvent } from '@libp2p/kad-dht'
import type { Connection as LibConnection, PeerId, PeerInfo, StreamHandler } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { sha256 } from '#hash'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Components, Guard } from './guard.ts'
import type { Book } from './routing-book.ts'
import { ANSWER_BYTES_MAX, Inlet, limit } from './routing-inlet.ts'
import type { Reach } from './routing-reach.ts'
import type { ProviderStore } from './routing-store.ts'

/** Peers that hold a record, and that one lookup converges on. */
export const REPLICAS = 8

/** Longest wait for one peer's answer to one request, dialling it included; a lookup does not stand still for it. */
const ANSWER_MS_MAX = 5_000

/** Requests one connection may have open with us at once. */
export const REQUESTS_MAX = 16

/** One request, or what is sent without an answer. */
interface Message { readonly type: MessageType, readonly key: Uint8Array, readonly providers?: readonly { id: Uint8Array, multiaddrs: Uint8Array[] }[] }

interface SendOptions { readonly signal: AbortSignal, readonly path: DisjointPath }

/** What we use of kad-dht; hardly any of it is what it declares, so that a major version means a look here. */
interface KadDht {
  start (): Promise<void>
  stop (): Promise<void>
  readonly network: {
    sendRequest (to: PeerId, message: Message, options: SendOptions): AsyncIterable<QueryEvent>
    sendMessage (to: PeerId, message: Message, options: SendOptions): AsyncIterable<QueryEvent>
  }
  readonly providers: {
    getProviders (cid: CID): Promise<PeerId[]>
    addProvider (cid: CID, provider: PeerId): Promise<void>
    removeProvider (cid: CID, provider: PeerId): Promise<void>
  }
  readonly routingTable: {
    readonly size: number
    closestPeers (point: Uint8Array, options: { count: number }): PeerId[]
    queueRoutingTableUpdate (peerId: PeerId): void
    remove (peerId: PeerId): Promise<void>
    addEventListener (name: 'peer:add' | 'peer:remove', listener: (event: CustomEvent<PeerId>) => void): void
    readonly closestPeerTagger: Quiet
  }
  onPeerConnect (peer: PeerInfo): Promise<void>
  readonly querySelf: Quiet
  readonly routingTableRefresh: Quiet
  readonly reprovider: Quiet
  readonly topologyListener: Quiet
}

interface Quiet { start (): void, stop (): void }

export interface TableParts {
  readonly components: Components
  readonly guard: Guard
  readonly protocol: string
  readonly clock: Clock
  readonly book: Book
  readonly reach: Reach
  readonly store: ProviderStore
  /** A connection over which somebody asks. */
  readonly onAsked: (raw: LibConnection) => void
  /** Whether there is an admitted connection: whoever is linked is watched, so that none needs be asked for a sign of life. */
  readonly isLinked: (peerId: PeerId) => boolean
}

/** The table, and questions to one peer. */
export class Table {
  readonly #dht: KadDht
  readonly #own: PeerId
  readonly #book: Book
  readonly #members = new Set<string>()

  constructor (parts: TableParts) {
    this.#dht = makeDht(parts)
    this.#own = parts.components.peerId
    this.#book = parts.book
    this.#dht.routingTable.addEventListener('peer:add', ({ detail }) => { this.#members.add(detail.toString()) })
    this.#dht.routingTable.addEventListener('peer:remove', ({ detail }) => { this.#members.delete(detail.toString()) })
  }

  get size (): number {
    return this.#dht.routingTable.size
  }

  async start (): Promise<void> {
    await this.#dht.start()
  }

  async stop (): Promise<void> {
    await this.#dht.stop()
  }

  /** Calls back when a peer enters. */
  onAdd (listener: () => void): void {
    this.#dht.routingTable.addEventListener('peer:add', listener)
  }

  has (peerId: PeerId): boolean {
    return this.#members.has(peerId.toString())
  }

  /** Takes a peer in that takes part and is linked, as far as there is room, later. */
  meet (peerId: PeerId): void {
    this.#dht.routingTable.queueRoutingTableUpdate(peerId)
  }

  /** Lets go of a peer that gives no answer; it comes in again when it asks something, or is met. */
  async drop (peerId: PeerId): Promise<void> {
    await this.#dht.routingTable.remove(peerId)
  }

  /** Those nearest to a target, at most REPLICAS. */
  nearest (target: Uint8Array): PeerId[] {
    return this.#dht.routingTable.closestPeers(sha256(target), { count: REPLICAS })
  }

  /** Who provides a key by what is held here. */
  async held (cid: CID): Promise<PeerInfo[]> {
    return await Promise.all((await this.#dht.providers.getProviders(cid)).map(async id => await this.#book.getInfo(id)))
  }

  /** Says of a key, to whoever asks us, that we provide it. */
  async hold (cid: CID): Promise<void> {
    await this.#dht.providers.addProvider(cid, this.#own)
  }

  async release (cid: CID): Promise<void> {
    await this.#dht.providers.removeProvider(cid, this.#own)
  }

  /** @throws SwarmError UNREACHABLE if the peer gives no answer */
  async ask (to: PeerId, type: MessageType.FIND_NODE | MessageType.GET_PROVIDERS, key: Uint8Array, signal: AbortSignal): Promise<PeerResponseEvent> {
    for await (const event of this.#dht.network.sendRequest(to, { type, key }, { signal, path: NO_PATH })) {
      if (event.name === 'PEER_RESPONSE') return event
      if (event.name === 'QUERY_ERROR') throw unanswered(to, event.error)
    }
    throw unanswered(to, undefined)
  }

  /** Has a peer hold that we provide a key. @throws SwarmError UNREACHABLE */
  async tell (to: PeerId, key: Uint8Array, own: PeerInfo, signal: AbortSignal): Promise<void> {
    const providers = [{ id: own.id.toMultihash().bytes, multiaddrs: own.multiaddrs.map(({ bytes }) => bytes) }]
    for await (const event of this.#dht.network.sendMessage(to, { type: MessageType.ADD_PROVIDER, key, providers }, { signal, path: NO_PATH })) {
      if (event.name === 'QUERY_ERROR') throw unanswered(to, event.error)
    }
  }
}

/** kad-dht's own lookups number their ways. */
const NO_PATH: DisjointPath = { index: -1, queued: 0, running: 0, total: 0 }

function unanswered (to: PeerId, cause: unknown): SwarmError {
  return new SwarmError('UNREACHABLE', `${to.toString()} did not answer`, { cause })
}

function makeDht ({ components, guard, protocol, clock, book, reach, store, onAsked, isLinked }: TableParts): KadDht {
  const inlet = new Inlet(clock)
  const { peerId, privateKey, addressManager, logger } = components
  const standIns = {
    peerId, privateKey, addressManager, logger,
    events: new EventTarget(),
    peerStore: book,
    datastore: store,
    registrar: {
      handle: async (name: string, handler: StreamHandler, options: object) => {
        await guard.handle(name, async (stream, raw) => {
          onAsked(raw)
          if (!inlet.admit(stream, raw)) return
          await handler(stream, raw)
        }, { ...options, runOnLimitedConnection: true })
      },
      unhandle: async (name: string) => { await guard.unhandle(name) }
    },
    connectionManager: {
      openStream: async (to: PeerId, name: string, { signal }: { signal: AbortSignal }) => {
        try {
          return limit(await reach.open(to, name, signal), ANSWER_BYTES_MAX)
        } catch (error) {
          if (!(error instanceof SwarmError && ['ABORTED', 'OVERLOADED'].includes(error.code))) await dht.routingTable.remove(to)
          throw error
        }
      }
    },
    ping: {
      ping: async (to: PeerId) => {
        if (!isLinked(to)) throw new SwarmError('UNREACHABLE', `no connection to ${to.toString()}`)
        return 0
      }
    }
  }
  const dht = kadDHT({
    protocol,
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    kBucketSize: REPLICAS,
    networkDialTimeout: { minTimeout: ANSWER_MS_MAX, maxTimeout: ANSWER_MS_MAX },
    maxInboundStreams: REQUESTS_MAX,
    maxOutboundStreams: REQUESTS_MAX
  })(standIns as unknown as Parameters<ReturnType<typeof kadDHT>>[0]) as unknown as KadDht
  for (const part of [dht.querySelf, dht.routingTableRefresh, dht.reprovider, dht.topologyListener, dht.routingTable.closestPeerTagger]) {
    part.start = part.stop = () => {}
  }
  dht.onPeerConnect = async () => {}
  return dht
}
