/**
 * When to dial a peer next: at once the first time, then after a random part of a ceiling that doubles. Full jitter, so
 * that peers cut off by one event do not come back in step. A connection that lasts puts it back to the start; one that
 * does not (refused at admission, say) counts as one more failure. A pure core: no clock inside.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
import type { Random } from '../base/random.ts'

/** Ceiling of the first wait and of the longest, in milliseconds. */
export const BACKOFF_MS_MIN = 50
export const BACKOFF_MS_MAX = 5_000

/** A connection that lasted longer was a good one, in milliseconds. */
export const LASTED_MS_MIN = 5_000

export class Backoff {
  readonly #random: Random
  #attempts = 0
  #connectedMs: number | undefined

  constructor (random: Random) {
    this.#random = random
  }

  /** Attempts since the last connection that lasted. */
  get attempts (): number {
    return this.#attempts
  }

  /** Takes the next attempt. @returns how long to wait before it: 0 the first time, later 0 to BACKOFF_MS_MAX milliseconds */
  nextMs (): number {
    const ceilingMs = this.#attempts === 0 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#attempts - 1))
    this.#attempts++
    return this.#random.next() * ceilingMs
  }

  /** Back to the start. */
  reset (): void {
    this.#attempts = 0
  }

  connected (nowMs: number): void {
    this.#connectedMs ??= nowMs
  }

  disconnected (nowMs: number): void {
    if (this.#connectedMs !== undefined && nowMs - this.#connectedMs > LASTED_MS_MIN) this.#attempts = 0
    this.#connectedMs = undefined
  }
}
