/** Brings the digests of documents that have changed up to date in slices, before somebody waits for one. */
import { afterTurn, type Clock } from '../base/clock.ts'

/** How long after a change, in milliseconds: what changes at once is hashed once. */
export const AHEAD_MS = 20

/** Blocks of a digest hashed in one turn: some 8 ms of work. */
export const AHEAD_BLOCKS = 32

export class Ahead {
  readonly #clock: Clock
  /** Hashes that many blocks of a document; answers whether something is left. */
  readonly #prepare: (key: string, blocks: number) => boolean
  readonly #changed = new Set<string>()
  #cancel: (() => void) | undefined

  constructor (clock: Clock, prepare: (key: string, blocks: number) => boolean) {
    this.#clock = clock
    this.#prepare = prepare
  }

  changed (key: string): void {
    this.#changed.add(key)
    this.#cancel ??= this.#clock.after(AHEAD_MS, () => { this.#slice() })
  }

  close (): void {
    this.#changed.clear()
    this.#cancel?.()
  }

  #slice (): void {
    const [key] = this.#changed
    if (key !== undefined && !this.#prepare(key, AHEAD_BLOCKS)) this.#changed.delete(key)
    if (this.#changed.size > 0) afterTurn(() => { this.#slice() })
    else this.#cancel = undefined
  }
}
