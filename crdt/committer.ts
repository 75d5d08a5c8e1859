/**
 * Group commit for all documents of a peer: what is appended while one write is under way goes out together with the next, so that
 * thousands of appends share one flush of the disk.
 *
 * Two steps follow each other, each with one call in flight: the storage writes a batch, then the witness writes the heads of all
 * batches that the storage has finished meanwhile. The witness must come second: ahead of the storage it would, after a power
 * cut between the two, accuse a healthy log of being short. While the witness writes, the next batch is on its way.
 *
 *     strict    an entry is acknowledged when the storage has flushed it and the witness has its head
 *     interval  acknowledged when written; SYNC_MS later at the latest it is flushed, and the witness hears of it
 *     memory    acknowledged when written; nothing is ever flushed
 *
 * **A write that fails stops every acknowledgement**, for its own entries and all after them. After a failed flush nobody knows what
 * is on disk, and asking again may be answered with a lie ("fsyncgate", 2018): so entries are kept until they are safe, and
 * `heal` writes them all anew, in their order. It is tried again by itself, at growing distances.
 *
 * Bounds: a batch holds BATCH_OPERATIONS_MAX changes and BATCH_BYTES_MAX bytes; an entry waits for its turn of the event loop (at
 * most BATCH_MS_MAX where a turn takes long) and for at most one earlier write of its kind, never for company.
 */
import { afterTurn, type Clock } from '../lib/base/clock.ts'
import { SwarmError, assert, messageOf } from '../lib/base/error.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import type { Head, Witness } from '../lib/base/witness.ts'

/** What an acknowledgement means: see above. */
export type Durability = 'strict' | 'interval' | 'memory'

/** Changes in one write. */
export const BATCH_OPERATIONS_MAX = 2_048

/** Bytes in one write, but for an entry that alone has more. */
export const BATCH_BYTES_MAX = 2 ** 20

/** An entry is written at once, without waiting for the turn to end, if another one has waited this long. */
export const BATCH_MS_MAX = 5

/** With `interval`, how long an acknowledged entry may be without a flush, in milliseconds. */
export const SYNC_MS = 100

/** With `interval`, bytes acknowledged without a flush; at more, the flush comes at once. */
export const UNSYNCED_BYTES_MAX = 8 * 2 ** 20

/** Bytes of entries not yet safe, written or waiting: bounds what a dead disk costs in memory. */
export const QUEUE_BYTES_MAX = 64 * 2 ** 20

/** First and longest distance between tries to write anew after a failure, in milliseconds. */
export const HEAL_MS = 1_000
export const HEAL_MS_MAX = 30_000

/** Put with a flush that has nothing else to write: an empty write would not reach the disk. */
const SYNC_KEY = 'crdt/sync'

/** Bytes counted for an entry beside its keys and values. */
const ENTRY_BYTES = 64

export interface CommitterOptions {
  readonly storage: Storage
  /** Where the platform has one; without, a log that lost its end is taken for whole. */
  readonly witness?: Witness | undefined
  readonly clock: Clock
  readonly durability: Durability
}

/** What is written together or not at all. */
export interface Entry {
  readonly changes: readonly Change[]
  /** The document's log after it, where it grew. */
  readonly head?: { readonly key: string, readonly head: Head }
  /** Whether a failure drops it, or keeps it to be written anew. */
  readonly isDropped?: boolean
  /** Flushed before it counts as written, with `interval` too. */
  readonly sync?: boolean
  /** Told once when it is acknowledged, and of every failure that leaves it unsafe. */
  readonly settled: (failure?: SwarmError) => void
}

interface Waiting extends Entry {
  readonly bytes: number
  acknowledged: boolean
}

