/**
 * One document at one peer: a pure core. It decides what is written to the log, published, sent and asked for; its driver does it.
 *
 * Invariants:
 * - an edit is appended before anything else is done with it, and nothing that shows it leaves before the log has it on disk:
 *   an envelope is published only when `durable` has confirmed all of it, and a message carries `after`, the sequence it must wait for.
 *   What others wrote is passed on at once, for it was on their disks first; that it is on this one is said only once it is;
 * - Yjs is given only what was read (update.ts), fits (gap.ts), is signed by its author (envelope.ts) or vouched for by the peer that
 *   was asked, and whose clientID is its author's (author.ts);
 * - what comes twice does nothing; what comes early waits, and is asked for;
 * - two updates under one clientID and clock raise an alarm with the envelopes as evidence, and the document is built anew
 *   from the branch that every peer chooses (fork.ts): `replaced` tells of the new Y.Doc.
 *
 * Effects are performed in order. `edited` must be told of every update of `doc` whose origin is not the replica itself.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import { admit, type Admitted } from './admit.ts'
import { Alarms } from './alarm.ts'
import { sortUpdates } from './apply.ts'
import { Body } from './body.ts'
import { encodeUpdate } from './codec.ts'
import { fromHex } from './cursor.ts'
import { equalDigests, isForked, type Digest } from './digest.ts'
import type { Effect, Verdict } from './effect.ts'
import { readEnvelope, type Signer, type Verify } from './envelope.ts'
import type { Fork } from './fork.ts'
import type { EarlyLimits } from './gap.ts'
import { Heard } from './heard.ts'
import type { Merged } from './merge.ts'
import { HOPS_MAX, type DocumentMessage } from './message.ts'
import { Others } from './others.ts'
import { Outbox } from './outbox.ts'
import { Unflushed } from './unflushed.ts'
import { readUpdate, readVector } from './update.ts'

export type { Alarm } from './alarm.ts'
export type { Effect, Verdict } from './effect.ts'
export { REBUILT_ORIGIN } from './state.ts'

type Said<Kind extends DocumentMessage['kind']> = DocumentMessage & { readonly kind: Kind }

export interface ReplicaOptions {
  /** The document's key: 32 hexadecimal digits. */
  readonly document: string
  readonly swarmId: string
  readonly signer: Signer
  readonly random: Random
  /** As recovered from the log; the replica sets its clientID. */
  readonly doc: Y.Doc
  /** Makes an empty document with the application's settings. */
  readonly makeDoc: () => Y.Doc
  /** The last sequence in the log, all of it on disk. */
  readonly sequence: number
  /** Write on under this incarnation: only with a log that is known to be whole. Otherwise a fresh one is taken. */
  readonly incarnation?: number | undefined
  /** Whether an author may write; everyone by default. */
  readonly mayWrite?: (author: string) => boolean
  readonly verify?: Verify
  readonly earlyLimits?: EarlyLimits
  /** Largest document that is merged at once where a fork is found, in bytes. Default MERGE_HERE_BYTES. */
  readonly mergeHereBytes?: number | undefined
}

export class Replica {
  readonly document: string
  readonly #options: ReplicaOptions
  readonly #body: Body
  readonly #outbox: Outbox
  readonly #unflushed: Unflushed
  readonly #alarms: Alarms
  readonly #others = new Others()
  readonly #heard = new Heard()

