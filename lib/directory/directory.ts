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
 * Who has a place, and who goes when there are too many, is in places.ts; how one peer comes and goes in lives.ts; what the peers
 * offer in stock.ts.
 */
import { assert, type ErrorCode } from '../base/error.ts'
import type { Catalogue } from './catalogue.ts'
import type { Change, Merged } from './change.ts'
import { Marks, markOf } from './digest.ts'
import { LIBRARY_BYTES_MAX } from './library.ts'
import { Lives } from './lives.ts'
import type { Provider, Query } from './offers.ts'
import { viewOffering, viewPeer, type Absence, type AgentView, type Offering, type Peer, type PeerView } from './peer.ts'
import { Places, type PlacesLimits } from './places.ts'
import { compareAge, type PeerRecord } from './record.ts'
import { sharersOf } from './sharers.ts'
import { Stock } from './stock.ts'
import { Texts } from './texts.ts'

export type { Change, Merged } from './change.ts'
export type { Provider, Query } from './offers.ts'
export type { Absence, AgentView, Offering, PeerView } from './peer.ts'

/** Where a record names its peer: to look it up, not to believe it. */
const NAMED = /"peerId":"(\w{1,64})"/
const SHOWS_GRANT = '"grant":"'

/** How often catalogues that no agent names are dropped. */
const SWEEP_MS = 60_000

/** How a record was heard. */
export interface Heard {
  /** Over a connection whose other end is that very peer. Default false. */
  readonly direct?: boolean
  /** How long ago it was heard first, as others say, in milliseconds: so much of its lease is over. Default 0. */
  readonly ageMs?: number
  /** Its peer has shown to be a member: by that connection, as by default, or by the grant in the record. */
  readonly isProven?: boolean
}

export class Directory {
  readonly peerId: string
  readonly #places: Places
  readonly #stock: Stock
  /** The newest records of all living peers, this one among them. */
  readonly marks = new Marks()
  readonly #lives: Lives
  /** Of the records held. */
  readonly #texts = new Texts()
  readonly share = (text: string): string => this.#texts.share(text)
  #sweptMs = -Infinity

  /** @param limits defaults those of places.ts, and LIBRARY_BYTES_MAX */
  constructor (peerId: string, limits: PlacesLimits & { libraryBytesMax?: number } = {}) {
    this.peerId = peerId
    this.#places = new Places(peerId, limits)
    this.#stock = new Stock(limits.libraryBytesMax ?? LIBRARY_BYTES_MAX)
    this.#lives = new Lives(peerId, this.#places, this.#stock, this.marks)
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
    return this.#lives.begin(this.#places.get(this.peerId), record, wire, Infinity)
  }

