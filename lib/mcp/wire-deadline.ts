import type { Clock } from '../base/clock.ts'

/** Many deadlines, one timer: a call that ends in time costs two map entries and no timer of its own. */
export class Deadlines<Key> {
  readonly #clock: Clock
  readonly #expired: (key: Key) => void
  readonly #dueMs = new Map<Key, number>()
  #nextMs = Infinity
  #cancel: (() => void) | undefined

  constructor (clock: Clock, expired: (key: Key) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** @param afterMs milliseconds from now, 0 or more */
  set (key: Key, afterMs: number): void {
    const dueMs = this.#clock.nowMs() + afterMs
    this.#dueMs.set(key, dueMs)
    if (dueMs < this.#nextMs) this.#arm(dueMs, afterMs)
  }

  delete (key: Key): void {
    this.#dueMs.delete(key)
  }

  clear (): void {
    this.#cancel?.()
    this.#dueMs.clear()
    this.#nextMs = Infinity
  }

  #arm (dueMs: number, afterMs: number): void {
    this.#cancel?.()
    this.#nextMs = dueMs
    this.#cancel = this.#clock.after(Math.ceil(afterMs), () => { this.#fire() })
  }

  #fire (): void {
    const nowMs = this.#clock.nowMs()
    this.#nextMs = Infinity
    const due: Key[] = []
    let nextMs = Infinity
    for (const [key, dueMs] of this.#dueMs) {
      if (dueMs <= nowMs) due.push(key)
      else nextMs = Math.min(nextMs, dueMs)
    }
    if (nextMs < Infinity) this.#arm(nextMs, nextMs - nowMs)
    for (const key of due) if (this.#dueMs.delete(key)) this.#expired(key)
  }
}
