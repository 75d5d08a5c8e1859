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
  readonly #heard: (peerId: PeerId) => Promise<Multiaddr[]>
  readonly #words = new Map<string, readonly Multiaddr[]>()
  readonly #hints = new Map<string, readonly Multiaddr[]>()

  /** @param heard what a peer that is connected has told us of itself */
  constructor (heard: (peerId: PeerId) => Promise<Multiaddr[]>) {
    this.#heard = heard
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
  async tries (peerId: PeerId): Promise<Multiaddr[]> {
    const own = await this.#own(peerId)
    return [...own, ...this.#hints.get(peerId.toString()) ?? []]
  }

  /** A peer that is not known has no addresses. */
  async get (peerId: PeerId): Promise<Entry> {
    const addresses = (await this.#own(peerId)).map(multiaddr => ({ multiaddr, isCertified: false }))
    return { id: peerId, addresses, protocols: [], metadata: new Map(), tags: new Map() }
  }

  async getInfo (peerId: PeerId): Promise<{ id: PeerId, multiaddrs: Multiaddr[] }> {
    return { id: peerId, multiaddrs: await this.#own(peerId) }
  }

  /** Its own word, or only a tag, which is not kept. */
  async merge (peerId: PeerId, { multiaddrs }: { multiaddrs?: readonly Multiaddr[] }): Promise<void> {
    if (multiaddrs !== undefined) remember(this.#words, peerId.toString(), multiaddrs, WORDS_MAX)
  }

  async all (): Promise<Entry[]> {
    return []
  }

  async #own (peerId: PeerId): Promise<Multiaddr[]> {
    const heard = await this.#heard(peerId)
    if (heard.length > 0) remember(this.#words, peerId.toString(), heard, WORDS_MAX)
    return [...this.#words.get(peerId.toString()) ?? []]
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
