/**
 * Whose word is still worth a dial: a pure core. Whoever names peers that are not there costs VAIN_DIALS_MAX dials, and is then not
 * believed for a while; others are believed meanwhile.
 */

/** Dials for nothing that one peer's word may cost, before no peer that it names is tried for DISTRUST_MS. */
export const VAIN_DIALS_MAX = 8
export const DISTRUST_MS = 20_000

/** After so long a dial counts as one for nothing, in milliseconds, until it succeeds after all: silence must not cost less than a refusal. */
export const DOUBT_MS = 1_000

/** Peers whose word is remembered, the longest unheard of forgotten first. */
const TELLERS_MAX = 1_024

export class Trust {
  readonly #vain = new Map<string, { readonly dials: number, readonly untilMs: number }>()

  /** Whether a peer's word may cost one more dial. */
  has (teller: string, nowMs: number): boolean {
    return this.#dials(teller, nowMs) < VAIN_DIALS_MAX
  }

  /** A dial on its word was for nothing, as far as can be seen. */
  lose (teller: string, nowMs: number): void {
    const dials = this.#dials(teller, nowMs) + 1
    this.#vain.delete(teller)
    this.#vain.set(teller, { dials, untilMs: nowMs + DISTRUST_MS })
    for (const oldest of this.#vain.keys()) {
      if (this.#vain.size <= TELLERS_MAX) return
      this.#vain.delete(oldest)
    }
  }

  /** A dial that had counted as one for nothing was none: the peer is there. */
  regain (teller: string, nowMs: number): void {
    const dials = this.#dials(teller, nowMs) - 1
    if (dials > 0) this.#vain.set(teller, { dials, untilMs: nowMs + DISTRUST_MS })
    else this.#vain.delete(teller)
  }

  #dials (teller: string, nowMs: number): number {
    const vain = this.#vain.get(teller)
    return vain === undefined || vain.untilMs <= nowMs ? 0 : vain.dials
  }
}
