/** How often something may happen: `burst` at once, and then at a rate; what is not used is not kept beyond the burst. */
export class Allowance {
  readonly #burst: number
  readonly #perS: number
  #left: number
  #atMs: number

  constructor (burst: number, perS: number, nowMs: number) {
    this.#burst = this.#left = burst
    this.#perS = perS
    this.#atMs = nowMs
  }

  /** Takes one; false if there is none. */
  take (nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#left < 1) return false
    this.#left--
    return true
  }

  isFull (nowMs: number): boolean {
    this.#refill(nowMs)
    return this.#left >= this.#burst
  }

  #refill (nowMs: number): void {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) / 1_000 * this.#perS)
    this.#atMs = nowMs
  }
}

/** Sources told apart; further ones share one allowance. */
export const SOURCES_MAX = 256

/** An allowance for each source of something, and one for all of them together. */
export class Allowances {
  readonly #each: { readonly burst: number, readonly perS: number }
  readonly #all: Allowance
  readonly #others: Allowance
  readonly #bySource = new Map<string, Allowance>()

  constructor (each: { readonly burst: number, readonly perS: number }, all: { readonly burst: number, readonly perS: number }, nowMs: number) {
    this.#each = each
    this.#all = new Allowance(all.burst, all.perS, nowMs)
    this.#others = new Allowance(each.burst, each.perS, nowMs)
  }

  /** Takes one for a source. A source over its own allowance takes nothing from the others. */
  take (source: string, nowMs: number): boolean {
    return this.#of(source, nowMs).take(nowMs) && this.#all.take(nowMs)
  }

  #of (source: string, nowMs: number): Allowance {
    const known = this.#bySource.get(source)
    if (known !== undefined) return known
    if (this.#bySource.size >= SOURCES_MAX) {
      for (const [name, allowance] of this.#bySource) if (allowance.isFull(nowMs)) this.#bySource.delete(name)
      if (this.#bySource.size >= SOURCES_MAX) return this.#others
    }
    const allowance = new Allowance(this.#each.burst, this.#each.perS, nowMs)
    this.#bySource.set(source, allowance)
    return allowance
  }
}
