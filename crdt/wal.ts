/**
 * A document's log on disk: what is appended here is there after a crash, and after a power cut where durability is strict.
 * Between the log and what others see stands one rule, held by whoever drives it: show nothing whose sequence is over `durable`.
 */
import { systemClock, type Clock } from '../lib/base/clock.ts'
import { SwarmError, assert } from '../lib/base/error.ts'
import type { Head } from '../lib/base/witness.ts'
import { foldAside } from '#aside'
import type { Committer } from './committer.ts'
import { compact, deletions } from './compact.ts'
import type { Fold } from './fold.ts'
import { nameChange, placeOf, quarantineKey, recordKey, type Place } from './place.ts'
import { writeRecord } from './record.ts'
import { noteChange, recover, type Damage, type Found, type Recovery } from './recover.ts'
import type { Base } from './snapshot.ts'

/** A log is worth folding over this many records, or over this many bytes and the snapshot's own. */
export const LOG_RECORDS_HIGH = 2_000
export const LOG_BYTES_HIGH = 2 ** 20

export interface WalOptions {
  /** Writes for all documents of a peer. */
  readonly committer: Committer
  /** The document's name, kept beside it for `listDocuments`. */
  readonly name?: string
  /** Default the system's. */
  readonly clock?: Clock
}

export interface LoggedUpdate {
  readonly sequence: number
  readonly update: Uint8Array
  /** The peer that it came from; '' for this one. */
  readonly origin: string
}

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
  readonly #name: string | undefined
  /** Of the last append, of the last one acknowledged, and of the last one folded. */
  #head: Mark
  #durable: Mark
  #folded: Pick<Mark, 'bytes' | 'records'> = { bytes: 0, records: 0 }
  #base: Base | undefined
  /** The sequence after which the log began when it was opened, and what was missing in it then. */
  readonly #after: number
  readonly #missing: readonly { readonly first: number, readonly last: number }[]
  #damage: readonly Damage[]
  #leftover: number
  #isNamed: boolean
  #listeners = new Set<(sequence: number) => void>()
  #waiting: { sequence: number, resolve: () => void, reject: (failure: SwarmError) => void }[] = []
  #isTelling = false
  #compacting: Promise<void> | undefined
  #closed = false

  /**
   * Brings a document back from disk. One `Wal` per document at a time; its committer must not have failed.
   *
   * @param document its key: see `documentKey`
   * @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote it, DISK_FAILED, FOLDER_UNUSABLE, CLOSED
   */
  static async open (document: string, options: WalOptions): Promise<Opened> {
    assert(/^[0-9a-f]{32}$/.test(document), `${document} is no key of a document`)
    const { committer } = options
    await committer.heal()
    const place = placeOf(document)
    const found = await recover(committer.storage, place, await committer.witness?.read(document))
    await putAside(committer, place, found)
    const { damage, cut, quarantine, leftover, isWitnessed } = found
    return {
      wal: new Wal(place, found, options),
      snapshot: found.snapshot,
      updates: found.records.map(({ sequence, update, origin }) => ({ sequence, update, origin })),
      recovery: { damage, quarantined: quarantine.length, cut: cut.length, leftover, isWitnessed }
    }
  }

  private constructor (place: Place, found: Found, { committer, name, clock }: WalOptions) {
    this.key = place.key
    this.#place = place
    this.#committer = committer
    this.#clock = clock ?? systemClock
    this.#name = name
    const bytes = found.records.reduce((sum, { update, origin }) => sum + RECORD_BYTES + update.byteLength + origin.length, 0)
    this.#head = this.#durable = { sequence: found.head.sequence, hash: found.head.hash.slice(), records: found.records.length, bytes }
    this.#base = found.base
    this.#after = found.after
    this.#missing = missingOf(found)
    this.#damage = found.damage
    this.#leftover = found.leftover
    this.#isNamed = !found.isEmpty
  }

  /** The highest sequence that is acknowledged by the chosen durability. */
  get durable (): number {
    return this.#durable.sequence
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
    const sequence = this.#head.sequence + 1
    const { value, hash } = writeRecord(this.#place.bytes, sequence, this.#head.hash, origin, update)
    const change = { key: recordKey(this.#place, sequence), value }
    const head: Mark = { sequence, hash, records: this.#head.records + 1, bytes: this.#head.bytes + RECORD_BYTES + update.byteLength + origin.length }
    const isFirst = !this.#isNamed && this.#name !== undefined
    this.#committer.add({
      changes: isFirst ? [nameChange(this.#place, this.#name ?? ''), change] : [change],
      head: { key: this.key, head },
      settled: failure => { if (failure === undefined) this.#reach(head); else this.#fail(failure) }
    })
    this.#isNamed = true
    this.#head = head
    return sequence
  }

  /** Told of `durable` when it has grown, once for many records; the returned function stops that. */
  onDurable (listener: (sequence: number) => void): () => void {
    const own = (sequence: number): void => { listener(sequence) }
    this.#listeners.add(own)
    return () => { this.#listeners.delete(own) }
  }

  /**
   * Resolves when all that is appended so far is acknowledged: `strict`, it is there after a power cut; `interval`, after a crash
   * of this process, and SYNC_MS later after a power cut; `memory`, while this process lives.
   *
   * @throws SwarmError DISK_FAILED once a write has failed, until a later one of the same records has not
   */
  async flushed (): Promise<void> {
    const { failure } = this.#committer
    if (failure !== undefined && (this.#durable !== this.#head || this.#committer.durability !== 'strict')) throw failure
    if (this.#durable === this.#head) return
    const { sequence } = this.#head
    await new Promise<void>((resolve, reject) => { this.#waiting.push({ sequence, resolve, reject }) })
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
    const keys: string[] = []
    for await (const [key] of this.#committer.storage.entries(this.#place.quarantine)) keys.push(key)
    for (let index = 0; index < keys.length; index += 100) await this.#committer.put(deletions(keys.slice(index, index + 100)))
    await this.#committer.put(deletions([this.#place.damage]))
    this.#damage = []
  }

  status (): WalStatus {
    const snapshotBytes = this.#base?.bytes ?? 0
    const [bytes, records] = [this.#head.bytes - this.#folded.bytes, this.#head.records - this.#folded.records]
    return {
      bytes,
      records,
      snapshotBytes,
      sequence: this.#head.sequence,
      durable: this.durable,
      isLong: records > LOG_RECORDS_HIGH || bytes > Math.max(LOG_BYTES_HIGH, snapshotBytes) || this.#leftover > 0,
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
    const head = this.#durable
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

  #reach (head: Mark): void {
    this.#durable = head
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      const { sequence } = this.#durable
      for (const listener of [...this.#listeners]) listener(sequence)
      let count = 0
      for (const waiter of this.#waiting) {
        if (waiter.sequence > sequence) break
        waiter.resolve()
        count++
      }
      this.#waiting.splice(0, count)
    })
  }

  #fail (failure: SwarmError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(failure)
  }

  #checkOpen (): void {
    if (this.#closed) throw new SwarmError('CLOSED', `document ${this.key} is closed`)
  }
}

/** Where a log has come to, with all that it ever held since it was opened. */
interface Mark extends Head {
  readonly bytes: number
  readonly records: number
}

/** What a record costs beside its update and origin: its head, and its key. */
const RECORD_BYTES = 42 + 55

/** Cuts what is torn, and puts what is damaged under keys of its own, with a note. */
async function putAside (committer: Committer, place: Place, { cut, quarantine, damage, isNew }: Found): Promise<void> {
  if (cut.length > 0) await committer.put(deletions(cut))
  for (const key of quarantine) {
    const value = await committer.storage.get(key)
    if (value !== undefined) await committer.put([{ key: quarantineKey(place, key), value }, { key, value: undefined }])
  }
  if (isNew) await committer.put([noteChange(place, damage)])
}

function missingOf ({ after, records, head }: Found): { first: number, last: number }[] {
  const missing: { first: number, last: number }[] = []
  let next = after + 1
  for (const { sequence } of records) {
    if (sequence > next) missing.push({ first: next, last: sequence - 1 })
    next = sequence + 1
  }
  if (next <= head.sequence) missing.push({ first: next, last: head.sequence })
  return missing
}

/** How many sequences over `after`, up to `last`, are not missing. */
function countOf (after: number, upTo: number, missing: readonly { readonly first: number, readonly last: number }[]): number {
  let count = Math.max(0, upTo - after)
  for (const { first, last } of missing) count -= Math.max(0, Math.min(last, upTo) - Math.max(first, after + 1) + 1)
  return count
}
