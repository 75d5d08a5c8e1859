/**
 * The peers that one search has been told of, and whose turn it is to be tried: a pure core.
 *
 * Any member may name any peers, at any addresses, and is quick with it. So each who names some has its turn, whoever has had the fewest
 * first: among the few who are asked for a key, one that is honest is heard after as many tries as there are liars, whatever those
 * say. A peer that another has named before is tried again if this one knows other addresses.
 */
import { ADDRESSES_MAX } from '../mesh/dialler.ts'
import type { Trust } from '../base/trust.ts'

/** Tries of one search. */
export const TRIES_MAX = 32

/** Peers remembered of one teller's word: those that it names first. */
export const NAMED_MAX = 16

/** Tried at once, those aside that are slow. */
export const TRIES_AT_ONCE = 4

export interface Named {
  readonly peerId: string
  readonly addresses: readonly string[]
  /** Who says so. */
  readonly teller: string
}

interface Word { turns: number, readonly named: Named[] }

export class Search {
  readonly #trust: Trust
  /** What each has said and was not tried yet. */
  readonly #words = new Map<string, Word>()
  /** By peer, where it was tried. */
  readonly #tried = new Map<string, readonly string[]>()
  #tries = 0
  #running = 0

  constructor (trust: Trust) {
    this.#trust = trust
  }

  hear (named: Named): void {
    const word = this.#words.get(named.teller) ?? { turns: 0, named: [] }
    this.#words.set(named.teller, word)
    if (word.named.length < NAMED_MAX - word.turns) word.named.push(named)
  }

  /** The peer to be tried now, which then counts as running until `rest`. */
  next (nowMs: number): Named | undefined {
    if (this.#running >= TRIES_AT_ONCE) return undefined
    const named = this.take(nowMs)
    if (named !== undefined) this.#running += 1
    return named
  }

  /** One that was tried has answered, has failed, or is slow: another may be tried. */
  rest (): void {
    this.#running -= 1
  }

  /** The peer whose turn it is, whatever is running; with those addresses first at which it was not tried yet. */
  take (nowMs: number): Named | undefined {
    while (this.#tries < TRIES_MAX) {
      const word = this.#turn(nowMs)
      if (word === undefined) return undefined
      const { addresses, peerId, teller } = word.named.shift() as Named
      const tried = this.#tried.get(peerId)
      const fresh = addresses.filter(address => tried?.includes(address) !== true)
      if (tried !== undefined && fresh.length === 0) continue // that others have said the same costs nobody a turn
      const all = [...fresh, ...tried ?? []].slice(0, ADDRESSES_MAX)
      this.#tried.set(peerId, all)
      this.#tries += 1
      word.turns += 1
      return { peerId, addresses: all, teller }
    }
    return undefined
  }

  #turn (nowMs: number): Word | undefined {
    let fewest: Word | undefined
    for (const [teller, word] of this.#words) {
      if (word.named.length > 0 && word.turns < (fewest?.turns ?? Infinity) && this.#trust.has(teller, nowMs)) fewest = word
    }
    return fewest
  }
}
