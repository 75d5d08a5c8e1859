/**
 * What peers tell each other of third ones: all exchanges of one peer meet here.
 *
 * A record that was new here goes on to the other links, in full to EAGER_MAX of them and to the rest as a mark, by which they ask
 * for it if they lack it; every REPAIR_MS or so one neighbour is asked whether it holds the same. In a swarm where all are linked
 * to all (FULL_MAX) each tells its own record to everyone, and only marks go on. Records are signed, so nobody can put words into
 * another's mouth; what a liar can do is be silent, and repeat what is old.
 *
 * That a peer is gone is said by those that were linked to it. Whoever hears it passes it on once and waits SUSPECT_MS; a peer that
 * lives hears of it too, through whoever is linked to it, and refutes it by a record with a higher sequence. Only then, and only if
 * this peer is neither linked to it nor can dial it, does it count as gone. So a lie costs its victim a record and others
 * nothing.
 *
 * A catalogue that every member may see is fetched from whoever told of it, else from any neighbour, and known by its hash.
 */
import { utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import { Allowance } from './allowance.ts'
import { readCatalogue } from './catalogue.ts'
import type { Change, Directory } from './directory.ts'
import type { Exchange } from './exchange.ts'
import { compareAge, type PeerRecord } from './record.ts'
import { readSigned } from './shelf.ts'
import type { Gone } from './wire.ts'

/** Peers up to which everyone is linked to everyone, as a rule: this one counts. */
export const FULL_MAX = 16

/** Links that are told a new record in full. */
export const EAGER_MAX = 3

/** How often a neighbour is asked whether it holds the same, in milliseconds: between the two. */
export const REPAIR_MS_MIN = 10_000
export const REPAIR_MS_MAX = 30_000

/** How long a peer that is said to be gone has to refute it, in milliseconds, and how much of chance is added. */
export const SUSPECT_MS = 1_500
export const SUSPECT_MS_MORE = 1_000

/** Peers that are dialled at once because they are said to be gone. */
export const VERIFIED_MAX = 8

/** From one neighbour: records that must be verified, things said to be gone, comparisons: at once, and a second. */
export const RECORDS_BURST = 10_000
export const RECORDS_PER_SECOND = 200
export const RUMOURS_BURST = 256
export const RUMOURS_PER_SECOND = 16
export const REPAIRS_BURST = 16
export const REPAIRS_PER_SECOND = 1

/** Neighbours remembered, so that what they may do is not theirs anew when they begin anew. */
export const NEIGHBOURS_KEPT = 1_024

/** How long a record that was asked for by its mark may take, in milliseconds, before another is asked. */
export const NEEDED_MS = 2_000

/** How long a catalogue may take before another is asked, in milliseconds: first, and at most, after doubling. */
export const FETCH_MS = 300
export const FETCH_MS_MAX = 60_000

/** Catalogues fetched at once. */
export const FETCHES_MAX = 16

export interface HearsayEvents {
  changed (changes: readonly Change[]): void
  /** A record that says more than the last: worth keeping on disk. */
  recordTaken (record: PeerRecord, wire: string): void
  catalogueTaken (hash: string, text: string): void
  /** Others hold this later record of our own: go on with an incarnation above it, or nobody listens. */
  outdated (record: PeerRecord): void
  /** Others think that we are gone: say something new. */
  accused (): void
}

export interface HearsayOptions {
  readonly directory: Directory
  readonly swarmId: string
  readonly clock: Clock
  readonly random: Random
  readonly events: HearsayEvents
  /** Whether a connection to a peer is open, and watched. */
  readonly isLinked: (peerId: string) => boolean
  /** Dials a peer that is said to be gone; resolves with whether it is linked now. */
  readonly verify: (peerId: string) => Promise<boolean>
  /** Neither passes on nor takes in what others say of third ones, to see how peers do without. Default false. */
  readonly isOff?: boolean
}

interface Neighbour {
  readonly exchanges: Exchange[]
  readonly records: Allowance
  readonly rumours: Allowance
  readonly repairs: Allowance
}

interface Fetch {
  tries: number
  cancel: () => void
}

export class Hearsay {
  readonly #options: HearsayOptions
  readonly #neighbours = new Map<string, Neighbour>()
  /** Marks that were asked for, and until when nobody else is. */
  readonly #needed = new Map<string, number>()
  readonly #suspects = new Map<string, { readonly gone: Gone, readonly cancel: () => void }>()
  /** Suspects whose time is over, and who are to be dialled. */
  readonly #unverified = new Map<string, Gone>()
  #verifying = 0
  /** Of whom others think that they are gone, to be told as soon as they can be. */
  readonly #accused = new Map<string, Gone>()
  readonly #fetches = new Map<string, Fetch>()
  /** Peers that we said cannot be dialled, with their incarnation then. */
  readonly #doubted = new Map<string, number>()
  #cancelRepair: () => void = () => undefined
  #isClosed = false

  constructor (options: HearsayOptions) {
    this.#options = options
    if (options.isOff !== true) this.#repairLater()
  }

  get events (): HearsayEvents {
    return this.#options.events
  }

  /** Whether so many peers live that not all are linked to all. */
  get isWide (): boolean {
    return this.#options.directory.livingCount > FULL_MAX
  }

  add (exchange: Exchange): void {
    const nowMs = this.#options.clock.nowMs()
    const neighbour = this.#neighbours.get(exchange.peerId) ?? {
      exchanges: [],
      records: new Allowance(RECORDS_BURST, RECORDS_PER_SECOND, nowMs),
      rumours: new Allowance(RUMOURS_BURST, RUMOURS_PER_SECOND, nowMs),
      repairs: new Allowance(REPAIRS_BURST, REPAIRS_PER_SECOND, nowMs)
    }
    neighbour.exchanges.push(exchange)
    this.#neighbours.set(exchange.peerId, neighbour)
  }

  delete (exchange: Exchange): void {
    const neighbour = this.#neighbours.get(exchange.peerId)
    const index = neighbour?.exchanges.indexOf(exchange) ?? -1
    if (neighbour === undefined || index === -1) return
    neighbour.exchanges.splice(index, 1)
    // What one may do is not given back by beginning anew.
    for (const [peerId, { exchanges }] of this.#neighbours) {
      if (this.#neighbours.size <= NEIGHBOURS_KEPT) break
      if (exchanges.length === 0) this.#neighbours.delete(peerId)
    }
  }

  close (): void {
    this.#isClosed = true
    this.#cancelRepair()
    for (const { cancel } of [...this.#suspects.values(), ...this.#fetches.values()]) cancel()
    this.#suspects.clear()
    this.#fetches.clear()
    this.#unverified.clear()
  }

  /**
   * Passes on what is new of a peer.
   *
   * @param from heard it from there
   */
  spread (peerId: string, from?: Exchange): void {
    if (this.#options.isOff === true && peerId !== this.#options.directory.peerId) return
    const others = this.#others(peerId, from)
    const hasLeft = this.#options.directory.absence(peerId) === 'left'
    if (!this.isWide && hasLeft) return // it has told everyone itself
    for (let place = 0; place < others.length; place++) {
      const draw = place + Math.floor(this.#options.random.next() * (others.length - place))
      const exchange = others[draw] as Exchange
      others[draw] = others[place] as Exchange
      if (this.isWide && (hasLeft || place < EAGER_MAX)) exchange.tell(peerId)
      else exchange.mention(peerId)
    }
  }

  /** This peer was linked to one that is gone. */
  lost (peerId: string): void {
    const held = this.#options.directory.record(peerId)
    if (held === undefined) return
    const { incarnation, sequence } = held.record
    for (const exchange of this.#others(peerId)) exchange.sayGone([peerId, incarnation, sequence])
  }

  /**
   * This peer could not dial one that is said to live: the others are asked, once for each state of it, since it may be that only
   * we cannot.
   */
  suspect (peerId: string): void {
    const { directory, isLinked } = this.#options
    const held = directory.record(peerId)?.record
    if (held === undefined || !directory.isLiving(peerId) || isLinked(peerId) || this.#doubted.get(peerId) === held.incarnation) return
    this.#doubted.delete(peerId)
    this.#doubted.set(peerId, held.incarnation)
    for (const oldest of this.#doubted.keys()) {
      if (this.#doubted.size <= NEIGHBOURS_KEPT) break
      this.#doubted.delete(oldest)
    }
    this.#wait([peerId, held.incarnation, held.sequence])
  }

  /** A peer that was thought to be gone is heard again: it is to say something new, by which others know. */
  revived (exchange: Exchange, record: PeerRecord): void {
    const gone: Gone = [record.peerId, record.incarnation, record.sequence]
    this.#accused.delete(record.peerId)
    exchange.sayGone(gone)
  }

  /** An exchange has had the other end's record. */
  met (exchange: Exchange): void {
    const accused = this.#accused.get(exchange.peerId)
    if (accused === undefined) return
    this.#accused.delete(exchange.peerId)
    exchange.sayGone(accused)
  }

  /**
   * Another tells of a third peer.
   *
   * @throws SwarmError RECORD_INVALID; OVERLOADED if it tells more than anybody may
   */
  told (from: Exchange, wire: string, ageS: number): void {
    if (this.#options.isOff === true) return
    const { directory, clock, swarmId, events } = this.#options
    const { record, wire: text } = this.#read(from, wire, swarmId)
    const { peerId } = record
    const nowMs = clock.nowMs()
    const before = directory.record(peerId)?.record
    const { outcome, changes } = directory.merge(record, text, nowMs, { ageMs: ageS * 1_000 })
    if (outcome === 'own') {
      const own = directory.own?.record
      if (own !== undefined && own.left !== true && compareAge(record, own) > 0) events.outdated(record)
      return
    }
    if (outcome === 'outdated') return from.tell(peerId)
    if (outcome === 'known' && directory.absence(peerId) === 'unreachable') return from.sayGone([peerId, record.incarnation, record.sequence])
    if (outcome !== 'taken' && outcome !== 'revived') return
    this.#clear(peerId)
    if (outcome === 'taken' && !isSame(before, record)) events.recordTaken(record, text)
    if (changes.length > 0) events.changed(changes)
    if (outcome === 'taken') this.spread(peerId, from)
    if (record.left === true) return
    for (const { catalogue } of record.agents) this.#fetch(catalogue, this.#exchangeWith(peerId) === undefined ? from : undefined)
  }

  /** Which of the marks that another holds it is to be asked for. */
  needed (marks: readonly string[]): string[] {
    const { directory, clock, isOff } = this.#options
    if (isOff === true) return []
    const nowMs = clock.nowMs()
    for (const [mark, untilMs] of this.#needed) {
      if (untilMs > nowMs) break
      this.#needed.delete(mark)
    }
    return marks.filter(mark => {
      if (directory.marked(mark) !== undefined || this.#needed.has(mark)) return false
      this.#needed.set(mark, nowMs + NEEDED_MS)
      return true
    })
  }

  /** Whether another may compare what it holds with us once more. */
  mayCompare (from: Exchange): boolean {
    return this.#neighbours.get(from.peerId)?.repairs.take(this.#options.clock.nowMs()) ?? false
  }

  /** Another says that a peer is gone. */
  heardGone (from: Exchange, gone: Gone): void {
    const { directory, events, isLinked, clock } = this.#options
    const [peerId, incarnation, sequence] = gone
    const held = directory.record(peerId)?.record
    if (held === undefined || held.left === true || this.#neighbours.get(from.peerId)?.rumours.take(clock.nowMs()) !== true) return
    const age = held.incarnation - incarnation || held.sequence - sequence
    if (peerId === directory.peerId) return age <= 0 ? events.accused() : from.announce()
    if (age > 0) return from.tell(peerId)
    if (age < 0 || !directory.isLiving(peerId)) return
    if (isLinked(peerId)) return this.#accuse(peerId, gone)
    this.#wait(gone, from)
  }

  /** Passes on that a peer is gone, and gives it time to refute it. */
  #wait (gone: Gone, from?: Exchange): void {
    const { clock } = this.#options
    const [peerId] = gone
    if (this.#suspects.has(peerId) || this.#unverified.has(peerId)) return
    const cancel = clock.after(SUSPECT_MS + SUSPECT_MS_MORE * this.#options.random.next(), () => {
      this.#suspects.delete(peerId)
      this.#unverified.set(peerId, gone)
      this.#verifyNext()
    })
    this.#suspects.set(peerId, { gone, cancel })
    for (const exchange of this.#others(peerId, from)) exchange.sayGone(gone)
  }

  /** Whether a catalogue that comes was asked for here. */
  isFetching (hash: string): boolean {
    return this.#fetches.has(hash)
  }

  /** A catalogue has come. @throws SwarmError MALFORMED, TOO_LARGE */
  takeCatalogue (hash: string, text: string): void {
    const { directory, events } = this.#options
    this.#endFetch(hash)
    if (directory.hasCatalogue(hash)) return
    const changes = directory.addCatalogue(hash, readCatalogue(text, hash), utf8(text).byteLength)
    events.catalogueTaken(hash, text)
    if (changes.length > 0) events.changed(changes)
  }

  #read (from: Exchange, wire: string, swarmId: string): { readonly record: PeerRecord, readonly wire: string } {
    const known = this.#options.directory.signed(wire)
    if (known !== undefined) return known
    if (this.#neighbours.get(from.peerId)?.records.take(this.#options.clock.nowMs()) !== true) {
      throw new SwarmError('OVERLOADED', `peer ${from.peerId} tells of more than ${RECORDS_PER_SECOND} records a second`)
    }
    return readSigned(wire, swarmId)
  }

  /** One exchange with each neighbour but some. */
  #others (peerId: string, from?: Exchange): Exchange[] {
    const others: Exchange[] = []
    for (const [neighbour, { exchanges }] of this.#neighbours) {
      const exchange = exchanges.at(-1)
      if (exchange !== undefined && neighbour !== peerId && neighbour !== from?.peerId) others.push(exchange)
    }
    return others
  }

  #exchangeWith (peerId: string): Exchange | undefined {
    return this.#neighbours.get(peerId)?.exchanges.at(-1)
  }

  /** Tells a peer that others think it gone, now or when it can be. */
  #accuse (peerId: string, gone: Gone): void {
    const exchange = this.#exchangeWith(peerId)
    if (exchange === undefined) this.#accused.set(peerId, gone)
    else exchange.sayGone(gone)
  }

  /** A peer has said something new. */
  #clear (peerId: string): void {
    this.#suspects.get(peerId)?.cancel()
    this.#suspects.delete(peerId)
    this.#unverified.delete(peerId)
    this.#accused.delete(peerId)
  }

  #verifyNext (): void {
    for (const [peerId, gone] of this.#unverified) {
      if (this.#verifying >= VERIFIED_MAX) return
      this.#unverified.delete(peerId)
      this.#verifying++
      void this.#verify(peerId, gone).finally(() => {
        this.#verifying--
        if (!this.#isClosed) this.#verifyNext()
      })
    }
  }

  async #verify (peerId: string, gone: Gone): Promise<void> {
    const { directory, clock, events, isLinked, verify } = this.#options
    const isGone = (): boolean => {
      const held = directory.record(peerId)?.record
      return held !== undefined && directory.isLiving(peerId) && held.incarnation === gone[1] && held.sequence === gone[2]
    }
    if (!isGone()) return
    const isReached = isLinked(peerId) || await verify(peerId)
    if (this.#isClosed || !isGone()) return
    if (isReached || isLinked(peerId)) return this.#accuse(peerId, gone)
    const changes = directory.remove(peerId, clock.nowMs())
    if (changes.length > 0) events.changed(changes)
  }

  #repairLater (): void {
    const { clock, random } = this.#options
    this.#cancelRepair = clock.after(REPAIR_MS_MIN + (REPAIR_MS_MAX - REPAIR_MS_MIN) * random.next(), () => {
      const all = this.#others('')
      all[Math.floor(random.next() * all.length)]?.compare()
      this.#repairLater()
    })
  }

  #fetch (hash: string, from: Exchange | undefined): void {
    if (this.#fetches.has(hash) || !this.#options.directory.isMissing(hash)) return
    const fetch: Fetch = { tries: 0, cancel: () => undefined }
    this.#fetches.set(hash, fetch)
    this.#ask(hash, fetch, from)
  }

  #ask (hash: string, fetch: Fetch, from: Exchange | undefined): void {
    const { clock, directory, random } = this.#options
    if (!directory.isMissing(hash)) return this.#endFetch(hash)
    const all = this.#others('')
    const whom = from ?? (fetch.tries === 0 ? undefined : all[Math.floor(random.next() * all.length)])
    if (this.#fetches.size <= FETCHES_MAX || fetch.tries > 0) whom?.fetch(hash)
    fetch.cancel = clock.after(Math.min(FETCH_MS_MAX, FETCH_MS * 2 ** fetch.tries) * (1 + random.next()), () => {
      fetch.tries++
      this.#ask(hash, fetch, undefined)
    })
  }

  #endFetch (hash: string): void {
    this.#fetches.get(hash)?.cancel()
    this.#fetches.delete(hash)
  }
}

/** Whether two records differ in nothing but how often they were renewed. */
function isSame (before: PeerRecord | undefined, now: PeerRecord): boolean {
  return before !== undefined && JSON.stringify({ ...before, sequence: 0 }) === JSON.stringify({ ...now, sequence: 0 })
}
