/**
 * What libp2p's parts remember of peers, in memory: what they speak and where they listen.
 *
 * libp2p's own keeps that in a datastore, as protobuf and under a lock, and is asked to note a protocol at both ends of every stream,
 * which is a good part of what a link costs. Nothing of it outlives the process here: who is known is the directory's to keep. Left out is
 * what nothing here goes by: tags, metadata, certified records, and news of other peers. Those heard of longest ago are forgotten first.
 */
import type { Address, Peer, PeerData, PeerId, PeerInfo, PeerQuery, PeerStore } from '@libp2p/interface'
import { SwarmError } from '../../lib/base/error.ts'
import type { Components } from './guard.ts'
import { remember } from './routing-reach.ts'

/** Peers remembered, and of each as many addresses and protocols as these. */
export const PEERS_MAX = 1_024
export const ADDRESSES_KEPT_MAX = 64
export const PROTOCOLS_KEPT_MAX = 128

export class MemoryPeerStore implements PeerStore {
  readonly #own: string
  readonly #events: Components['events']
  /** This peer itself is apart from the others: it is never forgotten, and others wait for its news. */
  #self: Peer | undefined
  readonly #others = new Map<string, Peer>()

  constructor ({ peerId, events }: Pick<Components, 'events' | 'peerId'>) {
    this.#own = peerId.toString()
    this.#events = events
  }

  async get (peerId: PeerId): Promise<Peer> {
    const peer = this.#find(peerId.toString())
    if (peer === undefined) throw Object.assign(new Error(`nothing is known of ${peerId.toString()}`), { name: 'NotFoundError' })
    return peer
  }

  async getInfo (peerId: PeerId): Promise<PeerInfo> {
    const { addresses, id } = await this.get(peerId)
    return { id, multiaddrs: addresses.map(({ multiaddr }) => multiaddr) }
  }

  async has (peerId: PeerId): Promise<boolean> {
    return this.#find(peerId.toString()) !== undefined
  }

  async all ({ filters = [], orders = [] }: PeerQuery = {}): Promise<Peer[]> {
    const all = [...this.#others.values(), ...this.#self === undefined ? [] : [this.#self]].filter(peer => filters.every(holds => holds(peer)))
    for (const order of orders) all.sort(order)
    return all
  }

  async forEach (tell: (peer: Peer) => void, query?: PeerQuery): Promise<void> {
    for (const peer of await this.all(query)) tell(peer)
  }

  async delete (peerId: PeerId): Promise<void> {
    this.#others.delete(peerId.toString())
  }

  /** In place of all that was known. */
  async save (peerId: PeerId, data: PeerData): Promise<Peer> {
    return this.#put(peerId, addressesIn(data), data.protocols)
  }

  /** In place of what was known of the same kind. */
  async patch (peerId: PeerId, data: PeerData): Promise<Peer> {
    const { addresses, protocols } = this.#find(peerId.toString()) ?? {}
    return this.#put(peerId, data.addresses === undefined && data.multiaddrs === undefined ? addresses : addressesIn(data), data.protocols ?? protocols)
  }

  /** Beside what was known. */
  async merge (peerId: PeerId, data: PeerData): Promise<Peer> {
    const known = this.#find(peerId.toString())
    const { addresses = [], protocols = [] } = known ?? {}
    if (known !== undefined && addressesIn(data).length === 0 && data.protocols?.every(each => protocols.includes(each)) !== false) return known
    return this.#put(peerId, [...addresses, ...addressesIn(data)], [...protocols, ...data.protocols ?? []])
  }

  /** @throws SwarmError INVALID_OPTION */
  async consumePeerRecord (): Promise<boolean> {
    throw new SwarmError('INVALID_OPTION', 'no certified records are kept of peers')
  }

  #find (name: string): Peer | undefined {
    return name === this.#own ? this.#self : this.#others.get(name)
  }

  #put (id: PeerId, addresses: readonly Address[] = [], protocols: readonly string[] = []): Peer {
    const name = id.toString()
    const previous = this.#find(name)
    const distinct = [...new Map(addresses.map(address => [address.multiaddr.toString(), address])).values()]
    const peer: Peer = {
      id, addresses: distinct.slice(0, ADDRESSES_KEPT_MAX), protocols: [...new Set(protocols)].slice(0, PROTOCOLS_KEPT_MAX), metadata: new Map(), tags: new Map()
    }
    if (name !== this.#own) remember(this.#others, name, peer)
    else {
      this.#self = peer
      if (wordsOf(peer) !== wordsOf(previous)) this.#events.safeDispatchEvent('self:peer:update', { detail: previous === undefined ? { peer } : { peer, previous } })
    }
    return peer
  }
}

function addressesIn ({ addresses = [], multiaddrs = [] }: PeerData): Address[] {
  return [...addresses, ...multiaddrs.map(multiaddr => ({ multiaddr, isCertified: false }))]
}

function wordsOf (peer: Peer | undefined): string {
  return JSON.stringify([peer?.addresses.map(({ multiaddr }) => multiaddr.toString()), peer?.protocols])
}
