/** Which agent of which peer offers which tool: the index behind every look-up. */
import type { ToolDefinition } from './catalogue.ts'
import type { Item, Volume } from './library.ts'
import { reasonOf, type Offer, type Peer } from './peer.ts'
import type { AgentEntry } from './record.ts'

export interface Query {
  readonly tool?: string
  /** The name of an agent. */
  readonly agent?: string
  /** A peer id, or the name of a peer. */
  readonly peer?: string
  readonly pool?: string
  /** Include those that cannot serve now, with the reason. Default false. */
  readonly all?: boolean
}

/** A tool at one agent of one peer. */
export interface Provider {
  readonly peerId: string
  readonly peerName: string
  readonly agent: AgentEntry
  readonly tool: ToolDefinition
  /** The definition hash: inside a pool, tools that share it are interchangeable. */
  readonly toolHash: string
  readonly available: boolean
  /** Why it is not available. */
  readonly reason?: string
}

export class Offers {
  readonly #byTool = new Map<string, Map<Offer, Item>>()
  readonly #byAgent = new Map<string, Set<Offer>>()
  readonly #byHash = new Map<string, Set<Offer>>()

  /** Every catalogue that an agent of such a peer names or shows. */
  hashes (counts: (peer: Peer) => boolean): Set<string> {
    const hashes = new Set<string>()
    for (const { peer, entry, volume } of this.#all()) {
      if (!counts(peer)) continue
      hashes.add(entry.catalogue)
      if (volume !== undefined) hashes.add(volume.hash)
    }
    return hashes
  }

  /** The agents that name a catalogue in their record. */
  naming (hash: string): Iterable<Offer> {
    return [...this.#byHash.get(hash) ?? []]
  }

  add (offer: Offer): void {
    put(this.#byAgent, offer.entry.name, offer)
    put(this.#byHash, offer.entry.catalogue, offer)
    this.#indexTools(offer)
  }

  remove (offer: Offer): void {
    take(this.#byAgent, offer.entry.name, offer)
    take(this.#byHash, offer.entry.catalogue, offer)
    this.#unindexTools(offer)
  }

  /** Puts another entry of the same agent in place. */
  setEntry (offer: Offer, entry: AgentEntry): void {
    take(this.#byHash, offer.entry.catalogue, offer)
    offer.entry = entry
    put(this.#byHash, entry.catalogue, offer)
  }

  /** Shows no catalogue any more that is not among those named. */
  hide (shown: ReadonlySet<string>): void {
    for (const offer of this.#all()) {
      if (offer.volume !== undefined && !shown.has(offer.volume.hash)) this.setVolume(offer, undefined)
    }
  }

  setVolume (offer: Offer, volume: Volume | undefined): void {
    this.#unindexTools(offer)
    offer.volume = volume
    this.#indexTools(offer)
  }

  /** Every provider that fits, in no particular order. With a tool in the query it takes microseconds in any swarm. */
  find (query: Query): Provider[] {
    const providers: Provider[] = []
    if (query.tool !== undefined) {
      for (const [offer, item] of this.#byTool.get(query.tool) ?? []) {
        if (fits(offer, query)) providers.push(provide(offer, item))
      }
      return providers
    }
    for (const offer of query.agent === undefined ? this.#all() : this.#byAgent.get(query.agent) ?? []) {
      if (!fits(offer, query)) continue
      for (const item of offer.volume?.items.values() ?? []) providers.push(provide(offer, item))
    }
    return providers
  }

  /** The names of all tools that can be called now, sorted. */
  toolNames (): string[] {
    const names: string[] = []
    for (const [name, offers] of this.#byTool) {
      for (const offer of offers.keys()) {
        if (reasonOf(offer) !== undefined) continue
        names.push(name)
        break
      }
    }
    return names.sort()
  }

  /** Each names one catalogue. */
  * #all (): Iterable<Offer> {
    for (const offers of this.#byHash.values()) yield* offers
  }

  #indexTools (offer: Offer): void {
    for (const [name, item] of offer.volume?.items ?? []) {
      const offers = this.#byTool.get(name)
      if (offers === undefined) this.#byTool.set(name, new Map([[offer, item]]))
      else offers.set(offer, item)
    }
  }

  #unindexTools (offer: Offer): void {
    for (const name of offer.volume?.items.keys() ?? []) take(this.#byTool, name, offer)
  }
}

function fits (offer: Offer, { agent, peer, pool, all = false }: Query): boolean {
  const { peer: { record, absence }, entry, refusal } = offer
  if (!all && (absence !== undefined || refusal !== undefined || !entry.available)) return false
  if (agent !== undefined && entry.name !== agent) return false
  if (pool !== undefined && entry.pool !== pool) return false
  return peer === undefined || record.peerId === peer || record.name === peer
}

function provide (offer: Offer, item: Item): Provider {
  const { peer: { record: { peerId, name: peerName } }, entry: agent } = offer
  const { tool, hash: toolHash } = item
  const reason = reasonOf(offer)
  if (reason === undefined) return { peerId, peerName, agent, tool, toolHash, available: true }
  return { peerId, peerName, agent, tool, toolHash, available: false, reason }
}

function put (index: Map<string, Set<Offer>>, key: string, offer: Offer): void {
  const offers = index.get(key)
  if (offers === undefined) index.set(key, new Set([offer]))
  else offers.add(offer)
}

function take (index: Map<string, Set<Offer> | Map<Offer, Item>>, key: string, offer: Offer): void {
  const offers = index.get(key)
  offers?.delete(offer)
  if (offers?.size === 0) index.delete(key)
}
