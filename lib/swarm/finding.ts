/**
 * Finds peers through the swarm's hash table, and lets this one be found: by the swarm, by its name, its agents, pools and tools.
 *
 * The table opens when there is somebody to ask: with the first connection, or when something is sought. What it says are hints: search.ts
 * decides whose turn it is to be tried, tries.ts dials, and whoever answers counts for what its own record says. Peers that are found
 * for company wait for the neighbours' budget like any that were hinted at.
 */
import { deadline, sleep, type Clock } from '../base/clock.ts'
import type { Discovery, DiscoveryOptions } from '../base/discovery.ts'
import { SwarmError } from '../base/error.ts'
import type { FindOptions, Network, Routing } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { Trust } from '../base/trust.ts'
import type { Directory } from '../directory/directory.ts'
import { keyOf, textOfPoint, type Point } from './points.ts'
import { Search } from './search.ts'
import { Tries } from './tries.ts'

/** Longest that a call waits for peers who are found here, in milliseconds. */
export const SEEK_FURTHER_MS = 2_000

/** How long after the table has opened a search that finds nobody waits for whoever enters it, in milliseconds: the first may know nobody. */
export const YOUNG_MS = 1_500

/** How long what was sought in vain is not sought again, in milliseconds. */
export const VAIN_MS = 5_000

/** Of so many points that is remembered. */
const VAIN_MAX = 256

/** Peers of the swarm are looked for until so many are near. */
export const COMPANY_MAX = 8

/** How long after the first connection the table opens, in milliseconds: what a start needs comes first. */
const SETTLE_MS = 500

/** Between two looks for peers of the swarm, in milliseconds, give or take a quarter. */
export const LOOK_MS = 300_000

/** Between two points that are provided one after another, in milliseconds. */
const PACE_MS = 20

const TICK_MS = 10

/** What is wanted: whichever is named most closely is looked up. */
export interface Sought {
  readonly tool?: string
  readonly agent?: string
  readonly pool?: string
  /** A name or an id. */
  readonly peer?: string
}

/** Brings peers into reach that have what is sought, as far as they are found. @throws SwarmError ABORTED, CLOSED */
export type Seek = (sought: Sought, signal: AbortSignal) => Promise<void>

export interface FindingParts {
  readonly swarmId: string
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly directory: Directory
}

export class Finding {
  readonly #parts: FindingParts
  readonly #closing = new AbortController()
  readonly #trust = new Trust()
  readonly #offered = new Map<string, Point>()
  readonly #provided = new Map<string, Point>()
  /** Of those provided, what is to be provided again: this peer is elsewhere now. */
  readonly #stale = new Set<string>()
  /** Until when a point is not sought again. */
  readonly #vain = new Map<string, number>()
  #onFound: DiscoveryOptions['onFound'] = () => {}
  #routing: Promise<Routing> | undefined
  #openedMs = Infinity
  #isProviding = false
  #again: (() => void) | undefined

  constructor (parts: FindingParts) {
    this.#parts = parts
  }

