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
 * - nobody but `setOwn` changes this peer's own record.
 * What the peers offer is in stock.ts.
 */
import { assert, type ErrorCode } from '../base/error.ts'
import { canonicalJson } from '../base/json.ts'
import type { Catalogue } from './catalogue.ts'
import { Marks, markOf } from './digest.ts'
import { LIBRARY_BYTES_MAX } from './library.ts'
import type { Provider, Query } from './offers.ts'
import { viewAgent, viewOffering, viewPeer, type Absence, type AgentView, type Offer, type Offering, type Peer, type PeerView } from './peer.ts'
import { compareAge, type PeerRecord } from './record.ts'
import { Stock } from './stock.ts'
import { Texts } from './texts.ts'

export type { Provider, Query } from './offers.ts'
export type { Absence, AgentView, Offering, PeerView } from './peer.ts'

/** Peers known at once, living or not. */
export const PEERS_MAX = 10_000

/** How long an absent peer stays known, and how long one that has left: enough for any late copy of an older record. */
export const ABSENT_MS_MAX = 24 * 3_600_000
export const LEFT_MS_MAX = 3_600_000

/** Where a record names its peer: to look it up, not to believe it. */
const NAMED = /"peerId":"(\w{1,64})"/

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
  readonly #stock: Stock
  /** The newest records of all living peers, this one among them. */
  readonly marks = new Marks()
  /** Of the records held. */
  readonly #texts = new Texts()
  readonly share = (text: string): string => this.#texts.share(text)
  #sweptMs = -Infinity
  /** Before that no lease ends, and nobody is forgotten. */
  #dueMs = Infinity

  /** @param limits defaults PEERS_MAX and LIBRARY_BYTES_MAX */
  constructor (peerId: string, limits: { peersMax?: number, libraryBytesMax?: number } = {}) {
    this.peerId = peerId
    this.#peersMax = limits.peersMax ?? PEERS_MAX
    this.#stock = new Stock(limits.libraryBytesMax ?? LIBRARY_BYTES_MAX)
  }

  /** Bytes of all catalogues held. */
  get libraryBytes (): number {
    return this.#stock.bytes
  }

  /** Another number whenever `offerings` may give something else, also where no change is told: of absent peers. */
  get edition (): number {
    return this.#stock.edition
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
    const peer: Peer = { record, wire, absence: 'stored', atMs: nowMs, offers: [] }
    this.#peers.set(record.peerId, peer)
    this.#expect(peer)
    for (const entry of record.agents) this.#stock.add(peer, entry)
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
    const changes = nowMs < this.#dueMs ? [] : this.#endLeases(nowMs, isWatched)
    if (nowMs - this.#sweptMs >= SWEEP_MS) {
      this.#sweptMs = nowMs
      this.#stock.sweep()
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
    return this.#stock.addCatalogue(hash, catalogue, bytes).flatMap(tellOffer)
  }

  /** Notes whether a peer lets us see a catalogue of its agents: `refusal` is its code, undefined where it does. */
  setReadable (peerId: string, hash: string, refusal: ErrorCode | undefined): Change[] {
    return this.#stock.setReadable(peerId, hash, refusal).flatMap(tellOffer)
  }

  catalogue (hash: string): Catalogue | undefined {
    return this.#stock.catalogue(hash)
  }

  /**
   * The text of a catalogue as any member may see it. Undefined where it is not here, or where a peer shows it to some alone: then
   * that peer is the one to ask, even if another names it too.
   */
  openText (hash: string): string | undefined {
    return this.#stock.openText(hash)
  }

  /** Whether a catalogue that any member may see is not here, though a living peer offers it. */
  isMissing (hash: string): boolean {
    return this.#stock.isMissing(hash)
  }

  hasCatalogue (hash: string): boolean {
    return this.#stock.has(hash)
  }

  /** The newest record of a peer, with the text it came in. */
  record (peerId: string): { readonly record: PeerRecord, readonly wire: string } | undefined {
    const peer = this.#peers.get(peerId)
    return peer === undefined ? undefined : { record: peer.record, wire: peer.wire }
  }

  /** Living peers, this one among them. */
  get livingCount (): number {
    return this.marks.size
  }

  /** The peer whose newest record has a mark, if it lives. */
  marked (mark: string): string | undefined {
    return this.marks.get(mark)
  }

  /** A record that is held already, so that its signature need not be verified once more: of a peer that lives, or that did. */
  signed (wire: string): { readonly record: PeerRecord, readonly wire: string } | undefined {
    const held = this.record(this.marks.get(markOf(wire)) ?? NAMED.exec(wire)?.[1] ?? '')
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
    return this.#stock.find(query)
  }

  /** The names of all tools that can be called now, sorted. */
  toolNames (): string[] {
    return this.#stock.toolNames()
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
    return [...this.#peers.values()].flatMap(({ offers }) => offers.map(viewOffering))
  }

  #endLeases (nowMs: number, isWatched: (peerId: string) => boolean): Change[] {
    const changes: Change[] = []
    this.#dueMs = Infinity
    for (const [peerId, peer] of this.#peers) {
      if (peer.absence !== undefined && nowMs >= endOf(peer)) {
        this.#forget(peerId, peer)
        continue
      }
      if (nowMs >= endOf(peer) && !isWatched(peerId)) changes.push(...this.#makeAbsent(peer, 'expired', nowMs))
      this.#expect(peer)
    }
    return changes
  }

  /** A peer is to be looked at again when its lease ends, or it has long been absent. */
  #expect (peer: Peer): void {
    this.#dueMs = Math.min(this.#dueMs, endOf(peer))
  }

  #place (held: Peer | undefined, record: PeerRecord, wire: string, leaseEndsMs: number): Change[] {
    const joins = held === undefined || held.absence !== undefined
    const peer: Peer = held ?? { record, wire, absence: undefined, atMs: leaseEndsMs, offers: [] }
    const renamed = peer.record.name !== record.name
    this.#stock.touch()
    this.marks.delete(markOf(peer.wire))
    this.marks.set(markOf(wire), record.peerId)
    Object.assign(peer, { record, wire, absence: undefined, atMs: leaseEndsMs })
    this.#expect(peer)
    this.#peers.set(record.peerId, peer)
    const changes: Change[] = []
    const names = new Set(record.agents.map(agent => agent.name))
    for (const offer of peer.offers) {
      if (names.has(offer.entry.name)) continue
      if (!joins) changes.push({ kind: 'agent-removed', agent: viewAgent(offer) })
      this.#stock.drop(peer, offer)
    }
    for (const entry of record.agents) {
      const offer = peer.offers.find(({ entry: { name } }) => name === entry.name)
      if (offer === undefined) changes.push({ kind: 'agent-added', agent: viewAgent(this.#stock.add(peer, entry)) })
      else {
        const changed = renamed || canonicalJson(offer.entry) !== canonicalJson(entry)
        if (changed) this.#stock.change(offer, entry)
        if (joins || changed) changes.push({ kind: joins ? 'agent-added' : 'agent-changed', agent: viewAgent(offer) })
      }
    }
    return [{ kind: joins ? 'peer-joined' : 'peer-updated', peer: viewPeer(peer, this.peerId) }, ...changes]
  }

  #placeLeft (held: Peer | undefined, record: PeerRecord, wire: string, nowMs: number): Change[] {
    const peer: Peer = held ?? { record, wire, absence: 'stored', atMs: nowMs, offers: [] }
    this.#peers.set(record.peerId, peer)
    const changes = peer.absence === undefined ? this.#makeAbsent(peer, 'left', nowMs) : []
    for (const offer of peer.offers) this.#stock.drop(peer, offer)
    Object.assign(peer, { record, wire, absence: 'left', atMs: nowMs })
    this.#expect(peer)
    return changes
  }

  #makeAbsent (peer: Peer, why: Absence, nowMs: number): Change[] {
    peer.absence = why
    peer.atMs = nowMs
    this.#expect(peer)
    this.marks.delete(markOf(peer.wire))
    this.#stock.touch()
    const view = viewPeer(peer, this.peerId)
    return [{ kind: 'peer-left', peer: view, why }, ...view.agents.map(agent => ({ kind: 'agent-removed', agent } as const))]
  }

  #forget (peerId: string, peer: Peer): void {
    for (const offer of peer.offers) this.#stock.drop(peer, offer)
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
}

/** When a peer is no longer living, or no longer known. */
function endOf ({ absence, atMs }: Peer): number {
  return absence === undefined ? atMs : atMs + (absence === 'left' ? LEFT_MS_MAX : ABSENT_MS_MAX)
}

/** Only of living peers: those that are absent offer nothing that could change. */
function tellOffer (offer: Offer): Change[] {
  return offer.peer.absence === undefined ? [{ kind: 'agent-changed', agent: viewAgent(offer) }] : []
}

/** Two records of one age are a fault of their peer; of these too everybody holds the same. */
function compareText (left: string, right: string): number {
  return left === right ? 0 : left < right ? -1 : 1
}
