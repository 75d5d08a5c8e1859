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
}

/** Time that stands still until a test moves it. Timers fire in order of their time, then of their making. */
export class VirtualClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<Timer>()

  nowMs (): number {
    return this.#nowMs
  }

  wallMs (): number {
    return WALL_MS + this.#nowMs
  }

  after (delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return () => { this.#timers.delete(timer) }
  }

  /** Timers that have not fired: none left behind after a `close` means nothing leaked. */
  get pending (): number {
    return this.#timers.size
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
      this.#timers.delete(timer)
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

  #next (): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (next === undefined || timer.dueMs < next.dueMs) next = timer
    }
    return next
  }
}

/** Lets everything run that needs no time to pass. */
export async function settle (turns = TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>(resolve => { afterTurn(resolve) })
}
