import { afterTurn } from './clock.ts'
import type { Clock } from './clock.ts'
import { assert } from './error.ts'

/** Wall time at the start, in milliseconds since 1970: 2026-01-01T00:00:00Z. */
const WALL_MS = 1_767_225_600_000

/** Turns of the real event loop after which promises, and work put off by `afterTurn`, count as settled. */
const TURNS = 6

/** Timers that may fire in one `advance`: a loop of timers that never ends shows as an error, not as a hang. */
const TIMERS_MAX = 1_000_000

interface Timer {
  readonly dueMs: number
  readonly callback: () => void
  /** Where it was made among all. */
  readonly order: number
  isOver: boolean
}

/** Time that stands still until a test moves it. Timers fire in order of their time, then of their making. */
export class VirtualClock implements Clock {
  #nowMs = 0
  /** A binary heap, the next one first; those that were taken back stay until it is their turn. */
  readonly #timers: Timer[] = []
  #made = 0
  #pending = 0

  nowMs (): number {
    return this.#nowMs
  }

  wallMs (): number {
    return WALL_MS + this.#nowMs
  }

  after (delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), callback, order: this.#made++, isOver: false }
    this.#push(timer)
    this.#pending++
    return () => { this.#end(timer) }
  }

  /** Timers that have not fired: none left behind after a `close` means nothing leaked. */
  get pending (): number {
    return this.#pending
  }

  /** Moves time on, stopping at each timer to let promises settle before and after it fires. */
  async advance (ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settle()
    for (let fired = 0; ; fired++) {
      const timer = this.#next()
      if (timer === undefined || timer.dueMs > endMs) break
      assert(fired < TIMERS_MAX, `over ${TIMERS_MAX} timers fired in ${ms} ms of virtual time`)
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
      this.#end(timer)
      timer.callback()
      await settle()
    }
    this.#nowMs = endMs
  }

  /** As if the process had been suspended: time jumps, and what was due meanwhile fires only now. */
  async stall (ms: number): Promise<void> {
    await settle()
    this.#nowMs += ms
    await this.advance(0)
  }

  #end (timer: Timer): void {
    if (timer.isOver) return
    timer.isOver = true
    this.#pending--
  }

  #next (): Timer | undefined {
    while (this.#timers[0]?.isOver === true) this.#pop()
    return this.#timers[0]
  }

  #push (timer: Timer): void {
    const timers = this.#timers
    let index = timers.push(timer) - 1
    while (index > 0) {
      const above = (index - 1) >> 1
      if (isBefore(timers[above] as Timer, timer)) break
      timers[index] = timers[above] as Timer
      index = above
    }
    timers[index] = timer
  }

  #pop (): void {
    const timers = this.#timers
    const last = timers.pop()
    if (last === undefined || timers.length === 0) return
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      if (below >= timers.length) break
      if (below + 1 < timers.length && isBefore(timers[below + 1] as Timer, timers[below] as Timer)) below++
      if (isBefore(last, timers[below] as Timer)) break
      timers[index] = timers[below] as Timer
      index = below
    }
    timers[index] = last
  }
}

function isBefore (left: Timer, right: Timer): boolean {
  return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order)
}

/** Lets everything run that needs no time to pass. */
export async function settle (turns = TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>(resolve => { afterTurn(resolve) })
}