  /** The means of discovery that this is: for `Neighbours.discoverBy`. */
  discover ({ onFound }: Pick<DiscoveryOptions, 'onFound'>): Discovery {
    this.#onFound = onFound
    const { clock, network } = this.#parts
    const stop = network.onConnection(() => {
      stop()
      void sleep(clock, SETTLE_MS, this.#closing.signal).then(() => { this.#begin() }, () => undefined)
    })
    return {
      announce: () => {
        for (const text of this.#provided.keys()) this.#stale.add(text)
        void this.#provide()
      },
      refresh: () => { if (this.#routing !== undefined) void this.#look() },
      close: async () => {
        stop()
        this.#again?.()
        this.#closing.abort(new SwarmError('CLOSED', 'the swarm is closed'))
      }
    }
  }

  /** Lets this peer be found by these points from now on, in place of those before. */
  offer (points: readonly Point[]): void {
    this.#offered.clear()
    for (const point of points) this.#offered.set(textOfPoint(point), point)
    void this.#provide()
  }

  /**
   * Brings peers into reach that have what is sought, as far as they are found: ends when it is there, when nobody has it, or after
   * SEEK_FURTHER_MS. Whoever enters the table meanwhile is asked too.
   *
   * @throws SwarmError ABORTED, CLOSED
   */
  async seek (sought: Sought, signal: AbortSignal): Promise<void> {
    const { clock, directory, network } = this.#parts
    const isThere = (): boolean => isKnown(directory, sought)
    const name = JSON.stringify([sought.peer, sought.agent, sought.pool, sought.tool])
    if (isThere() || (this.#vain.get(name) ?? -Infinity) > clock.nowMs()) return
    const over = new AbortController()
    const bound = deadline(clock, SEEK_FURTHER_MS, signal, this.#closing.signal, over.signal)
    const tries = new Tries({ network, clock, trust: this.#trust, signal: bound.signal, onReached: this.#onFound })
    let [isOver, asked] = [true, -1]
    const ask = (size: number): void => {
      [isOver, asked] = [false, size]
      void this.#ask(sought, bound.signal, (peerId, addresses, teller) => {
        tries.hear({ peerId, addresses, teller })
      }).catch(() => undefined).finally(() => { isOver = true })
    }
    try {
      const routing = await this.#open()
      while (!isThere()) {
        if (isOver && tries.isVain) {
          if (routing.size > asked) ask(routing.size)
          else if (directory.peers().length <= 1 || clock.nowMs() - this.#openedMs >= YOUNG_MS) break
        }
        await sleep(clock, TICK_MS, bound.signal)
      }
    } catch (cause) {
      if (signal.aborted) throw new SwarmError('ABORTED', 'a search was given up', { cause })
      if (this.#closing.signal.aborted) throw new SwarmError('CLOSED', 'the swarm is closed', { cause })
    } finally {
      over.abort(new SwarmError('ABORTED', 'a search is over'))
      bound.done()
    }
    if (!isThere()) this.#remember(name)
  }

  async #ask (sought: Sought, signal: AbortSignal, onFound: FindOptions['onFound']): Promise<void> {
    const { clock, directory } = this.#parts
    const routing = await this.#open()
    // A neighbour may be about to take part, or to say that it does not.
    while (routing.size === 0 && directory.peers().length > 1) await sleep(clock, TICK_MS, signal)
    const { agent, peer, pool, tool } = sought
    if (peer !== undefined && isId(peer)) {
      const addresses = await routing.locate(peer, signal)
      if (addresses.length > 0) onFound(peer, addresses, peer) // said by others, and yet a dial proves who is there
      return
    }
    const point: Point | undefined = peer !== undefined ? { kind: 'peer', name: peer }
      : agent !== undefined ? { kind: 'agent', name: agent }
        : pool !== undefined ? { kind: 'pool', name: pool }
          : tool !== undefined ? { kind: 'tool', name: tool } : undefined
    if (point !== undefined) await routing.find(keyOf(this.#parts.swarmId, point), { signal, onFound })
  }

  async #open (): Promise<Routing> {
    this.#routing ??= this.#parts.network.routing()
    const routing = await this.#routing
    this.#openedMs = Math.min(this.#openedMs, this.#parts.clock.nowMs())
    return routing
  }

  #begin (): void {
    void this.#open().then(() => {
      void this.#provide()
      void this.#look()
    }, () => undefined) // closed meanwhile
  }

  /** Provides what is offered and not provided yet, and withdraws the rest. */
  async #provide (): Promise<void> {
    const { clock, swarmId } = this.#parts
    if (this.#isProviding || this.#routing === undefined) return
    this.#isProviding = true
    try {
      const routing = await this.#routing
      for (const [text, point] of this.#provided) {
        if (this.#offered.has(text)) continue
        this.#provided.delete(text)
        routing.withdraw(keyOf(swarmId, point))
      }
      for (let next = this.#nextToProvide(); next !== undefined; next = this.#nextToProvide()) {
        const [text, point] = next
        this.#provided.set(text, point)
        this.#stale.delete(text)
        await routing.provide(keyOf(swarmId, point), this.#closing.signal)
        await sleep(clock, PACE_MS, this.#closing.signal)
      }
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error // closed, or more than the table takes: the rest is found by its agents
    } finally {
      this.#isProviding = false
    }
  }

  #nextToProvide (): [string, Point] | undefined {
    for (const entry of this.#offered) if (!this.#provided.has(entry[0]) || this.#stale.has(entry[0])) return entry
    return undefined
  }

  /** Looks for peers of the swarm, and again after a while. */
  async #look (): Promise<void> {
    const { clock, random, swarmId } = this.#parts
    this.#again?.()
    this.#again = clock.after(LOOK_MS * (0.75 + 0.5 * random.next()), () => { void this.#look() })
    const bound = deadline(clock, SEEK_FURTHER_MS, this.#closing.signal)
    const search = new Search(this.#trust)
    try {
      const routing = await this.#open()
      if (routing.size < COMPANY_MAX) await routing.find(keyOf(swarmId, { kind: 'swarm' }), { signal: bound.signal, isAwaited: false, onFound: (peerId, addresses, teller) => { search.hear({ peerId, addresses, teller }) } })
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error // too slow, or closed: there is a next time
    } finally {
      bound.done()
    }
    if (this.#closing.signal.aborted) return
    for (let wanted = COMPANY_MAX - (await this.#open()).size; wanted > 0; wanted--) {
      const named = search.take(clock.nowMs())
      if (named !== undefined) this.#onFound(named.peerId, named.addresses)
    }
  }

  #remember (name: string): void {
    this.#vain.delete(name)
    this.#vain.set(name, this.#parts.clock.nowMs() + VAIN_MS)
    for (const oldest of this.#vain.keys()) {
      if (this.#vain.size <= VAIN_MAX) return
      this.#vain.delete(oldest)
    }
  }
}

/** Whether a directory knows somebody who has what is sought; `all` counts those that cannot be asked now. */
export function isKnown (directory: Directory, sought: Sought, { all = false } = {}): boolean {
  const { agent, peer, pool, tool } = sought
  if (tool !== undefined) return directory.find({ ...sought, all }).length > 0
  const peers = directory.peers({ all }).filter(({ peerId, name }) => peer === undefined || peerId === peer || name === peer)
  if (agent === undefined && pool === undefined) return peers.length > 0
  return peers.some(({ agents }) => agents.some(each => (all || each.available) && (agent === undefined || each.name === agent) && (pool === undefined || each.pool === pool)))
}

/** Ids of Ed25519 keys. */
function isId (peer: string): boolean {
  return /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(peer)
}
