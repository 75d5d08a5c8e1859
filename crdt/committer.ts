/**
 * Group commit for all documents of a peer: what is appended while one write is under way goes out together with the next, so that
 * thousands of appends share one flush of the disk.
 *
 *     strict    the storage flushes a batch and the witness the heads after it, side by side; acknowledged when both have ended
 *     interval  acknowledged when written; SYNC_MS later at the latest it is flushed, and witnessed, in the same way
 *     memory    acknowledged when written; nothing is ever flushed
 *
 * What the witness writes beside the storage is a *claim*, and it keeps the heads confirmed before (`sure`). When both have ended the
 * claim is confirmed, without a flush, and then the batch is acknowledged. Whatever ends first, an honest disk leaves one of these:
 *
 *     on disk                        found again as
 *     neither                        sure ≤ log: whole
 *     the batch, not the claim       sure ≤ log: what follows on `sure` is taken
 *     the claim, not the batch       log < claim: cut off while it was written, so not acknowledged; `sure` counts
 *     the claim, a part of the batch the same: what follows on `sure` is taken, the rest cut
 *     both, unconfirmed              claim ≤ log: the log is held to the claim
 *     both, confirmed                the claim is what is sure
 *     a torn claim                   its page is; the other of its pair tells what was confirmed before it was begun
 *
 * A claim is begun when the one before is confirmed in memory and both of its flushes have ended: so any claim on disk says that its
 * `sure` is on disk as well. `kill -9` leaves what was confirmed, and so does `close`, which flushes it: a log that falls short of that is
 * damaged, and recovery says so. Only a power cut can take back the confirmation of the last batch, and only on a disk that lost that
 * batch too after it had said that it was flushed would nobody notice. Then the log does not come up to its claim, and whoever
 * asks is told that no witness stands for it (`isWitnessed`): nothing new is written under an old incarnation. Nor is it where such a
 * disk has lost batches and claims alike, and all looks whole: incarnation.ts.
 *
 * **A write that fails stops every acknowledgement**, for its own entries and all after them. After a failed flush nobody knows what
 * is on disk, and asking again may be answered with a lie ("fsyncgate", 2018): so entries are kept until they are safe, and
 * `heal` writes them all anew, in their order. It is tried again by itself, at growing distances.
 *
 * Bounds: a batch holds BATCH_OPERATIONS_MAX changes and BATCH_BYTES_MAX bytes (backlog.ts); an entry waits for its turn of the event
 * loop (at most BATCH_MS_MAX where a turn takes long) and for at most one earlier write of its kind, never for company.
 */
import { afterTurn, type Clock } from '../lib/base/clock.ts'
import { SwarmError, assert, messageOf } from '../lib/base/error.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import type { Head, Witness } from '../lib/base/witness.ts'
import { Backlog, type Entry } from './backlog.ts'
import { Retry } from './retry.ts'

/** What an acknowledgement means: see above. */
export type Durability = 'strict' | 'interval' | 'memory'

/** An entry is written at once, without waiting for the turn to end, if another one has waited this long. */
export const BATCH_MS_MAX = 5

/** With `interval`, how long an acknowledged entry may be without a flush, in milliseconds. */
export const SYNC_MS = 100

/** With `interval`, bytes acknowledged without a flush; at more, the flush comes at once. */
export const UNSYNCED_BYTES_MAX = 8 * 2 ** 20

/** Put with a flush that has nothing else to write: an empty write would not reach the disk. */
const SYNC_KEY = 'crdt/sync'

/** Bytes counted for a change beside its key and value. */
const CHANGE_BYTES = 64

export interface CommitterOptions {
  readonly storage: Storage
  /** Where the platform has one; without, a log that lost its end is taken for whole. */
  readonly witness?: Witness | undefined
  readonly clock: Clock
  readonly durability: Durability
}

/** An entry that is whole from the start. */
export interface Whole extends Pick<Entry, 'isDropped' | 'sync' | 'settled'> {
  readonly changes: readonly Change[]
}

