/**
 * A log on a disk that takes its time, and what a crash leaves of it. A batch is flushed and a witness claims it, side by side, as
 * crdt/committer.ts has it; what that file's table names is what a crash may find, each with what recovery makes of it:
 *
 *     neither · the batch, not the claim · the claim, not the batch · the claim, a part of the batch · both, unconfirmed ·
 *     both, confirmed · a torn claim
 *
 * and with the last two, that the power takes back the mark by which a claim was confirmed, which nobody flushes. An honest disk has
 * afterwards what it said is flushed. One that lies has lost, with some chance, the last batches of the log, of the witness, or of both.
 */
import type { Kept } from '../../crdt/incarnation.ts'
import type { Bug } from './bug.ts'
import type { Chance } from './chance.ts'
import type { Schedule } from './schedule.ts'

export interface LogRecord { readonly seq: number, readonly update: Uint8Array, readonly origin: string }

export interface DiskHabits {
  /** How long a flush takes. */
  readonly flushMs: readonly [min: number, max: number]
  /** With `strict` a record counts once it is flushed and witnessed; with `interval` at once, and is flushed this much later. */
  readonly durability: 'strict' | 'interval'
  /** Makes it a disk that lies, by this chance. */
  readonly lies?: Chance | undefined
}

/** Acknowledged batches that a lie takes back, at most. */
export const LIE_BATCHES_MAX = 8

/** How often a crash shows that the disk has lied. */
const LIE = 0.7

const INTERVAL_MS = 100

/** What a crash found: a row of the table. */
export const FINDS = ['neither', 'the batch', 'the claim', 'the claim and a part', 'both, unconfirmed', 'confirmed', 'a torn claim'] as const
export type Find = typeof FINDS[number]

/** Records up to the sequence `count`, on their way. */
interface Batch { readonly count: number, readonly claim: Page, isFlushed: boolean, isClaimed: boolean }

/** What the witness's file says: that the log has come to `sure`, and to `claimed` once it is confirmed. */
interface Page { readonly sure: number, readonly claimed: number, readonly isConfirmed: boolean }

/** What an honest disk has after a crash, at least. */
interface State { readonly flushed: number, readonly page: Page, readonly kept: Kept | undefined }

export class SimulatedDisk {
  readonly #schedule: Schedule
  readonly #chance: Chance
  readonly #bug: Bug
  readonly habits: DiskHabits
  #records: LogRecord[] = []
  /** The last sequence: of a record, or of one that is known to be missing. */
  #sequence = 0
  #flushed = 0
  #page: Page = { sure: 0, claimed: 0, isConfirmed: true }
  #isBusy = false
  #batch: Batch | undefined
  #onDurable: ((seq: number) => void) | undefined
  /** Counts crashes: a flush that was under way then has nothing to say. */
  #era = 0
  /** The last states that were acknowledged, the present one last. */
  #past: State[] = []
  /** The incarnation that is kept beside the log. */
  kept: Kept | undefined
  /** Whether a witness stands for the log as it was found after the last crash. */
  isWitnessed = true
  /** Whether that log falls short of what the witness was sure of: on an honest disk, never. */
  isDamaged = false
  /** How often it has lied. */
  lies = 0

  constructor (schedule: Schedule, chance: Chance, habits: DiskHabits, bug: Bug = {}) {
    this.#schedule = schedule
    this.#chance = chance
    this.#bug = bug
    this.habits = habits
    this.#remember()
  }

  get sequence (): number {
    return this.#sequence
  }

  /** Whether what it has said to be flushed is there after a crash. */
  get isHonest (): boolean {
    return this.habits.durability === 'strict' && !this.isLiar
  }

  get isLiar (): boolean {
    return this.habits.lies !== undefined
  }

  get records (): readonly LogRecord[] {
    return this.#records
  }

  open (onDurable: (seq: number) => void): void {
    this.#onDurable = onDurable
  }

  append (record: LogRecord): void {
    this.#records.push(record)
    this.#sequence = record.seq
    if (this.habits.durability === 'interval') {
      const { seq } = record
      this.#later(0.1, () => { this.#onDurable?.(seq) })
    }
    this.#flush()
  }

