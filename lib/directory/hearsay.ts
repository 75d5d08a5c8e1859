/**
 * What peers tell each other of third ones: all exchanges of one peer meet here.
 *
 * A record that was new here goes on to the other links, in full to EAGER_MAX of them and to the rest as a mark, by which they ask
 * for it if they lack it; every REPAIR_MS or so one neighbour is asked whether it holds the same. Where much is new at once, as when
 * a swarm starts, only marks go on: a record then comes once, and not from each of those few. In a swarm where all are linked
 * to all (FULL_MAX) each tells its own record to everyone, and only marks go on too. Records are signed, so nobody can put words into
 * another's mouth; what a liar can do is be silent, and repeat what is old. One that is held already is not verified again.
 *
 * Who is said to be gone is suspicion.ts's to judge; catalogues come by fetching.ts.
 */
import { utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import { Allowance } from './allowance.ts'
import { readCatalogue } from './catalogue.ts'
import { Circle, RECORDS_PER_SECOND } from './circle.ts'
import type { Change, Directory } from './directory.ts'
import type { Exchange } from './exchange.ts'
import { Fetching } from './fetching.ts'
import { compareAge, readRecord, type PeerRecord } from './record.ts'
import { Suspicion } from './suspicion.ts'

/** Peers up to which everyone is linked to everyone, as a rule: this one counts. */
export const FULL_MAX = 16

/** Links that are told a new record in full, and how many such records: at once, and a second. */
export const EAGER_MAX = 3
export const EAGER_BURST = 16
export const EAGER_PER_SECOND = 4

/** How often a neighbour is asked whether it holds the same, in milliseconds: between the two. */
export const REPAIR_MS_MIN = 10_000
export const REPAIR_MS_MAX = 30_000

/** How long a record that was asked for by its mark may take, in milliseconds, before another is asked. */
export const NEEDED_MS = 2_000

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
  /** Whether the grant that a record shows lets its peer in. */
  readonly isMember: (record: PeerRecord) => boolean
  /** Neither passes on nor takes in what others say of third ones, to see how peers do without. Default false. */
  readonly isOff?: boolean
}

export class Hearsay {
  readonly suspicion: Suspicion
  readonly #options: HearsayOptions
  readonly #circle: Circle
  readonly #fetching: Fetching
  readonly #eager: Allowance
  /** Marks that were asked for, of whom, and until when nobody else is. */
  readonly #needed = new Map<string, { readonly untilMs: number, readonly from: Exchange }>()
  #cancelRepair: () => void = () => undefined

  constructor (options: HearsayOptions) {
    const { clock, directory, events, isLinked, random, verify } = options
    this.#options = options
    this.#circle = new Circle(clock)
    this.#eager = new Allowance(EAGER_BURST, EAGER_PER_SECOND, clock.nowMs())
    this.#fetching = new Fetching({ directory, circle: this.#circle, clock, random })
    this.suspicion = new Suspicion({
      directory, circle: this.#circle, clock, random, isLinked, verify,
      onChange: changes => { events.changed(changes) },
      onAccused: () => { events.accused() }
    })
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
    this.#circle.add(exchange)
  }

  /** An exchange is over: what it was asked for, another is. */
  delete (exchange: Exchange): void {
    this.#circle.delete(exchange)
    let isLacking = false
    for (const [mark, { from }] of this.#needed) {
      if (from !== exchange) continue
      this.#needed.delete(mark)
      isLacking ||= this.#options.directory.marked(mark) === undefined
    }
    if (isLacking) this.#compareWithAny()
  }

  close (): void {
    this.#cancelRepair()
    this.suspicion.close()
    this.#fetching.close()
  }

  /**
   * Passes on what is new of a peer.
   *
   * @param from heard it from there
   */
  spread (peerId: string, from?: Exchange): void {
    const { clock, directory, isOff, random } = this.#options
    if (isOff === true && peerId !== directory.peerId) return
    const others = this.#circle.others(peerId, from)
    const hasLeft = directory.absence(peerId) === 'left'
    if (!this.isWide && hasLeft) return // it has told everyone itself
    const eager = hasLeft ? others.length : this.isWide && this.#eager.take(clock.nowMs()) ? EAGER_MAX : 0
    for (let place = 0; place < others.length; place++) {
      const draw = place + Math.floor(random.next() * (others.length - place))
      const exchange = others[draw] as Exchange
      others[draw] = others[place] as Exchange
      if (place < eager) exchange.tell(peerId)
      else exchange.mention(peerId)
    }
  }

