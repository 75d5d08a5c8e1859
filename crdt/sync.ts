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
import { readMessage, writeMessage, type Compare, type Message } from './message.ts'
import { Pulls, type Ask } from './pulls.ts'
import type { Alarm } from './alarm.ts'
import type { Effect, Verdict } from './effect.ts'
import type { Replica } from './replica.ts'
import { DigestTree } from './tree.ts'

/** Between two rounds: at least, and at most. */
export const ROUND_MS = 10_000
export const ROUND_MS_MAX = 30_000

export { PULLS_MAX, PULL_MS, SETTLE_MS, SETTLE_MS_MAX } from './pulls.ts'

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

export class Sync {
  readonly #random: Random
  readonly #replicas = new Map<string, { replica: Replica, digest: Digest | undefined }>()
  readonly #tree = new DigestTree()
  readonly #pulls: Pulls
  #roundMs = -Infinity
  readonly peerId: string

  constructor (peerId: string, random: Random) {
    this.peerId = peerId
    this.#random = random
    this.#pulls = new Pulls(random, {
      isMissing: document => (this.replica(document)?.gaps.count ?? 0) > 0,
      isAhead: document => this.replica(document)?.isAhead === true
    })
  }

  /** Pulls sent since the start: each asks one peer for one document. */
  get pulls (): number {
    return this.#pulls.count
  }

  add (replica: Replica, nowMs: number): Action[] {
    assert(!this.#replicas.has(replica.document), 'a document is opened twice')
    this.#replicas.set(replica.document, { replica, digest: undefined })
    const peer = this.#pulls.anyPeer()
    return peer === undefined ? [] : this.#ask(this.#pulls.pull(replica.document, peer, nowMs))
  }

  /** The driver closes the replica. */
  remove (document: string): void {
    this.#replicas.delete(document)
    this.#pulls.remove(document)
    this.#tree.delete(document)
  }

  replica (document: string): Replica | undefined {
    return this.#replicas.get(document)?.replica
  }

  /**
   * A neighbour can be sent to. Of two that meet, the one with the smaller id begins. Where one could be sent to before, only we know that
   * what was on its way may be lost: so we begin.
   */
  connected (peer: string): Action[] {
    const isAgain = this.#pulls.peers.has(peer)
    if (isAgain) this.disconnected(peer)
    this.#pulls.peers.add(peer)
    return isAgain || this.peerId < peer ? this.begin(peer) : []
  }

  /** What was on its way, either way, may be lost. */
  disconnected (peer: string): void {
    this.#pulls.disconnected(peer)
    for (const { replica } of this.#replicas.values()) replica.lost(peer)
  }

  edited (document: string, update: Uint8Array): Action[] {
    return this.#act(document, this.#of(document).edited(update), 0)
  }

  /** What was edited is on its way to disk. @returns the envelope to be published then, if one was signed now */
  prepare (document: string): Uint8Array | undefined {
    return this.replica(document)?.prepare()
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
    const near = effects.map(effect => effect.kind === 'pull' && !this.#pulls.peers.has(effect.from) ? { ...effect, from } : effect)
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
    const pullOn = this.#pulls.answered(message.key, from, message.kind, nowMs)
    const actions = this.#act(message.key, replica.message(from, message, nowMs), nowMs)
    if (pullOn !== undefined) actions.push(...this.#ask(pullOn()))
    return [...actions, ...this.#ask(this.#pulls.pullWaiting(nowMs))]
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
    const actions = this.#ask(this.#pulls.overdue(nowMs))
    actions.push(...this.#ask(this.#pulls.pullWaiting(nowMs)), ...[...this.#pulls.settled(nowMs)].flatMap(peer => this.begin(peer)))
    if (nowMs >= this.#roundMs) {
      if (this.#roundMs !== -Infinity) {
        const peer = this.#pulls.anyPeer()
        if (peer !== undefined) actions.push(...this.begin(peer))
      }
      this.#roundMs = nowMs + ROUND_MS + this.#random.next() * (ROUND_MS_MAX - ROUND_MS)
    }
    return actions
  }

  /** When `tick` has something to do next. */
  get nextMs (): number {
    return Math.min(this.#roundMs, this.#pulls.nextMs)
  }

  #compared (from: string, message: Compare, nowMs: number): Action[] {
    this.#refresh()
    const { answer, differing } = this.#tree.compare(message)
    const actions: Action[] = answer === undefined ? [] : [{ kind: 'send', to: from, bytes: writeMessage(answer), after: 0 }]
    for (const document of differing) actions.push(...this.#ask(this.#pulls.differs(document, from, nowMs)))
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
        case 'compare':
          this.#pulls.settle(document, effect.from, nowMs)
          return []
        case 'send':
          if (effect.message.kind === 'have') this.#pulls.owe(document, effect.to)
          return [{ kind: 'send', to: effect.to, bytes: writeMessage({ key: document, ...effect.message }), document, after: effect.after }]
        case 'pull': return this.#ask(this.#pulls.pullSoon(document, effect.from, nowMs))
        case 'alarm': return [effect]
        case 'replaced': return [{ kind: 'replaced', document }]
        case 'reload': return [{ kind: 'reload', document, error: effect.error }]
        case 'refused': return [{ document, ...effect }]
      }
    })
  }

  #ask (asks: readonly Ask[]): Action[] {
    return asks.flatMap(({ document, peer }) => this.#act(document, [this.#of(document).pull(peer)], 0))
  }

  #of (document: string): Replica {
    const replica = this.replica(document)
    assert(replica !== undefined, 'a document is not open')
    return replica
  }
}
