/**
 * A document's log as its replica counts it. The WAL refuses what is too large for a record, and everything while too much waits for
 * a dead disk; the document then is ahead of its log. It catches up through a snapshot of the whole document, and until that is on
 * disk nothing after the refused change counts as durable, so nothing of it is shown to others.
 *
 * Invariant: the record that the WAL numbers `w` is the replica's change `w + shift`.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError, assert } from '../base/error.ts'
import { emptyUpdate } from '../../crdt/pending.ts'
import { REBUILT_ORIGIN } from '../../crdt/replica.ts'
import type { Wal, WalStatus } from '../../crdt/wal.ts'

/** How often a log that is behind tries to catch up, and a disk that failed is looked at, in milliseconds. */
export const RETRY_MS = 1_000

/** How long a log that has grown long waits to be folded, in milliseconds: who has just written much is about to share it, and folding takes a processor. */
export const FOLD_DELAY_MS = 1_000

export interface LogOptions {
  readonly wal: Wal
  readonly clock: Clock
  /** Whether the log holds a record that takes the place of all before it (fork.ts). */
  readonly isRebuilt: boolean
  /** All that the document holds now, what waits included. */
  readonly encode: () => Uint8Array
  /** In the replica's count. */
  readonly onDurable: (sequence: number) => void
  /** What is wrong with the disk; undefined when it works again. */
  readonly onFailure: (failure: SwarmError | undefined) => void
  readonly onDamage: (error: SwarmError) => void
}

export class DocumentLog {
  readonly wal: Wal
  readonly #options: LogOptions
  readonly #stopListening: () => void
  #waiting: { readonly after: number, readonly act: () => void }[] = []
  #sequence: number
  #durable: number
  #shift = 0
  /** Why the document is ahead; and what alone may count as durable until the snapshot that catches up is on disk. */
  #behind: SwarmError | undefined
  #durableMax = Infinity
  #isWatched = false
  #isRebuilt: boolean
  #mayCompact = true
  #cancelRetry: (() => void) | undefined
  #cancelWatch: (() => void) | undefined
  #cancelFold: (() => void) | undefined
  #isClosed = false

  constructor (options: LogOptions) {
    this.#options = options
    this.wal = options.wal
    this.#sequence = this.#durable = options.wal.durable
    this.#isRebuilt = options.isRebuilt
    this.#stopListening = options.wal.onDurable(sequence => { this.#reach(sequence) })
  }

  get durable (): number {
    return this.#durable
  }

  status (): WalStatus {
    return this.wal.status()
  }

