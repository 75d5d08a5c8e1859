/**
 * The neighbours of one peer: the exchanges with them, and what each may still do to it.
 *
 * A swarm of any size has few neighbours at a time, but a peer may have had many. What is done for each of them looks at those that
 * are there; of the others only what they had left is kept, so that nobody gets it back by beginning anew.
 */
import type { Clock } from '../base/clock.ts'
import { Allowance } from './allowance.ts'
import type { Exchange } from './exchange.ts'

/** From one neighbour: records that must be verified, things said to be gone, comparisons: at once, and a second. */
export const RECORDS_BURST = 10_000
export const RECORDS_PER_SECOND = 200
export const RUMOURS_BURST = 256
export const RUMOURS_PER_SECOND = 16
export const REPAIRS_BURST = 16
export const REPAIRS_PER_SECOND = 1

/** Former neighbours remembered, so that what they may do is not theirs anew when they begin anew. */
export const NEIGHBOURS_KEPT = 1_024

interface Allowances {
  readonly records: Allowance
  readonly rumours: Allowance
  readonly repairs: Allowance
}

interface Neighbour extends Allowances {
  readonly exchanges: Exchange[]
}

export class Circle {
  readonly #clock: Clock
  readonly #neighbours = new Map<string, Neighbour>()
  /** The one that left longest ago first. */
  readonly #former = new Map<string, Allowances>()

  constructor (clock: Clock) {
    this.#clock = clock
  }

  add (exchange: Exchange): void {
    const { peerId } = exchange
    const neighbour = this.#neighbours.get(peerId) ?? { exchanges: [], ...this.#former.get(peerId) ?? allowances(this.#clock.nowMs()) }
    this.#former.delete(peerId)
    neighbour.exchanges.push(exchange)
    this.#neighbours.set(peerId, neighbour)
  }

  delete (exchange: Exchange): void {
    const { peerId } = exchange
    const neighbour = this.#neighbours.get(peerId)
    const index = neighbour?.exchanges.indexOf(exchange) ?? -1
    if (neighbour === undefined || index === -1) return
    neighbour.exchanges.splice(index, 1)
    if (neighbour.exchanges.length > 0) return
    this.#neighbours.delete(peerId)
    const { records, rumours, repairs } = neighbour
    this.#former.set(peerId, { records, rumours, repairs })
    for (const oldest of this.#former.keys()) {
      if (this.#former.size <= NEIGHBOURS_KEPT) break
      this.#former.delete(oldest)
    }
  }

  /** The newest exchange with a neighbour. */
  with (peerId: string): Exchange | undefined {
    return this.#neighbours.get(peerId)?.exchanges.at(-1)
  }

  /** One exchange with each neighbour but some. */
  others (peerId?: string, from?: Exchange): Exchange[] {
    const others: Exchange[] = []
    for (const [neighbour, { exchanges }] of this.#neighbours) {
      if (neighbour !== peerId && neighbour !== from?.peerId) others.push(exchanges.at(-1) as Exchange)
    }
    return others
  }

  /** Whether a neighbour may do this once more; if so, it is counted. */
  may (what: keyof Allowances, from: Exchange): boolean {
    return this.#neighbours.get(from.peerId)?.[what].take(this.#clock.nowMs()) ?? false
  }
}

function allowances (nowMs: number): Allowances {
  return {
    records: new Allowance(RECORDS_BURST, RECORDS_PER_SECOND, nowMs),
    rumours: new Allowance(RUMOURS_BURST, RUMOURS_PER_SECOND, nowMs),
    repairs: new Allowance(REPAIRS_BURST, REPAIRS_PER_SECOND, nowMs)
  }
}
