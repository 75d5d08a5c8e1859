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

/** What went wrong lately. One that goes on is told of once; of one that is known to be over, that is told too. */
export class Troubles {
  readonly #clock: Clock
  readonly #onNew: (trouble: Trouble) => void
  readonly #onOver: (trouble: Trouble) => void
  readonly #all: Trouble[] = []
  /** The present trouble of a subject that has at most one. */
  readonly #open = new Map<string, Trouble>()

  constructor (clock: Clock, onNew: (trouble: Trouble) => void, onOver: (trouble: Trouble) => void = () => {}) {
    this.#clock = clock
    this.#onNew = onNew
    this.#onOver = onOver
  }

  /** Newest last. */
  get all (): readonly Trouble[] {
    return [...this.#all]
  }

  /** Says what is wrong with a subject, in place of what was. */
  set (subject: string, code: ErrorCode, message: string): void {
    const old = this.#open.get(subject)
    if (old !== undefined && old.message !== message) this.#drop(old)
    this.#open.set(subject, this.note(code, message))
  }

  /** Says that nothing is wrong with a subject any more. */
  over (subject: string): void {
    const old = this.#open.get(subject)
    if (old === undefined) return
    this.#open.delete(subject)
    this.#drop(old)
    this.#onOver(old)
  }

  note (code: ErrorCode, message: string): Trouble {
    const known = this.#all.findIndex(trouble => trouble.message === message)
    if (known !== -1) this.#all.splice(known, 1)
    const trouble = { code, message, atMs: this.#clock.wallMs() }
    this.#all.push(trouble)
    if (this.#all.length > TROUBLES_MAX) this.#all.shift()
    if (known === -1) this.#onNew(trouble)
    return trouble
  }

  #drop ({ message }: Trouble): void {
    const place = this.#all.findIndex(trouble => trouble.message === message)
    if (place !== -1) this.#all.splice(place, 1)
  }
}
