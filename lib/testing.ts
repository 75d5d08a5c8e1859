/**
 * For tests of programs that use mcp-swarm: whole swarms in one process, with no files, no sockets and no shared state.
 *
 *     await using lab = new Lab()
 *     const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
 */
import { MemoryHub } from '../transports/memory/memory.ts'
import { systemRandom } from './base/random.ts'
import { generateKey } from './identity/key.ts'
import type { Outcome, SimulateOptions } from './simulate/outcome.ts'
import { joinSwarm } from './swarm/join.ts'
import type { JoinOptions } from './swarm/options.ts'
import type { Neighbour, Rendezvous, RendezvousOptions } from './swarm/rendezvous.ts'
import type { Swarm } from './swarm/swarm.ts'

export { MemoryHub } from '../transports/memory/memory.ts'
export { FAIR_WEATHER, SimulatedHub } from '../transports/simulated/simulated.ts'
export type { SimulatedHubOptions, Weather } from '../transports/simulated/simulated.ts'
export { VirtualClock } from './base/virtual.ts'
export { seededRandom } from './base/random.ts'
export type { Clock } from './base/clock.ts'
export type { Random } from './base/random.ts'
export type { Bug } from './simulate/bug.ts'
export type { Kind, Outcome, SimulateOptions } from './simulate/outcome.ts'

/** A swarm of its own, on a memory network or a simulated one: peers that join it find each other at once. */
export class Lab {
  readonly hub: MemoryHub
  readonly #swarmKey = generateKey(systemRandom)
  readonly #meeting = new Meeting()
  readonly #swarms: Swarm[] = []

  /** @param hub a `SimulatedHub` for a network with weather */
  constructor (hub: MemoryHub = new MemoryHub()) {
    this.hub = hub
  }

  /** @param options as for `joinSwarm`; their seams win over the lab's */
  async join (name: string, options: JoinOptions = {}): Promise<Swarm> {
    const swarm = await joinSwarm({
      ...options,
      name,
      seams: {
        openNetwork: async ({ key }) => this.hub.network(key.peerId),
        openRendezvous: async rendezvous => this.#meeting.open(rendezvous),
        swarmKey: this.#swarmKey,
        ...options.seams
      }
    })
    this.#swarms.push(swarm)
    return swarm
  }

  /** Closes every swarm that joined here. */
  async close (): Promise<void> {
    await Promise.all(this.#swarms.splice(0).map(async swarm => { await swarm.close() }))
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.close()
  }
}

/**
 * Runs one world of shared documents to its end: peers made of the real cores, on a virtual clock, while messages get lost, doubled and
 * reordered, the network falls apart and the power goes in the middle of anything. The same seed gives the same world: equal `trace`.
 *
 * @returns `failure` says what went wrong, if anything did: nothing here throws for it. Some 50 ms of work for some 30 s of the world.
 */
export async function simulate (options: SimulateOptions): Promise<Outcome> {
  // Loads Yjs, which tests without documents have no use for.
  const { simulate } = await import('./simulate/world.ts')
  return simulate(options)
}

/** The rendezvous folder's counterpart in memory. */
class Meeting {
  readonly #present = new Map<string, RendezvousOptions>()
  readonly #neighbours = new Map<string, Neighbour>()

  open (options: RendezvousOptions): Rendezvous {
    for (const neighbour of this.#neighbours.values()) options.onFound(neighbour)
    this.#present.set(options.peerId, options)
    return {
      announce: async addresses => { this.#announce({ peerId: options.peerId, addresses, processId: 0 }) },
      check: async () => {},
      close: async () => { this.#leave(options.peerId) }
    }
  }

  #announce (neighbour: Neighbour): void {
    this.#neighbours.set(neighbour.peerId, neighbour)
    for (const other of this.#present.values()) if (other.peerId !== neighbour.peerId) other.onFound(neighbour)
  }

  #leave (peerId: string): void {
    this.#present.delete(peerId)
    if (!this.#neighbours.delete(peerId)) return
    for (const other of this.#present.values()) other.onGone(peerId)
  }
}
