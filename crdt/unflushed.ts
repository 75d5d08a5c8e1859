/**
 * What was written at this peer and is not on its disk yet: nothing that shows it may leave. What others wrote was on their disks before
 * they showed it, so that it may be passed on before it is on this one too.
 */
import * as Y from 'yjs'
import type { Range } from './update.ts'

/** Records whose clocks are known; of more it is only known that they are there. */
export const WRITTEN_MAX = 4_096

/** A record of the log, and its clocks; without them nobody knows what of the document shows it. */
interface Written { readonly seq: number, readonly ranges: readonly Range[] | undefined }

export class Unflushed {
  #records: Written[] = []
  #last = 0
  #durable: number

  /** @param durable the last record that is on disk */
  constructor (durable: number) {
    this.#durable = durable
  }

  /** How many there are. */
  get count (): number {
    return this.#records.length
  }

  /** The last record of the log of which it is known that all up to it is on disk. */
  get durable (): number {
    return this.#durable
  }

  /** The record up to which the log must be on disk before the whole document may be seen. */
  get last (): number {
    return Math.max(this.#last, this.#durable)
  }

  /** @param ranges its clocks, where they could be read; kept */
  add (seq: number, ranges?: readonly Range[]): void {
    this.#last = seq
    if (this.#records.length < WRITTEN_MAX) this.#records.push({ seq, ranges })
    else this.#records[WRITTEN_MAX - 1] = { seq, ranges: undefined }
  }

  /** All up to `seq` is on disk. */
  flushed (seq: number): void {
    if (seq <= this.#durable) return
    this.#durable = seq
    const first = this.#records.findIndex(record => record.seq > seq)
    this.#records = first === -1 ? [] : this.#records.slice(first)
  }

  /** The state vector of a document as it may be seen now; `after` is the record that it has to wait for where that cannot be told, or 0. */
  vectorOf (doc: Y.Doc): { readonly vector: Uint8Array, readonly after: number } {
    const whole = Y.encodeStateVector(doc)
    if (this.#records.length === 0) return { vector: whole, after: 0 }
    const clocks = Y.decodeStateVector(whole)
    let after = 0
    for (const { seq, ranges } of this.#records) {
      if (ranges === undefined) after = seq
      else for (const { client, from } of ranges) clocks.set(client, Math.min(from, clocks.get(client) ?? 0))
    }
    return { vector: Y.encodeStateVector(clocks), after }
  }
}
