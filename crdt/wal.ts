/**
 * A document's log on disk: what is appended here is there after a crash, and after a power cut where durability is strict.
 * Between the log and what others see stands one rule, held by whoever drives it: show nothing whose sequence is over `durable`.
 */
import { systemClock, type Clock } from '../lib/base/clock.ts'
import { SwarmError, assert } from '../lib/base/error.ts'
import { foldAside } from '#aside'
import type { Committer } from './committer.ts'
import { compact } from './compact.ts'
import type { Damage } from './damage.ts'
import type { Fold } from './fold.ts'
import { RUN_BYTES, type Mark } from './gathering.ts'
import { countOf, missingOf, type Missing } from './missing.ts'
import { placeOf, type Place } from './place.ts'
import { clearAside, putAside } from './quarantine.ts'
import { recover, type Found, type Recovery } from './recover.ts'
import { recordBytes, type LogRecord } from './run.ts'
import type { Base } from './snapshot.ts'
import { Tail } from './tail.ts'

/** A log is worth folding over this many bytes, and the snapshot's own; or over this many records, and one for so many of its bytes. */
export const LOG_BYTES_HIGH = 2 ** 20
export const LOG_RECORDS_HIGH = 10_000
/** To fold so many bytes of a snapshot takes as long as to read a record: so neither takes more than the other, over time. */
const SNAPSHOT_BYTES_A_RECORD = 64

export interface WalOptions {
  /** Writes for all documents of a peer. */
  readonly committer: Committer
  /** The document's name, kept beside it for `listDocuments`. */
  readonly name?: string
  /** Default the system's. */
  readonly clock?: Clock
}

export type LoggedUpdate = LogRecord

/** What lies on disk; the updates follow on the snapshot, and are the caller's. */
export interface Opened {
  readonly wal: Wal
  readonly snapshot: Uint8Array | undefined
  readonly updates: readonly LoggedUpdate[]
  readonly recovery: Recovery
}

export interface WalStatus {
  /** Of the log, with its keys. */
  readonly bytes: number
  readonly records: number
  readonly snapshotBytes: number
  /** Of the last append. */
  readonly sequence: number
  readonly durable: number
  /** Whether a compaction is worth its while. */
  readonly isLong: boolean
  /** Why nothing is acknowledged. */
  readonly failed: SwarmError | undefined
}

export class Wal {
  readonly key: string
  readonly #place: Place
  readonly #committer: Committer
  readonly #clock: Clock
  readonly #tail: Tail
  #folded: Pick<Mark, 'bytes' | 'records'> = { bytes: 0, records: 0 }
  #base: Base | undefined
  /** The sequence after which the log began when it was opened, and what was missing in it then. */
  readonly #after: number
  readonly #missing: readonly Missing[]
  #damage: readonly Damage[]
  #leftover: number
  #compacting: Promise<void> | undefined
  #closed = false

  /**
   * Brings a document back from disk. One `Wal` per document at a time. A disk that cannot be written to can still be read.
   *
   * @param document its key: see `documentKey`
   * @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE, CLOSED; DISK_FAILED while an earlier `Wal` of
   *   it has something that is not on disk, or something damaged cannot be put aside
   */
  static async open (document: string, options: WalOptions): Promise<Opened> {
    assert(/^[0-9a-f]{32}$/.test(document), `${document} is no key of a document`)
    const { committer } = options
    await committer.heal().catch((error: unknown) => { if (committer.holds(document)) throw error })
    const place = placeOf(document)
    const found = await recover(committer.storage, place, await committer.witness?.read(document))
    await putAside(committer, place, found)
    const { damage, cut, quarantine, leftover, isWitnessed } = found
    return {
      wal: new Wal(place, found, options),
      snapshot: found.snapshot,
      updates: found.records,
      recovery: { damage, quarantined: quarantine.length, cut: cut.length, leftover, isWitnessed }
    }
  }