export class Committer {
  readonly durability: Durability
  readonly storage: Storage
  readonly witness: Witness | undefined
  readonly #clock: Clock
  /** In order: being flushed and witnessed; written, waiting for that; being written; waiting to be written. */
  #securing: readonly Waiting[] = []
  #written: Waiting[] = []
  #writing: readonly Waiting[] = []
  #queue: Waiting[] = []
  #bytes = 0
  #writtenBytes = 0
  #failure: SwarmError | undefined
  #healing: Promise<void> | undefined
  #healMs = HEAL_MS
  #cancelHeal: (() => void) | undefined
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
  }

  /** Why nothing is acknowledged, until a later write of the same has succeeded. */
  get failure (): SwarmError | undefined {
    return this.#failure
  }

  /** Bytes that are not safe yet. */
  get bytes (): number {
    return this.#bytes
  }

  /** @throws SwarmError CLOSED, or OVERLOADED at QUEUE_BYTES_MAX: then nothing was taken */
  add (entry: Entry): void {
    if (this.#closed) throw new SwarmError('CLOSED', 'documents are closed')
    let bytes = ENTRY_BYTES
    for (const { key, value } of entry.changes) bytes += key.length + (value?.byteLength ?? 0)
    if (this.#bytes + bytes > QUEUE_BYTES_MAX && this.#bytes > 0) {
      throw new SwarmError('OVERLOADED', `${this.#bytes} bytes wait for the disk; limit ${QUEUE_BYTES_MAX}`, { cause: this.#failure })
    }
    this.#bytes += bytes
    this.#queue.push({ ...entry, bytes, acknowledged: false })
    this.#schedule()
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
      if (this.#bytes === 0) return
      this.#secure()
      await this.#change()
    }
  }

  /** Takes no more, and ends with all that was added safe. Storage and witness stay open. @throws SwarmError DISK_FAILED if something is not safe */
  async close (): Promise<void> {
    this.#closed = true
    this.#cancelHeal?.()
    try {
      await this.drain()
    } finally {
      await this.#quiet()
      this.#cancelHeal?.()
      this.#cancelSync?.()
    }
  }

  #schedule (): void {
    if (!this.#mayWrite()) return
    if (this.#turnSinceMs !== undefined) {
      if (this.#clock.nowMs() - this.#turnSinceMs > BATCH_MS_MAX) this.#write()
      return
    }
    this.#turnSinceMs = this.#clock.nowMs()
    afterTurn(() => {
      this.#turnSinceMs = undefined
      this.#write()
    })
  }

  #mayWrite (): boolean {
    return this.#failure === undefined && this.#writing.length === 0 && this.#queue.length > 0
  }

  /** The first step: one batch into the storage. */
  #write (): void {
    if (!this.#mayWrite()) return
    const batch = this.#writing = this.#take()
    const sync = this.durability === 'strict' || (this.durability === 'interval' && batch.some(entry => entry.sync === true))
    this.storage.write(batch.flatMap(({ changes }) => changes), { sync }).then(() => {
      this.#writing = []
      this.#written.push(...batch)
      for (const { bytes } of batch) this.#writtenBytes += bytes
      if (this.#failure !== undefined) this.#tellFailure(this.#failure) // the witness failed meanwhile
      else {
        if (this.durability !== 'strict') acknowledge(batch)
        this.#secureInTime()
        this.#schedule()
      }
      this.#tellChange()
    }, (error: unknown) => {
      this.#writing = []
      this.#queue = [...batch, ...this.#queue]
      this.#fail(error)
    })
  }

  #take (): Waiting[] {
    let [count, operations, bytes] = [0, 0, 0]
    for (const entry of this.#queue) {
      operations += entry.changes.length
      bytes += entry.bytes
      if (count > 0 && (operations > BATCH_OPERATIONS_MAX || bytes > BATCH_BYTES_MAX)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  #secureInTime (): void {
    if (this.#written.length === 0) return
    if (this.durability !== 'interval' || this.#writtenBytes > UNSYNCED_BYTES_MAX) this.#secure()
    else this.#cancelSync ??= this.#clock.after(SYNC_MS, () => { this.#secure() })
  }

  /** The second step, for all that is written: with `interval` the flush, then the witness. */
  #secure (): void {
    if (this.#failure !== undefined || this.#securing.length > 0 || this.#written.length === 0) return
    this.#cancelSync?.()
    this.#cancelSync = undefined
    const batch = this.#securing = this.#written
    this.#written = []
    this.#writtenBytes = 0
    this.#flushAndWitness(batch).then(() => {
      this.#securing = []
      for (const { bytes } of batch) this.#bytes -= bytes
      if (this.#failure === undefined) this.#healMs = HEAL_MS
      acknowledge(batch)
      if (this.#failure === undefined) this.#secureInTime()
      this.#tellChange()
    }, (error: unknown) => {
      this.#securing = []
      this.#written = [...batch, ...this.#written]
      this.#fail(error)
    })
  }

  async #flushAndWitness (batch: readonly Waiting[]): Promise<void> {
    if (this.durability === 'interval') await this.#flush()
    if (this.witness === undefined) return
    const heads = new Map<string, Head>()
    for (const { head } of batch) if (head !== undefined) heads.set(head.key, head.head)
    if (heads.size > 0) await this.witness.write(heads)
  }

  /** A write of nothing would not reach the disk. */
  async #flush (): Promise<void> {
    const count = new Uint8Array(4)
    new DataView(count.buffer).setUint32(0, ++this.#syncs)
    await this.storage.write([{ key: SYNC_KEY, value: count }], { sync: this.durability !== 'memory' })
  }

  async #writeAnew (): Promise<void> {
    this.#cancelHeal?.()
    this.#cancelHeal = undefined
    await this.#quiet()
    try {
      await this.#flush() // shows that the disk works, even where nothing is kept
    } catch (error) {
      throw this.#fail(error)
    }
    this.#queue = [...this.#written, ...this.#queue]
    this.#written = []
    this.#writtenBytes = 0
    this.#failure = undefined
    this.#schedule()
    await this.drain()
  }

  #fail (cause: unknown): SwarmError {
    const failure = this.#failure = new SwarmError('DISK_FAILED', `documents cannot be written: ${messageOf(cause)}. Nothing is acknowledged until they can`, { cause })
    this.#cancelSync?.()
    this.#cancelSync = undefined
    if (!this.#closed && this.#cancelHeal === undefined) {
      this.#cancelHeal = this.#clock.after(this.#healMs, () => {
        this.#cancelHeal = undefined
        this.heal().catch((error: unknown) => { assert(error instanceof SwarmError, messageOf(error)) }) // `#fail` tells all concerned
      })
      this.#healMs = Math.min(2 * this.#healMs, HEAL_MS_MAX)
    }
    this.#tellFailure(failure)
    this.#tellChange()
    return failure
  }

  /** Tells everything that neither step has in hand; what is dropped by a failure goes. */
  #tellFailure (failure: SwarmError): void {
    const told = [...this.#written, ...this.#queue]
    this.#written = this.#written.filter(entry => !isGone(entry))
    this.#queue = this.#queue.filter(entry => !isGone(entry))
    for (const entry of told) {
      if (isGone(entry)) this.#bytes -= entry.bytes
      entry.settled(failure)
    }
  }

  /** Waits until neither step has anything in hand. */
  async #quiet (): Promise<void> {
    while (this.#writing.length > 0 || this.#securing.length > 0) await this.#change()
  }

  async #change (): Promise<void> {
    await new Promise<void>(resolve => { this.#changed.push(resolve) })
  }

  #tellChange (): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

function acknowledge (batch: readonly Waiting[]): void {
  for (const entry of batch) {
    if (entry.acknowledged) continue
    entry.acknowledged = true
    entry.settled()
  }
}

function isGone ({ isDropped }: Waiting): boolean {
  return isDropped === true
}
