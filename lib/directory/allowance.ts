/** What another may do to us so many times at once, and so often a second after that: a pure core. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #atMs: number

  constructor (burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
    this.#atMs = nowMs
  }

  /** Whether one more is allowed; if so, it is counted. */
  take (nowMs: number): boolean {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) / 1_000 * this.#perSecond)
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
