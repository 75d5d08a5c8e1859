/**
 * Peers that only hints tell of, waiting for their first dial: within a budget, and the hosts that the hints point to in turn. So a host
 * that makes up many peers costs little, and delays one that tells of itself by no more than one dial for each host that lies.
 */
import type { Clock } from '../base/clock.ts'
import { Budget } from '../mesh/budget.ts'
import { HINTED_MAX, type Sightings } from './sightings.ts'

/** First dials of hinted peers: so many at once, then so many a second. */
export const HINTS_AT_ONCE = 32
export const HINTS_PER_SECOND = 2

export class Hints {
  readonly #sightings: Sightings
  readonly #clock: Clock
  readonly #onTurn: (peerId: string) => void
  readonly #budget: Budget
  /** At most HINTED_MAX that count, as `Sightings` holds no more; the others go at the next turn. */
  readonly #waiting = new Set<string>()
  /** When each host had its last turn. */
  readonly #turns = new Map<string, number>()
  #turn = 0
  #cancel: (() => void) | undefined

  constructor ({ sightings, clock, onTurn }: { readonly sightings: Sightings, readonly clock: Clock, readonly onTurn: (peerId: string) => void }) {
    this.#sightings = sightings
    this.#clock = clock
    this.#onTurn = onTurn
    this.#budget = new Budget({ burst: HINTS_AT_ONCE, perSecond: HINTS_PER_SECOND, nowMs: clock.nowMs() })
  }

  add (peerId: string): void {
    this.#waiting.add(peerId)
    if (this.#waiting.size > 2 * HINTED_MAX) this.#sweep()
    if (this.#cancel === undefined) this.#spend()
  }

  /** Is dialled otherwise, or not at all. */
  delete (peerId: string): void {
    this.#waiting.delete(peerId)
  }

  close (): void {
    this.#cancel?.()
    this.#waiting.clear()
  }

  #spend (): void {
    this.#cancel = undefined
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const waitMs = this.#budget.take(this.#clock.nowMs())
      if (waitMs > 0) return void (this.#cancel = this.#clock.after(waitMs, () => { this.#spend() }))
      const { host, peerId } = next
      this.#turns.set(host, ++this.#turn)
      this.#waiting.delete(peerId)
      this.#onTurn(peerId)
    }
    this.#turns.clear()
  }

  /** The newest hint of the host whose turn was longest ago. */
  #next (): { readonly host: string, readonly peerId: string } | undefined {
    this.#sweep()
    const newest = new Map<string, string>()
    for (const peerId of this.#waiting) newest.set(hostOf(this.#sightings.addresses(peerId)), peerId)
    for (const host of this.#turns.keys()) if (!newest.has(host) && this.#turns.size > HINTED_MAX) this.#turns.delete(host)
    let [chosen, turn]: [string | undefined, number] = [undefined, Infinity]
    for (const host of newest.keys()) {
      const last = this.#turns.get(host) ?? 0
      if (last <= turn) [chosen, turn] = [host, last]
    }
    return chosen === undefined ? undefined : { host: chosen, peerId: newest.get(chosen) as string }
  }

  /** Those that were forgotten, or told of by others meanwhile, wait no longer. */
  #sweep (): void {
    for (const peerId of this.#waiting) if (!this.#sightings.isHinted(peerId)) this.#waiting.delete(peerId)
  }
}

/** The machine, or the relay, that the likeliest address leads to. */
function hostOf ([address = '']: readonly string[]): string {
  return address.split('/').slice(1, 3).join('/')
}
