/**
 * The merged records of all known peers: a pure core, the same for records that come from the peer itself, from others and
 * from disk.
 *
 * A peer is living, or absent for a reason: stored (known from disk), expired, unreachable or left. Invariants:
 * - of one peer the record with the highest (incarnation, sequence) is held, in whatever order records arrive; after a
 *   record that says `left` only a higher one counts, and that record stays as long as any absent peer's does;
 * - the lease runs from the moment a record was first heard by anyone who passed it on, each by its own clock; no later
 *   telling by others makes it longer;
 * - a record heard once more revives or renews its peer only when it comes directly, from a connection whose other end
 *   has proven to be that peer: a thawed process is back at once, while a replay by others changes nothing. But one from
 *   disk counts as soon as anybody says that it still holds;
 * - nobody but `setOwn` changes this peer's own record;
 * - a record that names a new catalogue leaves the tools of the last one in place until the new one is here.
 */
import { assert, type ErrorCode } from '../base/error.ts'
import { canonicalJson } from '../base/json.ts'
import type { Catalogue } from './catalogue.ts'
import { markOf } from './digest.ts'
import { Library, LIBRARY_BYTES_MAX } from './library.ts'
import { Offers, type Provider, type Query } from './offers.ts'
import { viewAgent, viewOffering, viewPeer, type Absence, type AgentView, type Offer, type Offering, type Peer, type PeerView } from './peer.ts'
import { compareAge, type AgentEntry, type PeerRecord } from './record.ts'

export type { Provider, Query } from './offers.ts'
export type { Absence, AgentView, Offering, PeerView } from './peer.ts'

/** Peers known at once, living or not. */
export const PEERS_MAX = 10_000

/** How long an absent peer stays known, and how long one that has left: enough for any late copy of an older record. */
export const ABSENT_MS_MAX = 24 * 3_600_000
export const LEFT_MS_MAX = 3_600_000

/** How often catalogues that no agent names are dropped. */
const SWEEP_MS = 60_000

/** What happened, for whoever tells of events: a peer that joins or leaves brings or takes its agents one by one. */
export type Change =
  | { readonly kind: 'peer-joined' | 'peer-updated', readonly peer: PeerView }
  | { readonly kind: 'peer-left', readonly peer: PeerView, readonly why: Absence }
  | { readonly kind: 'agent-added' | 'agent-changed' | 'agent-removed', readonly agent: AgentView }

export interface Merged {
  /**
   * taken: newer than what was held. revived: no newer, but its peer lives again. renewed: a further lease. known: nothing
   * new. outdated: a newer one is held. own: about this peer. full: no room for a further peer.
   */
  readonly outcome: 'taken' | 'revived' | 'renewed' | 'known' | 'outdated' | 'own' | 'full'
  readonly changes: readonly Change[]
}

export class Directory {
  readonly peerId: string
  readonly #peersMax: number
  readonly #peers = new Map<string, Peer>()
  readonly #offers = new Offers()
  readonly #library: Library
  /** Living peers, this one among them, by the marks of their records. */
  readonly #marks = new Map<string, string>()
  #sweptMs = -Infinity
  #edition = 0

  /** @param limits defaults PEERS_MAX and LIBRARY_BYTES_MAX */
  constructor (peerId: string, limits: { peersMax?: number, libraryBytesMax?: number } = {}) {
    this.peerId = peerId
    this.#peersMax = limits.peersMax ?? PEERS_MAX
    this.#library = new Library(limits.libraryBytesMax ?? LIBRARY_BYTES_MAX)
  }

  /** Bytes of all catalogues held. */
  get libraryBytes (): number {
    return this.#library.bytes
  }

  /** Another number whenever `offerings` may give something else, also where no change is told: of absent peers. */
  get edition (): number {
    return this.#edition
  }

  /** This peer's own record, as last set. */
  get own (): { readonly record: PeerRecord, readonly wire: string } | undefined {
    return this.record(this.peerId)
  }

  /** Puts this peer's own record in place. Its catalogues go in by `addCatalogue`, best before it. */
  setOwn (record: PeerRecord, wire: string): Change[] {
    assert(record.peerId === this.peerId, 'own record of another peer')
    return this.#place(this.#peers.get(this.peerId), record, wire, Infinity)
  }

