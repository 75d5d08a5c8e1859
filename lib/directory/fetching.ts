/**
 * Catalogues of third peers that are being fetched: from whoever told of one, else from any neighbour; each is known by its hash. Asked
 * for again, of another and after longer and longer waits, for as long as a living peer offers it.
 */
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Circle } from './circle.ts'
import type { Directory } from './directory.ts'
import type { Exchange } from './exchange.ts'

/** How long a catalogue may take before another is asked, in milliseconds: first, and at most, after doubling. */
export const FETCH_MS = 300
export const FETCH_MS_MAX = 60_000

/** Catalogues fetched at once. */
export const FETCHES_MAX = 16

interface Fetch {
  tries: number
  cancel: () => void
}

export class Fetching {
  readonly #directory: Directory
  readonly #circle: Circle
  readonly #clock: Clock
  readonly #random: Random
  readonly #fetches = new Map<string, Fetch>()

  constructor ({ directory, circle, clock, random }: { readonly directory: Directory, readonly circle: Circle, readonly clock: Clock, readonly random: Random }) {
    this.#directory = directory
    this.#circle = circle
    this.#clock = clock
    this.#random = random
  }

  /** @param from whom to ask first; undefined: its own peer is being asked, and others only if it does not answer */
  begin (hash: string, from: Exchange | undefined): void {
    if (this.#fetches.has(hash) || !this.#directory.isMissing(hash)) return
    const fetch: Fetch = { tries: 0, cancel: () => undefined }
    this.#fetches.set(hash, fetch)
    this.#ask(hash, fetch, from)
  }

  has (hash: string): boolean {
    return this.#fetches.has(hash)
  }

  end (hash: string): void {
    this.#fetches.get(hash)?.cancel()
    this.#fetches.delete(hash)
  }

  close (): void {
    for (const { cancel } of this.#fetches.values()) cancel()
    this.#fetches.clear()
  }

  #ask (hash: string, fetch: Fetch, from: Exchange | undefined): void {
    if (!this.#directory.isMissing(hash)) return this.end(hash)
    const all = this.#circle.others()
    const whom = from ?? (fetch.tries === 0 ? undefined : all[Math.floor(this.#random.next() * all.length)])
    if (this.#fetches.size <= FETCHES_MAX || fetch.tries > 0) whom?.fetch(hash)
    fetch.cancel = this.#clock.after(Math.min(FETCH_MS_MAX, FETCH_MS * 2 ** fetch.tries) * (1 + this.#random.next()), () => {
      fetch.tries++
      this.#ask(hash, fetch, undefined)
    })
  }
}