  /** The power goes; and the log is found again. */
  crash (): Find {
    this.#era++
    this.#onDurable = undefined
    const batch = this.#batch
    this.#batch = undefined
    this.#isBusy = false
    const written = batch === undefined ? this.#flushed : batch.isFlushed ? batch.count : this.#chance.hits(0.5) ? this.#flushed : this.#chance.from(this.#flushed, batch.count)
    const { page: told, find } = this.#found(batch, written)
    const { flushed: kept, page } = this.#lie({ flushed: written, page: told, kept: this.kept })
    // An entry of `interval` may be written and not be in a batch yet; it goes too.
    this.#records = this.#records.filter(({ seq }) => seq <= kept)
    const isConfirmed = page.isConfirmed || this.#bug.trustsClaims === true
    const sure = isConfirmed ? page.claimed : page.sure
    this.isDamaged = this.habits.durability === 'strict' && kept < sure
    this.isWitnessed = this.habits.durability === 'strict' && (isConfirmed || kept >= page.claimed)
    // What was acknowledged and is missing keeps its place.
    this.#sequence = this.#flushed = this.isDamaged ? sure : kept
    this.#page = { sure, claimed: sure, isConfirmed: true }
    this.#past = []
    this.#remember()
    return find
  }

  /** What is left of a state where the disk has lied. */
  #lie (found: State): State {
    const chance = this.habits.lies
    if (chance === undefined || this.#past.length < 2 || !chance.hits(LIE)) return found
    const before = (): State => this.#past[chance.from(0, this.#past.length - 2)] as State
    const both = before()
    const [log, witness] = chance.of([[before(), found], [found, before()], [both, both], [before(), before()]] as const)
    this.lies++
    this.kept = log.kept
    return { ...log, page: witness.page }
  }

  #remember (): void {
    if (!this.isLiar) return
    this.#past.push({ flushed: this.#flushed, page: this.#page, kept: this.kept })
    if (this.#past.length > LIE_BATCHES_MAX + 1) this.#past.shift()
  }

  /** What the witness's file says afterwards. */
  #found (batch: Batch | undefined, kept: number): { page: Page, find: Find } {
    const lost = { ...this.#page, isConfirmed: this.#page.isConfirmed && (this.#page.sure === this.#page.claimed || this.#chance.hits(0.5)) }
    if (batch === undefined) return { page: lost, find: 'confirmed' }
    const isWhole = kept === batch.count
    const claim = { page: batch.claim, find: isWhole ? 'both, unconfirmed' : kept > this.#flushed ? 'the claim and a part' : 'the claim' } as const
    if (batch.isClaimed) return claim
    switch (this.#chance.from(0, 2)) {
      case 0: return claim
      // A claim is begun only when the one before is confirmed.
      case 1: return { page: { ...this.#page, isConfirmed: true }, find: 'a torn claim' }
      default: return { page: lost, find: isWhole ? 'the batch' : 'neither' }
    }
  }

  #flush (): void {
    if (this.#isBusy || this.#flushed === this.#sequence) return
    this.#isBusy = true
    const [min, max] = this.habits.flushMs
    const isStrict = this.habits.durability === 'strict'
    this.#later(isStrict ? 0 : INTERVAL_MS, () => {
      const count = this.#sequence
      const batch: Batch = this.#batch = { count, claim: { sure: this.#page.claimed, claimed: count, isConfirmed: false }, isFlushed: false, isClaimed: false }
      this.#later(this.#chance.from(min, max), () => {
        batch.isFlushed = true
        this.#settle(batch)
      })
      this.#later(this.#chance.from(min, max), () => {
        batch.isClaimed = true
        if (this.#bug.acknowledgesClaims === true && isStrict) this.#onDurable?.(count)
        this.#settle(batch)
      })
    })
  }

  /** Both have ended: the claim is confirmed, and then the batch acknowledged. */
  #settle ({ count, claim, isFlushed, isClaimed }: Batch): void {
    if (!isFlushed || !isClaimed) return
    this.#flushed = count
    this.#page = { ...claim, isConfirmed: true }
    this.#remember()
    this.#batch = undefined
    this.#isBusy = false
    this.#flush()
    if (this.habits.durability === 'strict') this.#onDurable?.(count)
  }

  /** Unless the power goes before. */
  #later (delayMs: number, act: () => void): void {
    const era = this.#era
    this.#schedule.after(delayMs, () => { if (era === this.#era) act() })
  }
}
