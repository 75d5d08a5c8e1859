/**
 * How routing gets to the peers it asks: over a connection that both ends have admitted, which it dials if there is none.
 *
 * Answers name peers and addresses, and any member may lie. So dials are rationed, a peer that was not there is left alone for a
 * while at the addresses where it was tried, and whose word has cost a number of dials for nothing is not believed for as long
 * (trust.ts). A dial under way begins anew when another says where else the peer is: nobody is kept away by a false address.
 */
import type { PeerId, PeerInfo, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline, sleep } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Random } from '../../lib/base/random.ts'
import { DOUBT_MS, Trust } from '../../lib/base/trust.ts'
import { ADDRESSES_MAX } from './address.ts'
import type { Libp2pConnection } from './connection.ts'
import type { Book } from './routing-book.ts'

/** Dials that routing may begin at once, and how many more each second: one lookup asks some twenty peers. */
export const DIALS_AT_ONCE_MAX = 32
export const DIALS_PER_SECOND = 1

/** Longest that one dial takes, until both ends have admitted each other, in milliseconds. */
const DIAL_MS_MAX = 8_000

/**
 * How long the higher peer id leaves a dial that nobody waits for to the lower one, in milliseconds, to twice that; and how often it
 * looks meanwhile.
 */
export const GRACE_MS = 400
const GRACE_LOOK_MS = 50

/** How long a peer that was not there is not dialled again. */
export const ABSENCE_MS = 20_000

/** Peers of which either is remembered. */
const MEMORY_MAX = 1_024

