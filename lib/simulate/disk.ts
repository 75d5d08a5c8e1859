/**
 * A log on a disk that takes its time, and at a crash forgets what it had not flushed: all of it, or all after some record, of
 * which a torn half may be left. Written is what the system has, flushed is what survives.
 */
import type { Chance } from './chance.ts'
import type { Schedule } from './schedule.ts'

export interface LogRecord { readonly seq: number, readonly update: Uint8Array, readonly origin: string }

export interface DiskHabits {
  /** How long a flush takes. */
  readonly flushMs: readonly [min: number, max: number]
  /** With `strict` a record counts once it is flushed; with `interval` at once, and is flushed this much later. */
  readonly durability: 'strict' | 'interval'
}

const INTERVAL_MS = 100

export class SimulatedDisk {
  readonly #schedule: Schedule
  readonly #chance: Chance
  readonly habits: DiskHabits
  #records: LogRecord[] = []
  #flushed = 0
  #isFlushing = false
  #onDurable: ((seq: number) => void) | undefined
  /** Counts crashes: a flush that was under way then has nothing to say. */
  #era = 0
  /** Whether the last crash lost a record that had counted: what a witness would know. */
  hasLost = false
  torn = 0

  constructor (schedule: Schedule, chance: Chance, habits: DiskHabits) {
    this.#schedule = schedule
    this.#chance = chance
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
      const era = this.#era
      this.#schedule.after(0.1, () => { if (era === this.#era) this.#onDurable?.(seq) })
    }
    this.#flush()
  }

  /** The power goes. */
  crash (): void {
    this.#era++
    this.#onDurable = undefined
    this.#isFlushing = false
    const unflushed = this.#records.length - this.#flushed
    const kept = this.#chance.hits(0.5) ? 0 : this.#chance.from(0, unflushed)
    if (kept < unflushed && this.#chance.hits(0.5)) this.torn++
    this.hasLost = this.habits.durability === 'interval' && kept < unflushed
    this.#records = this.#records.slice(0, this.#flushed + kept)
    this.#flushed = this.#records.length
  }

  #flush (): void {
    if (this.#isFlushing || this.#flushed === this.#records.length) return
    this.#isFlushing = true
    const era = this.#era
    const [min, max] = this.habits.flushMs
    const waitMs = this.habits.durability === 'interval' ? INTERVAL_MS : 0
    this.#schedule.after(waitMs, () => {
      if (era !== this.#era) return
      const count = this.#records.length
      this.#schedule.after(this.#chance.from(min, max), () => {
        if (era !== this.#era) return
        this.#isFlushing = false
        this.#flushed = count
        const seq = this.#records[count - 1]?.seq ?? 0
        this.#flush()
        if (this.habits.durability === 'strict') this.#onDurable?.(seq)
      })
    })
  }
}
