/**
 * Who is asked for what a document lacks, and when. A document is asked for of one neighbour at a time, and PULLS_MAX documents at once.
 * What others have meanwhile is mostly in the same answer, or right behind it: so a document rests for a moment after each.
 */
import type { Random } from '../lib/base/random.ts'
import type { DocumentMessage } from './message.ts'

/** How long a pull may take before another one of the same document is sent, to another peer where there is one. */
export const PULL_MS = 2_000

/** Pulls under way at once; more wait. */
export const PULLS_MAX = 64

/**
 * How long a document rests after a pull was answered, in milliseconds, before it is compared again with those that had something else
 * meanwhile: most of that is on its way by then, and a pull for it would bring nothing.
 */
export const SETTLE_MS = 50

/**
 * How long it rests at most, in milliseconds, while what was written here is not on disk: nobody else has that yet, so that a comparison
 * would show a difference, and a pull bring nothing. What is known to be missing does not wait so long.
 */
export const SETTLE_MS_MAX = 500

/** A `want` of that document is to go to that peer. */
export interface Ask { readonly document: string, readonly peer: string }

/**
 * `others`: neighbours that were found to have something else meanwhile. `owed`: how often that peer has yet to say that it has what we
 * sent it meanwhile, which is no answer to a pull.
 */
interface Pull { readonly from: string, readonly sinceMs: number, readonly others: Set<string>, owed: number }

/**
 * A document that rests: the neighbours to be compared with afterwards, from when on it may be over, when it is over whatever happens,
 * when to look next, and whether it was prolonged.
 */
interface Rest { readonly peers: Set<string>, fromMs: number, readonly untilMs: number, checkMs: number, isProlonged: boolean }

export interface Known {
  /** Whether something of a document is known to be missing here. */
  readonly isMissing: (document: string) => boolean
  /** Whether something was written here that no other peer can have yet. */
  readonly isAhead: (document: string) => boolean
}

export class Pulls {
  readonly #random: Random
  readonly #known: Known
  /** Under way, by document; and those that wait, with whom to ask. */
  readonly #underway = new Map<string, Pull>()
  readonly #waiting = new Map<string, string>()
  readonly #resting = new Map<string, Rest>()
  /** The neighbours. */
  readonly peers = new Set<string>()
  /** Sent since the start: each asks one peer for one document. */
  count = 0

  constructor (random: Random, known: Known) {
    this.#random = random
    this.#known = known
  }

