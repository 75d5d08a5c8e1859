/**
 * What all known peers offer: their agents with the catalogues they name, found by tool, agent or hash, within a budget of bytes. A
 * record that names a new catalogue leaves the tools of the last one in place until the new one is here.
 */
import type { ErrorCode } from '../base/error.ts'
import { canonicalJson } from '../base/json.ts'
import type { Catalogue } from './catalogue.ts'
import type { Change } from './change.ts'
import { Library } from './library.ts'
import { Offers, type Provider, type Query } from './offers.ts'
import { viewAgent, type Offer, type Peer } from './peer.ts'
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

  /**
   * Puts what a peer offers now in place of what it did.
   *
   * @param joins it did not live until now: all that it offers is new @param renamed it has another name
   */
  replace (peer: Peer, agents: readonly AgentEntry[], { joins, renamed }: { joins: boolean, renamed: boolean }): Change[] {
    const changes: Change[] = []
    const names = new Set(agents.map(agent => agent.name))
    for (const offer of peer.offers) {
      if (names.has(offer.entry.name)) continue
      if (!joins) changes.push({ kind: 'agent-removed', agent: viewAgent(offer) })
      this.drop(peer, offer)
    }
    for (const entry of agents) {
      const offer = peer.offers.find(({ entry: { name } }) => name === entry.name)
      if (offer === undefined) changes.push({ kind: 'agent-added', agent: viewAgent(this.add(peer, entry)) })
      else {
        const changed = renamed || canonicalJson(offer.entry) !== canonicalJson(entry)
        if (changed) this.change(offer, entry)
        if (joins || changed) changes.push({ kind: joins ? 'agent-added' : 'agent-changed', agent: viewAgent(offer) })
      }
    }
    return changes
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
   */
  addCatalogue (hash: string, catalogue: Catalogue, bytes: number): Change[] {
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
    return shown.flatMap(tellOffer)
  }

  /** Notes whether a peer lets us see a catalogue of its agents. */
  setReadable (peerId: string, hash: string, refusal: ErrorCode | undefined): Change[] {
    const changed = [...this.#offers.naming(hash)].filter(offer => offer.peer.record.peerId === peerId && offer.refusal !== refusal)
    for (const offer of changed) {
      offer.refusal = refusal
      this.#edition++
      this.#offers.setVolume(offer, refusal === undefined ? this.#library.get(hash) : undefined)
    }
    return changed.flatMap(tellOffer)
  }

  has (hash: string): boolean {
    return this.#library.get(hash) !== undefined
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

/** Only of living peers: those that are absent offer nothing that could change. */
function tellOffer (offer: Offer): Change[] {
  return offer.peer.absence === undefined ? [{ kind: 'agent-changed', agent: viewAgent(offer) }] : []
}
