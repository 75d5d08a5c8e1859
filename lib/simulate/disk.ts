/**
 * A log on a disk that takes its time, and what a crash leaves of it. A batch is flushed and a witness claims it, side by side, as
 * crdt/committer.ts has it; what that file's table names is what a crash may find, each with what recovery makes of it:
 *
 *     neither · the batch, not the claim · the claim, not the batch · the claim, a part of the batch · both, unconfirmed ·
 *     both, confirmed · a torn claim
 *
 * and with the last two, that the power takes back the mark by which a claim was confirmed, which nobody flushes. The disk itself is
 * honest: what it said is flushed is there afterwards.
 */
import type { Bug } from './bug.ts'
import type { Chance } from './chance.ts'
import type { Schedule } from './schedule.ts'

export interface LogRecord { readonly seq: number, readonly update: Uint8Array, readonly origin: string }

export interface DiskHabits {
  /** How long a flush takes. */
  readonly flushMs: readonly [min: number, max: number]
  /** With `strict` a record counts once it is flushed and witnessed; with `interval` at once, and is flushed this much later. */
  readonly durability: 'strict' | 'interval'
}

const INTERVAL_MS = 100

/** What a crash found: a row of the table. */
export const FINDS = ['neither', 'the batch', 'the claim', 'the claim and a part', 'both, unconfirmed', 'confirmed', 'a torn claim'] as const
export type Find = typeof FINDS[number]

/** Records up to `count`, on their way. */
interface Batch { readonly count: number, readonly claim: Page, isFlushed: boolean, isClaimed: boolean }

/** What the witness's file says: that the log has `sure` records, and `claimed` once it is confirmed. */
interface Page { readonly sure: number, readonly claimed: number, readonly isConfirmed: boolean }

export class SimulatedDisk {
  readonly #schedule: Schedule
  readonly #chance: Chance
  readonly #bug: Bug
  readonly habits: DiskHabits
  #records: LogRecord[] = []
  #flushed = 0
  #page: Page = { sure: 0, claimed: 0, isConfirmed: true }
  #isBusy = false
  #batch: Batch | undefined
  #onDurable: ((seq: number) => void) | undefined
  /** Counts crashes: a flush that was under way then has nothing to say. */
  #era = 0
  /** Whether a witness stands for the log as it was found after the last crash. */
  isWitnessed = true
  /** Whether that log falls short of what the witness was sure of: on an honest disk, never. */
  isDamaged = false

  constructor (schedule: Schedule, chance: Chance, habits: DiskHabits, bug: Bug = {}) {
    this.#schedule = schedule
    this.#chance = chance
    this.#bug = bug
    this.habits = habits
  }

  get sequence (): number {
    return this.#records.at(-1)?.seq ?? 0
  }

  get records (): readonly LogRecord[] {
    return this.#records
  }

  open (onDurable: (seq: number) => void): void {
    this.#onDurable = onDurable
  }

  append (record: LogRecord): void {
    this.#records.push(record)
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
    const kept = batch === undefined ? this.#flushed : batch.isFlushed ? batch.count : this.#chance.hits(0.5) ? this.#flushed : this.#chance.from(this.#flushed, batch.count)
    const { page, find } = this.#found(batch, kept)
    // An entry of `interval` may be written and not be in a batch yet; it goes too.
    this.#records = this.#records.slice(0, kept)
    const isConfirmed = page.isConfirmed || this.#bug.trustsClaims === true
    const sure = isConfirmed ? page.claimed : page.sure
    this.isDamaged = this.habits.durability === 'strict' && kept < sure
    this.isWitnessed = this.habits.durability === 'strict' && (isConfirmed || kept >= page.claimed)
    this.#page = { sure, claimed: sure, isConfirmed: true }
    this.#flushed = kept
    return find
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
    if (this.#isBusy || this.#flushed === this.#records.length) return
    this.#isBusy = true
    const [min, max] = this.habits.flushMs
    const isStrict = this.habits.durability === 'strict'
    this.#later(isStrict ? 0 : INTERVAL_MS, () => {
      const count = this.#records.length
      const batch: Batch = this.#batch = { count, claim: { sure: this.#page.claimed, claimed: count, isConfirmed: false }, isFlushed: false, isClaimed: false }
      this.#later(this.#chance.from(min, max), () => {
        batch.isFlushed = true
        this.#settle(batch)
      })
      this.#later(this.#chance.from(min, max), () => {
        batch.isClaimed = true
        if (this.#bug.acknowledgesClaims === true && isStrict) this.#onDurable?.(this.#records[count - 1]?.seq ?? 0)
        this.#settle(batch)
      })
    })
  }

  /** Both have ended: the claim is confirmed, and then the batch acknowledged. */
  #settle ({ count, claim, isFlushed, isClaimed }: Batch): void {
    if (!isFlushed || !isClaimed) return
    const seq = this.#records[count - 1]?.seq ?? 0
    this.#flushed = count
    this.#page = { ...claim, isConfirmed: true }
    this.#batch = undefined
    this.#isBusy = false
    this.#flush()
    if (this.habits.durability === 'strict') this.#onDurable?.(seq)
  }

  /** Unless the power goes before. */
  #later (delayMs: number, act: () => void): void {
    const era = this.#era
    this.#schedule.after(delayMs, () => { if (era === this.#era) act() })
  }
}
