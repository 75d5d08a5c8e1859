/**
 * Routing over libp2p: a Kademlia table of admitted peers, loaded when it is first wanted. What this peer provides, and how that is kept
 * up, is in routing-provided.ts.
 * Source: Maymounkov and Mazières, "Kademlia", IPTPS 2002, on the wire as in libp2p's specification kad-dht.
 */
import { MessageType } from '@libp2p/kad-dht'
import type { Connection as LibConnection, PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as digestOf } from 'multiformats/hashes/digest'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { FindOptions, Routing } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { checkProvide, checkWanted, nameOfKey } from '../routing.ts'
import { inTurn } from '../../lib/base/turns.ts'
import { ADDRESSES_MAX, withoutPeer } from './address.ts'
import type { Components, Guard } from './guard.ts'
import { Book } from './routing-book.ts'
import { AWAITED, NARROW, UNHURRIED, lookup } from './routing-lookup.ts'
import type { Answer, Pace } from './routing-lookup.ts'
import { Provided } from './routing-provided.ts'
import { Reach, remember } from './routing-reach.ts'
import type { Ways } from './routing-reach.ts'
import { ProviderStore } from './routing-store.ts'
import { Table } from './routing-table.ts'

/** SHA-256, as multihashes number it. */
const SHA2_256 = 0x12

/** How often a connection that brings questions is reason to look whether its peer is in the table, in milliseconds. */
const ASKED_MS = 30_000

/** Providers taken from one peer's answer. */
export const PROVIDERS_TOLD_MAX = 32

export interface RoutingParts extends Ways {
  readonly components: Components
  readonly guard: Guard
  readonly random: Random
  readonly protocol: string
}

export async function openRouting (parts: RoutingParts): Promise<Libp2pRouting> {
  const { components, clock, protocol } = parts
  const book = new Book(components.peerId, () => components.addressManager.getAddresses())
  components.events.addEventListener('peer:identify', ({ detail: { peerId, listenAddrs, protocols } }) => {
    book.say(peerId, listenAddrs)
    if (protocols.includes(protocol)) routing.welcome(peerId)
  })
  const reach = new Reach(parts, book)
  const table: Table = new Table({
    ...parts, book, reach,
    store: new ProviderStore(components.peerId.toString(), clock),
    onAsked: connection => { routing.asked(connection) },
    isLinked: peerId => parts.find(peerId.toString()) !== undefined
  })
  const routing = new Libp2pRouting(parts, table, reach, book)
  await table.start()
  return routing
}

export class Libp2pRouting implements Routing {
  readonly #clock: Clock
  readonly #components: Components
  readonly #protocol: string
  readonly #table: Table
  readonly #reach: Reach
  readonly #book: Book
  readonly #provided: Provided
  readonly #isLinked: (peerId: PeerId) => boolean
  /** When a connection last brought a question that counted. */
  readonly #askedMs = new Map<string, number>()
  readonly #closing = new AbortController()

