/**
 * Where peers may be dialled, as far as routing has heard: what a peer said of itself over its own admitted connection, which is
 * passed on to others, and what others said of it, which is a hint for our next dial and goes no further.
 */
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { inTurn } from '../../lib/base/turns.ts'
import { ADDRESSES_MAX, withoutPeer } from './address.ts'

/** Peers whose own word is kept, the longest unheard of forgotten first. */
export const WORDS_MAX = 2_048

/** Peers of which hints are kept, and of each the words of so many others: the newest. */
export const HINTS_MAX = 512
export const TELLERS_MAX = 4

/** What kad-dht wants to know of a peer. */
export interface Entry {
  readonly id: PeerId
  readonly addresses: { readonly multiaddr: Multiaddr, readonly isCertified: boolean }[]
  readonly protocols: string[]
  readonly metadata: Map<string, Uint8Array>
  readonly tags: Map<string, unknown>
}

export class Book {
  readonly #own: PeerId
  readonly #ownAddresses: () => Multiaddr[]
  readonly #words = new Map<string, readonly Multiaddr[]>()
  /** By peer, and by who says so: nobody's word takes the place of another's. */
  readonly #hints = new Map<string, ReadonlyMap<string, readonly Multiaddr[]>>()

  constructor (own: PeerId, ownAddresses: () => Multiaddr[]) {
    this.#own = own
    this.#ownAddresses = ownAddresses
  }

  /** The id of this peer. */
  get own (): string {
    return this.#own.toString()
  }

  /** Keeps what a peer says of itself; nothing, and what it said before stands. */
  say (peerId: PeerId, addresses: readonly Multiaddr[]): void {
    if (addresses.length > 0) put(this.#words, peerId.toString(), addresses.slice(0, ADDRESSES_MAX), WORDS_MAX)
  }

  /** Keeps what another says of a peer. */
  hint (peerId: string, addresses: readonly Multiaddr[], teller: string): void {
    const words = new Map(this.#hints.get(peerId))
    put(words, teller, addresses.slice(0, ADDRESSES_MAX), TELLERS_MAX)
    put(this.#hints, peerId, words, HINTS_MAX)
  }

  /** Forgets what others say of a peer: it was not there. */
  doubt (peerId: string): void {
    this.#hints.delete(peerId)
  }

  /** The addresses by which it may be tried, at most ADDRESSES_MAX: its own word first, then those of others in turn, the newest first. */
  tries (peerId: PeerId): string[] {
    const words = [...this.#hints.get(peerId.toString())?.values() ?? []].reverse()
    return inTurn([[...this.#said(peerId)], ...words].map(word => word.map(withoutPeer)), ADDRESSES_MAX)
  }

  /** A peer that is not known has no addresses. */
  async get (peerId: PeerId): Promise<Entry> {
    const addresses = this.#said(peerId).map(multiaddr => ({ multiaddr, isCertified: false }))
    return { id: peerId, addresses, protocols: [], metadata: new Map(), tags: new Map() }
  }

  async getInfo (peerId: PeerId): Promise<{ id: PeerId, multiaddrs: Multiaddr[] }> {
    return { id: peerId, multiaddrs: this.#said(peerId) }
  }

  /** Its own word, or only a tag, which is not kept. */
  async merge (peerId: PeerId, { multiaddrs }: { multiaddrs?: readonly Multiaddr[] }): Promise<void> {
    this.say(peerId, multiaddrs ?? [])
  }

  async all (): Promise<Entry[]> {
    return []
  }

  #said (peerId: PeerId): Multiaddr[] {
    return peerId.equals(this.#own) ? this.#ownAddresses() : [...this.#words.get(peerId.toString()) ?? []]
  }
}

/** Puts an entry last, and lets the first ones go when there are too many. */
function put<Value> (map: Map<string, Value>, name: string, value: Value, limit: number): void {
  map.delete(name)
  map.set(name, value)
  for (const oldest of map.keys()) {
    if (map.size <= limit) return
    map.delete(oldest)
  }
}