  /** @param sequence the next in the replica's count */
  append (sequence: number, update: Uint8Array, origin: string): void {
    if (this.#isClosed) return // of others: it is theirs still, and nobody is told that it is here
    assert(sequence === this.#sequence + 1, `change ${sequence} follows on ${this.#sequence}`)
    this.#sequence = sequence
    if (origin === REBUILT_ORIGIN) this.#isRebuilt = true
    if (this.#behind !== undefined) return
    try {
      const record = this.wal.append(update, origin)
      assert(record + this.#shift === sequence, 'the log counts otherwise')
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#fallBehind(error)
    }
    this.#watch()
  }

  /** Acts once all up to `after` is on disk: at once if it is. */
  when (after: number, act: () => void): void {
    if (after <= this.#durable) act()
    else this.#waiting.push({ after, act })
  }

  /** Resolves when all appended so far is on disk. @throws SwarmError DISK_FAILED, TOO_LARGE, CLOSED */
  async flushed (): Promise<void> {
    const sequence = this.#sequence
    if (this.#behind !== undefined) throw this.#failure(this.#behind)
    await this.wal.flushed()
    if (this.#durable >= sequence) return
    await new Promise<void>(resolve => { this.when(sequence, resolve) })
  }

  /** To be called when what was damaged has come back: see `Wal.repaired`. */
  async repaired (): Promise<void> {
    await this.wal.repaired(this.#isRebuilt ? async () => this.#options.encode() : undefined)
  }

  /** @throws SwarmError DISK_FAILED if something is not on disk */
  async close (): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry?.()
    this.#cancelWatch?.()
    this.#cancelFold?.()
    const behind = this.#behind
    try {
      await this.wal.close()
    } finally {
      this.#stopListening()
      this.#waiting = []
    }
    if (behind !== undefined) throw this.#failure(behind)
  }

  #reach (record: number): void {
    if (this.#cancelWatch !== undefined) {
      // The disk works again: whoever waits until all is written finds that nothing has failed any more.
      this.#cancelWatch()
      this.#cancelWatch = undefined
      if (this.#behind === undefined) this.#options.onFailure(undefined)
    }
    this.#advance(record + this.#shift)
    if (!this.#mayFold || !this.wal.status().isLong) return
    this.#cancelFold ??= this.#options.clock.after(FOLD_DELAY_MS, () => {
      this.#cancelFold = undefined
      if (this.#mayFold) void this.#compact()
    })
  }

  get #mayFold (): boolean {
    return this.#mayCompact && this.#behind === undefined && !this.#isClosed
  }

  #advance (confirmed: number): void {
    const durable = Math.min(confirmed, this.#durableMax)
    if (durable <= this.#durable) return
    this.#durable = durable
    const due = this.#waiting.filter(({ after }) => after <= durable)
    if (due.length > 0) this.#waiting = this.#waiting.filter(({ after }) => after > durable)
    for (const { act } of due) act()
    this.#options.onDurable(durable)
  }

  async #compact (): Promise<void> {
    this.#mayCompact = false
    const wasRebuilt = this.#isRebuilt && this.#durable === this.#sequence
    try {
      // What a rebuilt document has dropped must not come back: the usual fold would apply all records.
      await this.wal.compact(this.#isRebuilt ? async () => this.#options.encode() : undefined)
      if (wasRebuilt) this.#isRebuilt = false
      this.#mayCompact = true
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      // A damaged log is left as it is until the document is opened anew; anything else may pass.
      if (error.code === 'DOCUMENT_DAMAGED') this.#options.onDamage(error)
      else this.#mayCompact = true
    }
  }

  #fallBehind (error: SwarmError): void {
    this.#behind = error
    this.#durableMax = Math.min(this.#durableMax, this.#sequence - 1)
    this.#options.onFailure(this.#failure(error))
    this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined
      void this.#catchUp()
    })
  }

  /** Brings all that the document holds into the log, as a snapshot. */
  async #catchUp (): Promise<void> {
    let record = 0
    let isTaken = false
    try {
      this.wal.append(emptyUpdate(), '') // a fold needs something to fold
      await this.wal.flushed()
      while (!isTaken && !this.#isClosed) {
        await this.wal.compact(async () => {
          // From here on records follow on what this holds.
          isTaken = true
          this.#behind = undefined
          record = this.wal.status().sequence
          this.#shift = this.#sequence - record
          return this.#options.encode()
        })
      }
      if (!isTaken) return
      this.#isRebuilt = false
      this.#durableMax = Infinity
      this.#advance(Math.max(record, this.wal.durable) + this.#shift)
      this.#options.onFailure(undefined)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      if (!this.#isClosed) this.#fallBehind(error)
    }
  }

  /** A disk that fails is told of once, and once when it works again. */
  #watch (): void {
    if (this.#isWatched || this.#isClosed) return
    this.#isWatched = true
    this.wal.flushed().then(() => {
      this.#isWatched = false
      if (this.#behind === undefined) this.#options.onFailure(undefined)
    }, (failure: unknown) => {
      this.#isWatched = false
      if (this.#isClosed || !(failure instanceof SwarmError)) return
      this.#options.onFailure(failure)
      this.#cancelWatch?.()
      this.#cancelWatch = this.#options.clock.after(RETRY_MS, () => { this.#watch() })
    })
  }

  #failure (cause: SwarmError): SwarmError {
    if (cause.code === 'DISK_FAILED' || cause.code === 'CLOSED') return cause
    if (cause.code === 'OVERLOADED') return new SwarmError('DISK_FAILED', `changes are not on disk: ${cause.message}`, { cause })
    return new SwarmError(cause.code, `a change is not on disk: ${cause.message}`, { cause })
  }
}
