/**
 * The keys that this peer provides, and who holds them.
 *
 * A peer provides a key by telling the REPLICAS peers nearest to it, which its lookup finds; who looks for the key converges on the
 * same. In a young swarm they are not the same yet. So whenever the table has doubled a peer looks up itself first, which makes it known
 * to those around it, and them to it; whoever enters the table is told of the keys it is near to; and SETTLING_MS after keys were first
 * provided those who should hold them are looked up anew, if the table has changed since, and told if they do not. In any case they are
 * told after a third of a record's life.
 */
import type { PeerId } from '@libp2p/interface'
import { deadline, sleep } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { ROUTING_RECORD_MS } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import type { Components } from './guard.ts'
import type { Table } from './routing-table.ts'

/** Between two keys that are provided again, in milliseconds: a hundred tools are not worth a burst. */
const PACE_MS = 100

/** How long after the table has grown it is looked at, in milliseconds, to twice that: peers come in groups. */
const GROWN_MS = 1_000

/** After a key was provided for the first, second and third time, in milliseconds: who is near changes while a swarm starts. */
const SETTLING_MS: readonly number[] = [5_000, 30_000, 300_000]

/** How long a lookup that nobody waits for may take, in milliseconds. */
const UPKEEP_MS_MAX = 10_000

export interface ProvidedParts {
  readonly clock: Clock
  readonly random: Random
  readonly table: Table
  readonly components: Components
  readonly closing: AbortSignal
  /** Looks up the peers nearest to a target. @throws the signal's reason */
  readonly nearest: (target: Uint8Array, signal: AbortSignal) => Promise<PeerId[]>
}

interface Key {
  /** As on the wire. */
  readonly target: Uint8Array
  dueMs: number
  /** How often it was provided, and how large the table was then. */
  rounds: number
  tableSize: number
  /** Who holds it, as far as we know. */
  holders: Set<string>
}

export class Provided {
  /** What a peer looks up to find those around it. */
  readonly self: Uint8Array
  readonly #parts: ProvidedParts
  readonly #keys = new Map<string, Key>()
  #isKeeping = false
  #tableSize = 0
  #armedMs = Infinity
  #cancel = (): void => {}

  constructor (parts: ProvidedParts) {
    this.#parts = parts
    this.self = parts.components.peerId.toMultihash().bytes
    parts.table.onAdd(() => { this.#arm(GROWN_MS * (1 + parts.random.next())) }) // not everybody at once
  }

  get size (): number {
    return this.#keys.size
  }

  has (name: string): boolean {
    return this.#keys.has(name)
  }

  /** @param target as on the wire */
  add (name: string, target: Uint8Array): void {
    if (!this.#keys.has(name)) this.#keys.set(name, { target, dueMs: 0, rounds: 0, tableSize: 0, holders: new Set() })
  }

  delete (name: string): boolean {
    return this.#keys.delete(name)
  }

  /**
   * Tells those who are to hold a key: while the swarm settles only those who were not told yet, and nobody if nothing has changed.
   *
   * @param options.anew what is told has changed: all of them
   * @throws the signal's reason
   */
  async publish (name: string, signal: AbortSignal, { anew = false } = {}): Promise<void> {
    const key = this.#keys.get(name)
    if (key === undefined) return
    const { clock, nearest } = this.#parts
    const pauseMs = SETTLING_MS[key.rounds] ?? this.#pauseMs()
    key.dueMs = clock.nowMs() + pauseMs
    this.#arm(pauseMs)
    const isSettling = !anew && key.rounds > 0 && key.rounds < SETTLING_MS.length
    if (this.#near > 0) key.rounds += 1
    if (isSettling && key.tableSize === this.#near) return
    key.tableSize = this.#near
    const peers = await nearest(key.target, signal)
    if (!isSettling) key.holders = new Set()
    await this.#tell(key, peers.filter(peerId => !key.holders.has(peerId.toString())), signal)
  }

  close (): void {
    this.#cancel()
    this.#keys.clear()
  }

  get #near (): number {
    return this.#parts.table.size
  }

  /** Has peers hold a key. Who is gone meanwhile holds nothing: the others do. */
  async #tell ({ holders, target }: Key, peers: readonly PeerId[], signal: AbortSignal): Promise<void> {
    const { components, table } = this.#parts
    const own = { id: components.peerId, multiaddrs: components.addressManager.getAddresses() }
    await Promise.all(peers.map(async peerId => {
      await table.tell(peerId, target, own, signal).then(() => { holders.add(peerId.toString()) }, () => undefined)
    }))
  }

  /** A third of a record's life, give or take a tenth: not everybody at once. */
  #pauseMs (): number {
    return ROUTING_RECORD_MS / 3 * (0.9 + 0.2 * this.#parts.random.next())
  }

  /** Looks after at most so long what is due. */
  #arm (delayMs: number): void {
    const { clock, closing } = this.#parts
    const dueMs = clock.nowMs() + delayMs
    if (closing.aborted || dueMs >= this.#armedMs) return
    this.#cancel()
    this.#armedMs = dueMs
    this.#cancel = clock.after(delayMs, () => {
      this.#armedMs = Infinity
      if (!this.#isKeeping) void this.#keep()
    })
  }

  async #keep (): Promise<void> {
    const { clock, closing, nearest, table } = this.#parts
    this.#isKeeping = true
    try {
      if (this.#hasGrown(this.#tableSize)) {
        this.#tableSize = this.#near
        await this.#bounded(async signal => { await nearest(this.self, signal) })
      }
      for (const [name, key] of [...this.#keys]) {
        if (!this.#keys.has(name)) continue
        const newcomers = table.nearest(key.target).filter(peerId => !key.holders.has(peerId.toString()))
        if (this.#isDue(key)) await this.#bounded(async signal => { await this.publish(name, signal) })
        else if (newcomers.length > 0) await this.#bounded(async signal => { await this.#tell(key, newcomers, signal) })
        else continue
        await sleep(clock, PACE_MS, closing)
      }
    } catch (error) {
      if (!closing.aborted) throw error
      return
    } finally {
      this.#isKeeping = false
    }
    if (this.#hasGrown(this.#tableSize)) this.#arm(GROWN_MS)
    const nextMs = Math.min(...[...this.#keys.values()].map(key => this.#isDue(key) ? 0 : key.dueMs))
    if (Number.isFinite(nextMs)) this.#arm(Math.max(GROWN_MS, nextMs - clock.nowMs()))
  }

  /** Work that is tried again in its time, or when the table grows. */
  async #bounded (work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const bound = deadline(this.#parts.clock, UPKEEP_MS_MAX, this.#parts.closing)
    await work(bound.signal).catch((error: unknown) => {
      if (!bound.signal.aborted) throw error
    })
    bound.done()
  }

  #isDue ({ dueMs, rounds }: Key): boolean {
    return this.#parts.clock.nowMs() >= dueMs || (rounds === 0 && this.#near > 0)
  }

  #hasGrown (from: number): boolean {
    return this.#near >= Math.max(1, 2 * from)
  }
}
