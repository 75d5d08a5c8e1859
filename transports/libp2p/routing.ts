/**
 * Routing over libp2p: a Kademlia table of admitted peers, loaded when it is first wanted.
 *
 * A peer provides a key by telling the REPLICAS peers nearest to it, which its lookup finds; who looks for the key converges on the
 * same. In a young swarm they are not the same yet. So whoever enters the table is told of the keys it is near to; whenever the table
 * has doubled a peer looks up itself, which makes it known to those around it; and keys are provided anew SETTLING_MS after they were
 * first, if the table has changed since. In any case they are after a third of a record's life.
 * Source: Maymounkov and Mazières, "Kademlia", IPTPS 2002, on the wire as in libp2p's specification kad-dht.
 */
import { MessageType } from '@libp2p/kad-dht'
import type { Connection as LibConnection, PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as digestOf } from 'multiformats/hashes/digest'
import { deadline, sleep } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { ROUTING_RECORD_MS } from '../../lib/base/network.ts'
import type { FindOptions, Routing } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { checkProvide, checkWanted, nameOfKey } from '../routing.ts'
import { ADDRESSES_MAX, withoutPeer } from './address.ts'
import type { Components, Guard } from './guard.ts'
import { Book } from './routing-book.ts'
import { lookup } from './routing-lookup.ts'
import type { Answer } from './routing-lookup.ts'
import { Reach, remember } from './routing-reach.ts'
import type { Ways } from './routing-reach.ts'
import { ProviderStore } from './routing-store.ts'
import { Table } from './routing-table.ts'

/** SHA-256, as multihashes number it. */
const SHA2_256 = 0x12

/** Between two keys that are provided again, in milliseconds: a hundred tools are not worth a burst. */
const PACE_MS = 100

/** How long after the table has grown it is looked at, in milliseconds, to twice that: peers come in groups. */
const GROWN_MS = 1_000

/** After a key was provided for the first, second and third time, in milliseconds: who is near changes while a swarm starts. */
const SETTLING_MS: readonly number[] = [5_000, 30_000, 300_000]

/** How often a connection that brings questions is reason to look whether its peer is in the table, in milliseconds. */
const ASKED_MS = 30_000

/** How long a lookup that nobody waits for may take, in milliseconds. */
const UPKEEP_MS_MAX = 10_000

export interface RoutingParts extends Ways {
  readonly components: Components
  readonly guard: Guard
  readonly random: Random
  readonly protocol: string
}

interface Provided {
  /** As on the wire. */
  readonly target: Uint8Array
  dueMs: number
  /** How often it was provided, and how large the table was then. */
  rounds: number
  tableSize: number
  /** Who holds it, as far as we know. */
  holders: Set<string>
}

export async function openRouting (parts: RoutingParts): Promise<Libp2pRouting> {
  const { components, clock, protocol } = parts
  const book = new Book(components.peerId, () => components.addressManager.getAddresses())
  components.events.addEventListener('peer:identify', ({ detail: { peerId, listenAddrs } }) => { book.say(peerId, listenAddrs) })
  const reach = new Reach(parts, book)
  const table: Table = new Table({
    ...parts, book, reach,
    store: new ProviderStore(components.peerId.toString(), clock),
    onAsked: connection => { routing.asked(connection) },
    openTo: async (peerId, signal) => {
      const connection = parts.find(peerId.toString())
      if (connection === undefined) throw new SwarmError('UNREACHABLE', `no connection to ${peerId.toString()}`)
      return await connection.openRaw(protocol, signal)
    }
  })
  const routing = new Libp2pRouting(parts, table, reach, book)
  await table.start()
  return routing
}

export class Libp2pRouting implements Routing {
  readonly #clock: Clock
  readonly #random: Random
  readonly #components: Components
  readonly #table: Table
  readonly #reach: Reach
  readonly #book: Book
  readonly #provided = new Map<string, Provided>()
  /** When a connection last brought a question that counted. */
  readonly #askedMs = new Map<string, number>()
  readonly #closing = new AbortController()
  #isKeeping = false
  #tableSize = 0
  #armedMs = Infinity
  #cancel = (): void => {}

