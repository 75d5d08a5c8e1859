/**
 * Who is asked about a document, and when: those that may have it, to confirm what somebody waits for; and some of them a moment
 * after an own change, whether they have it too, which shows what gossip has lost.
 */
import { afterTurn, type Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Effect } from '../../crdt/replica.ts'
import type { Copy } from './copy.ts'

/** How long after an own change some peers that have the document are asked whether they have the change too, in milliseconds. */
export const ECHO_MS = 1_000

/**
 * After documents were opened, all are compared with some neighbours this long after, and again each time twice as long: until who is in
 * their gossip has got about, it misses some. In milliseconds.
 */
export const YOUNG_MS = 1_000
export const YOUNG_MS_MAX = 8_000

/** Peers asked in one echo; and documents asked for one by one: of more, all are compared. */
export const ECHO_PEERS = 3
export const ECHO_DOCUMENTS_MAX = 32

/** How long a peer that was asked to confirm may take until it is asked again, in milliseconds. */
export const CONFIRM_MS = 2_000

/** Peers asked at once for one document, or compared with after one was opened. */
export const NEIGHBOURS_MAX = 16

export interface AskingOptions {
  readonly clock: Clock
  readonly random: Random
  /** Peers that can be sent to. */
  readonly peers: () => ReadonlySet<string>
  readonly show: (copy: Copy, effect: Effect) => void
  /** Compare everything with a peer. */
  readonly compare: (peerId: string) => void
}

export class Asking {
  readonly #options: AskingOptions
  /** Linked peers known to have a document, by its key. */
  readonly #holders = new Map<string, Set<string>>()
  /** When an echo of a document is due; and when a peer was asked to confirm one. */
  readonly #echoes = new Map<string, number>()
  readonly #asked = new Map<string, Map<string, number>>()
  #comparesSoon = false
  /** When young documents are compared next, and how long that is after the last time. */
  #young: { readonly dueMs: number, readonly waitMs: number } | undefined

  constructor (options: AskingOptions) {
    this.#options = options
  }

  /** When `tick` has something to do next. */
  get nextMs (): number {
    let next = this.#young?.dueMs ?? Infinity
    for (const echoMs of this.#echoes.values()) next = Math.min(next, echoMs)
    return next
  }

  holders (key: string): readonly string[] {
    return [...this.#holders.get(key) ?? []]
  }

  /** A peer spoke about a document. */
  heard (key: string, peerId: string): void {
    if (!this.#options.peers().has(peerId)) return
    const holders = this.#holders.get(key) ?? new Set()
    this.#holders.set(key, holders.add(peerId))
  }

  /** It said what it has: it may be asked again. */
  answered (key: string, peerId: string): void {
    this.#asked.get(key)?.delete(peerId)
  }

  gone (peerId: string): void {
    for (const holders of this.#holders.values()) holders.delete(peerId)
    for (const asked of this.#asked.values()) asked.delete(peerId)
  }

  closed (key: string): void {
    for (const each of [this.#holders, this.#echoes, this.#asked]) each.delete(key)
  }

  /** The application changed a document, `isMissed`: and gossip reached nobody. */
  edited (key: string, isMissed = false): void {
    const nowMs = this.#options.clock.nowMs()
    if (isMissed) this.#echoes.set(key, nowMs)
    else if (!this.#echoes.has(key)) this.#echoes.set(key, nowMs + ECHO_MS)
  }

  /** Asks those who may have a document to confirm what is here. */
  confirm (copy: Copy): void {
    for (const peerId of this.some(this.#options.peers(), NEIGHBOURS_MAX)) if (copy.needs(peerId)) this.ask(copy, peerId)
  }

  /** Once at a time: an answer that does not suffice asks for the next. */
  ask (copy: Copy, peerId: string): void {
    const nowMs = this.#options.clock.nowMs()
    const asked = this.#asked.get(copy.key) ?? new Map<string, number>()
    if (nowMs - (asked.get(peerId) ?? -Infinity) < CONFIRM_MS) return
    this.#asked.set(copy.key, asked.set(peerId, nowMs))
    const isHolder = this.#holders.get(copy.key)?.has(peerId) === true
    // Whoever has it is given what it lacks at once; of others it is found out first.
    this.#options.show(copy, isHolder && copy.isAwaited ? copy.replica.offer(peerId) : copy.replica.ask(peerId))
  }

  /** Echoes what is due, and compares what is young. */
  tick (copyOf: (key: string) => Copy | undefined): void {
    const { clock, peers, show, compare } = this.#options
    const nowMs = clock.nowMs()
    if (this.#young !== undefined && nowMs >= this.#young.dueMs) {
      const waitMs = 2 * this.#young.waitMs
      this.#young = waitMs > YOUNG_MS_MAX ? undefined : { dueMs: nowMs + waitMs, waitMs }
      for (const peerId of this.some(peers(), ECHO_PEERS)) compare(peerId)
    }
    const due = [...this.#echoes].filter(([, dueMs]) => dueMs <= nowMs).map(([key]) => key)
    for (const key of due) this.#echoes.delete(key)
    if (due.length > ECHO_DOCUMENTS_MAX) {
      for (const peerId of this.some(peers(), ECHO_PEERS)) compare(peerId)
      return
    }
    for (const key of due) {
      const copy = copyOf(key)
      const holders = this.#holders.get(key)
      if (copy === undefined) continue
      for (const peerId of this.some(holders === undefined || holders.size === 0 ? peers() : holders, ECHO_PEERS)) show(copy, copy.replica.ask(peerId))
    }
  }

  /** Compares everything with neighbours at the end of this turn, and now and then while it is young: after documents were opened, however many. */
  compareSoon (): void {
    this.#young = { dueMs: this.#options.clock.nowMs() + YOUNG_MS, waitMs: YOUNG_MS }
    if (this.#comparesSoon) return
    this.#comparesSoon = true
    afterTurn(() => {
      this.#comparesSoon = false
      for (const peerId of this.some(this.#options.peers(), NEIGHBOURS_MAX)) this.#options.compare(peerId)
    })
  }

  /** Some of them by chance, or all where there are no more. */
  some (peers: ReadonlySet<string>, count: number): string[] {
    const left = [...peers]
    while (left.length > count) left.splice(Math.floor(this.#options.random.next() * left.length), 1)
    return left
  }
}
