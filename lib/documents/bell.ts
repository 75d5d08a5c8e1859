/** Rings once, at the earliest time that it was set to. */
import type { Clock } from '../base/clock.ts'

export class Bell {
  readonly #clock: Clock
  readonly #ring: () => void
  #dueMs = Infinity
  #cancel: () => void = () => undefined

  constructor (clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** @param dueMs by the clock; a later one than it is set to already changes nothing */
  set (dueMs: number): void {
    if (dueMs >= this.#dueMs) return
    this.#cancel()
    this.#dueMs = dueMs
    this.#cancel = this.#clock.after(Math.max(0, dueMs - this.#clock.nowMs()), () => {
      this.#dueMs = Infinity
      this.#ring()
    })
  }

  cancel (): void {
    this.#cancel()
    this.#dueMs = Infinity
  }
}