  constructor ({ clock, random, components }: RoutingParts, table: Table, reach: Reach, book: Book) {
    this.#clock = clock
    this.#random = random
    this.#components = components
    this.#table = table
    this.#reach = reach
    this.#book = book
    table.onAdd(() => { this.#arm(GROWN_MS * (1 + this.#random.next())) }) // not everybody at once
  }

  get size (): number {
    return this.#table.size
  }

  /** Dials begun on the word of others, so far. */
  get dials (): number {
    return this.#reach.dials
  }

  async provide (key: Uint8Array, signal: AbortSignal): Promise<void> {
    const name = nameOfKey(key)
    const cid = cidOf(key)
    await this.#while('provide', signal, async asking => {
      const known = this.#provided.get(name)
      if (known === undefined) checkProvide(this.#provided.size)
      const provided = known ?? { target: cid.multihash.bytes, dueMs: 0, rounds: 0, tableSize: 0, holders: new Set() }
      this.#provided.set(name, provided)
      await this.#table.hold(cid)
      await this.#publish(provided, asking)
    })
  }

  withdraw (key: Uint8Array): void {
    if (this.#provided.delete(nameOfKey(key))) void this.#table.release(cidOf(key))
  }

  async find (key: Uint8Array, { signal, onFound }: FindOptions): Promise<void> {
    const cid = cidOf(key)
    const target = cid.multihash.bytes
    const found = new Set([this.#components.peerId.toString()])
    const tell = ({ id, multiaddrs }: PeerInfo): void => {
      const peerId = id.toString()
      if (found.has(peerId) || multiaddrs.length === 0) return
      found.add(peerId)
      onFound(peerId, plain(multiaddrs))
    }
    await this.#while('find', signal, async asking => {
      for (const provider of await this.#table.held(cid)) tell(provider)
      await this.#lookup(target, asking, async (peerId, each) => {
        const answer = await this.#table.ask(peerId, MessageType.GET_PROVIDERS, target, each)
        if (!each.aborted) for (const provider of answer.providers.slice(0, PROVIDERS_TOLD_MAX)) tell(provider)
        return answer
      })
    })
  }

  async locate (peerId: string, signal: AbortSignal): Promise<string[]> {
    const target = peerIdFromString(peerId).toMultihash().bytes
    const found = new Set<string>()
    await this.#while('locate', signal, async asking => {
      await this.#lookup(target, asking, async (each, asked) => {
        const answer = await this.#table.ask(each, MessageType.FIND_NODE, target, asked)
        for (const { id, multiaddrs } of answer.closer) if (id.toString() === peerId) for (const address of plain(multiaddrs)) found.add(address)
        return answer
      })
    }).catch((error: unknown) => {
      if (found.size === 0) throw error
    })
    return [...found].slice(0, ADDRESSES_MAX)
  }

  /** An admitted connection: its peer enters the table if it takes part. */
  meet ({ direction, remoteAddr, remotePeer }: LibConnection): void {
    if (this.#closing.signal.aborted) return
    // Until it says where it listens, or if it has said so before this was open.
    void this.#components.peerStore.get(remotePeer).then(({ addresses }) => addresses.map(({ multiaddr }) => multiaddr), () => [])
      .then(told => { this.#book.say(remotePeer, told.length > 0 ? told : direction === 'outbound' ? [remoteAddr] : []) })
    this.#table.meet(remotePeer)
  }

  /** Somebody asks us: takes part, therefore. Looked at once in a while, as a peer may ask often. */
  asked ({ id, remotePeer }: LibConnection): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs - (this.#askedMs.get(id) ?? -Infinity) < ASKED_MS) return
    remember(this.#askedMs, id, nowMs)
    if (!this.#closing.signal.aborted) this.#table.meet(remotePeer)
  }

  close (): void {
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#cancel()
    this.#provided.clear()
    void this.#table.stop()
  }

  async #lookup (target: Uint8Array, signal: AbortSignal, ask: (peerId: PeerId, signal: AbortSignal) => Promise<Answer>): Promise<PeerId[]> {
    return await lookup({
      target, signal, clock: this.#clock,
      own: this.#components.peerId,
      start: this.#table.nearest(target),
      mayTry: (peer, namedBy) => this.#reach.hear(peer, namedBy),
      ask: async (peerId, asked) => {
        const answer = await ask(peerId, asked)
        if (!this.#table.has(peerId)) this.#table.meet(peerId)
        return answer
      }
    })
  }

  /** @throws SwarmError ABORTED, CLOSED */
  async #while (what: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const check = (cause?: unknown): void => {
      if (this.#closing.signal.aborted) throw new SwarmError('CLOSED', `${what}: this peer has closed`, { cause })
      checkWanted(signal, what)
    }
    check()
    const working = new AbortController()
    const stop = (): void => { working.abort(new SwarmError('ABORTED', `${what} was given up`)) }
    for (const each of [signal, this.#closing.signal]) each.addEventListener('abort', stop, { once: true })
    try {
      await work(working.signal)
    } catch (cause) {
      check(cause)
      throw cause
    } finally {
      for (const each of [signal, this.#closing.signal]) each.removeEventListener('abort', stop)
    }
    check()
  }

  async #publish (provided: Provided, signal: AbortSignal): Promise<void> {
    const pauseMs = SETTLING_MS[provided.rounds] ?? this.#pauseMs()
    provided.dueMs = this.#clock.nowMs() + pauseMs
    this.#arm(pauseMs)
    const isSettling = provided.rounds > 0 && provided.rounds < SETTLING_MS.length
    if (this.size > 0) provided.rounds += 1
    if (isSettling && provided.tableSize === this.size) return
    provided.tableSize = this.size
    const { target } = provided
    const nearest = await this.#lookup(target, signal, async (peerId, each) => await this.#table.ask(peerId, MessageType.FIND_NODE, target, each))
    provided.holders = new Set()
    await this.#tell(provided, nearest, signal)
  }

  /** Has peers hold a key. Who is gone meanwhile holds nothing: the others do. */
  async #tell ({ holders, target }: Provided, peers: readonly PeerId[], signal: AbortSignal): Promise<void> {
    const own = { id: this.#components.peerId, multiaddrs: this.#components.addressManager.getAddresses() }
    await Promise.all(peers.map(async peerId => {
      await this.#table.tell(peerId, target, own, signal).then(() => { holders.add(peerId.toString()) }, () => undefined)
    }))
  }

  /** A third of a record's life, give or take a tenth: not everybody at once. */
  #pauseMs (): number {
    return ROUTING_RECORD_MS / 3 * (0.9 + 0.2 * this.#random.next())
  }

  /** Looks after at most so long what is due. */
  #arm (delayMs: number): void {
    const dueMs = this.#clock.nowMs() + delayMs
    if (this.#closing.signal.aborted || dueMs >= this.#armedMs) return
    this.#cancel()
    this.#armedMs = dueMs
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#armedMs = Infinity
      if (!this.#isKeeping) void this.#keep()
    })
  }

  async #keep (): Promise<void> {
    this.#isKeeping = true
    try {
      for (const [name, provided] of [...this.#provided]) {
        if (!this.#provided.has(name)) continue
        const newcomers = this.#table.nearest(provided.target).filter(peerId => !provided.holders.has(peerId.toString()))
        if (this.#isDue(provided)) await this.#bounded(async signal => { await this.#publish(provided, signal) })
        else if (newcomers.length > 0) await this.#bounded(async signal => { await this.#tell(provided, newcomers, signal) })
        else continue
        await sleep(this.#clock, PACE_MS, this.#closing.signal)
      }
      if (this.#hasGrown(this.#tableSize)) {
        this.#tableSize = this.size
        const { bytes } = this.#components.peerId.toMultihash()
        await this.#bounded(async signal => { await this.#lookup(bytes, signal, async (peerId, each) => await this.#table.ask(peerId, MessageType.FIND_NODE, bytes, each)) })
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error
      return
    } finally {
      this.#isKeeping = false
    }
    if (this.#hasGrown(this.#tableSize)) this.#arm(GROWN_MS)
    const nextMs = Math.min(...[...this.#provided.values()].map(provided => this.#isDue(provided) ? 0 : provided.dueMs))
    if (Number.isFinite(nextMs)) this.#arm(Math.max(GROWN_MS, nextMs - this.#clock.nowMs()))
  }

  /** Work that is tried again in its time, or when the table grows. */
  async #bounded (work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const bound = deadline(this.#clock, UPKEEP_MS_MAX, this.#closing.signal)
    await work(bound.signal).catch((error: unknown) => {
      if (!bound.signal.aborted) throw error
    })
    bound.done()
  }

  #isDue ({ dueMs, rounds }: Provided): boolean {
    return this.#clock.nowMs() >= dueMs || (rounds === 0 && this.size > 0)
  }

  #hasGrown (from: number): boolean {
    return this.size >= Math.max(1, 2 * from)
  }
}

/** Providers taken from one peer's answer. */
const PROVIDERS_TOLD_MAX = 32

/** A key as kad-dht has it on the wire. */
function cidOf (key: Uint8Array): CID {
  nameOfKey(key)
  return CID.createV1(raw.code, digestOf(SHA2_256, key.slice()))
}

function plain (addresses: readonly Multiaddr[]): string[] {
  return [...new Set(addresses.slice(0, ADDRESSES_MAX).map(withoutPeer))]
}