  private constructor (place: Place, found: Found, { committer, name, clock }: WalOptions) {
    this.key = place.key
    this.#place = place
    this.#committer = committer
    this.#clock = clock ?? systemClock
    const bytes = found.records.reduce((sum, { update, origin }) => sum + recordBytes(update, origin), found.runs * RUN_BYTES)
    const mark = { sequence: found.head.sequence, hash: found.head.hash.slice(), bytes, records: found.records.length }
    this.#tail = new Tail({ committer, place, mark, name: found.isNamed ? undefined : name })
    this.#base = found.base
    this.#after = found.after
    this.#missing = missingOf(found)
    this.#damage = found.damage
    this.#leftover = found.leftover
  }

  /** The highest sequence that is acknowledged by the chosen durability. */
  get durable (): number {
    return this.#tail.durable.sequence
  }

  /**
   * Takes an update into the log.
   *
   * @param update kept: not to be changed afterwards
   * @param origin the peer that it came from; '' for this one
   * @returns its sequence, at once; it is safe when `durable` has reached it
   * @throws SwarmError CLOSED, TOO_LARGE, OVERLOADED while too much waits for the disk: then the log lacks it, and only a
   *   compaction with a `fold` that holds it brings it there
   */
  append (update: Uint8Array, origin: string): number {
    this.#checkOpen()
    return this.#tail.append(update, origin)
  }

  /** Told of `durable` when it has grown, once for many records; the returned function stops that. */
  onDurable (listener: (sequence: number) => void): () => void {
    return this.#tail.onDurable(listener)
  }

  /**
   * Resolves when all that is appended so far is acknowledged: `strict`, it is there after a power cut; `interval`, after a crash
   * of this process, and SYNC_MS later after a power cut; `memory`, while this process lives.
   *
   * @throws SwarmError DISK_FAILED once a write has failed, until a later one of the same records has not
   */
  async flushed (): Promise<void> {
    await this.#tail.flushed()
  }

  /**
   * Folds the durable log into a snapshot, beside appends; a call during one joins it. Nothing to fold: nothing happens.
   *
   * @throws SwarmError DOCUMENT_DAMAGED if the log is not on disk as it was written, DISK_FAILED, CLOSED
   */
  async compact (fold: Fold = foldAside(this.#clock)): Promise<void> {
    this.#checkOpen()
    this.#compacting ??= this.#compact(fold).finally(() => { this.#compacting = undefined })
    await this.#compacting
  }

  /**
   * To be called when what was damaged has come back from other peers and is appended and flushed: folds it all into a
   * snapshot, then deletes what was put aside.
   */
  async repaired (fold?: Fold): Promise<void> {
    this.#checkOpen()
    await this.#compacting?.catch(() => undefined) // its caller knows
    await this.flushed()
    await this.compact(fold)
    await clearAside(this.#committer, this.#place)
    this.#damage = []
  }

  status (): WalStatus {
    const snapshotBytes = this.#base?.bytes ?? 0
    const [bytes, records] = [this.#tail.total.bytes - this.#folded.bytes, this.#tail.total.records - this.#folded.records]
    return {
      bytes,
      records,
      snapshotBytes,
      sequence: this.#tail.sequence,
      durable: this.durable,
      isLong: records > Math.max(LOG_RECORDS_HIGH, snapshotBytes / SNAPSHOT_BYTES_A_RECORD) || bytes > Math.max(LOG_BYTES_HIGH, snapshotBytes) || this.#leftover > 0,
      failed: this.#committer.failure
    }
  }

  /** Ends a compaction under way, takes no more, and waits until all is acknowledged. @throws SwarmError DISK_FAILED if it is not */
  async close (): Promise<void> {
    this.#closed = true
    await this.#compacting?.catch(() => undefined) // its caller knows
    await this.flushed()
  }

  async #compact (fold: Fold): Promise<void> {
    const head = this.#tail.durable
    if (head.sequence === 0 || (head.sequence === this.#base?.sequence && this.#leftover === 0)) return
    await compact({
      committer: this.#committer,
      place: this.#place,
      head,
      count: after => countOf(Math.max(after, this.#after), head.sequence, this.#missing),
      isDamaged: this.#damage.length > 0,
      fold,
      check: () => { this.#checkOpen() },
      counts: base => {
        this.#base = base
        this.#leftover = 1 // until all is deleted
        this.#folded = head
      }
    })
    this.#leftover = 0
  }

  #checkOpen (): void {
    if (this.#closed) throw new SwarmError('CLOSED', `document ${this.key} is closed`)
  }
}
