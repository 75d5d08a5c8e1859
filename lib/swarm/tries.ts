/** Dials the peers that a search is told of, as search.ts has their turns, past any queue: somebody waits for them. */
import { deadline, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Network } from '../base/network.ts'
import { DOUBT_MS, type Trust } from '../base/trust.ts'
import { Search, type Named } from './search.ts'

/** After so long without an answer the next peer is tried beside it, in milliseconds: an address where nothing answers must not hold the rest up. */
const SLOW_MS = 250

/** Longest that one dial takes, in milliseconds. */
const DIAL_MS_MAX = 5_000

export interface TriesParts {
  readonly network: Network
  readonly clock: Clock
  readonly trust: Trust
  /** Dials end with it. */
  readonly signal: AbortSignal
  readonly onReached: (peerId: string, addresses: readonly string[]) => void
}

export class Tries {
  readonly #parts: TriesParts
  readonly #search: Search
  /** By peer, the dial that is under way. */
  readonly #dials = new Map<string, AbortController>()
  #reached = 0

  constructor (parts: TriesParts) {
    this.#parts = parts
    this.#search = new Search(parts.trust)
  }

  /** Whether nobody was reached, and nobody is being dialled. */
  get isVain (): boolean {
    return this.#reached === 0 && this.#dials.size === 0
  }

  hear (named: Named): void {
    if (this.#parts.signal.aborted) return
    this.#search.hear(named)
    this.#tryNext()
  }

  #tryNext (): void {
    const { clock, signal } = this.#parts
    if (signal.aborted) return
    for (let named = this.#search.next(clock.nowMs()); named !== undefined; named = this.#search.next(clock.nowMs())) {
      let isResting = false
      const rest = (): void => {
        if (isResting) return
        isResting = true
        this.#search.rest()
        this.#tryNext()
      }
      const cancel = clock.after(SLOW_MS, rest)
      void this.#dial(named).finally(() => {
        cancel()
        rest()
      })
    }
  }

  /** One that cannot be dialled is none. A dial to the same peer gives way to this one, which has its addresses and others. */
  async #dial ({ addresses, peerId, teller }: Named): Promise<void> {
    const { clock, network, onReached, signal, trust } = this.#parts
    const giveWay = new AbortController()
    let isDoubted = false
    const doubt = (): void => {
      if (!isDoubted) trust.lose(teller, clock.nowMs())
      isDoubted = true
    }
    this.#dials.get(peerId)?.abort(new SwarmError('ABORTED', `peer ${peerId} has other addresses`))
    this.#dials.set(peerId, giveWay)
    const bound = deadline(clock, DIAL_MS_MAX, signal, giveWay.signal)
    const cancel = clock.after(DOUBT_MS, doubt)
    try {
      await network.dial(peerId, addresses, bound.signal)
      this.#reached += 1
      if (isDoubted) trust.regain(teller, clock.nowMs())
      onReached(peerId, addresses)
    } catch {
      if (!bound.signal.aborted) doubt()
    } finally {
      bound.done()
      cancel()
      if (this.#dials.get(peerId) === giveWay) this.#dials.delete(peerId)
    }
  }
}
