/**
 * Remembers which providers have just failed, so that the next call of a pool goes to another one first. Without it a
 * provider that refuses fast always looks least loaded and draws every call.
 *
 * Per provider: closed (calls go there) → open after FAILURES_MAX failures in a row (skipped) → after a back-off that
 * doubles, half open: one call goes as a probe; its end closes or opens it again. A pure core: no clock inside. It only
 * gives an order of preference; whoever asks must still use a skipped provider when there is no other.
 */

/** Failures in a row that open a breaker. */
export const FAILURES_MAX = 3

/** First and longest time a provider is skipped, in milliseconds. */
export const OPEN_MS_MIN = 1_000
export const OPEN_MS_MAX = 30_000

/** Providers remembered; the one that failed longest ago is forgotten first. */
export const BREAKERS_MAX = 10_000

interface Failing {
  failures: number
  /** Not to be tried before. */
  retryMs: number
  probing: boolean
}

export class Breaker {
  readonly #failing = new Map<string, Failing>()

  /** Providers with at least one failure since their last answer. */
  get size (): number {
    return this.#failing.size
  }

  /** Whether a call should go there rather than elsewhere. */
  admits (provider: string, nowMs: number): boolean {
    const failing = this.#failing.get(provider)
    if (failing === undefined || failing.failures < FAILURES_MAX) return true
    return !failing.probing && nowMs >= failing.retryMs
  }

  /** A call starts; after an open time it is the probe, and keeps others away until it has ended. */
  started (provider: string, nowMs: number): void {
    const failing = this.#failing.get(provider)
    if (failing !== undefined && failing.failures >= FAILURES_MAX && nowMs >= failing.retryMs) failing.probing = true
  }

  /** The provider answered, whatever the answer. */
  answered (provider: string): void {
    this.#failing.delete(provider)
  }

  /** The provider refused, or could not be reached. */
  failed (provider: string, nowMs: number): void {
    const failures = (this.#failing.get(provider)?.failures ?? 0) + 1
    const openMs = Math.min(OPEN_MS_MAX, OPEN_MS_MIN * 2 ** Math.max(0, failures - FAILURES_MAX))
    this.#failing.delete(provider)
    this.#failing.set(provider, { failures, retryMs: nowMs + openMs, probing: false })
    if (this.#failing.size > BREAKERS_MAX) {
      for (const oldest of this.#failing.keys()) {
        this.#failing.delete(oldest)
        break
      }
    }
  }

  /** A call ended without telling anything about the provider: the caller gave up, or its own deadline passed. */
  abandoned (provider: string): void {
    const failing = this.#failing.get(provider)
    if (failing !== undefined) failing.probing = false
  }
}
