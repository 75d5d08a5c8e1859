/**
 * Peers that only hints tell of, until one of them has proven itself: each waits for its first dial within a budget, and the hosts that
 * the hints point to take turns. They are dialled apart from all others, as an address that swallows packets holds a slot for as long as
 * an attempt may take. So a host that makes up many peers costs little, delays nobody who is known otherwise, and one that tells of
 * itself by no more than one turn for each host that lies.
 */
import type { Clock } from '../base/clock.ts'
import type { SwarmError } from '../base/error.ts'
import type { Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { Budget } from '../mesh/budget.ts'
import { DIAL_MS, Dialler, type DialLimits, type Progress } from '../mesh/dialler.ts'
import { hostOf } from '../mesh/renewal.ts'
import { HINTED_MAX, type Sightings } from './sightings.ts'

/** First dials of hinted peers: so many at once, then so many a second. */
export const HINTS_AT_ONCE = 32
export const HINTS_PER_SECOND = 2

/** Attempts at once for further dials of hinted peers. */
export const HINT_RETRY_SLOTS = 12

/**
 * Time for each of the first attempts, in milliseconds, and how many those are: whoever answers at all does so soon. Further ones,
 * which only those get whom nobody needs the slots for, have DIAL_MS.
 */
export const HINT_DIAL_MS = 1_500
export const HINT_DIALS_SHORT = 2

/** First attempts that may be under way at once, by the budget: there is a slot for each, however long all of them stay silent. */
export const HINT_FIRST_SLOTS = HINTS_AT_ONCE + Math.ceil(HINTS_PER_SECOND * HINT_DIAL_MS / 1_000)

const LIMITS: DialLimits = {
  dialsMax: HINT_FIRST_SLOTS + HINT_RETRY_SLOTS,
  urgentSlots: HINT_FIRST_SLOTS,
  isFirstUrgent: true,
  dialMs: attempt => attempt <= HINT_DIALS_SHORT ? HINT_DIAL_MS : DIAL_MS
}

export interface HintsParts {
  readonly sightings: Sightings
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly onFailed: (peerId: string, error: SwarmError, attempts: number) => void
}

export class Hints {
  readonly #sightings: Sightings
  readonly #clock: Clock
  readonly #dialler: Dialler
  readonly #budget: Budget
  /** At most HINTED_MAX that count, as `Sightings` holds no more; the others go at the next turn. */
  readonly #waiting = new Set<string>()
  /** When each host had its last turn. */
  readonly #turns = new Map<string, number>()
  #turn = 0
  #cancel: (() => void) | undefined

  constructor ({ sightings, network, clock, random, onFailed }: HintsParts) {
    this.#sightings = sightings
    this.#clock = clock
    this.#dialler = new Dialler({ network, clock, random, limits: LIMITS })
    this.#dialler.on('failed', ({ peerId, error, attempts }) => { onFailed(peerId, error, attempts) })
    this.#budget = new Budget({ burst: HINTS_AT_ONCE, perSecond: HINTS_PER_SECOND, nowMs: clock.nowMs() })
  }

  add (peerId: string): void {
    if (this.#dialler.wants(peerId)) return void this.#dialler.want(peerId, this.#sightings.addresses(peerId)) // elsewhere, perhaps
    this.#waiting.add(peerId)
    if (this.#waiting.size > 2 * HINTED_MAX) this.#sweep()
    if (this.#cancel === undefined) this.#spend()
  }

  /** Whether a peer has had its turn, and is being dialled. */
  wants (peerId: string): boolean {
    return this.#dialler.wants(peerId)
  }

  /** Those that are being dialled. */
  peers (): string[] {
    return this.#dialler.peers()
  }

  progress (peerId: string): Progress | undefined {
    return this.#dialler.progress(peerId)
  }

  /** Is dialled otherwise, or not at all. @returns whether it was waiting here, or being dialled */
  delete (peerId: string): boolean {
    const isDialled = this.#dialler.wants(peerId)
    this.#dialler.forget(peerId)
    return this.#waiting.delete(peerId) || isDialled
  }

  /** Tries those anew that have failed: the network has changed, or the machine has slept. */
  hurry (): void {
    this.#dialler.hurry()
  }

  async close (): Promise<void> {
    this.#cancel?.()
    this.#waiting.clear()
    await this.#dialler.close()
  }

  #spend (): void {
    this.#cancel = undefined
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const waitMs = this.#budget.take(this.#clock.nowMs())
      if (waitMs > 0) return void (this.#cancel = this.#clock.after(waitMs, () => { this.#spend() }))
      const { host, peerId } = next
      this.#turns.set(host, ++this.#turn)
      this.#waiting.delete(peerId)
      this.#dialler.want(peerId, this.#sightings.addresses(peerId))
    }
    this.#turns.clear()
  }

  /** The newest hint of the host whose turn was longest ago. */
  #next (): { readonly host: string, readonly peerId: string } | undefined {
    this.#sweep()
    const newest = new Map<string, string>()
    for (const peerId of this.#waiting) newest.set(hostOf(this.#sightings.addresses(peerId)[0] ?? ''), peerId) // where it likeliest is
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
