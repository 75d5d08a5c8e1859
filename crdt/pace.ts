/**
 * When a document may be built anew for the sake of forks, and the one merge that is done aside: liars must not keep us busy. What has to
 * wait is not taken: it comes with the next exchange.
 */
import type { Digest } from './digest.ts'

/** How often a document is built anew for the sake of forks, at most; in milliseconds. */
export const REBUILD_MS_MIN = 1_000

/** And so many milliseconds more for each MiB of it: that a liar may not keep a peer of a large document busy. */
export const REBUILD_MS_PER_MIB = 10_000

/** A merge that is done aside. Until it is back nothing is taken from others: it comes by comparing with them then. */
export interface Underway {
  readonly from: string
  /** Of a peer's whole state, its digest and how often that has gone to and fro; undefined where updates are merged. */
  readonly state: { readonly digest: Digest, readonly hop: number } | undefined
  /** Of the document as it was then, in bytes. */
  readonly bytes: number
  readonly digest: Digest
}

export class Pace {
  #nextMs = -Infinity
  #underway: Underway | undefined
  #edits: Uint8Array[] = []
  #waiting = new Set<string>()

  get isMerging (): boolean {
    return this.#underway !== undefined
  }

  /** Whether nothing can be built anew now. @param from is told of after the merge that it waits for */
  mustWait (from: string, nowMs: number): boolean {
    if (this.#underway === undefined) return nowMs < this.#nextMs
    this.#waiting.add(from)
    return true
  }

  /** @param bytes of the document that was built anew, or could not be */
  rest (bytes: number, nowMs: number): void {
    this.#nextMs = nowMs + REBUILD_MS_MIN + bytes / 2 ** 20 * REBUILD_MS_PER_MIB
  }

  begin (underway: Underway): void {
    this.#underway = underway
    this.#edits = []
    this.#waiting = new Set([underway.from])
  }

  /** Of this peer; kept while a merge is under way. */
  edited (update: Uint8Array): void {
    if (this.#underway !== undefined) this.#edits.push(update)
  }

  /** @returns what was under way, the edits since, and who had to wait */
  end (nowMs: number): Underway & { readonly edits: readonly Uint8Array[], readonly waiting: readonly string[] } | undefined {
    const underway = this.#underway
    if (underway === undefined) return undefined
    this.#underway = undefined
    this.rest(underway.bytes, nowMs) // where nothing comes of it too: it has cost as much
    return { ...underway, edits: this.#edits, waiting: [...this.#waiting] }
  }
}
