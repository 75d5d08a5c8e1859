/** What is done before somebody waits for it: edits are signed while the disk takes them, digests brought up to date in slices. */
import { afterTurn, type Clock } from '../base/clock.ts'

/** How long after a change, in milliseconds: what changes at once is hashed once. */
export const AHEAD_MS = 20

/** Blocks of a digest hashed in one turn: some 8 ms of work. */
export const AHEAD_BLOCKS = 32

export interface AheadParts {
  readonly clock: Clock
  readonly sign: (key: string) => void
  /** Hashes that many blocks of a document; answers whether something is left. */
  readonly hash: (key: string, blocks: number) => boolean
}

export class Ahead {
  readonly #parts: AheadParts
  readonly #edited = new Set<string>()
  readonly #changed = new Set<string>()
  #cancel: (() => void) | undefined

  constructor (parts: AheadParts) {
    this.#parts = parts
  }

  /** Signs once for all edits of a turn, and after it: by then the disk has been given them. */
  edited (key: string): void {
    if (this.#edited.size === 0) {
      afterTurn(() => {
        for (const edited of this.#edited) this.#parts.sign(edited)
        this.#edited.clear()
      })
    }
    this.#edited.add(key)
    this.changed(key)
  }

  changed (key: string): void {
    this.#changed.add(key)
    this.#cancel ??= this.#parts.clock.after(AHEAD_MS, () => { this.#slice() })
  }

  close (): void {
    this.#edited.clear()
    this.#changed.clear()
    this.#cancel?.()
  }

  #slice (): void {
    const [key] = this.#changed
    if (key !== undefined && !this.#parts.hash(key, AHEAD_BLOCKS)) this.#changed.delete(key)
    if (this.#changed.size > 0) afterTurn(() => { this.#slice() })
    else this.#cancel = undefined
  }
}
