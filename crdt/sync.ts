/**
 * All documents of a peer, kept equal with all its neighbours: a pure core over the replicas.
 *
 * Gossip only makes it fast. What makes it right: on every new connection, on a gap, and every ROUND_MS to ROUND_MS_MAX with one
 * neighbour by chance, two peers compare a tree of digests (tree.ts) and then exchange what either lacks of the documents that
 * differ (replica.ts). A peer holds documents that another does not: those are not asked for.
 */
import { SwarmError, assert } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import type { Digest } from './digest.ts'
import type { Merged, Merging } from './merge.ts'
import { readMessage, writeMessage, type Compare, type DocumentMessage, type Message } from './message.ts'
import type { Alarm } from './alarm.ts'
import type { Effect, Verdict } from './effect.ts'
import type { Replica } from './replica.ts'
import { DigestTree } from './tree.ts'

/** Between two rounds: at least, and at most. */
export const ROUND_MS = 10_000
export const ROUND_MS_MAX = 30_000

/** How long a pull may take before another one of the same document is sent, to another peer where there is one. */
export const PULL_MS = 2_000

/** Pulls under way at once; more wait. */
export const PULLS_MAX = 64

/**
 * How long a document rests after a pull was answered, in milliseconds, before it is compared again with those that had something else
 * meanwhile: most of that is on its way by then, and a pull for it would bring nothing.
 */
export const SETTLE_MS = 50

/** What a driver is to do; `document` is a key. See the replica's effects. */
export type Action =
  | { readonly kind: 'append', readonly document: string, readonly seq: number, readonly update: Uint8Array, readonly origin: string }
  | { readonly kind: 'publish', readonly document: string, readonly envelope: Uint8Array, readonly after: number }
  /** Where `document` is named, wait until its log has `after` on disk. */
  | { readonly kind: 'send', readonly to: string, readonly bytes: Uint8Array, readonly document?: string, readonly after: number }
  | { readonly kind: 'alarm', readonly alarm: Alarm }
  | { readonly kind: 'replaced' | 'reload', readonly document: string, readonly error?: unknown }
  | { readonly kind: 'refused', readonly from: string, readonly document?: string, readonly error: SwarmError }
  | { readonly kind: 'raise', readonly document: string, readonly error: unknown }
  /** Merge it aside, and tell `merged`, if the replica is still the same. */
  | { readonly kind: 'merge', readonly document: string, readonly merging: Merging }

/**
 * `others`: neighbours that were found to have something else meanwhile. `owed`: how often that peer has yet to say that it has what we
 * sent it meanwhile, which is no answer to a pull.
 */
interface Pull { readonly from: string, readonly sinceMs: number, readonly others: Set<string>, owed: number }

export class Sync {
  readonly #random: Random
  readonly #replicas = new Map<string, { replica: Replica, digest: Digest | undefined }>()
  readonly #tree = new DigestTree()
  readonly #peers = new Set<string>()
  /** Under way, by document; and those that wait, with whom to ask. */
  readonly #pulls = new Map<string, Pull>()
  readonly #waiting = new Map<string, string>()
  /** By document: with whom it is to be compared again, and when. */
  readonly #settling = new Map<string, { readonly untilMs: number, readonly peers: Set<string> }>()
  #roundMs = -Infinity
  readonly peerId: string

  constructor (peerId: string, random: Random) {
    this.peerId = peerId
    this.#random = random
  }

  /** Pulls sent since the start: each asks one peer for one document. */
  pulls = 0

