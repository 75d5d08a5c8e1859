/**
 * What two peers say to each other about one document over a stream: what either lacks, that it has come, and where they contradict
 * each other. Part of a replica (replica.ts), which says what may leave when.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import type { Alarms } from './alarm.ts'
import { sortUpdates } from './apply.ts'
import type { Body } from './body.ts'
import { encodeUpdate } from './codec.ts'
import { equalDigests, isForked } from './digest.ts'
import type { Effect } from './effect.ts'
import { readEnvelope, type Verify } from './envelope.ts'
import type { Fork } from './fork.ts'
import type { Merged } from './merge.ts'
import { HOPS_MAX, type DocumentMessage } from './message.ts'
import { Others } from './others.ts'
import type { Unflushed } from './unflushed.ts'
import { readUpdate, readVector } from './update.ts'

type Said<Kind extends DocumentMessage['kind']> = DocumentMessage & { readonly kind: Kind }

export interface ExchangeOptions {
  readonly body: Body
  readonly unflushed: Unflushed
  readonly alarms: Alarms
  readonly swarmId: string
  readonly verify?: Verify | undefined
}

export class Exchange {
  readonly #options: ExchangeOptions
  readonly #body: Body
  readonly #others = new Others()

  constructor (options: ExchangeOptions) {
    this.#options = options
    this.#body = options.body
  }

  /** Up to which sequence of our log that peer has everything on its disk, as far as it said. */
  agreed (peer: string): number {
    return this.#others.find(peer)?.agreed ?? 0
  }

  /** What to send a peer to be told what we lack: it shows nothing that was written here and is not on disk, and so need not wait. */
  pull (to: string): Effect {
    const { vector, after } = this.#options.unflushed.vectorOf(this.#body.doc)
    return this.#send(to, { kind: 'want', vector, digest: this.#body.digest, mark: this.#options.unflushed.durable }, after)
  }

  /** What to send a peer to be told whether it has all that we have, and what we lack. */
  ask (to: string): Effect {
    return this.#send(to, { kind: 'want', vector: Y.encodeStateVector(this.#body.doc), digest: this.#body.digest, mark: this.#body.sequence })
  }

  /** What to send a peer so that it has all that we have, and says so; by what is known of it. */
  offer (to: string): Effect {
    return this.#have(to, this.#others.find(to)?.vector ?? new Map(), 1)
  }

  /** What was on its way to a peer may be lost: it counts for nothing. */
  lost (peer: string): void {
    this.#others.lost(peer)
  }

  /** A message came from a peer, over a stream. */
  message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    try {
      switch (message.kind) {
        case 'want': return this.#wanted(from, message, nowMs)
        case 'have': return this.#has(from, message, nowMs)
        case 'got':
          this.#others.agree(from, Math.min(message.mark, this.#body.sequence))
          return []
        case 'state': return this.#merge(from, message, nowMs)
        case 'prove': return this.#prove(from, message)
        case 'proof': return this.#options.alarms.proven(from, message, readEnvelope(message.envelope, this.#options.swarmId, this.#options.verify))
      }
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return [{ kind: 'refused', from, error }]
    }
  }

  /** What the effect `merge` asked for is done; undefined if it failed: then it is tried anew when the fork is found again. */
  merged (merged: Merged | undefined, nowMs: number): Effect[] {
    const { effects, forks, from, state } = this.#body.merged(merged, nowMs)
    effects.push(...this.#askProof(from, forks))
    // As it came back: what was edited meanwhile need not be in it.
    if (merged !== undefined && state !== undefined && state.hop < HOPS_MAX && !equalDigests(state.digest, merged.digest)) {
      effects.push(this.#send(from, { kind: 'state', digest: merged.digest, hop: state.hop + 1, update: merged.state }))
    }
    return effects
  }

  #wanted (from: string, { vector, digest, mark }: Said<'want'>, nowMs: number): Effect[] {
    const theirs = this.#learn(from, vector, nowMs)
    if (equalDigests(digest, this.#body.digest)) return [this.#send(from, { kind: 'got', digest, mark })]
    if (isForked(digest, this.#body.digest)) return [this.#state(from)]
    this.#others.answer(from, this.#body.sequence, nowMs)
    return [this.#have(from, theirs, 0)]
  }

  #has (from: string, { vector, digest, mark, hop, update }: Said<'have'>, nowMs: number): Effect[] {
    const checked = { update, content: readUpdate(update) }
    const theirs = this.#learn(from, vector, nowMs)
    const isFirst = this.#body.doc.store.clients.size === 0
    const { effects, isWhole } = this.#body.take({ from, author: from }, [checked], nowMs)
    if (!isWhole) return effects
    // Here was nothing, and now is what it sent and no more: that need not be hashed, which takes long where it is much, to be told apart.
    if (isFirst && isReached(this.#body.doc, theirs)) return [...effects, this.#send(from, { kind: 'got', digest, mark })]
    if (isForked(digest, this.#body.digest)) return [...effects, this.#state(from)]
    // All that it had is here now: whatever differs, we have more.
    effects.push(this.#send(from, { kind: 'got', digest, mark }))
    const isOver = hop >= HOPS_MAX || equalDigests(digest, this.#body.digest)
    // Two that meet ask each other at once: what the other asked for itself need not go out twice.
    if (!isOver && !this.#others.isAnswered(from, this.#body.sequence, nowMs)) effects.push(this.#have(from, theirs, hop + 1))
    return effects
  }

  #merge (from: string, message: Said<'state'>, nowMs: number): Effect[] {
    const { update, digest, hop } = message
    if (equalDigests(digest, this.#body.digest)) return []
    const whole = sortUpdates([{ update, content: readUpdate(update) }], () => 0)
    if (whole.early.length > 0) throw new SwarmError('MALFORMED', 'a state has gaps')
    const merged = this.#body.merge(from, message, nowMs)
    if (merged === undefined) return []
    const effects = [...merged.effects, ...this.#askProof(from, merged.forks)]
    if (this.#body.isMerging) return effects
    if (!equalDigests(digest, this.#body.digest) && hop < HOPS_MAX) effects.push(this.#state(from, hop + 1))
    return effects
  }

  #askProof (from: string, forks: readonly Fork[]): Effect[] {
    return forks.map(({ client, clock }) => this.#send(from, { kind: 'prove', client, clock }))
  }

  #prove (from: string, { client, clock }: Fork): Effect[] {
    const envelope = this.#options.alarms.find({ client, clock })
    return envelope === undefined ? [] : [this.#send(from, { kind: 'proof', client, clock, envelope })]
  }

  /** @throws SwarmError MALFORMED */
  #learn (peer: string, bytes: Uint8Array, nowMs: number): ReadonlyMap<number, number> {
    const vector = readVector(bytes)
    this.#others.learn(peer, vector)
    this.#body.hearOfUs(vector.get(this.#body.client) ?? 0, nowMs)
    return vector
  }

  #have (to: string, vector: ReadonlyMap<number, number>, hop: number): Effect {
    const update = encodeUpdate(this.#body.doc, Y.encodeStateVector(new Map(vector)))
    const { last } = this.#options.unflushed
    return this.#send(to, { kind: 'have', vector: Y.encodeStateVector(this.#body.doc), digest: this.#body.digest, mark: last, hop, update }, last)
  }

  #state (to: string, hop = 0): Effect {
    return this.#send(to, { kind: 'state', digest: this.#body.digest, hop, update: encodeUpdate(this.#body.doc) }, this.#options.unflushed.last)
  }

  #send (to: string, message: DocumentMessage, after = this.#body.sequence): Effect {
    return { kind: 'send', to, message, after }
  }
}

/** Whether a document has the clocks of a vector, and no others. */
function isReached (doc: Y.Doc, vector: ReadonlyMap<number, number>): boolean {
  return doc.store.clients.size === vector.size && [...vector].every(([client, clock]) => Y.getState(doc.store, client) === clock)
}
