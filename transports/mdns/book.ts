/**
 * What was heard of the swarm's peers, and what of it is to be told: pure, given the time. A peer may be heard from several
 * sources (its interfaces, or others that lie about it); each source has one word on it, the newest, and none can take away
 * what another said. All is bounded: a flood changes who is remembered, never how much.
 */
import { Allowances } from './allowance.ts'
import type { Known } from './wire.ts'

/** Peers remembered in all, and of one source: a source that tells of many displaces its own. */
export const PEERS_MAX = 1_024
export const PEERS_PER_SOURCE_MAX = 128

/** Sources remembered of one peer, and its addresses told at once. */
export const SOURCES_PER_PEER_MAX = 4
export const TOLD_MAX = 16

/** New announcements believed of one source, and of all: what bounds the calls of `onFound`, and so the dials. */
const TELL_EACH = { burst: 64, perS: 1 }
const TELL_ALL = { burst: 512, perS: 16 }

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
  readonly isTold: boolean
}

export class Book {
  /** By peer, by source; in both, the one last heard is last. */
  readonly #words = new Map<string, Map<string, Word>>()
  readonly #counts = new Map<string, number>()
  readonly #allowances: Allowances

  constructor (nowMs: number) {
    this.#allowances = new Allowances(TELL_EACH, TELL_ALL, nowMs)
  }

  /** Peers remembered. */
  get size (): number {
    return this.#words.size
  }

  /** @returns the peer's addresses if they are to be told: the announcement is new, or is heard again after `ask`; refused: too many are */
  hear (heard: Heard, nowMs: number): string[] | 'refused' | undefined {
    const { peerId, source, label } = heard
    const before = this.#words.get(peerId)?.get(source)
    const isNew = before?.label !== label || !before.isTold || nowMs >= before.untilMs
    if (isNew && !this.#allowances.take(source, nowMs)) return 'refused'
    if (before === undefined) this.#makeRoom(source)
    const words = this.#words.get(peerId) ?? new Map<string, Word>()
    this.#words.delete(peerId)
    this.#words.set(peerId, words)
    words.delete(source)
    const ttlMs = Math.min(heard.ttlS, TTL_S) * 1_000
    words.set(source, { label, link: heard.link, addresses: heard.addresses, ttlMs, untilMs: nowMs + ttlMs, isTold: true })
    if (before === undefined) this.#count(source, 1)
    if (words.size > SOURCES_PER_PEER_MAX) this.#drop(peerId, words.keys().next().value as string)
    return isNew ? this.#addressesOf(peerId, nowMs) : undefined
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
      for (const { label, link: on, ttlMs, untilMs, isTold } of words.values()) {
        if (on === link && isTold && untilMs - nowMs > ttlMs / 2) found.push({ label, ttlS: Math.ceil((untilMs - nowMs) / 1_000) })
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
      for (const [source, word] of words) if (link === undefined || word.link === link) words.set(source, { ...word, isTold: false })
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

  /** Room for one more word of a source, in place of its own oldest where it has many; else of the peer heard longest ago. */
  #makeRoom (source: string): void {
    if ((this.#counts.get(source) ?? 0) >= PEERS_PER_SOURCE_MAX) {
      const oldest = [...this.#words].find(([, words]) => words.has(source))
      if (oldest !== undefined) this.#drop(oldest[0], source)
    }
    if (this.#words.size < PEERS_MAX) return
    const [peerId, words] = this.#words.entries().next().value as [string, Map<string, Word>]
    for (const each of [...words.keys()]) this.#drop(peerId, each)
  }

  #drop (peerId: string, source: string): void {
    const words = this.#words.get(peerId)
    if (words?.delete(source) !== true) return
    this.#count(source, -1)
    if (words.size === 0) this.#words.delete(peerId)
  }

  #count (source: string, change: number): void {
    const count = (this.#counts.get(source) ?? 0) + change
    if (count > 0) this.#counts.set(source, count)
    else this.#counts.delete(source)
  }
}