  /**
   * Takes in a verified record.
   *
   * @param options.direct it came over a connection whose other end is that very peer
   * @param options.ageMs how long ago it was heard first, as others say: so much of its lease is over
   */
  merge (record: PeerRecord, wire: string, nowMs: number, { direct = false, ageMs = 0 } = {}): Merged {
    if (record.peerId === this.peerId) return { outcome: 'own', changes: [] }
    const held = this.#peers.get(record.peerId)
    const endsMs = nowMs + record.leaseMs - ageMs
    const age = held === undefined ? 1 : compareAge(record, held.record) || compareText(wire, held.wire)
    if (age < 0) return { outcome: 'outdated', changes: [] }
    if (held !== undefined && age === 0) {
      if (!(direct || (held.absence === 'stored' && endsMs > nowMs)) || held.record.left === true) return { outcome: 'known', changes: [] }
      const revived = held.absence !== undefined
      const changes = revived ? this.#place(held, held.record, held.wire, endsMs) : []
      held.atMs = endsMs
      return { outcome: revived ? 'revived' : 'renewed', changes }
    }
    if (endsMs <= nowMs) return { outcome: 'known', changes: [] }
    if (held === undefined && !this.#makeRoom()) return { outcome: 'full', changes: [] }
    const changes = record.left === true ? this.#placeLeft(held, record, wire, nowMs) : this.#place(held, record, wire, endsMs)
    return { outcome: 'taken', changes }
  }

  /** Takes in a record from disk: its peer is known, with its agents, but does not count as living until it is heard. */
  recall (record: PeerRecord, wire: string, nowMs: number): void {
    if (record.peerId === this.peerId || record.left === true || this.#peers.has(record.peerId) || !this.#makeRoom()) return
    const peer: Peer = { record, wire, absence: 'stored', atMs: nowMs, offers: new Map() }
    this.#peers.set(record.peerId, peer)
    for (const entry of record.agents) this.#addOffer(peer, entry)
  }

  /** A peer that failed its probe no longer counts as living; it stays known, with its addresses. */
  remove (peerId: string, nowMs: number): Change[] {
    const peer = this.#peers.get(peerId)
    return peer === undefined || peer.absence !== undefined || peerId === this.peerId ? [] : this.#makeAbsent(peer, 'unreachable', nowMs)
  }

  /**
   * Ends leases and forgets peers that have long been absent; to be called about once a second.
   *
   * @param isWatched whether a peer is known to live by other means than its lease
   */
  tick (nowMs: number, isWatched: (peerId: string) => boolean = () => false): Change[] {
    const changes: Change[] = []
    for (const [peerId, peer] of this.#peers) {
      if (peer.absence === undefined) {
        if (nowMs >= peer.atMs && !isWatched(peerId)) changes.push(...this.#makeAbsent(peer, 'expired', nowMs))
      } else if (nowMs - peer.atMs >= (peer.absence === 'left' ? LEFT_MS_MAX : ABSENT_MS_MAX)) this.#forget(peerId, peer)
    }
    if (nowMs - this.#sweptMs >= SWEEP_MS) {
      this.#sweptMs = nowMs
      const needed = this.#offers.hashes(() => true)
      this.#library.sweep(hash => needed.has(hash))
    }
    return changes
  }

  /**
   * Takes in a verified catalogue, and shows its tools wherever a record names it.
   * Where the budget is spent, catalogues go that only absent peers name; if that is not enough it is not held.
   *
   * @param bytes of its text
   */
  addCatalogue (hash: string, catalogue: Catalogue, bytes: number): Change[] {
    if (this.#library.get(hash) === undefined) {
      if (!this.#library.hasRoomFor(bytes)) this.#sweepAbsent()
      if (!this.#library.hasRoomFor(bytes)) return []
      this.#library.add(hash, catalogue, bytes)
    }
    return this.#show(hash)
  }

  /** Notes whether a peer lets us see a catalogue of its agents: `refusal` is its code, undefined where it does. */
  setReadable (peerId: string, hash: string, refusal: ErrorCode | undefined): Change[] {
    const changes: Change[] = []
    for (const offer of this.#offers.naming(hash)) {
      if (offer.peer.record.peerId !== peerId || offer.refusal === refusal) continue
      offer.refusal = refusal
      this.#edition++
      this.#offers.setVolume(offer, refusal === undefined ? this.#library.get(hash) : undefined)
      if (offer.peer.absence === undefined) changes.push({ kind: 'agent-changed', agent: viewAgent(offer) })
    }
    return changes
  }

  catalogue (hash: string): Catalogue | undefined {
    return this.#library.get(hash)?.catalogue
  }

  /**
   * The text of a catalogue as any member may see it. Undefined where it is not here, or where a peer shows it to some alone: then
   * that peer is the one to ask, even if another names it too.
   */
  openText (hash: string): string | undefined {
    const volume = this.#library.get(hash)
    const offers = [...this.#offers.naming(hash)]
    if (volume === undefined || offers.length === 0 || offers.some(({ entry }) => entry.restricted === true)) return undefined
    return JSON.stringify(volume.catalogue)
  }

  /** Whether a catalogue that any member may see is not here, though a living peer offers it. */
  isMissing (hash: string): boolean {
    if (this.hasCatalogue(hash)) return false
    return [...this.#offers.naming(hash)].some(({ entry, peer }) => entry.restricted !== true && peer.absence === undefined)
  }

  hasCatalogue (hash: string): boolean {
    return this.#library.get(hash) !== undefined
  }

  /** The newest record of a peer, with the text it came in. */
  record (peerId: string): { readonly record: PeerRecord, readonly wire: string } | undefined {
    const peer = this.#peers.get(peerId)
    return peer === undefined ? undefined : { record: peer.record, wire: peer.wire }
  }

  /** The marks of the newest records of all living peers, this one among them. */
  marks (): Iterable<string> {
    return this.#marks.keys()
  }

  /** How many those are. */
  get livingCount (): number {
    return this.#marks.size
  }

  /** The peer whose newest record has a mark, if it lives. */
  marked (mark: string): string | undefined {
    return this.#marks.get(mark)
  }

  /** A record that is held already, so that its signature need not be verified once more. */
  signed (wire: string): { readonly record: PeerRecord, readonly wire: string } | undefined {
    const held = this.record(this.#marks.get(markOf(wire)) ?? '')
    return held?.wire === wire ? held : undefined
  }

  /** What others are told of a living peer: its record as it came, and how long ago it was first heard, in milliseconds. */
  tell (peerId: string, nowMs: number): { readonly wire: string, readonly ageMs: number } | undefined {
    const peer = this.#peers.get(peerId)
    if (peer === undefined || (peer.absence !== undefined && peer.absence !== 'left')) return undefined
    if (peerId === this.peerId || peer.absence === 'left') return { wire: peer.wire, ageMs: 0 }
    return { wire: peer.wire, ageMs: Math.max(0, nowMs + peer.record.leaseMs - peer.atMs) }
  }

  /** For each topic of documents that this peer takes part in: the other living peers that do too. */
  sharers (): ReadonlySet<string>[] {
    const own = Number.parseInt(this.own?.record.documents ?? '0', 16)
    const groups: Set<string>[] = []
    for (let topic = 0; topic < 32; topic++) if ((own >>> topic & 1) === 1) groups[topic] = new Set()
    if (own === 0) return []
    for (const [peerId, { absence, record: { documents } }] of this.#peers) {
      if (absence !== undefined || documents === undefined || peerId === this.peerId) continue
      const shared = (Number.parseInt(documents, 16) & own) >>> 0
      for (let topic = 0; topic < 32; topic++) if ((shared >>> topic & 1) === 1) groups[topic]?.add(peerId)
    }
    return groups.filter(group => group.size > 0)
  }

  /** Why a known peer does not count as living; undefined while it does, and for one that is not known. */
  absence (peerId: string): Absence | undefined {
    return this.#peers.get(peerId)?.absence
  }

  isLiving (peerId: string): boolean {
    const peer = this.#peers.get(peerId)
    return peer !== undefined && peer.absence === undefined
  }

  /** Whether all is known that a peer has said to offer. */
  isWhole (peerId: string): boolean {
    return this.#peers.get(peerId)?.record.agents.every(({ catalogue }) => this.hasCatalogue(catalogue)) ?? false
  }

  /** Providers that can serve now, from what is known here: no waiting. In no particular order. */
  find (query: Query): Provider[] {
    return this.#offers.find(query)
  }

  /** The names of all tools that can be called now, sorted. */
  toolNames (): string[] {
    return this.#offers.toolNames()
  }

  /** Living peers, this one among them, by peer id; with `all` also those known but absent. */
  peers ({ all = false } = {}): PeerView[] {
    const peers = [...this.#peers.values()].filter(peer => all || peer.absence === undefined)
    return peers.map(peer => viewPeer(peer, this.peerId)).sort((left, right) => left.peerId < right.peerId ? -1 : 1)
  }

  /** Agents of living peers by peer id and name; with `all` also those of absent ones. */
  agents (options: { all?: boolean } = {}): AgentView[] {
    return this.peers(options).flatMap(peer => peer.agents)
  }

  /** Every known agent with its catalogue, of absent peers too; in no particular order. */
  offerings (): Offering[] {
    return [...this.#peers.values()].flatMap(({ offers }) => [...offers.values()].map(viewOffering))
  }

  #place (held: Peer | undefined, record: PeerRecord, wire: string, leaseEndsMs: number): Change[] {
    const joins = held === undefined || held.absence !== undefined
    const peer: Peer = held ?? { record, wire, absence: undefined, atMs: leaseEndsMs, offers: new Map() }
    const renamed = peer.record.name !== record.name
    this.#edition++
    this.#marks.delete(markOf(peer.wire))
    this.#marks.set(markOf(wire), record.peerId)
    Object.assign(peer, { record, wire, absence: undefined, atMs: leaseEndsMs })
    this.#peers.set(record.peerId, peer)
    const changes: Change[] = []
    const names = new Set(record.agents.map(agent => agent.name))
    for (const [name, offer] of peer.offers) {
      if (names.has(name)) continue
      if (!joins) changes.push({ kind: 'agent-removed', agent: viewAgent(offer) })
      this.#dropOffer(peer, offer)
    }
    for (const entry of record.agents) {
      const offer = peer.offers.get(entry.name)
      if (offer === undefined) changes.push({ kind: 'agent-added', agent: viewAgent(this.#addOffer(peer, entry)) })
      else {
        const changed = renamed || canonicalJson(offer.entry) !== canonicalJson(entry)
        if (changed) this.#changeOffer(offer, entry)
        if (joins || changed) changes.push({ kind: joins ? 'agent-added' : 'agent-changed', agent: viewAgent(offer) })
      }
    }
    return [{ kind: joins ? 'peer-joined' : 'peer-updated', peer: viewPeer(peer, this.peerId) }, ...changes]
  }

  #placeLeft (held: Peer | undefined, record: PeerRecord, wire: string, nowMs: number): Change[] {
    const peer: Peer = held ?? { record, wire, absence: 'stored', atMs: nowMs, offers: new Map() }
    this.#peers.set(record.peerId, peer)
    const changes = peer.absence === undefined ? this.#makeAbsent(peer, 'left', nowMs) : []
    for (const offer of peer.offers.values()) this.#dropOffer(peer, offer)
    Object.assign(peer, { record, wire, absence: 'left', atMs: nowMs })
    return changes
  }

  #makeAbsent (peer: Peer, why: Absence, nowMs: number): Change[] {
    peer.absence = why
    peer.atMs = nowMs
    this.#marks.delete(markOf(peer.wire))
    this.#edition++
    const view = viewPeer(peer, this.peerId)
    return [{ kind: 'peer-left', peer: view, why }, ...view.agents.map(agent => ({ kind: 'agent-removed', agent } as const))]
  }

  #forget (peerId: string, peer: Peer): void {
    for (const offer of peer.offers.values()) this.#dropOffer(peer, offer)
    this.#peers.delete(peerId)
  }

  /** Makes room for one more peer at the cost of the longest absent. */
  #makeRoom (): boolean {
    if (this.#peers.size < this.#peersMax) return true
    let oldest: [string, Peer] | undefined
    for (const entry of this.#peers) {
      if (entry[1].absence !== undefined && (oldest === undefined || entry[1].atMs < oldest[1].atMs)) oldest = entry
    }
    if (oldest === undefined) return false
    this.#forget(...oldest)
    return true
  }

  #addOffer (peer: Peer, entry: AgentEntry): Offer {
    const offer: Offer = { peer, entry, volume: this.#library.get(entry.catalogue), refusal: undefined }
    peer.offers.set(entry.name, offer)
    this.#offers.add(offer)
    this.#edition++
    return offer
  }

  #changeOffer (offer: Offer, entry: AgentEntry): void {
    const renewed = offer.entry.catalogue !== entry.catalogue
    this.#offers.setEntry(offer, entry)
    if (!renewed) return
    offer.refusal = undefined
    const volume = this.#library.get(entry.catalogue)
    if (volume !== undefined) this.#offers.setVolume(offer, volume)
  }

  #dropOffer (peer: Peer, offer: Offer): void {
    peer.offers.delete(offer.entry.name)
    this.#offers.remove(offer)
    this.#edition++
  }

  #show (hash: string): Change[] {
    const volume = this.#library.get(hash)
    const changes: Change[] = []
    for (const offer of this.#offers.naming(hash)) {
      if (offer.refusal !== undefined || offer.volume === volume) continue
      this.#offers.setVolume(offer, volume)
      this.#edition++
      if (offer.peer.absence === undefined) changes.push({ kind: 'agent-changed', agent: viewAgent(offer) })
    }
    return changes
  }

  #sweepAbsent (): void {
    const needed = this.#offers.hashes(peer => peer.absence === undefined)
    this.#offers.hide(needed)
    this.#edition++
    this.#library.sweep(hash => needed.has(hash))
  }
}

/** Two records of one age are a fault of their peer; of these too everybody holds the same. */
function compareText (left: string, right: string): number {
  return left === right ? 0 : left < right ? -1 : 1
}
