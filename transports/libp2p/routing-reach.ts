/**
 * How routing gets to the peers it asks: over a connection that both ends have admitted, which it dials if there is none.
 *
 * Answers name peers and addresses, and any member may lie. So dials are rationed, a peer that was not there is left alone for a
 * while, and whose word has cost a number of dials for nothing is not believed for as long.
 */
import type { PeerId, PeerInfo, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { ADDRESSES_MAX, withoutPeer } from './address.ts'
import type { Libp2pConnection } from './connection.ts'
import type { Book } from './routing-book.ts'

/** Dials that routing may begin at once, and how many more each second: one lookup asks some twenty peers. */
export const DIALS_AT_ONCE_MAX = 32
export const DIALS_PER_SECOND = 1

/** Longest that one dial takes, until both ends have admitted each other, in milliseconds. */
const DIAL_MS_MAX = 8_000

/** How long a peer that was not there is not dialled again. */
export const ABSENCE_MS = 20_000

/** Dials for nothing that one peer's word may cost, before no peer that it names is tried for DISTRUST_MS. */
export const VAIN_DIALS_MAX = 8
export const DISTRUST_MS = 20_000

/** Peers of which either is remembered. */
const MEMORY_MAX = 1_024

/** What it takes to reach a peer. */
export interface Ways {
  readonly clock: Clock
  isDialable (address: Multiaddr): boolean
  isClosed (): boolean
  /** An admitted connection, if there is one. */
  find (peerId: string): Libp2pConnection | undefined
  /** Resolves when a connection is there and admitted. @throws SwarmError */
  connect (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Libp2pConnection>
}

export class Reach {
  readonly #ways: Ways
  readonly #book: Book
  readonly #dialling = new Map<string, Promise<Libp2pConnection>>()
  /** Until when a peer is left alone. */
  readonly #absentMs = new Map<string, number>()
  /** Whose word was in vain how often, and until when that counts. */
  readonly #vain = new Map<string, { readonly dials: number, readonly untilMs: number }>()
  /** Who named a peer that we know from others alone. */
  readonly #namedBy = new Map<string, string>()
  #dialsLeft = DIALS_AT_ONCE_MAX
  #countedMs: number

  constructor (ways: Ways, book: Book) {
    this.#ways = ways
    this.#book = book
    this.#countedMs = ways.clock.nowMs()
  }

  /** Dials begun by routing, for whoever measures. */
  dials = 0

  /** Hears that a peer is there. @returns whether it may be tried on that word */
  hear ({ id, multiaddrs }: PeerInfo, namedBy: PeerId): boolean {
    const [name, teller] = [id.toString(), namedBy.toString()]
    const nowMs = this.#ways.clock.nowMs()
    if (this.#ways.find(name) !== undefined) return true
    if ((this.#absentMs.get(name) ?? -Infinity) > nowMs) return false
    const vain = this.#vain.get(teller)
    if (vain !== undefined && vain.untilMs > nowMs && vain.dials >= VAIN_DIALS_MAX) return false
    const dialable = multiaddrs.slice(0, ADDRESSES_MAX).filter(address => this.#ways.isDialable(address))
    if (dialable.length === 0) return false
    this.#book.hint(name, dialable)
    remember(this.#namedBy, name, teller)
    return true
  }

  /** @throws SwarmError UNREACHABLE, OVERLOADED, ABORTED, CLOSED */
  async open (peerId: PeerId, protocol: string, signal: AbortSignal): Promise<Stream> {
    const connection = this.#ways.find(peerId.toString()) ?? await this.#dial(peerId, signal)
    return await connection.openRaw(protocol, signal)
  }

  /** Joins a dial that is under way. It goes on when who asked has given up: the next one finds it done. */
  async #dial (peerId: PeerId, signal: AbortSignal): Promise<Libp2pConnection> {
    const name = peerId.toString()
    const dialling = this.#dialling.get(name) ?? this.#begin(peerId, name)
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => { reject(new SwarmError('ABORTED', `dial ${name} was given up`, { cause: signal.reason })) }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      dialling.finally(() => { signal.removeEventListener('abort', onAbort) }).then(resolve, reject)
    })
  }

  #begin (peerId: PeerId, name: string): Promise<Libp2pConnection> {
    const { clock } = this.#ways
    const addresses = this.#book.tries(peerId).map(withoutPeer)
    if (addresses.length === 0) throw new SwarmError('UNREACHABLE', `routing knows no address of ${name}`)
    if ((this.#absentMs.get(name) ?? -Infinity) > clock.nowMs()) throw new SwarmError('UNREACHABLE', `${name} was not there a moment ago`)
    this.#spend()
    this.dials += 1
    const bound = deadline(clock, DIAL_MS_MAX)
    const dialling = this.#ways.connect(name, addresses, bound.signal).catch((error: unknown) => {
      if (!this.#ways.isClosed()) this.#miss(name)
      throw error
    }).finally(() => {
      bound.done()
      this.#namedBy.delete(name)
      this.#dialling.delete(name)
    })
    this.#dialling.set(name, dialling)
    dialling.catch(() => undefined) // told to whoever waits, if anybody still does
    return dialling
  }

  /** @throws SwarmError OVERLOADED */
  #spend (): void {
    const nowMs = this.#ways.clock.nowMs()
    this.#dialsLeft = Math.min(DIALS_AT_ONCE_MAX, this.#dialsLeft + (nowMs - this.#countedMs) / 1_000 * DIALS_PER_SECOND)
    this.#countedMs = nowMs
    if (this.#dialsLeft < 1) throw new SwarmError('OVERLOADED', `routing dials at most ${DIALS_AT_ONCE_MAX} peers at once`)
    this.#dialsLeft -= 1
  }

  #miss (peerId: string): void {
    const nowMs = this.#ways.clock.nowMs()
    remember(this.#absentMs, peerId, nowMs + ABSENCE_MS)
    this.#book.doubt(peerId)
    const teller = this.#namedBy.get(peerId)
    if (teller === undefined) return
    const vain = this.#vain.get(teller)
    const dials = vain === undefined || vain.untilMs <= nowMs ? 1 : vain.dials + 1
    remember(this.#vain, teller, { dials, untilMs: nowMs + DISTRUST_MS })
  }
}

/** Puts an entry last, and lets the first ones go when there are too many. */
export function remember<Value> (map: Map<string, Value>, name: string, value: Value): void {
  map.delete(name)
  map.set(name, value)
  for (const oldest of map.keys()) {
    if (map.size <= MEMORY_MAX) return
    map.delete(oldest)
  }
}
