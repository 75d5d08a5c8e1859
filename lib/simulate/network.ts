/** A network that delays, loses, repeats and reorders what is sent, and falls apart. Reordering comes from delays that differ. */
import type { Chance } from './chance.ts'
import type { Schedule } from './schedule.ts'

export interface Weather {
  /** Probabilities, of each message and each receiver. */
  readonly loss: number
  readonly duplication: number
  /** Milliseconds on the way. */
  readonly delayMs: readonly [min: number, max: number]
}

export const FAIR: Weather = { loss: 0, duplication: 0, delayMs: [1, 20] }

export type Parcel = { readonly kind: 'gossip' | 'stream', readonly from: string, readonly bytes: Uint8Array }

export class SimulatedNetwork {
  readonly #schedule: Schedule
  readonly #chance: Chance
  readonly #peers = new Map<string, (parcel: Parcel) => void>()
  /** The part of the network that a peer is in. */
  readonly #parts = new Map<string, number>()
  weather: Weather
  /** Of gossip alone: all of it is lost. */
  isMute = false
  /** Whether a stream ends with the life of the peer at its other end; otherwise the next life hears what was on its way. */
  hasStreams = false
  sent = 0
  lost = 0

  constructor (schedule: Schedule, chance: Chance, weather: Weather) {
    this.#schedule = schedule
    this.#chance = chance
    this.weather = weather
  }

  join (peer: string, deliver: (parcel: Parcel) => void): void {
    this.#peers.set(peer, deliver)
  }

  leave (peer: string): void {
    this.#peers.delete(peer)
  }

  isPresent (peer: string): boolean {
    return this.#peers.has(peer)
  }

  get peers (): string[] {
    return [...this.#peers.keys()]
  }

  reaches (from: string, to: string): boolean {
    return (this.#parts.get(from) ?? 0) === (this.#parts.get(to) ?? 0)
  }

  /** Parts the network: peers in one list reach each other, and those in none the peers of the first. */
  cut (parts: readonly (readonly string[])[]): void {
    this.#parts.clear()
    parts.forEach((peers, part) => { for (const peer of peers) this.#parts.set(peer, part) })
  }

  heal (): void {
    this.#parts.clear()
  }

  gossip (from: string, bytes: Uint8Array): void {
    for (const peer of this.peers) if (peer !== from && !this.isMute) this.#send(peer, { kind: 'gossip', from, bytes })
  }

  send (from: string, to: string, bytes: Uint8Array): void {
    this.#send(to, { kind: 'stream', from, bytes })
  }

  /** Gossip that goes to one peer alone, whoever says it. */
  whisper (to: string, parcel: Parcel): void {
    if (!this.isMute) this.#send(to, parcel)
  }

  #send (to: string, parcel: Parcel): void {
    this.sent++
    const { loss, duplication, delayMs: [min, max] } = this.weather
    const receiver = this.#peers.get(to)
    const copies = this.#chance.hits(duplication) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const delayMs = min + this.#chance.random.next() ** 3 * (max - min)
      if (this.#chance.hits(loss)) {
        this.lost++
        continue
      }
      this.#schedule.after(delayMs, () => {
        if (this.hasStreams && parcel.kind === 'stream' && this.#peers.get(to) !== receiver) return
        if (this.reaches(parcel.from, to)) this.#peers.get(to)?.(parcel)
        else this.lost++
      })
    }
  }
}
