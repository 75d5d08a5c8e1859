import type { Clock } from '../base/clock.ts'

/** Why a wait is over before what was waited for has come. */
export type Ending = 'late' | 'given up'

interface Bound {
  readonly dueMs: number
  readonly signal: AbortSignal | undefined
}

interface Watch {
  readonly keys: Set<unknown>
  readonly stop: () => void
}

/**
 * The deadlines and signals of many waits. All deadlines share one timer, and all waits under one signal one listener: a
 * wait that ends in time costs little, and a signal over a thousand calls does not warn of a leak.
 */
export class Bounds<Key> {
  readonly #clock: Clock
  readonly #ended: (key: Key, ending: Ending) => void
  readonly #bounds = new Map<Key, Bound>()
  readonly #watches = new Map<AbortSignal, Watch>()
  #nextMs = Infinity
  #cancel: (() => void) | undefined

  /** @param ended called once for each wait that its deadline or signal has ended */
  constructor (clock: Clock, ended: (key: Key, ending: Ending) => void) {
    this.#clock = clock
    this.#ended = ended
  }

  /**
   * @param afterMs milliseconds from now
   * @param signal has not fired
   */
  set (key: Key, afterMs: number, signal?: AbortSignal): void {
    const dueMs = this.#clock.nowMs() + afterMs
    this.#bounds.set(key, { dueMs, signal })
    if (dueMs < this.#nextMs) this.#arm(dueMs, afterMs)
    if (signal !== undefined) this.#watch(signal).keys.add(key)
  }

  delete (key: Key): void {
    const signal = this.#bounds.get(key)?.signal
    this.#bounds.delete(key)
    if (signal !== undefined) this.#unwatch(signal, key)
  }

  /** Forgets every wait; none is told. */
  clear (): void {
    this.#cancel?.()
    this.#nextMs = Infinity
    this.#bounds.clear()
    for (const { stop } of this.#watches.values()) stop()
    this.#watches.clear()
  }

  #watch (signal: AbortSignal): Watch {
    const known = this.#watches.get(signal)
    if (known !== undefined) return known
    const keys = new Set<Key>()
    const onAbort = (): void => { this.#end([...keys], 'given up') }
    signal.addEventListener('abort', onAbort, { once: true })
    const watch = { keys, stop: () => { signal.removeEventListener('abort', onAbort) } }
    this.#watches.set(signal, watch)
    return watch
  }

  #unwatch (signal: AbortSignal, key: Key): void {
    const watch = this.#watches.get(signal)
    watch?.keys.delete(key)
    if (watch?.keys.size !== 0) return
    watch.stop()
    this.#watches.delete(signal)
  }

  #arm (dueMs: number, afterMs: number): void {
    this.#cancel?.()
    this.#nextMs = dueMs
    this.#cancel = this.#clock.after(Math.ceil(afterMs), () => { this.#fire() })
  }

  #fire (): void {
    const nowMs = this.#clock.nowMs()
    const due: Key[] = []
    let nextMs = Infinity
    for (const [key, { dueMs }] of this.#bounds) {
      if (dueMs <= nowMs) due.push(key)
      else nextMs = Math.min(nextMs, dueMs)
    }
    this.#nextMs = Infinity
    if (nextMs < Infinity) this.#arm(nextMs, nextMs - nowMs)
    this.#end(due, 'late')
  }

  /** One that is told may delete another, which then is not. */
  #end (keys: readonly Key[], ending: Ending): void {
    for (const key of keys) {
      if (!this.#bounds.has(key)) continue
      this.delete(key)
      this.#ended(key, ending)
    }
  }
}
