/**
 * Entries on their way to the disk, in order, and where each of them stands:
 *
 *     waiting → being written → written → being secured → gone, safe
 *                            ↘ gone, safe
 *
 * What fails goes back: a failed write to the head of what waits, failed securing to the head of what is written. Nothing is
 * forgotten before it is safe, but for what is to be dropped by a failure.
 */
import { SwarmError, assert } from '../lib/base/error.ts'
import type { Change } from '../lib/base/storage.ts'
import type { Head } from '../lib/base/witness.ts'

/** Changes in one write. */
export const BATCH_OPERATIONS_MAX = 2_048

/** Bytes in one write, but for an entry that alone has more. */
export const BATCH_BYTES_MAX = 2 ** 20

/** Bytes of entries not yet safe, written or waiting: bounds what a dead disk costs in memory. */
export const QUEUE_BYTES_MAX = 64 * 2 ** 20

/** What is written together or not at all. */
export interface Entry {
  /** What it holds; grows until it is sealed. */
  bytes: number
  /** The key of the document whose log it is of. */
  readonly document?: string
  /** How many changes it will be. */
  readonly operations: number
  /** Called once, when its turn has come: from then on nothing is added. */
  readonly seal: () => Sealed
  /** Whether a failure drops it, or keeps it to be written anew. */
  readonly isDropped?: boolean
  /** Flushed before it counts as written, with `interval` too. */
  readonly sync?: boolean
  /** Told once when it is acknowledged, and of every failure that leaves it unsafe. */
  readonly settled: (failure?: SwarmError) => void
}

export interface Sealed {
  readonly changes: readonly Change[]
  /** The document's log after it, where it grew. */
  readonly head?: { readonly key: string, readonly head: Head }
}

class Item {
  readonly entry: Entry
  sealed: Sealed | undefined
  isAcknowledged = false

  constructor (entry: Entry) {
    this.entry = entry
  }
}

export class Backlog {
  #securing: readonly Item[] = []
  #written: Item[] = []
  #writing: readonly Item[] = []
  #waiting: Item[] = []
  #bytes = 0
  #writtenBytes = 0

  /** Of all that is not safe. */
  get bytes (): number {
    return this.#bytes
  }

  /** Of what is written and not being secured. */
  get writtenBytes (): number {
    return this.#writtenBytes
  }

  get isWaiting (): boolean {
    return this.#waiting.length > 0
  }

  get isWriting (): boolean {
    return this.#writing.length > 0
  }

  get isWritten (): boolean {
    return this.#written.length > 0
  }

  get isSecuring (): boolean {
    return this.#securing.length > 0
  }

  /** Whether something of a document's log is not safe. */
  holds (document: string): boolean {
    return [this.#securing, this.#written, this.#writing, this.#waiting].some(items => items.some(({ entry }) => entry.document === document))
  }

  /**
   * @param bytes what the entry is to hold beside its `bytes`
   * @throws SwarmError OVERLOADED at QUEUE_BYTES_MAX: then nothing was taken; `cause` goes with it
   */
  add (entry: Entry, bytes: number, cause?: unknown): void {
    this.#count(entry.bytes + bytes, cause)
    entry.bytes += bytes
    this.#waiting.push(new Item(entry))
  }

  /** Counts what an entry that waits takes in beside. @throws as `add` */
  grow (entry: Entry, bytes: number, cause?: unknown): void {
    this.#count(bytes, cause)
    entry.bytes += bytes
  }

  /** Seals what goes into the next write. One at a time. */
  take (): { readonly changes: Change[], readonly heads: ReadonlyMap<string, Head>, readonly sync: boolean } {
    assert(!this.isWriting, 'one write at a time')
    let [count, operations, bytes] = [0, 0, 0]
    for (const { entry } of this.#waiting) {
      operations += entry.operations
      bytes += entry.bytes
      if (count > 0 && (operations > BATCH_OPERATIONS_MAX || bytes > BATCH_BYTES_MAX)) break
      count++
    }
    this.#writing = this.#waiting.splice(0, count)
    return {
      changes: this.#writing.flatMap(item => (item.sealed ??= item.entry.seal()).changes),
      heads: headsOf(this.#writing),
      sync: this.#writing.some(({ entry }) => entry.sync === true)
    }
  }

  /** The write has ended well. */
  wrote (isAcknowledged: boolean): void {
    const batch = this.#writing
    this.#writing = []
    this.#written.push(...batch)
    for (const { entry } of batch) this.#writtenBytes += entry.bytes
    if (isAcknowledged) acknowledge(batch)
  }

  /** The write has ended well, and nothing is left to be done for it. */
  wroteSafely (): void {
    const batch = this.#writing
    this.#writing = []
    this.#letGo(batch)
  }

  /** The write has failed: it waits again. */
  unwrote (): void {
    this.#waiting = [...this.#writing, ...this.#waiting]
    this.#writing = []
  }

  /** Hands out all that is written, to be secured: the last head of each document. */
  secure (): ReadonlyMap<string, Head> {
    assert(!this.isSecuring, 'one securing at a time')
    this.#securing = this.#written
    this.#written = []
    this.#writtenBytes = 0
    return headsOf(this.#securing)
  }

  secured (): void {
    const batch = this.#securing
    this.#securing = []
    this.#letGo(batch)
  }

  unsecured (): void {
    this.#written = [...this.#securing, ...this.#written]
    this.#securing = []
  }

  /** All that is written waits again, to be written anew. */
  again (): void {
    this.#waiting = [...this.#written, ...this.#waiting]
    this.#written = []
    this.#writtenBytes = 0
  }

  /** Tells everything that is not in hand; what is dropped by a failure goes. */
  fail (failure: SwarmError): void {
    const told = [...this.#written, ...this.#waiting]
    this.#written = this.#written.filter(stays)
    this.#waiting = this.#waiting.filter(stays)
    for (const { entry } of told) {
      if (entry.isDropped === true) this.#bytes -= entry.bytes
      entry.settled(failure)
    }
  }

  #letGo (batch: readonly Item[]): void {
    for (const { entry } of batch) this.#bytes -= entry.bytes
    acknowledge(batch)
  }

  #count (bytes: number, cause: unknown): void {
    if (this.#bytes + bytes > QUEUE_BYTES_MAX && this.#bytes > 0) {
      throw new SwarmError('OVERLOADED', `${this.#bytes} bytes wait for the disk; limit ${QUEUE_BYTES_MAX}`, { cause })
    }
    this.#bytes += bytes
  }
}

/** The last head of each document. */
function headsOf (batch: readonly Item[]): ReadonlyMap<string, Head> {
  const heads = new Map<string, Head>()
  for (const { sealed } of batch) if (sealed?.head !== undefined) heads.set(sealed.head.key, sealed.head.head)
  return heads
}

function acknowledge (batch: readonly Item[]): void {
  for (const item of batch) {
    if (item.isAcknowledged) continue
    item.isAcknowledged = true
    item.entry.settled()
  }
}

function stays ({ entry }: Item): boolean {
  return entry.isDropped !== true
}