  /**
   * Another tells of a third peer.
   *
   * @throws SwarmError RECORD_INVALID; OVERLOADED if it tells more than anybody may
   */
  told (from: Exchange, wire: string, ageS: number): void {
    if (this.#options.isOff === true) return
    const { directory, clock, events, isMember } = this.#options
    if (directory.refuses(wire)) return
    const { record, wire: text } = this.#read(from, wire)
    const { peerId } = record
    const nowMs = clock.nowMs()
    const before = directory.record(peerId)?.record
    // One that is held was checked when it came, but from disk.
    const isProven = record.grant !== undefined && !directory.isProven(peerId) && (record !== before || directory.absence(peerId) === 'stored')
    if (isProven && !isMember(record)) return
    const { outcome, changes } = directory.merge(record, text, nowMs, { ageMs: ageS * 1_000, isProven })
    if (outcome === 'own') {
      const own = directory.own?.record
      if (own !== undefined && own.left !== true && compareAge(record, own) > 0) events.outdated(record)
      return
    }
    if (outcome === 'outdated') return from.tell(peerId)
    if (outcome === 'known' && directory.absence(peerId) === 'unreachable') return from.sayGone([peerId, record.incarnation, record.sequence])
    if (outcome !== 'taken' && outcome !== 'revived') return
    this.suspicion.clear(peerId)
    if (outcome === 'taken' && !isSame(before, record)) events.recordTaken(record, text)
    if (changes.length > 0) events.changed(changes)
    if (outcome === 'taken') this.spread(peerId, from)
    if (record.left === true) return
    for (const { catalogue } of record.agents) this.#fetching.begin(catalogue, this.#circle.with(peerId) === undefined ? from : undefined)
  }

  /** Which of the marks that another holds it is to be asked for. */
  needed (from: Exchange, marks: readonly string[]): string[] {
    const { directory, clock, isOff } = this.#options
    if (isOff === true) return []
    const nowMs = clock.nowMs()
    for (const [mark, { untilMs }] of this.#needed) {
      if (untilMs > nowMs) break
      this.#needed.delete(mark)
    }
    return marks.filter(mark => {
      if (directory.marked(mark) !== undefined || this.#needed.has(mark)) return false
      this.#needed.set(mark, { untilMs: nowMs + NEEDED_MS, from })
      return true
    })
  }

  /** Whether another may compare what it holds with us once more. */
  mayCompare (from: Exchange): boolean {
    return this.#circle.may('repairs', from)
  }

  /** Whether a catalogue that comes was asked for here. */
  isFetching (hash: string): boolean {
    return this.#fetching.has(hash)
  }

  /** A catalogue has come. @throws SwarmError MALFORMED, TOO_LARGE */
  takeCatalogue (hash: string, text: string): void {
    const { directory, events } = this.#options
    this.#fetching.end(hash)
    if (directory.hasCatalogue(hash)) return
    const changes = directory.addCatalogue(hash, readCatalogue(text, hash), utf8(text).byteLength)
    events.catalogueTaken(hash, text)
    if (changes.length > 0) events.changed(changes)
  }

  #read (from: Exchange, wire: string): { readonly record: PeerRecord, readonly wire: string } {
    const { directory, swarmId } = this.#options
    const held = directory.signed(wire)
    if (held !== undefined) return held
    if (!this.#circle.may('records', from)) throw new SwarmError('OVERLOADED', `peer ${from.peerId} tells of more than ${RECORDS_PER_SECOND} records a second`)
    return { record: readRecord(wire, swarmId, directory.share), wire }
  }

  #repairLater (): void {
    const { clock, random } = this.#options
    this.#cancelRepair = clock.after(REPAIR_MS_MIN + (REPAIR_MS_MAX - REPAIR_MS_MIN) * random.next(), () => {
      this.#compareWithAny()
      this.#repairLater()
    })
  }

  #compareWithAny (): void {
    const all = this.#circle.others()
    all[Math.floor(this.#options.random.next() * all.length)]?.compare()
  }
}

/** Whether two records differ in nothing but how often they were renewed. */
function isSame (before: PeerRecord | undefined, now: PeerRecord): boolean {
  return before !== undefined && JSON.stringify({ ...before, sequence: 0 }) === JSON.stringify({ ...now, sequence: 0 })
}