  constructor (options: ReplicaOptions) {
    const { document, swarmId, signer, doc, makeDoc, random, sequence, incarnation, earlyLimits, mergeHereBytes } = options
    this.document = document
    this.#options = options
    this.#unflushed = new Unflushed(sequence)
    this.#outbox = new Outbox(signer, swarmId, document, sequence)
    this.#alarms = new Alarms(document)
    this.#body = new Body({
      doc, makeDoc, random, sequence, incarnation, earlyLimits, mergeHereBytes, key: fromHex(document), publicKey: signer.publicKey,
      origin: this, outbox: this.#outbox, unflushed: this.#unflushed, alarms: this.#alarms
    })
  }

  get doc (): Y.Doc {
    return this.#body.doc
  }

  /** Worth keeping for the next start; see ReplicaOptions. */
  get incarnation (): number {
    return this.#body.incarnation
  }

  get client (): number {
    return this.#body.client
  }

  get digest (): Digest {
    return this.#body.digest
  }

  /** See `Digester.prepare`. */
  prepareDigest (blocks: number): boolean {
    return this.#body.prepareDigest(blocks)
  }

  get sequence (): number {
    return this.#body.sequence
  }

  /** Updates that wait for what they need, and their bytes. */
  get gaps (): { count: number, bytes: number } {
    return this.#body.gaps
  }

  /** Whether something was written here that nobody else can have yet: it is not on disk. */
  get isAhead (): boolean {
    return this.#unflushed.count > 0
  }

  /** Up to which sequence of our log that peer has everything on its disk, as far as it said. */
  agreed (peer: string): number {
    return this.#others.find(peer)?.agreed ?? 0
  }

  /** The application, or Yjs itself, changed the document. @param update must not change any more */
  edited (update: Uint8Array): Effect[] {
    return this.#body.edited(update)
  }

  /** What was edited is on its way to disk: a good moment to sign it, so that it can leave as soon as it is there. @returns what was signed now */
  prepare (): Uint8Array | undefined {
    const sealed = this.#outbox.prepare()
    if (sealed !== undefined) this.#alarms.keep(sealed.envelope, sealed.updates.map(readUpdate))
    return sealed?.envelope
  }

  /** The log has all up to `seq` on disk. */
  durable (seq: number): Effect[] {
    this.#unflushed.flushed(seq)
    return this.#flush()
  }

  /** Gossip has taken the last envelope: the next may follow. */
  published (): Effect[] {
    this.#outbox.isBusy = false
    return this.#flush()
  }

  /**
   * An envelope came by gossip.
   *
   * @param from the peer that passed it on
   * @param bytes are kept as evidence: they must not change
   */
  received (from: string, bytes: Uint8Array, nowMs: number): { verdict: Verdict, effects: Effect[] } {
    const { swarmId, verify, mayWrite } = this.#options
    let admitted: Admitted
    try {
      admitted = admit(bytes, { document: this.document, swarmId, verify, mayWrite })
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return { verdict: error.code === 'VERSION_UNSUPPORTED' ? 'ignore' : 'reject', effects: [{ kind: 'refused', from, error }] }
    }
    const { envelope, updates } = admitted
    const hasMissed = this.#heard.hear(envelope)
    const { effects } = this.#body.take({ from, author: envelope.author, envelope: bytes }, updates, nowMs)
    this.#alarms.keep(bytes, updates.map(({ content }) => content))
    const isNotice = updates.length === 0
    if ((hasMissed || isNotice) && !effects.some(({ kind }) => kind === 'pull')) effects.push({ kind: 'pull', from: envelope.author })
    return { verdict: 'accept', effects }
  }

  /** What to send a peer to be told what we lack: it shows nothing that was written here and is not on disk, and so need not wait. */
  pull (to: string): Effect {
    const { vector, after } = this.#unflushed.vectorOf(this.doc)
    return this.#send(to, { kind: 'want', vector, digest: this.digest, mark: this.#unflushed.durable }, after)
  }

  /** What to send a peer to be told whether it has all that we have, and what we lack. */
  ask (to: string): Effect {
    return this.#send(to, { kind: 'want', vector: Y.encodeStateVector(this.doc), digest: this.digest, mark: this.sequence })
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
          this.#others.agree(from, Math.min(message.mark, this.sequence))
          return []
        case 'state': return this.#merge(from, message, nowMs)
        case 'prove': return this.#prove(from, message)
        case 'proof': return this.#alarms.proven(from, message, readEnvelope(message.envelope, this.#options.swarmId, this.#options.verify))
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

  close (): void {
    this.#body.close()
  }

  #wanted (from: string, { vector, digest, mark }: Said<'want'>, nowMs: number): Effect[] {
    const theirs = this.#learn(from, vector, nowMs)
    if (equalDigests(digest, this.digest)) return [this.#send(from, { kind: 'got', digest, mark })]
    if (isForked(digest, this.digest)) return [this.#state(from)]
    this.#others.answer(from, this.sequence, nowMs)
    return [this.#have(from, theirs, 0)]
  }

  #has (from: string, { vector, digest, mark, hop, update }: Said<'have'>, nowMs: number): Effect[] {
    const checked = { update, content: readUpdate(update) }
    const theirs = this.#learn(from, vector, nowMs)
    const { effects, isWhole } = this.#body.take({ from, author: from }, [checked], nowMs)
    if (!isWhole) return effects
    if (isForked(digest, this.digest)) return [...effects, this.#state(from)]
    // All that it had is here now: whatever differs, we have more.
    effects.push(this.#send(from, { kind: 'got', digest, mark }))
    const isOver = hop >= HOPS_MAX || equalDigests(digest, this.digest)
    // Two that meet ask each other at once: what the other asked for itself need not go out twice.
    if (!isOver && !this.#others.isAnswered(from, this.sequence, nowMs)) effects.push(this.#have(from, theirs, hop + 1))
    return effects
  }

  #merge (from: string, message: Said<'state'>, nowMs: number): Effect[] {
    const { update, digest, hop } = message
    if (equalDigests(digest, this.digest)) return []
    const whole = sortUpdates([{ update, content: readUpdate(update) }], () => 0)
    if (whole.early.length > 0) throw new SwarmError('MALFORMED', 'a state has gaps')
    const merged = this.#body.merge(from, message, nowMs)
    if (merged === undefined) return []
    const effects = [...merged.effects, ...this.#askProof(from, merged.forks)]
    if (this.#body.isMerging) return effects
    if (!equalDigests(digest, this.digest) && hop < HOPS_MAX) effects.push(this.#state(from, hop + 1))
    return effects
  }

  #askProof (from: string, forks: readonly Fork[]): Effect[] {
    return forks.map(({ client, clock }) => this.#send(from, { kind: 'prove', client, clock }))
  }

  #prove (from: string, { client, clock }: Fork): Effect[] {
    const envelope = this.#alarms.find({ client, clock })
    return envelope === undefined ? [] : [this.#send(from, { kind: 'proof', client, clock, envelope })]
  }

  /** @throws SwarmError MALFORMED */
  #learn (peer: string, bytes: Uint8Array, nowMs: number): ReadonlyMap<number, number> {
    const vector = readVector(bytes)
    this.#others.learn(peer, vector)
    this.#body.hearOfUs(vector.get(this.client) ?? 0, nowMs)
    return vector
  }

  #have (to: string, vector: ReadonlyMap<number, number>, hop: number): Effect {
    const update = encodeUpdate(this.doc, Y.encodeStateVector(new Map(vector)))
    const { last } = this.#unflushed
    return this.#send(to, { kind: 'have', vector: Y.encodeStateVector(this.doc), digest: this.digest, mark: last, hop, update }, last)
  }

  #state (to: string, hop = 0): Effect {
    return this.#send(to, { kind: 'state', digest: this.digest, hop, update: encodeUpdate(this.doc) }, this.#unflushed.last)
  }

  #send (to: string, message: DocumentMessage, after = this.sequence): Effect {
    return { kind: 'send', to, message, after }
  }

  #flush (): Effect[] {
    const sealed = this.#outbox.seal(this.#unflushed.durable)
    if (sealed === undefined) return []
    if (sealed.isNew) this.#alarms.keep(sealed.envelope, sealed.updates.map(readUpdate))
    return [{ kind: 'publish', envelope: sealed.envelope, after: sealed.seq }]
  }
}