  /**
   * Takes in a verified record.
   *
   * @param heard by default from another, just now
   */
  merge (record: PeerRecord, wire: string, nowMs: number, { direct = false, ageMs = 0, isProven = direct }: Heard = {}): Merged {
    const { peerId } = record
    if (peerId === this.peerId) return { outcome: 'own', changes: [] }
    const merged = this.#merge(record, wire, nowMs, { direct, ageMs, isProven })
    if (!isProven || !this.#places.prove(peerId) || !this.isCrowded || merged.changes.length > 0 || !this.isLiving(peerId)) return merged
    return { ...merged, changes: [{ kind: 'peer-updated', peer: viewPeer(this.#places.get(peerId) as Peer, this.peerId) }] }
  }

  #merge (record: PeerRecord, wire: string, nowMs: number, { direct, ageMs, isProven }: Required<Heard>): Merged {
    const held = this.#places.get(record.peerId)
    const endsMs = nowMs + record.leaseMs - ageMs
    const age = held === undefined ? 1 : compareAge(record, held.record) || compareText(wire, held.wire)
    if (age < 0) return { outcome: 'outdated', changes: [] }
    if (held !== undefined && age === 0) {
      if (!(direct || (held.absence === 'stored' && endsMs > nowMs)) || held.record.left === true) return { outcome: 'known', changes: [] }
      const revived = held.absence !== undefined
      const changes = revived ? this.#lives.begin(held, held.record, held.wire, endsMs) : []
      held.atMs = endsMs
      return { outcome: revived ? 'revived' : 'renewed', changes }
    }
    if (endsMs <= nowMs) return { outcome: 'known', changes: [] }
    const gone = held === undefined ? this.#lives.makeRoom(record.peerId, isProven, nowMs) : []
    if (gone === undefined) return { outcome: 'full', changes: [] }
    const changes = record.left === true ? this.#lives.leave(held, record, wire, nowMs) : this.#lives.begin(held, record, wire, endsMs)
    return { outcome: 'taken', changes: [...gone, ...changes] }
  }

  /** Takes in a record from disk: its peer is known, with its agents, but does not count as living until it is heard. */
  recall (record: PeerRecord, wire: string, nowMs: number): void {
    const { peerId } = record
    if (peerId === this.peerId || record.left === true || this.#places.get(peerId) !== undefined || this.#lives.makeRoom(peerId, false, nowMs) === undefined) return
    const peer: Peer = { record, wire, absence: 'stored', atMs: nowMs, offers: [] }
    this.#places.hold(peer)
    for (const entry of record.agents) this.#stock.add(peer, entry)
  }

  /** A peer that failed its probe no longer counts as living; it stays known, with its addresses. */
  remove (peerId: string, nowMs: number): Change[] {
    const peer = this.#places.get(peerId)
    return peer === undefined || peer.absence !== undefined || peerId === this.peerId ? [] : this.#lives.end(peer, 'unreachable', nowMs)
  }

  /**
   * Ends leases, and forgets peers that have long been absent or are too many; to be called about once a second.
   *
   * @param isWatched whether a peer is known to live by other means than its lease
   */
  tick (nowMs: number, isWatched: (peerId: string) => boolean = () => false): Change[] {
    const changes = this.#places.due(nowMs).flatMap(peer => {
      if (peer.absence !== undefined) return this.#lives.forget(peer, nowMs)
      return isWatched(peer.record.peerId) ? [] : this.#lives.end(peer, 'expired', nowMs)
    })
    for (const peer of this.#places.surplus(this.livingCount, nowMs)) changes.push(...this.#lives.forget(peer, nowMs))
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
    return this.#stock.addCatalogue(hash, catalogue, bytes)
  }

  /** Notes whether a peer lets us see a catalogue of its agents: `refusal` is its code, undefined where it does. */
  setReadable (peerId: string, hash: string, refusal: ErrorCode | undefined): Change[] {
    return this.#stock.setReadable(peerId, hash, refusal)
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
    const peer = this.#places.get(peerId)
    return peer === undefined ? undefined : { record: peer.record, wire: peer.wire }
  }

  /** Living peers, this one among them. */
  get livingCount (): number {
    return this.marks.size
  }

  /** Whether so many live that each is to show its grant in its record. */
  get isCrowded (): boolean {
    return this.#places.isCrowd(this.livingCount)
  }

  /** Whether a peer has shown to be a member since it is known. */
  isProven (peerId: string): boolean {
    return this.#places.isProven(peerId)
  }

  /** Whether there is no place for the peer that a record names: to be asked before its signature is verified. */
  refuses (wire: string): boolean {
    const peerId = NAMED.exec(wire)?.[1]
    return peerId !== undefined && this.#places.get(peerId) === undefined && !wire.includes(SHOWS_GRANT) && this.#places.room(peerId, false) === false
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
    const peer = this.#places.get(peerId)
    if (peer === undefined || (peer.absence !== undefined && peer.absence !== 'left')) return undefined
    if (peerId === this.peerId || peer.absence === 'left') return { wire: peer.wire, ageMs: 0 }
    return { wire: peer.wire, ageMs: Math.max(0, nowMs + peer.record.leaseMs - peer.atMs) }
  }

  /** For each topic of documents that this peer takes part in: the other living peers that do too. */
  sharers (): ReadonlySet<string>[] {
    return sharersOf(this.own?.record, this.#places.all())
  }

  /** Why a known peer does not count as living; undefined while it does, and for one that is not known. */
  absence (peerId: string): Absence | undefined {
    return this.#places.get(peerId)?.absence
  }

  isLiving (peerId: string): boolean {
    const peer = this.#places.get(peerId)
    return peer !== undefined && peer.absence === undefined
  }

  /** Whether all is known that a peer has said to offer. */
  isWhole (peerId: string): boolean {
    return this.#places.get(peerId)?.record.agents.every(({ catalogue }) => this.hasCatalogue(catalogue)) ?? false
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
    const peers = [...this.#places.all()].filter(peer => all || peer.absence === undefined)
    return peers.map(peer => viewPeer(peer, this.peerId)).sort((left, right) => left.peerId < right.peerId ? -1 : 1)
  }

  /** Agents of living peers by peer id and name; with `all` also those of absent ones. */
  agents (options: { all?: boolean } = {}): AgentView[] {
    return this.peers(options).flatMap(peer => peer.agents)
  }

  /** Every known agent with its catalogue, of absent peers too; in no particular order. */
  offerings (): Offering[] {
    return [...this.#places.all()].flatMap(({ offers }) => offers.map(viewOffering))
  }
}

/** Two records of one age are a fault of their peer; of these too everybody holds the same. */
function compareText (left: string, right: string): number {
  return left === right ? 0 : left < right ? -1 : 1
}
