/** The run that a log's next records go into, until the disk is ready for it. */
import { assert, type SwarmError } from '../lib/base/error.ts'
import type { Change } from '../lib/base/storage.ts'
import type { Head } from '../lib/base/witness.ts'
import type { Entry, Sealed } from './backlog.ts'
import { runKey, type Place } from './place.ts'
import { RUN_BYTES_MAX, RUN_HEAD_BYTES, RUN_RECORDS_MAX, recordBytes, writeRun, type LogRecord } from './run.ts'

/** Where a log has come to, with all that it ever held since it was opened. */
export interface Mark extends Head {
  readonly bytes: number
  readonly records: number
}

/** What a run costs beside its records: its own head, and its key. */
export const RUN_BYTES = RUN_HEAD_BYTES + 55

export interface GatheringOptions {
  readonly place: Place
  /** Of the record that goes in first. */
  readonly first: number
  /** Asked once, when it is sealed: what it follows on, and what is written before it. */
  readonly follows: () => { readonly mark: Mark, readonly changes: readonly Change[] }
  /** Told once when it is sealed, before anything of it is written. */
  readonly sealed: (mark: Mark) => void
  /** Told when it is acknowledged, and of every failure. */
  readonly settled: (gathering: Gathering, failure?: SwarmError) => void
}

export class Gathering implements Entry {
  bytes = RUN_BYTES
  /** Its value, and once the document's name. */
  readonly operations = 2
  readonly document: string
  readonly #options: GatheringOptions
  readonly #records: Omit<LogRecord, 'sequence'>[] = []
  #mark: Mark | undefined
  #flushed: { readonly promise: Promise<void>, readonly resolve: () => void, readonly reject: (failure: SwarmError) => void } | undefined

  constructor (options: GatheringOptions) {
    this.#options = options
    this.document = options.place.key
  }

  /** Where the log has come to with it; only once it is sealed. */
  get mark (): Mark {
    assert(this.#mark !== undefined, 'a run has no hash before it is sealed')
    return this.#mark
  }

  hasRoom (bytes: number): boolean {
    return this.#records.length < RUN_RECORDS_MAX && (this.#records.length === 0 || this.bytes + bytes <= RUN_BYTES_MAX)
  }

  /** The bytes are counted by the committer: `recordBytes`. */
  push (update: Uint8Array, origin: string): void {
    this.#records.push({ update, origin })
  }

  seal (): Sealed {
    const { place, first, follows, sealed } = this.#options
    const { mark, changes } = follows()
    const { value, hash } = writeRun(place.bytes, first, mark.hash, this.#records)
    let bytes = mark.bytes + RUN_BYTES
    for (const { update, origin } of this.#records) bytes += recordBytes(update, origin)
    const head: Mark = { sequence: first + this.#records.length - 1, hash, records: mark.records + this.#records.length, bytes }
    this.#mark = head
    sealed(head)
    this.#records.length = 0 // its value holds them
    return { changes: [...changes, { key: runKey(place, first), value }], head: { key: place.key, head } }
  }

  settled = (failure?: SwarmError): void => { this.#options.settled(this, failure) }

  /** Resolves when `resolve` is called: one promise for all who wait for any of its records. */
  get flushed (): Promise<void> {
    if (this.#flushed === undefined) {
      let resolve = (): void => {}
      let reject = (_failure: SwarmError): void => {}
      const promise = new Promise<void>((fulfil, refuse) => { [resolve, reject] = [fulfil, refuse] })
      this.#flushed = { promise, resolve, reject }
    }
    return this.#flushed.promise
  }

  resolve (): void {
    this.#flushed?.resolve()
  }

  /** Whoever waits is told; who asks from now on waits anew. */
  reject (failure: SwarmError): void {
    this.#flushed?.reject(failure)
    this.#flushed = undefined
  }
}
