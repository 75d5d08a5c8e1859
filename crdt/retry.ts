/** Asks again by itself after a failure, at growing distances, until it is told that all is well. */
import type { Clock } from '../lib/base/clock.ts'

/** First and longest distance between tries, in milliseconds. */
export const HEAL_MS = 1_000
export const HEAL_MS_MAX = 30_000

export class Retry {
  readonly #clock: Clock
  readonly #act: () => void
  #delayMs = HEAL_MS
  #cancel: (() => void) | undefined
  #ended = false

  constructor (clock: Clock, act: () => void) {
    this.#clock = clock
    this.#act = act
  }

  /** Something has failed: tries later, unless that is due already. */
  arm (): void {
    if (this.#ended || this.#cancel !== undefined) return
    this.#cancel = this.#clock.after(this.#delayMs, () => {
      this.#cancel = undefined
      this.#act()
    })
    this.#delayMs = Math.min(2 * this.#delayMs, HEAL_MS_MAX)
  }

  /** Somebody tries now. */
  disarm (): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** All is well: the next failure is a first one. */
  reset (): void {
    this.#delayMs = HEAL_MS
  }

  end (): void {
    this.#ended = true
    this.disarm()
  }
}
