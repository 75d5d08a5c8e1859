/**
 * What all known peers offer: their agents with the catalogues they name, found by tool, agent or hash, within a budget of bytes. A
 * record that names a new catalogue leaves the tools of the last one in place until the new one is here.
 */
import type { ErrorCode } from '../base/error.ts'
import type { Catalogue } from './catalogue.ts'
import { Library } from './library.ts'
import { Offers, type Provider, type Query } from './offers.ts'
import type { Offer, Peer } from './peer.ts'
import type { AgentEntry } from './record.ts'

export class Stock {
  readonly #offers = new Offers()
  readonly #library: Library
  #edition = 0

  constructor (bytesMax: number) {
    this.#library = new Library(bytesMax)
  }

  /** Bytes of all catalogues held. */
  get bytes (): number {
    return this.#library.bytes
  }

  /** Another number whenever something else may be offered, or by another. */
  get edition (): number {
    return this.#edition
  }

  /** A peer lives, or does not, or has another name. */
  touch (): void {
    this.#edition++
  }

  add (peer: Peer, entry: AgentEntry): Offer {
    const offer: Offer = { peer, entry, volume: this.#library.get(entry.catalogue), refusal: undefined }
    peer.offers = peer.offers.concat(offer) // no longer than it need be: a list that grows by push has room for 17
    this.#offers.add(offer)
    this.#edition++
    return offer
  }

  /** Puts another entry of the same agent in place. */
  change (offer: Offer, entry: AgentEntry): void {
    const renewed = offer.entry.catalogue !== entry.catalogue
    this.#offers.setEntry(offer, entry)
    if (!renewed) return
    offer.refusal = undefined
    const volume = this.#library.get(entry.catalogue)
    if (volume !== undefined) this.#offers.setVolume(offer, volume)
  }

  drop (peer: Peer, offer: Offer): void {
    peer.offers = peer.offers.filter(other => other !== offer)
    this.#offers.remove(offer)
    this.#edition++
  }

  /**
   * Takes in a verified catalogue. Where the budget is spent, catalogues go that only absent peers name; if that is not enough it
   * is not held.
   *
   * @param bytes of its text
   * @returns those that show it now, and did not
   */
  addCatalogue (hash: string, catalogue: Catalogue, bytes: number): Offer[] {
    if (!this.has(hash)) {
      if (!this.#library.hasRoomFor(bytes)) this.#sweepAbsent()
      if (!this.#library.hasRoomFor(bytes)) return []
      this.#library.add(hash, catalogue, bytes)
    }
    const volume = this.#library.get(hash)
    const shown = [...this.#offers.naming(hash)].filter(offer => offer.refusal === undefined && offer.volume !== volume)
    for (const offer of shown) {
      this.#offers.setVolume(offer, volume)
      this.#edition++
    }
    return shown
  }

  /** Notes whether a peer lets us see a catalogue of its agents. @returns those of which that is new */
  setReadable (peerId: string, hash: string, refusal: ErrorCode | undefined): Offer[] {
    const changed = [...this.#offers.naming(hash)].filter(offer => offer.peer.record.peerId === peerId && offer.refusal !== refusal)
    for (const offer of changed) {
      offer.refusal = refusal
      this.#edition++
      this.#offers.setVolume(offer, refusal === undefined ? this.#library.get(hash) : undefined)
    }
    return changed
  }

  has (hash: string): boolean {
    return this.#library.get(hash) !== undefined
  }

  catalogue (hash: string): Catalogue | undefined {
    return this.#library.get(hash)?.catalogue
  }

  /** The text of a catalogue that is here, and that no peer shows to some alone. */
  openText (hash: string): string | undefined {
    const volume = this.#library.get(hash)
    const offers = [...this.#offers.naming(hash)]
    if (volume === undefined || offers.length === 0 || offers.some(({ entry }) => entry.restricted === true)) return undefined
    return JSON.stringify(volume.catalogue)
  }

  /** Whether a catalogue that any member may see is not here, though a living peer offers it. */
  isMissing (hash: string): boolean {
    if (this.has(hash)) return false
    return [...this.#offers.naming(hash)].some(({ entry, peer }) => entry.restricted !== true && peer.absence === undefined)
  }

  /** Drops catalogues that no agent names. */
  sweep (): void {
    const needed = this.#offers.hashes(() => true)
    this.#library.sweep(hash => needed.has(hash))
  }

  find (query: Query): Provider[] {
    return this.#offers.find(query)
  }

  toolNames (): string[] {
    return this.#offers.toolNames()
  }

  #sweepAbsent (): void {
    const needed = this.#offers.hashes(peer => peer.absence === undefined)
    this.#offers.hide(needed)
    this.#edition++
    this.#library.sweep(hash => needed.has(hash))
  }
}
