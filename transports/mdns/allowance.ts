/** So many at once, and then so many a second. */
export interface Rate { readonly burst: number, readonly perS: number }

/** How often something may happen; what is not used is not kept beyond the burst. */
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

  /** How long until there is one, in milliseconds. */
  waitMs (nowMs: number): number {
    this.#refill(nowMs)
    return Math.ceil(Math.max(0, 1 - this.#left) / this.#perS * 1_000)
  }

  #refill (nowMs: number): void {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) / 1_000 * this.#perS)
    this.#atMs = nowMs
  }
}

/** Sources told apart; further ones share what one has. */
export const SOURCES_MAX = 256

interface Shares { readonly each: Allowance, readonly kept: Allowance | undefined }

/**
 * An allowance for each source of something, and one for all of them together. What is kept for each source is not taken from
 * that: however many shout, whoever speaks seldom is heard.
 */
export class Allowances {
  readonly #rates: { readonly each: Rate, readonly kept?: Rate, readonly all?: Rate }
  readonly #all: Allowance | undefined
  readonly #others: Shares
  readonly #bySource = new Map<string, Shares>()

  constructor (rates: { readonly each: Rate, readonly kept?: Rate, readonly all?: Rate }, nowMs: number) {
    this.#rates = rates
    this.#all = rates.all === undefined ? undefined : new Allowance(rates.all.burst, rates.all.perS, nowMs)
    this.#others = this.#open(nowMs)
  }

  /** Takes one for a source. A source over its own allowance takes nothing from the others. */
  take (source: string, nowMs: number): boolean {
    const { each, kept } = this.#of(source, nowMs)
    return each.take(nowMs) && (kept?.take(nowMs) === true || this.#all === undefined || this.#all.take(nowMs))
  }

  #of (source: string, nowMs: number): Shares {
    const known = this.#bySource.get(source)
    if (known !== undefined) return known
    if (this.#bySource.size >= SOURCES_MAX) {
      for (const [name, { each, kept }] of this.#bySource) if (each.isFull(nowMs) && kept?.isFull(nowMs) !== false) this.#bySource.delete(name)
      if (this.#bySource.size >= SOURCES_MAX) return this.#others
    }
    const shares = this.#open(nowMs)
    this.#bySource.set(source, shares)
    return shares
  }

  #open (nowMs: number): Shares {
    const { each, kept } = this.#rates
    return { each: new Allowance(each.burst, each.perS, nowMs), kept: kept === undefined ? undefined : new Allowance(kept.burst, kept.perS, nowMs) }
  }
}
