/**
 * A network with weather: everything takes time, gossip is lost, doubled and out of order, connections break, and the
 * network falls apart and heals. All of it by one seed, and with a virtual clock in no time.
 *
 * Streams stay what they are, reliable and in order: a lost packet shows as a wait, for itself and for what comes after it, and now
 * and then as a connection that breaks. Gossip is what nobody relies on, and so what suffers.
 */
import type { Clock } from '../../lib/base/clock.ts'
import { assert } from '../../lib/base/error.ts'
import type { Network } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { MemoryHub } from '../memory/memory.ts'

export interface Weather {
  /** Milliseconds on the way, drawn between the two for each parcel. */
  readonly delayMs: readonly [min: number, max: number]
  /** Chance of each message of gossip to be lost on each connection, and of a stream's parcel to come RESEND_MS late. */
  readonly loss: number
  /** Chance of each message of gossip to be shown to a peer a second time, later. */
  readonly duplication: number
  /** Chance of each message of gossip to be overtaken by those after it. */
  readonly reordering: number
  /** Chance of each stream's parcel to end every connection between the two. */
  readonly breaking: number
}

export const FAIR_WEATHER: Weather = { delayMs: [1, 5], loss: 0, duplication: 0, reordering: 0, breaking: 0 }

/** How late a lost packet of a stream is when it comes after all: TCP's shortest wait before it sends again. */
export const RESEND_MS = 200

/** How many delays more what is overtaken, or shown again, may take. */
const STRAGGLE_DELAYS_MAX = 10

export interface SimulatedHubOptions {
  readonly clock: Clock
  /** Seeded, for a run that can be replayed. */
  readonly random: Random
  readonly weather?: Partial<Weather>
}

/** Parcels between two peers that keep their order, and when the last of them is due. */
interface Way { readonly waiting: (() => void)[], dueMs: number }

export class SimulatedHub extends MemoryHub {
  readonly #random: Random
  readonly #ways = new Map<string, Way>()
  readonly #peers = new Set<string>()
  readonly #isolated = new Set<string>()
  #weather: Weather

  constructor ({ clock, random, weather }: SimulatedHubOptions) {
    super({ clock, courier: (from, to, deliver, isGossip) => { this.#send(from, to, deliver, isGossip) } })
    this.#random = random
    this.#weather = checked({ ...FAIR_WEATHER, ...weather })
  }

  get weather (): Weather {
    return this.#weather
  }

  /** The weather changes for what is sent from now on. */
  set weather (weather: Partial<Weather>) {
    this.#weather = checked({ ...this.#weather, ...weather })
  }

  override network (key: { readonly peerId: string } | string): Network {
    const peerId = typeof key === 'string' ? key : key.peerId
    if (!this.#peers.has(peerId)) for (const other of this.#isolated) super.cut(other, peerId)
    this.#peers.add(peerId)
    return super.network(key)
  }

  /** Ends every connection of a peer and refuses new ones, also with peers that come later, until `heal`. */
  isolate (peerId: string): void {
    this.#isolated.add(peerId)
    for (const other of this.#peers) if (other !== peerId) super.cut(peerId, other)
  }

  /** Ends one cut, or without names all cuts and isolations. */
  override heal (first?: string, second?: string): void {
    if (first !== undefined && second !== undefined) return super.heal(first, second)
    this.#isolated.clear()
    const peers = [...this.#peers]
    for (const [index, one] of peers.entries()) for (const other of peers.slice(index + 1)) super.heal(one, other)
  }

  override repeat (show: () => void): void {
    if (this.#hits(this.#weather.duplication)) this.clock.after(this.#straggleMs(), show)
  }

  #send (from: string, to: string, deliver: () => void, isGossip: boolean): void {
    const { breaking, loss, reordering } = this.#weather
    if (isGossip) {
      if (this.#hits(loss)) return
      if (this.#hits(reordering)) this.clock.after(this.#straggleMs(), deliver)
      else this.#inOrder(`gossip ${from} ${to}`, this.#delayMs(), deliver)
      return
    }
    const lateMs = this.#hits(loss) ? RESEND_MS : 0
    this.#inOrder(`${from} ${to}`, this.#delayMs() + lateMs, deliver)
    if (this.#hits(breaking)) this.clock.after(0, () => { this.#break(from, to) })
  }

  /** Whatever the timers' order, the parcels come in theirs. */
  #inOrder (name: string, delayMs: number, deliver: () => void): void {
    const way = this.#ways.get(name) ?? { waiting: [], dueMs: 0 }
    this.#ways.set(name, way)
    const nowMs = this.clock.nowMs()
    way.dueMs = Math.max(way.dueMs, nowMs + delayMs)
    way.waiting.push(deliver)
    this.clock.after(way.dueMs - nowMs, () => { way.waiting.shift()?.() })
  }

  /** Connections end; unlike after a cut, new ones may follow at once. */
  #break (first: string, second: string): void {
    if (this.isCut(first, second)) return
    super.cut(first, second)
    super.heal(first, second)
  }

  #hits (chance: number): boolean {
    return chance > 0 && this.#random.next() < chance
  }

  #delayMs (): number {
    const [min, max] = this.#weather.delayMs
    return min + this.#random.next() * (max - min)
  }

  #straggleMs (): number {
    return this.#delayMs() + this.#random.next() * STRAGGLE_DELAYS_MAX * this.#weather.delayMs[1]
  }
}

function checked (weather: Weather): Weather {
  const { delayMs: [min, max], loss, duplication, reordering, breaking } = weather
  assert(min >= 0 && max >= min, `delays of ${min} to ${max} ms`)
  for (const chance of [loss, duplication, reordering, breaking]) assert(chance >= 0 && chance <= 1, `a chance of ${chance}`)
  return weather
}
