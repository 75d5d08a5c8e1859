/**
 * What was heard of the swarm's peers, and what of it is to be told: pure, given the time. A peer may be heard from several
 * sources (its interfaces, or others that lie about it); each source has one word on it, the newest, and none can take away
 * what another said. All is bounded: a flood changes who is remembered, never how much. What is told is rationed too, and sources
 * take turns: whoever makes up a thousand peers waits behind the one who tells of itself alone.
 */
import { Allowance, Allowances } from './allowance.ts'
import type { Known } from './wire.ts'

/** Peers remembered in all, and of one source: those with the most give up their own. */
export const PEERS_MAX = 1_024
export const PEERS_PER_SOURCE_MAX = 128

/** Sources remembered of one peer, and its addresses told at once. */
export const SOURCES_PER_PEER_MAX = 4
export const TOLD_MAX = 16

/** New announcements that one source may make. */
const HEAR_EACH = { burst: 64, perS: 1 }

/** Calls of `onFound`, so many at once and then so many a second: as many as are dialled of those that nobody else knows. */
export const TELL = { burst: 32, perS: 2 }

/** Longest time that an announcement is remembered. */
export const TTL_S = 1_200

/** An announcement as it was heard. */
export interface Heard {
  readonly peerId: string
  /** Those that may be dialled. */
  readonly addresses: readonly string[]
  readonly label: string
  readonly ttlS: number
  /** Where it came from: the address, and over which link. */
  readonly source: string
  readonly link: string
}

interface Word {
  readonly label: string
  readonly link: string
  readonly addresses: readonly string[]
  readonly ttlMs: number
  readonly untilMs: number
  /** stale: it is to be heard again. waiting: and then told. */
  readonly state: 'waiting' | 'told' | 'stale'
}

export class Book {
  /** By peer, by source; in both, the one last heard is last. */
  readonly #words = new Map<string, Map<string, Word>>()
  /** Words of each source. */
  readonly #counts = new Map<string, number>()
  readonly #hears: Allowances
  readonly #tells: Allowance
  /** By source, the peers of whom it waits to tell; the source that told last is last. */
  readonly #queues = new Map<string, Set<string>>()
  /** Sources that have told, in the order in which they did last. */
  readonly #turns = new Set<string>()

  constructor (nowMs: number) {
    this.#hears = new Allowances({ each: HEAR_EACH }, nowMs)
    this.#tells = new Allowance(TELL.burst, TELL.perS, nowMs)
  }

  /** Peers remembered. */
  get size (): number {
    return this.#words.size
  }

