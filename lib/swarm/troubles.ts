import type { Clock } from '../base/clock.ts'
import type { ErrorCode } from '../base/error.ts'

/** Troubles remembered for `status`. */
export const TROUBLES_MAX = 32

/** Something that went wrong and that no call can tell. */
export interface Trouble {
  readonly code: ErrorCode
  readonly message: string
  /** When it was last seen, in milliseconds since 1970 UTC. */
  readonly atMs: number
}

/** What went wrong lately. One that goes on is told of once. */
export class Troubles {
  readonly #clock: Clock
  readonly #onNew: (trouble: Trouble) => void
  readonly #all: Trouble[] = []

  constructor (clock: Clock, onNew: (trouble: Trouble) => void) {
    this.#clock = clock
    this.#onNew = onNew
  }

  /** Newest last. */
  get all (): readonly Trouble[] {
    return [...this.#all]
  }

  note (code: ErrorCode, message: string): void {
    const known = this.#all.findIndex(trouble => trouble.message === message)
    if (known !== -1) this.#all.splice(known, 1)
    const trouble = { code, message, atMs: this.#clock.wallMs() }
    this.#all.push(trouble)
    if (this.#all.length > TROUBLES_MAX) this.#all.shift()
    if (known === -1) this.#onNew(trouble)
  }
}