/** What it takes to reach a peer. */
export interface Ways {
  readonly clock: Clock
  readonly random: Random
  isDialable (address: Multiaddr): boolean
  isClosed (): boolean
  /** An admitted connection, if there is one. */
  find (peerId: string): Libp2pConnection | undefined
  /** Resolves when a connection is there and admitted. @throws SwarmError */
  connect (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Libp2pConnection>
}

/** One dial, which may begin anew at other addresses. */
interface Dial {
  readonly done: Promise<Libp2pConnection>
  /** Those whose word it goes by. */
  readonly tellers: Set<string>
  again: () => void
}

export class Reach {
  readonly #ways: Ways
  readonly #book: Book
  readonly #trust = new Trust()
  readonly #dials = new Map<string, Dial>()
  /** Until when a peer is left alone, and where it was not. */
  readonly #absent = new Map<string, { readonly untilMs: number, readonly addresses: readonly string[] }>()
  /** Who named a peer last that we know from others alone. */
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
    if (this.#ways.find(name) !== undefined) return true
    if (!this.#trust.has(teller, this.#ways.clock.nowMs())) return false
    const dialable = multiaddrs.slice(0, ADDRESSES_MAX).filter(address => this.#ways.isDialable(address))
    if (dialable.length === 0) return false
    this.#book.hint(name, dialable, teller)
    const addresses = this.#book.tries(id)
    if (this.#isAbsent(name, addresses)) return false
    remember(this.#namedBy, name, teller)
    const dial = this.#dials.get(name)
    if (dial !== undefined && !dial.tellers.has(teller)) {
      dial.tellers.add(teller)
      dial.again()
    }
    return true
  }

  /**
   * Leaves it to a peer with a lower id to dial: two that hear of each other at one moment, as when a swarm starts, would else both do.
   * Resolves when it is linked, or it is our turn after all.
   *
   * @throws SwarmError ABORTED
   */
  async giveWay (peerId: PeerId, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#ways
    const name = peerId.toString()
    if (this.#book.own < name) return
    const turnMs = clock.nowMs() + GRACE_MS * (1 + random.next())
    while (this.#ways.find(name) === undefined && !this.#dials.has(name) && clock.nowMs() < turnMs) await sleep(clock, GRACE_LOOK_MS, signal)
  }

  /** @throws SwarmError UNREACHABLE, OVERLOADED, ABORTED, CLOSED */
  async open (peerId: PeerId, protocol: string, signal: AbortSignal): Promise<Stream> {
    const connection = this.#ways.find(peerId.toString()) ?? await this.#dial(peerId, signal)
    return await connection.openRaw(protocol, signal)
  }

  /** Joins a dial that is under way. It goes on when who asked has given up: the next one finds it done. */
  async #dial (peerId: PeerId, signal: AbortSignal): Promise<Libp2pConnection> {
    const name = peerId.toString()
    const { done } = this.#dials.get(name) ?? this.#begin(peerId, name)
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => { reject(new SwarmError('ABORTED', `dial ${name} was given up`, { cause: signal.reason })) }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      done.finally(() => { signal.removeEventListener('abort', onAbort) }).then(resolve, reject)
    })
  }

  #begin (peerId: PeerId, name: string): Dial {
    const { clock } = this.#ways
    const teller = this.#namedBy.get(name)
    const addresses = this.#book.tries(peerId)
    if (addresses.length === 0) throw new SwarmError('UNREACHABLE', `routing knows no address of ${name}`)
    if (this.#isAbsent(name, addresses)) throw new SwarmError('UNREACHABLE', `${name} was not there a moment ago`)
    if (teller !== undefined && !this.#trust.has(teller, clock.nowMs())) throw new SwarmError('UNREACHABLE', `${name} is named by one who named others that were not there`)
    this.#spend()
    this.dials += 1
    const bound = deadline(clock, DIAL_MS_MAX)
    let isDoubted = false
    const doubt = (): void => {
      if (!isDoubted && teller !== undefined) this.#trust.lose(teller, clock.nowMs())
      isDoubted = true
    }
    const cancel = clock.after(DOUBT_MS, doubt)
    const dial: Dial = { done: this.#connect(peerId, () => dial, bound.signal), tellers: new Set(teller === undefined ? [] : [teller]), again: () => {} }
    this.#dials.set(name, dial)
    dial.done.then(() => {
      if (isDoubted && teller !== undefined) this.#trust.regain(teller, clock.nowMs())
    }, () => {
      if (this.#ways.isClosed()) return
      doubt()
      this.#miss(peerId)
    }).finally(() => {
      bound.done()
      cancel()
      this.#namedBy.delete(name)
      this.#dials.delete(name)
    })
    return dial
  }

  /** Dials, and again when others know more addresses. */
  async #connect (peerId: PeerId, dial: () => Dial, signal: AbortSignal): Promise<Libp2pConnection> {
    for (;;) {
      const attempt = new AbortController()
      const bound = deadline(this.#ways.clock, DIAL_MS_MAX, signal, attempt.signal)
      const connecting = this.#ways.connect(peerId.toString(), this.#book.tries(peerId), bound.signal)
      // One turn later the dial that this belongs to is there.
      queueMicrotask(() => { dial().again = () => { attempt.abort(new SwarmError('ABORTED', 'other addresses are known')) } })
      try {
        return await connecting
      } catch (error) {
        if (!attempt.signal.aborted || signal.aborted) throw error
      } finally {
        bound.done()
      }
    }
  }

  #isAbsent (name: string, addresses: readonly string[]): boolean {
    const absent = this.#absent.get(name)
    return absent !== undefined && absent.untilMs > this.#ways.clock.nowMs() && addresses.every(address => absent.addresses.includes(address))
  }

  /** @throws SwarmError OVERLOADED */
  #spend (): void {
    const nowMs = this.#ways.clock.nowMs()
    this.#dialsLeft = Math.min(DIALS_AT_ONCE_MAX, this.#dialsLeft + (nowMs - this.#countedMs) / 1_000 * DIALS_PER_SECOND)
    this.#countedMs = nowMs
    if (this.#dialsLeft < 1) throw new SwarmError('OVERLOADED', `routing dials at most ${DIALS_AT_ONCE_MAX} peers at once`)
    this.#dialsLeft -= 1
  }

  #miss (peerId: PeerId): void {
    const name = peerId.toString()
    remember(this.#absent, name, { untilMs: this.#ways.clock.nowMs() + ABSENCE_MS, addresses: this.#book.tries(peerId) })
    this.#book.doubt(name)
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