  /** When `overdue` or `settled` has something next. */
  get nextMs (): number {
    let next = Infinity
    for (const { sinceMs } of this.#underway.values()) next = Math.min(next, sinceMs + PULL_MS)
    for (const { peers, checkMs } of this.#resting.values()) if (peers.size > 0) next = Math.min(next, checkMs)
    return next
  }

  /** Asks that peer, or where it is no neighbour any other. */
  pull (document: string, from: string, nowMs: number): Ask[] {
    const peer = this.peers.has(from) ? from : this.anyPeer()
    const underway = this.#underway.get(document)
    if (peer === undefined) return []
    if (underway !== undefined) {
      underway.others.add(peer)
      return []
    }
    if (this.#underway.size >= PULLS_MAX) {
      this.#waiting.set(document, peer)
      return []
    }
    this.#underway.set(document, { from: peer, sinceMs: nowMs, others: new Set(), owed: 0 })
    this.count++
    return [{ document, peer }]
  }

  /** Something is missing. Right after a pull it is mostly on its way: then a comparison shows, a moment later, whether it still is. */
  pullSoon (document: string, from: string, nowMs: number): Ask[] {
    const rest = this.#resting.get(document)
    if (rest !== undefined && !rest.isProlonged && nowMs < rest.untilMs && this.#isOver(document, rest, nowMs)) {
      rest.isProlonged = true
      rest.fromMs = rest.checkMs = nowMs + SETTLE_MS
    }
    const resting = this.#restOf(document, nowMs)
    if (resting === undefined) return this.pull(document, from, nowMs)
    const peer = this.peers.has(from) ? from : this.anyPeer()
    if (peer !== undefined) resting.add(peer)
    return []
  }

  /** A comparison has shown that a neighbour has something else. */
  differs (document: string, peer: string, nowMs: number): Ask[] {
    const resting = this.#restOf(document, nowMs)
    if (resting === undefined) return this.pull(document, peer, nowMs)
    resting.add(peer)
    return []
  }

  /** As many of those that wait as there is room for. */
  pullWaiting (nowMs: number): Ask[] {
    const asks: Ask[] = []
    for (const [document, peer] of this.#waiting) {
      if (this.#underway.size >= PULLS_MAX) break
      this.#waiting.delete(document)
      asks.push(...this.pull(document, peer, nowMs))
    }
    return asks
  }

  /** A `have` of that document goes to a peer. */
  owe (document: string, to: string): void {
    const pull = this.#underway.get(document)
    if (pull?.from === to) pull.owed++
  }

  /**
   * A peer has spoken about a document: a pull of it may be answered, whatever the answer is worth.
   *
   * @returns what to do once the message is taken in; undefined if it was no answer
   */
  answered (document: string, from: string, kind: DocumentMessage['kind'], nowMs: number): (() => Ask[]) | undefined {
    const pull = this.#underway.get(document)
    if (pull?.from !== from || kind === 'want' || (kind === 'got' && pull.owed-- > 0)) return undefined
    this.#underway.delete(document)
    const checkMs = nowMs + SETTLE_MS
    this.#resting.set(document, { peers: this.#resting.get(document)?.peers ?? new Set(), fromMs: checkMs, untilMs: nowMs + SETTLE_MS_MAX, checkMs, isProlonged: false })
    return () => this.#pullOn(document, pull, nowMs)
  }

  /** Pulls that took too long are given up, and go to others. */
  overdue (nowMs: number): Ask[] {
    const asks: Ask[] = []
    for (const [document, pull] of this.#underway) {
      if (nowMs - pull.sinceMs < PULL_MS) continue
      this.#underway.delete(document)
      this.#resting.set(document, { peers: new Set(), fromMs: nowMs, untilMs: nowMs, checkMs: nowMs, isProlonged: false })
      // Where nobody else is there to be asked, the round finds what is missing.
      const peer = this.anyPeer(pull.from)
      const others = peer === undefined || !this.#known.isMissing(document) ? pull.others : new Set([peer, ...pull.others])
      asks.push(...this.#pullOn(document, { ...pull, others }, nowMs))
    }
    return asks
  }

  /** A document is to be compared with a neighbour, a moment later. */
  settle (document: string, peer: string, nowMs: number): void {
    const checkMs = nowMs + SETTLE_MS
    const peers = this.#resting.get(document)?.peers ?? new Set()
    peers.add(peer)
    if (this.#restOf(document, nowMs) === undefined) this.#resting.set(document, { peers, fromMs: checkMs, untilMs: checkMs, checkMs, isProlonged: false })
  }

  /** Takes out the neighbours to be compared with by now. */
  settled (nowMs: number): Set<string> {
    const due = new Set<string>()
    for (const [document, rest] of this.#resting) {
      if (this.#isOver(document, rest, nowMs)) {
        for (const peer of rest.peers) if (this.peers.has(peer)) due.add(peer)
        rest.peers.clear()
        if (nowMs >= rest.untilMs) this.#resting.delete(document)
      } else if (nowMs >= rest.checkMs) rest.checkMs = nowMs + SETTLE_MS
    }
    return due
  }

  remove (document: string): void {
    for (const each of [this.#underway, this.#waiting, this.#resting]) each.delete(document)
  }

  /** Nobody answers what was asked there: those that had something else meanwhile are compared with at once, or anybody. */
  disconnected (peer: string): void {
    this.peers.delete(peer)
    for (const [document, { from, others }] of this.#underway) {
      if (from !== peer) continue
      this.#underway.delete(document)
      const near = [...others].filter(other => this.peers.has(other))
      const next = near.length > 0 ? near : [this.anyPeer()].filter(other => other !== undefined)
      this.#resting.set(document, { peers: new Set([...this.#resting.get(document)?.peers ?? [], ...next]), fromMs: 0, untilMs: 0, checkMs: 0, isProlonged: false })
    }
  }

  /** @param but taken only where there is no other */
  anyPeer (but?: string): string | undefined {
    const peers = [...this.peers].filter(peer => peer !== but)
    return peers[Math.floor(this.#random.next() * peers.length)] ?? (but !== undefined && this.peers.has(but) ? but : undefined)
  }

  /** A pull has ended. What others have is mostly here by now: a pull where something is known to be missing, else a comparison shows. */
  #pullOn (document: string, { from, others }: Pull, nowMs: number): Ask[] {
    const [first = from, ...rest] = others
    if (others.size > 0 && this.#known.isMissing(document)) return [first, ...rest].flatMap(peer => this.pull(document, peer, nowMs))
    for (const peer of others) this.#resting.get(document)?.peers.add(peer)
    return []
  }

  /** While a document rests, the neighbours to be compared with afterwards. */
  #restOf (document: string, nowMs: number): Set<string> | undefined {
    const rest = this.#resting.get(document)
    return rest === undefined || this.#isOver(document, rest, nowMs) ? undefined : rest.peers
  }

  #isOver (document: string, { fromMs, untilMs }: Rest, nowMs: number): boolean {
    return nowMs >= fromMs && (nowMs >= untilMs || !this.#known.isAhead(document) || this.#known.isMissing(document))
  }
}