  add (replica: Replica, nowMs: number): Action[] {
    assert(!this.#replicas.has(replica.document), 'a document is opened twice')
    this.#replicas.set(replica.document, { replica, digest: undefined })
    const peer = this.#anyPeer()
    return peer === undefined ? [] : this.#pull(replica.document, peer, nowMs)
  }

  /** The driver closes the replica. */
  remove (document: string): void {
    this.#replicas.delete(document)
    this.#pulls.delete(document)
    this.#waiting.delete(document)
    this.#settling.delete(document)
    this.#tree.delete(document)
  }

  replica (document: string): Replica | undefined {
    return this.#replicas.get(document)?.replica
  }

  /** A neighbour is there. Of two, the one with the smaller id begins. */
  connected (peer: string): Action[] {
    this.#peers.add(peer)
    return this.peerId < peer ? this.begin(peer) : []
  }

  disconnected (peer: string): void {
    this.#peers.delete(peer)
    for (const [document, { from }] of this.#pulls) if (from === peer) this.#pulls.delete(document)
  }

  edited (document: string, update: Uint8Array): Action[] {
    return this.#act(document, this.#of(document).edited(update), 0)
  }

  /** What was edited is on its way to disk. */
  prepare (document: string): void {
    this.replica(document)?.prepare()
  }

  durable (document: string, seq: number): Action[] {
    const replica = this.replica(document)
    return replica === undefined ? [] : this.#act(document, replica.durable(seq), 0)
  }

  published (document: string): Action[] {
    const replica = this.replica(document)
    return replica === undefined ? [] : this.#act(document, replica.published(), 0)
  }

  /** What the action `merge` asked for is done; undefined if it failed. */
  merged (document: string, merged: Merged | undefined, nowMs: number): Action[] {
    return this.#act(document, this.#of(document).merged(merged, nowMs), nowMs)
  }

  /** An envelope came by gossip, about a document that is open here. */
  heard (document: string, from: string, envelope: Uint8Array, nowMs: number): { verdict: Verdict, actions: Action[] } {
    const { verdict, effects } = this.#of(document).received(from, envelope, nowMs)
    // Who wrote it has what is missing; who passed it on may have it; of others nothing is known.
    const near = effects.map(effect => effect.kind === 'pull' && !this.#peers.has(effect.from) ? { ...effect, from } : effect)
    return { verdict, actions: this.#act(document, near, nowMs) }
  }

  /** A message came over a stream. @param bytes are kept for the call */
  received (from: string, bytes: Uint8Array, nowMs: number): Action[] {
    let message: Message
    try {
      message = readMessage(bytes)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return [{ kind: 'refused', from, error }]
    }
    if (message.kind === 'compare') return this.#compared(from, message, nowMs)
    const replica = this.replica(message.key)
    if (replica === undefined) return []
    const pull = this.#pulls.get(message.key)
    // A pull has been answered, whatever the answer is worth.
    const isAnswer = pull?.from === from && message.kind !== 'want' && !(message.kind === 'got' && pull.owed-- > 0)
    if (isAnswer) {
      this.#pulls.delete(message.key)
      this.#settling.set(message.key, { untilMs: nowMs + SETTLE_MS, peers: this.#settling.get(message.key)?.peers ?? new Set() })
    }
    const actions = this.#act(message.key, replica.message(from, message, nowMs), nowMs)
    if (isAnswer) actions.push(...this.#pullOn(message.key, pull, nowMs))
    return [...actions, ...this.#pullWaiting(nowMs)]
  }

  /** A pull was answered. What others have is mostly here by now: a pull where something is known to be missing, else a comparison shows. */
  #pullOn (document: string, { from, others }: Pull, nowMs: number): Action[] {
    const [first = from, ...rest] = others
    const isMissing = (this.replica(document)?.gaps.count ?? 0) > 0
    if (isMissing && others.size > 0) return [...this.#pull(document, first, nowMs), ...rest.flatMap(peer => this.#pull(document, peer, nowMs))]
    for (const peer of others) this.#settling.get(document)?.peers.add(peer)
    return []
  }

  /** Compares all documents with a neighbour, out of turn. */
  begin (peer: string): Action[] {
    this.#refresh()
    return this.#tree.size === 0 ? [] : [{ kind: 'send', to: peer, bytes: writeMessage(this.#tree.begin()), after: 0 }]
  }

  /** Asks a peer to confirm all that a document has here: see `Replica.agreed`. */
  offer (document: string, to: string): Action[] {
    return this.#act(document, [this.#of(document).offer(to)], 0)
  }

  /** Time has passed: to be told at `nextMs` at the latest. */
  tick (nowMs: number): Action[] {
    const actions: Action[] = []
    for (const [document, pull] of this.#pulls) {
      if (nowMs - pull.sinceMs < PULL_MS) continue
      this.#pulls.delete(document)
      this.#settling.set(document, { untilMs: nowMs, peers: new Set() })
      // Where nobody else is there to be asked, the round finds what is missing.
      const peer = this.#anyPeer(pull.from)
      const others = peer === undefined || (this.replica(document)?.gaps.count ?? 0) === 0 ? pull.others : new Set([peer, ...pull.others])
      actions.push(...this.#pullOn(document, { ...pull, others }, nowMs))
    }
    actions.push(...this.#pullWaiting(nowMs), ...this.#settle(nowMs))
    if (nowMs >= this.#roundMs) {
      if (this.#roundMs !== -Infinity) {
        const peer = this.#anyPeer()
        if (peer !== undefined) actions.push(...this.begin(peer))
      }
      this.#roundMs = nowMs + ROUND_MS + this.#random.next() * (ROUND_MS_MAX - ROUND_MS)
    }
    return actions
  }

  /** When `tick` has something to do next. */
  get nextMs (): number {
    let next = this.#roundMs
    for (const { sinceMs } of this.#pulls.values()) next = Math.min(next, sinceMs + PULL_MS)
    for (const { peers, untilMs } of this.#settling.values()) if (peers.size > 0) next = Math.min(next, untilMs)
    return next
  }

  #settle (nowMs: number): Action[] {
    const due = new Set<string>()
    for (const [document, { peers, untilMs }] of this.#settling) {
      if (nowMs < untilMs) continue
      this.#settling.delete(document)
      for (const peer of peers) if (this.#peers.has(peer)) due.add(peer)
    }
    return [...due].flatMap(peer => this.begin(peer))
  }

  #compared (from: string, message: Compare, nowMs: number): Action[] {
    this.#refresh()
    const { answer, differing } = this.#tree.compare(message)
    const actions: Action[] = answer === undefined ? [] : [{ kind: 'send', to: from, bytes: writeMessage(answer), after: 0 }]
    for (const document of differing) {
      const settling = this.#settling.get(document)
      if (settling !== undefined && nowMs < settling.untilMs) settling.peers.add(from)
      else actions.push(...this.#pull(document, from, nowMs))
    }
    return actions
  }

  /** Brings the tree up to date with the documents that have changed. */
  #refresh (): void {
    for (const [document, held] of this.#replicas) {
      const digest = held.replica.digest
      if (digest === held.digest) continue
      held.digest = digest
      this.#tree.set(document, digest)
    }
  }

  #act (document: string, effects: readonly Effect[], nowMs: number): Action[] {
    return effects.flatMap((effect): Action[] => {
      switch (effect.kind) {
        case 'append': case 'publish': case 'raise': case 'merge': return [{ document, ...effect }]
        case 'compare': {
          const { untilMs = nowMs + SETTLE_MS, peers = new Set<string>() } = this.#settling.get(document) ?? {}
          this.#settling.set(document, { untilMs, peers: peers.add(effect.from) })
          return []
        }
        case 'send':
          this.#owe(document, effect.to, effect.message)
          return [{ kind: 'send', to: effect.to, bytes: writeMessage({ key: document, ...effect.message }), document, after: effect.after }]
        case 'pull': return this.#pullSoon(document, effect.from, nowMs)
        case 'alarm': return [effect]
        case 'replaced': return [{ kind: 'replaced', document }]
        case 'reload': return [{ kind: 'reload', document, error: effect.error }]
        case 'refused': return [{ document, ...effect }]
      }
    })
  }

  /** Something is missing. Right after a pull it is mostly on its way: then a comparison shows, a moment later, whether it still is. */
  #pullSoon (document: string, from: string, nowMs: number): Action[] {
    const settling = this.#settling.get(document)
    if (settling === undefined || nowMs >= settling.untilMs) return this.#pull(document, from, nowMs)
    const peer = this.#peers.has(from) ? from : this.#anyPeer()
    if (peer !== undefined) settling.peers.add(peer)
    return []
  }

  #pull (document: string, from: string, nowMs: number): Action[] {
    const peer = this.#peers.has(from) ? from : this.#anyPeer()
    const underway = this.#pulls.get(document)
    if (peer === undefined) return []
    if (underway !== undefined) {
      underway.others.add(peer)
      return []
    }
    if (this.#pulls.size >= PULLS_MAX) {
      this.#waiting.set(document, peer)
      return []
    }
    this.#pulls.set(document, { from: peer, sinceMs: nowMs, others: new Set(), owed: 0 })
    this.pulls++
    return this.#act(document, [this.#of(document).ask(peer)], nowMs)
  }

  #owe (document: string, to: string, { kind }: DocumentMessage): void {
    const pull = this.#pulls.get(document)
    if (kind === 'have' && pull?.from === to) pull.owed++
  }

  #pullWaiting (nowMs: number): Action[] {
    const actions: Action[] = []
    for (const [document, peer] of this.#waiting) {
      if (this.#pulls.size >= PULLS_MAX) break
      this.#waiting.delete(document)
      actions.push(...this.#pull(document, peer, nowMs))
    }
    return actions
  }

  #anyPeer (but?: string): string | undefined {
    const peers = [...this.#peers].filter(peer => peer !== but)
    return peers[Math.floor(this.#random.next() * peers.length)] ?? (but !== undefined && this.#peers.has(but) ? but : undefined)
  }

  #of (document: string): Replica {
    const replica = this.replica(document)
    assert(replica !== undefined, 'a document is not open')
    return replica
  }
}
