/**
 * Networks of peers in one process, which can dial each other at `/memory/<n>`: for tests, and for several peers in one page.
 *
 * Everything one peer tells another is carried by a courier to a later turn of the event loop, so that nothing here is more
 * synchronous than a socket. A simulation brings its own courier, which may take its time but keeps the order between two
 * peers. `cut` and `freeze` are the two ways networks fail people: connections that die, and silence.
 */
import { afterTurn, systemClock } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import type { Network } from '../../lib/base/network.ts'
import { MemoryNetwork } from './network.ts'

/** Brings what `from` does to `to`, later and in order for each such pair; gossip may be lost, doubled or out of order. */
export type Courier = (from: string, to: string, deliver: () => void, isGossip: boolean) => void

export interface MemoryHubOptions {
  /** For the limits in time. Default: the system's. */
  readonly clock?: Clock
  /** Default: the next turn of the event loop. */
  readonly courier?: Courier
}

interface Parcel { from: string, to: string, deliver: () => void }

export class MemoryHub {
  readonly clock: Clock
  readonly #courier: Courier
  readonly #networks = new Map<string, MemoryNetwork>()
  readonly #cuts = new Set<string>()
  readonly #frozen = new Set<string>()
  #held: Parcel[] = []
  #queue: Parcel[] = []
  #addresses = 0

  constructor (options: MemoryHubOptions = {}) {
    this.clock = options.clock ?? systemClock
    this.#courier = options.courier ?? ((from, to, deliver) => { this.#enqueue({ from, to, deliver }) })
  }

  /** Opens the network of one peer. @param key its key, or just its id */
  network (key: { readonly peerId: string } | string): Network {
    const network = new MemoryNetwork(this, typeof key === 'string' ? key : key.peerId, this.#newAddress())
    this.#networks.set(network.address, network)
    return network
  }

  /** Gives a peer another address, as when its machine changes networks: its connections end, its old address is nobody's. */
  move (peerId: string): void {
    for (const network of [...this.#networks.values()].filter(each => each.peerId === peerId)) {
      this.#networks.delete(network.address)
      for (const other of this.#networks.values()) network.lose(other.peerId)
      network.move(this.#newAddress())
      this.#networks.set(network.address, network)
    }
  }

  /** Ends every connection between two peers, and refuses new ones until `heal`. */
  cut (first: string, second: string): void {
    this.#cuts.add(pair(first, second))
    for (const network of this.#networks.values()) {
      if (network.peerId === first) network.lose(second)
      if (network.peerId === second) network.lose(first)
    }
  }

  heal (first: string, second: string): void {
    this.#cuts.delete(pair(first, second))
  }

  isCut (first: string, second: string): boolean {
    return this.#cuts.has(pair(first, second))
  }

  /** Holds back everything to and from a peer, which nobody can tell from a peer that is slow, until `thaw`. */
  freeze (peerId: string): void {
    this.#frozen.add(peerId)
  }

  thaw (peerId: string): void {
    this.#frozen.delete(peerId)
    const held = this.#held
    this.#held = []
    for (const parcel of held) this.#enqueue(parcel)
  }

  /** For networks of this hub: does something at another peer, later. */
  carry (from: string, to: string, deliver: () => void, isGossip = false): void {
    this.#courier(from, to, () => {
      if (this.#isHeld(from, to)) this.#held.push({ from, to, deliver })
      else deliver()
    }, isGossip)
  }

  /** For networks of this hub: this network shows no message of gossip twice. */
  repeat (_show: () => void): void {}

  /** For networks of this hub: who answers at an address, unless a cut keeps `from` away. */
  find (from: string, address: string): MemoryNetwork | undefined {
    const network = this.#networks.get(address)
    return network === undefined || this.isCut(from, network.peerId) ? undefined : network
  }

  /** For networks of this hub: nobody answers there any more. */
  forget (address: string): void {
    this.#networks.delete(address)
  }

  #newAddress (): string {
    this.#addresses += 1
    return `/memory/${this.#addresses}`
  }

  #isHeld (from: string, to: string): boolean {
    return this.#frozen.has(from) || this.#frozen.has(to)
  }

  #enqueue (parcel: Parcel): void {
    this.#queue.push(parcel)
    if (this.#queue.length === 1) afterTurn(() => { this.#flush() })
  }

  #flush (): void {
    const due = this.#queue
    this.#queue = []
    for (const { deliver } of due) deliver()
  }
}

function pair (first: string, second: string): string {
  return first < second ? `${first} ${second}` : `${second} ${first}`
}