  constructor (parts: RoutingParts, table: Table, reach: Reach, book: Book) {
    const { clock, random, components, protocol } = parts
    this.#clock = clock
    this.#components = components
    this.#protocol = protocol
    this.#table = table
    this.#reach = reach
    this.#book = book
    this.#isLinked = peerId => parts.find(peerId.toString()) !== undefined
    this.#provided = new Provided({
      clock, random, table, components, closing: this.#closing.signal,
      nearest: async (target, signal) => {
        const pace = target === this.#provided.self ? UNHURRIED : NARROW
        return await this.#lookup(target, pace, signal, async (peerId, asked) => await table.ask(peerId, MessageType.FIND_NODE, target, asked))
      }
    })
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
      if (!this.#provided.has(name)) checkProvide(this.#provided.size)
      this.#provided.add(name, cid.multihash.bytes)
      await this.#table.hold(cid)
      await this.#provided.publish(name, asking, { anew: true })
    })
  }

  withdraw (key: Uint8Array): void {
    if (this.#provided.delete(nameOfKey(key))) void this.#table.release(cidOf(key))
  }

  async find (key: Uint8Array, { signal, onFound, isAwaited = true }: FindOptions): Promise<void> {
    const cid = cidOf(key)
    const target = cid.multihash.bytes
    const own = this.#components.peerId.toString()
    const found = new Set<string>()
    const tell = ({ id, multiaddrs }: PeerInfo, teller: string): void => {
      const [peerId, word] = [id.toString(), `${teller} ${id.toString()}`]
      if (peerId === own || found.has(word) || multiaddrs.length === 0) return
      found.add(word)
      onFound(peerId, plain(multiaddrs), teller)
    }
    await this.#while('find', signal, async asking => {
      for (const provider of await this.#table.held(cid)) tell(provider, own)
      await this.#lookup(target, isAwaited ? AWAITED : UNHURRIED, asking, async (peerId, each) => {
        const answer = await this.#table.ask(peerId, MessageType.GET_PROVIDERS, target, each)
        if (!each.aborted) for (const provider of answer.providers.slice(0, PROVIDERS_TOLD_MAX)) tell(provider, peerId.toString())
        return answer
      })
    })
  }

  async locate (peerId: string, signal: AbortSignal): Promise<string[]> {
    const target = peerIdFromString(peerId).toMultihash().bytes
    const words: string[][] = []
    await this.#while('locate', signal, async asking => {
      await this.#lookup(target, AWAITED, asking, async (each, asked) => {
        const answer = await this.#table.ask(each, MessageType.FIND_NODE, target, asked)
        for (const { id, multiaddrs } of answer.closer) if (id.toString() === peerId) words.push(plain(multiaddrs))
        return answer
      })
    }).catch((error: unknown) => {
      if (words.length === 0) throw error
    })
    return inTurn(words, ADDRESSES_MAX)
  }

  /** An admitted connection: where its peer can be dialled, as far as that is known until it says where it listens. */
  meet ({ direction, remoteAddr, remotePeer }: LibConnection): void {
    if (this.#closing.signal.aborted) return
    void this.#components.peerStore.get(remotePeer).then(({ addresses, protocols }) => {
      if (protocols.includes(this.#protocol)) this.welcome(remotePeer) // it has said so before this was open
      return addresses.map(({ multiaddr }) => multiaddr)
    }, () => []).then(told => { this.#book.say(remotePeer, told.length > 0 ? told : direction === 'outbound' ? [remoteAddr] : []) })
  }

  /** A linked peer says that it takes part. */
  welcome (peerId: PeerId): void {
    if (!this.#closing.signal.aborted) this.#table.meet(peerId)
  }

  /** Somebody asks us: takes part, therefore. Looked at once in a while, as a peer may ask often. */
  asked ({ id, remotePeer }: LibConnection): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs - (this.#askedMs.get(id) ?? -Infinity) < ASKED_MS) return
    remember(this.#askedMs, id, nowMs)
    this.welcome(remotePeer)
  }

  close (): void {
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#provided.close()
    void this.#table.stop()
  }

  async #lookup (target: Uint8Array, pace: Pace, signal: AbortSignal, ask: (peerId: PeerId, signal: AbortSignal) => Promise<Answer>): Promise<PeerId[]> {
    return await lookup({
      target, pace, signal, clock: this.#clock,
      own: this.#components.peerId,
      start: this.#table.nearest(target),
      isKnown: this.#isLinked,
      mayTry: (peer, namedBy) => this.#reach.hear(peer, namedBy),
      ask: async (peerId, asked) => {
        if (pace !== AWAITED) await this.#reach.giveWay(peerId, asked)
        const answer = await ask(peerId, asked).catch(async (error: unknown) => {
          if (!signal.aborted && !isOurs(error)) await this.#table.drop(peerId)
          throw error
        })
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
}

/** Whether an ask failed for want of a dial that we may spend: that says nothing of the peer. */
function isOurs (error: unknown): boolean {
  return error instanceof SwarmError && error.cause instanceof SwarmError && ['OVERLOADED', 'ABORTED'].includes(error.cause.code)
}

/** A key as kad-dht has it on the wire. */
function cidOf (key: Uint8Array): CID {
  nameOfKey(key)
  return CID.createV1(raw.code, digestOf(SHA2_256, key.slice()))
}

function plain (addresses: readonly Multiaddr[]): string[] {
  return [...new Set(addresses.slice(0, ADDRESSES_MAX).map(withoutPeer))]
}