export class Committer {
  readonly durability: Durability
  readonly storage: Storage
  readonly witness: Witness | undefined
  readonly #clock: Clock
  readonly #backlog = new Backlog()
  #failure: SwarmError | undefined
  #healing: Promise<void> | undefined
  readonly #retry: Retry
  #cancelSync: (() => void) | undefined
  #turnSinceMs: number | undefined
  #syncs = 0
  #closed = false
  #changed: (() => void)[] = []

  constructor ({ storage, witness, clock, durability }: CommitterOptions) {
    this.storage = storage
    this.witness = durability === 'memory' ? undefined : witness
    this.#clock = clock
    this.durability = durability
    this.#retry = new Retry(clock, () => {
      this.heal().catch((error: unknown) => { assert(error instanceof SwarmError, messageOf(error)) }) // `#fail` tells all concerned
    })
  }

  /** Why nothing is acknowledged, until a later write of the same has succeeded. */
  get failure (): SwarmError | undefined {
    return this.#failure
  }

  /** Bytes that are not safe yet. */
  get bytes (): number {
    return this.#backlog.bytes
  }

  /** Whether something of a document's log is not safe yet: what can be read of it then is not all. */
  holds (document: string): boolean {
    return this.#backlog.holds(document)
  }

  /** @throws SwarmError CLOSED, or OVERLOADED at QUEUE_BYTES_MAX: then nothing was taken */
  add ({ changes, ...rest }: Whole): void {
    let bytes = 0
    for (const { key, value } of changes) bytes += CHANGE_BYTES + key.length + (value?.byteLength ?? 0)
    this.begin({ ...rest, bytes, operations: changes.length, seal: () => ({ changes }) })
  }

  /**
   * Takes an entry that may grow; it is sealed in a later turn, or by `hurry`.
   *
   * @param bytes what it is to hold beside its `bytes`
   * @throws as `add`
   */
  begin (entry: Entry, bytes = 0): void {
    if (this.#closed) throw new SwarmError('CLOSED', 'documents are closed')
    this.#backlog.add(entry, bytes, this.#failure)
    this.#schedule()
  }

  /** Makes room for more in an entry that was begun and is not sealed. @throws as `add` */
  grow (entry: Entry, bytes: number): void {
    if (this.#closed) throw new SwarmError('CLOSED', 'documents are closed')
    this.#backlog.grow(entry, bytes, this.#failure)
  }

  /** Writes at once what has waited over BATCH_MS_MAX for its turn: to be called before more is added. */
  hurry (): void {
    if (this.#turnSinceMs !== undefined && this.#mayWrite() && this.#clock.nowMs() - this.#turnSinceMs > BATCH_MS_MAX) this.#write()
  }

  /**
   * Writes changes in their turn, all or none.
   *
   * @throws SwarmError DISK_FAILED: they are not tried again, and whether they are on disk is unknown
   */
  async put (changes: readonly Change[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settled = (failure?: SwarmError): void => { if (failure === undefined) resolve(); else reject(failure) }
      if (this.#failure === undefined) this.add({ changes, isDropped: true, sync: true, settled })
      else reject(this.#failure)
    })
  }

  /** Writes what failed anew, now. @throws SwarmError DISK_FAILED if that fails too */
  async heal (): Promise<void> {
    if (this.#failure === undefined) return
    this.#healing ??= this.#writeAnew().finally(() => { this.#healing = undefined })
    await this.#healing
  }

  /** Resolves when all that was added is safe: with `interval`, flushed and witnessed now. @throws SwarmError DISK_FAILED */
  async drain (): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#backlog.bytes === 0) return
      this.#secure()
      await this.#change()
    }
  }

  /** Takes no more, and ends with all that was added safe. Storage and witness stay open. @throws SwarmError DISK_FAILED if something is not safe */
  async close (): Promise<void> {
    this.#closed = true
    this.#retry.end()
    try {
      await this.drain()
    } finally {
      await this.#quiet()
      this.#cancelSync?.()
    }
  }

  #schedule (): void {
    if (this.#turnSinceMs !== undefined || !this.#mayWrite()) return
    this.#turnSinceMs = this.#clock.nowMs()
    afterTurn(() => {
      this.#turnSinceMs = undefined
      this.#write()
    })
  }

  #mayWrite (): boolean {
    return this.#failure === undefined && this.#backlog.isWaiting && !this.#backlog.isWriting
  }

  /** One batch into the storage; `strict`, beside what the witness claims of it. */
  #write (): void {
    if (!this.#mayWrite()) return
    const { changes, heads, sync } = this.#backlog.take()
    const isStrict = this.durability === 'strict'
    const writing = this.storage.write(changes, { sync: isStrict || (this.durability === 'interval' && sync) })
    this.#witnessed(writing, isStrict ? heads : new Map()).then(() => {
      if (isStrict) {
        this.#backlog.wroteSafely()
        this.#retry.reset()
        this.#schedule()
        return this.#tellChange()
      }
      this.#backlog.wrote(this.#failure === undefined)
      if (this.#failure !== undefined) this.#backlog.fail(this.#failure) // securing what was before has failed meanwhile
      else {
        this.#secureInTime()
        this.#schedule()
      }
      this.#tellChange()
    }, (error: unknown) => {
      this.#backlog.unwrote()
      this.#fail(error)
    })
  }

  /** Ends when both have, the storage and the witness. */
  async #witnessed (writing: Promise<void>, heads: ReadonlyMap<string, Head>): Promise<void> {
    const { witness } = this
    if (witness === undefined || heads.size === 0) return await writing
    for (const result of await Promise.allSettled([writing, witness.claim(heads)])) if (result.status === 'rejected') throw result.reason
    await witness.confirm()
  }

  #secureInTime (): void {
    if (!this.#backlog.isWritten) return
    if (this.durability !== 'interval' || this.#backlog.writtenBytes > UNSYNCED_BYTES_MAX) this.#secure()
    else this.#cancelSync ??= this.#clock.after(SYNC_MS, () => { this.#secure() })
  }

  /** For all that is written: with `interval` a flush, and the witness beside it. */
  #secure (): void {
    if (this.#failure !== undefined || this.#backlog.isSecuring || !this.#backlog.isWritten) return
    this.#cancelSync?.()
    this.#cancelSync = undefined
    const heads = this.#backlog.secure()
    this.#witnessed(this.durability === 'interval' ? this.#flush() : Promise.resolve(), heads).then(() => {
      this.#backlog.secured()
      if (this.#failure === undefined) {
        this.#retry.reset()
        this.#secureInTime()
      }
      this.#tellChange()
    }, (error: unknown) => {
      this.#backlog.unsecured()
      this.#fail(error)
    })
  }

  /** A write of nothing would not reach the disk. */
  async #flush (): Promise<void> {
    const count = new Uint8Array(4)
    new DataView(count.buffer).setUint32(0, ++this.#syncs)
    await this.storage.write([{ key: SYNC_KEY, value: count }], { sync: this.durability !== 'memory' })
  }

  async #writeAnew (): Promise<void> {
    this.#retry.disarm()
    await this.#quiet()
    try {
      await this.#flush() // shows that the disk works, even where nothing is kept
    } catch (error) {
      throw this.#fail(error)
    }
    this.#backlog.again()
    this.#failure = undefined
    this.#schedule()
    await this.drain()
  }

  #fail (cause: unknown): SwarmError {
    const failure = this.#failure = new SwarmError('DISK_FAILED', `documents cannot be written: ${messageOf(cause)}. Nothing is acknowledged until they can`, { cause })
    this.#cancelSync?.()
    this.#cancelSync = undefined
    this.#retry.arm()
    this.#backlog.fail(failure)
    this.#tellChange()
    return failure
  }

  /** Waits until neither step has anything in hand. */
  async #quiet (): Promise<void> {
    while (this.#backlog.isWriting || this.#backlog.isSecuring) await this.#change()
  }

  async #change (): Promise<void> {
    await new Promise<void>(resolve => { this.#changed.push(resolve) })
  }

  #tellChange (): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}
