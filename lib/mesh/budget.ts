/**
 * How many attempts may be spent on what anybody may say: a token bucket, as a pure core. A burst at once, and then a steady few; so whoever
 * makes things up costs at most `burst + perSecond × seconds` attempts, however much it says.
 */
export class Budget {
  readonly #burst: number
  readonly #perMs: number
  #left: number
  #atMs: number

  constructor ({ burst, perSecond, nowMs }: { readonly burst: number, readonly perSecond: number, readonly nowMs: number }) {
    this.#burst = burst
    this.#perMs = perSecond / 1_000
    this.#left = burst
    this.#atMs = nowMs
  }

  /** Spends one attempt. @returns 0, or in how many milliseconds there is one to spend */
  take (nowMs: number): number {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
    if (this.#left < 1) return Math.ceil((1 - this.#left) / this.#perMs)
    this.#left--
    return 0
  }
}