  /** Takes an announcement in; `next` tells of it in its turn. @returns false if the source has said too much */
  hear (heard: Heard, nowMs: number): boolean {
    const { peerId, source, label, link, addresses } = heard
    const before = this.#words.get(peerId)?.get(source)
    const isNew = before?.label !== label || before.state === 'stale' || nowMs >= before.untilMs
    if (isNew && !this.#hears.take(source, nowMs)) return false
    if (before === undefined) this.#makeRoom(source)
    const words = this.#words.get(peerId) ?? new Map<string, Word>()
    this.#words.delete(peerId)
    this.#words.set(peerId, words)
    words.delete(source)
    const ttlMs = Math.min(heard.ttlS, TTL_S) * 1_000
    words.set(source, { label, link, addresses, ttlMs, untilMs: nowMs + ttlMs, state: isNew ? 'waiting' : before.state })
    if (before === undefined) this.#count(source, 1)
    if (isNew) this.#enqueue(source, peerId)
    if (words.size > SOURCES_PER_PEER_MAX) this.#drop(peerId, words.keys().next().value as string)
    return true
  }

  /** What is to be told now; undefined if nothing is, or not yet: then `nextMs` says when. */
  next (nowMs: number): { readonly peerId: string, readonly addresses: string[] } | undefined {
    const source = this.#nextSource()
    const queue = source === undefined ? undefined : this.#queues.get(source)
    const peerId = queue?.values().next().value
    if (source === undefined || queue === undefined || peerId === undefined || !this.#tells.take(nowMs)) return undefined
    this.#dequeue(source, peerId)
    this.#turns.delete(source)
    this.#turns.add(source)
    const words = this.#words.get(peerId)
    // What others wait to say of it is told along.
    for (const [other, word] of words ?? []) {
      if (word.state !== 'waiting') continue
      this.#dequeue(other, peerId)
      words?.set(other, { ...word, state: 'told' })
    }
    return { peerId, addresses: this.#addressesOf(peerId, nowMs) }
  }

  /** How long until `next` tells of what waits, in milliseconds; undefined if nothing does. */
  nextMs (nowMs: number): number | undefined {
    return this.#queues.size === 0 ? undefined : this.#tells.waitMs(nowMs)
  }

  /** A peer has said that it leaves. @returns whether nobody speaks for it any more */
  leave (peerId: string, source: string): boolean {
    if (this.#words.get(peerId)?.has(source) !== true) return false
    this.#drop(peerId, source)
    return !this.#words.has(peerId)
  }

  /** What need not be told again over a link: heard there, in the first half of its time. */
  known (link: string, nowMs: number): Known[] {
    const found: Known[] = []
    for (const words of this.#words.values()) {
      for (const { label, link: on, ttlMs, untilMs, state } of words.values()) {
        if (on === link && state !== 'stale' && untilMs - nowMs > ttlMs / 2) found.push({ label, ttlS: Math.ceil((untilMs - nowMs) / 1_000) })
      }
    }
    return found
  }

  /** Whether all of these labels were heard over that link. */
  knowsAll (labels: readonly Known[], link: string, nowMs: number): boolean {
    const own = new Set(this.known(link, nowMs).map(({ label }) => label))
    return labels.every(({ label }) => own.has(label))
  }

  /** From now on whoever answers over that link, or any, is told of anew: what was heard may not be so any more. */
  ask (link?: string): void {
    for (const words of this.#words.values()) {
      for (const [source, word] of words) if (word.state === 'told' && (link === undefined || word.link === link)) words.set(source, { ...word, state: 'stale' })
    }
  }

  /** Forgets what nobody has said for its time. */
  expire (nowMs: number): void {
    for (const [peerId, words] of [...this.#words]) {
      for (const [source, { untilMs }] of [...words]) if (nowMs >= untilMs) this.#drop(peerId, source)
    }
  }

  /** Newest first, each source's in turn, so that none crowds the others out. */
  #addressesOf (peerId: string, nowMs: number): string[] {
    const lists = [...this.#words.get(peerId)?.values() ?? []].filter(({ untilMs }) => nowMs < untilMs).reverse().map(({ addresses }) => addresses)
    const mixed = new Set<string>()
    for (let nth = 0; nth < TOLD_MAX; nth++) {
      for (const { [nth]: address } of lists) if (address !== undefined) mixed.add(address)
    }
    return [...mixed].slice(0, TOLD_MAX)
  }

  /** Whoever has never told comes first, then who told longest ago. */
  #nextSource (): string | undefined {
    for (const source of this.#queues.keys()) if (!this.#turns.has(source)) return source
    for (const source of this.#turns) if (this.#queues.has(source)) return source
    return undefined
  }

  #enqueue (source: string, peerId: string): void {
    const queue = this.#queues.get(source) ?? new Set<string>()
    this.#queues.set(source, queue)
    queue.add(peerId)
  }

  #dequeue (source: string, peerId: string): void {
    const queue = this.#queues.get(source)
    if (queue?.delete(peerId) === true && queue.size === 0) this.#queues.delete(source)
  }

  /** Room for one more word of a source: where there are many, whoever has the most gives up its oldest. */
  #makeRoom (source: string): void {
    if ((this.#counts.get(source) ?? 0) >= PEERS_PER_SOURCE_MAX) this.#dropOldest(source)
    if (this.#words.size < PEERS_MAX) return
    const [most] = [...this.#counts].reduce((left, right) => right[1] > left[1] ? right : left)
    this.#dropOldest(most)
  }

  #dropOldest (source: string): void {
    for (const [peerId, words] of this.#words) {
      if (!words.has(source)) continue
      this.#drop(peerId, source)
      return
    }
  }

  #drop (peerId: string, source: string): void {
    const words = this.#words.get(peerId)
    if (words?.delete(source) !== true) return
    this.#dequeue(source, peerId)
    this.#count(source, -1)
    if (words.size === 0) this.#words.delete(peerId)
  }

  #count (source: string, change: number): void {
    const count = (this.#counts.get(source) ?? 0) + change
    if (count > 0) this.#counts.set(source, count)
    else {
      this.#counts.delete(source)
      this.#turns.delete(source)
    }
  }
}
