/**
 * Where peers may be dialled, as far as routing has heard: what a peer said of itself over its own admitted connection, which is
 * passed on to others, and what others said of it, which is a hint for our next dial and goes no further.
 */
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { ADDRESSES_MAX } from './address.ts'

/** Peers whose own word is kept, the longest unheard of forgotten first. */
export const WORDS_MAX = 2_048

/** Peers of which hints are kept. */
export const HINTS_MAX = 512

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
  readonly #hints = new Map<string, readonly Multiaddr[]>()

  constructor (own: PeerId, ownAddresses: () => Multiaddr[]) {
    this.#own = own
    this.#ownAddresses = ownAddresses
  }

  /** Keeps what a peer says of itself; nothing, and what it said before stands. */
  say (peerId: PeerId, addresses: readonly Multiaddr[]): void {
    if (addresses.length > 0) remember(this.#words, peerId.toString(), addresses, WORDS_MAX)
  }

  /** Keeps what others say of a peer. */
  hint (peerId: string, addresses: readonly Multiaddr[]): void {
    remember(this.#hints, peerId, addresses, HINTS_MAX)
  }

  /** Forgets what others say of a peer: it was not there. */
  doubt (peerId: string): void {
    this.#hints.delete(peerId)
  }

  /** Every address by which it may be tried. */
  tries (peerId: PeerId): Multiaddr[] {
    return [...this.#said(peerId), ...this.#hints.get(peerId.toString()) ?? []]
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

function remember (peers: Map<string, readonly Multiaddr[]>, peerId: string, addresses: readonly Multiaddr[], limit: number): void {
  peers.delete(peerId)
  peers.set(peerId, addresses.slice(0, ADDRESSES_MAX))
  for (const oldest of peers.keys()) {
    if (peers.size <= limit) return
    peers.delete(oldest)
  }
}
