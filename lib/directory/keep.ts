/**
 * Records and catalogues on disk, so that a peer which starts again knows every peer, agent and tool at once.
 *
 * A cache: whatever is damaged, or too much, is dropped and counted, and comes again from its peer; a failing disk costs
 * the cache and nothing else. A value is the wall clock when it was saved, in milliseconds, a space, a checksum, and the text.
 * The checksum binds the text to its key and its swarm. What it was before it was kept, a record by its signature and a
 * catalogue by its own hash, is not worked out again: a thousand of either would cost a start half a second.
 */
import { textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { sha256 } from '#hash'
import type { Change, Storage } from '../base/storage.ts'
import { recallCatalogue, type Catalogue } from './catalogue.ts'
import type { Directory } from './directory.ts'
import { LIBRARY_BYTES_MAX } from './library.ts'
import { recallRecord, type PeerRecord } from './record.ts'

/** Records kept: bounds the work at start. */
export const RECORDS_KEPT_MAX = 1_000

/** How long a record is kept whose peer is not met: 30 days, in milliseconds. */
export const RECORD_KEPT_MS_MAX = 30 * 86_400_000

/** How long changes are gathered before they are written together. */
export const KEEP_MS = 200

const RECORDS = 'directory/record/'
const CHECKSUM_CHARS = 43

/** Digits of the wall clock, and the space. */
const SAVED_CHARS_MAX = 17

const CATALOGUES = 'directory/catalogue/'

export interface KeepOptions {
  readonly storage: Storage
  readonly swarmId: string
  readonly clock: Clock
  /** Told of a read or a write that failed; what it held is lost to the cache. */
  readonly onFailure: (error: unknown) => void
  /** Default RECORDS_KEPT_MAX. */
  readonly recordsMax?: number
  /** Bytes of all catalogues together; default LIBRARY_BYTES_MAX. */
  readonly catalogueBytesMax?: number
}

/** What was found on disk. */
export interface Loaded {
  readonly records: number
  readonly catalogues: number
  /** Entries that could not be read, now deleted. */
  readonly damaged: number
  /** Entries that were too old, too many or named by no record, now deleted. */
  readonly pruned: number
}

type Counts = { -readonly [Name in keyof Loaded]: Loaded[Name] }

interface Entry<Value> {
  readonly key: string
  readonly savedMs: number
  readonly text: string
  /** Of the text. */
  readonly bytes: number
  readonly value: Value
}

export class Keep {
  readonly #options: KeepOptions
  readonly #recordsMax: number
  readonly #catalogueBytesMax: number
  /** Keys on disk, or on their way there, the longest kept first: of peers that have shown to be members, and of the others. */
  readonly #proven = new Set<string>()
  readonly #others = new Set<string>()
  /** The same, with the bytes of each. */
  readonly #catalogues = new Map<string, number>()
  #catalogueBytes = 0
  #pending = new Map<string, Uint8Array | undefined>()
  #cancelTimer: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor (options: KeepOptions) {
    this.#options = options
    this.#recordsMax = options.recordsMax ?? RECORDS_KEPT_MAX
    this.#catalogueBytesMax = options.catalogueBytesMax ?? LIBRARY_BYTES_MAX
  }

  /** Brings what is on disk into a directory: its peers are known then, but not living. Once, before anything is saved. */
  async load (directory: Directory): Promise<Loaded> {
    const counts = { records: 0, catalogues: 0, damaged: 0, pruned: 0 }
    try {
      const records = await this.#loadRecords(counts, directory.share)
      for (const { value, text } of records) directory.recall(value, text, this.#options.clock.nowMs())
      const named = new Set(records.flatMap(({ value }) => value.agents.map(agent => CATALOGUES + agent.catalogue)))
      for (const { key, bytes, value } of await this.#loadCatalogues(named, counts)) directory.addCatalogue(key.slice(CATALOGUES.length), value, bytes)
    } catch (error) {
      this.#options.onFailure(error)
    }
    return counts
  }

  /**
   * Keeps a record, in place of an earlier one of its peer; forgets a peer that has left.
   *
   * @param isProven its peer has shown to be a member: it makes no room for those that have not, of whom one other may have told many
   */
  saveRecord (record: PeerRecord, wire: string, isProven = false): void {
    const key = RECORDS + record.peerId
    const kept = isProven || this.#proven.has(key) ? this.#proven : this.#others
    this.#others.delete(key)
    this.#proven.delete(key)
    if (record.left === true) return this.#put(key, undefined)
    kept.add(key)
    this.#put(key, wire)
    if (this.#others.size + this.#proven.size <= this.#recordsMax) return
    const crowd = this.#others.size > 0 ? this.#others : this.#proven
    const [oldest] = crowd as Set<string> & [string]
    crowd.delete(oldest)
    this.#put(oldest, undefined)
  }

  saveCatalogue (hash: string, text: string): void {
    const key = CATALOGUES + hash
    if (this.#catalogues.has(key)) return
    this.#putCatalogue(key, utf8(text).byteLength)
    this.#put(key, text)
    for (const [oldest, bytes] of this.#catalogues) {
      if (this.#catalogueBytes <= this.#catalogueBytesMax) break
      this.#catalogues.delete(oldest)
      this.#catalogueBytes -= bytes
      this.#put(oldest, undefined)
    }
  }

  /** Writes what is waiting; resolves when the storage has it, or has failed. */
  async flush (): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const changes: Change[] = [...this.#pending].map(([key, value]) => ({ key, value }))
    this.#pending.clear()
    if (changes.length > 0) this.#writing = this.#write(this.#writing, changes)
    await this.#writing
  }

  /** Writes what is waiting, and takes no more. */
  async close (): Promise<void> {
    this.#closed = true
    await this.flush()
  }

  async #loadRecords (counts: Counts, share: Directory['share']): Promise<Entry<PeerRecord>[]> {
    const all = await this.#read(RECORDS, counts, text => recallRecord(text, share))
    const kept = all.filter(({ savedMs }) => this.#options.clock.wallMs() - savedMs < RECORD_KEPT_MS_MAX).slice(-this.#recordsMax)
    for (const { key } of kept) this.#others.add(key)
    counts.records = kept.length
    this.#prune(all, this.#others, counts)
    return kept
  }

  async #loadCatalogues (named: ReadonlySet<string>, counts: Counts): Promise<Entry<Catalogue>[]> {
    const all = await this.#read(CATALOGUES, counts, recallCatalogue)
    let room = this.#catalogueBytesMax
    const kept = all.toReversed().filter(({ key, bytes }) => named.has(key) && (room -= bytes) >= 0).reverse()
    for (const { key, bytes } of kept) this.#putCatalogue(key, bytes)
    counts.catalogues = kept.length
    this.#prune(all, this.#catalogues, counts)
    return kept
  }

  /** Every entry that can be read, the longest kept first; the others are deleted. */
  async #read<Value> (prefix: string, counts: Counts, parse: (text: string) => Value): Promise<Entry<Value>[]> {
    const entries: Entry<Value>[] = []
    for await (const [key, bytes] of this.#options.storage.entries(prefix)) {
      try {
        const head = /^(\d{1,16}) /.exec(textOf(bytes.subarray(0, SAVED_CHARS_MAX)))?.[0] ?? ''
        const [checksum, text] = [textOf(bytes.subarray(head.length, head.length + CHECKSUM_CHARS)), textOf(bytes.subarray(head.length + CHECKSUM_CHARS))]
        if (head === '' || checksum !== this.#checksum(key, text)) throw new SwarmError('MALFORMED', `what is kept under ${key} is damaged`)
        entries.push({ key, savedMs: Number(head), text, bytes: bytes.byteLength - head.length - CHECKSUM_CHARS, value: parse(text) })
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
        counts.damaged++
        this.#put(key, undefined)
      }
    }
    return entries.sort((left, right) => left.savedMs - right.savedMs)
  }

  #prune (all: readonly Entry<unknown>[], kept: { has (key: string): boolean }, counts: Counts): void {
    for (const { key } of all) {
      if (kept.has(key)) continue
      counts.pruned++
      this.#put(key, undefined)
    }
  }

  #checksum (key: string, text: string): string {
    return toBase64Url(sha256(utf8(`${this.#options.swarmId}\n${key}\n${text}`)))
  }

  #putCatalogue (key: string, bytes: number): void {
    this.#catalogues.set(key, bytes)
    this.#catalogueBytes += bytes
  }

  #put (key: string, text: string | undefined): void {
    if (this.#closed) return
    this.#pending.set(key, text === undefined ? undefined : utf8(`${Math.floor(this.#options.clock.wallMs())} ${this.#checksum(key, text)}${text}`))
    this.#cancelTimer ??= this.#options.clock.after(KEEP_MS, () => { void this.flush() })
  }

  async #write (earlier: Promise<void>, changes: readonly Change[]): Promise<void> {
    await earlier
    try {
      await this.#options.storage.write(changes)
    } catch (error) {
      this.#options.onFailure(error)
    }
  }
}
