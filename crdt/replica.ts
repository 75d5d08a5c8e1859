/**
 * One document at one peer: a pure core. It decides what is written to the log, published, sent and asked for; its driver does it.
 *
 * Invariants:
 * - an edit is appended before anything else is done with it, and nothing that shows it leaves before the log has it on disk:
 *   envelopes are made only of what `durable` has confirmed, and a message carries `after`, the sequence it must wait for;
 * - Yjs is given only what was read (update.ts), fits (gap.ts), is signed by its author (envelope.ts) or vouched for by the peer that
 *   was asked, and whose clientID is its author's (author.ts);
 * - what comes twice does nothing; what comes early waits, and is asked for;
 * - two updates under one clientID and clock raise an alarm with the envelopes as evidence, and the document is built anew
 *   from the branch that every peer chooses (fork.ts): `replaced` tells of the new Y.Doc.
 *
 * Effects are performed in order. `edited` must be told of every update of `doc` whose origin is not the replica itself.
 */
import * as Y from 'yjs'
import { SwarmError, assert } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import { applyUpdates, reachOf, sortUpdates, type Checked } from './apply.ts'
import { clientOf, freshIncarnation } from './author.ts'
import { Digester, equalDigests, isForked, type Digest } from './digest.ts'
import { readEnvelope, type Envelope, type Signer, type Verify } from './envelope.ts'
import { Evidence } from './evidence.ts'
import { findForks, mergeForks, rebuild, type Fork } from './fork.ts'
import { EarlyUpdates, findGap, type EarlyLimits } from './gap.ts'
import { HOPS_MAX, type DocumentMessage } from './message.ts'
import { Outbox } from './outbox.ts'
import { fromHex } from './cursor.ts'
import { clientsOf, readUpdate, readVector } from './update.ts'

/** Authors whose last envelope is remembered, to notice one that was missed. */
export const HEARD_MAX = 4_096

/** Peers of whom it is remembered what they have. */
export const PEERS_MAX = 1_024

/** How often a document is built anew for the sake of forks, at most; in milliseconds. */
export const REBUILD_MS_MIN = 1_000

/** How often a peer's word that we once wrote more makes us take a fresh clientID, at most; in milliseconds. */
export const RENEW_MS_MIN = 10_000

/** Alarms told; the same one is told again only when it has more evidence. */
export const ALARMS_MAX = 256

/** The origin in the log of a record that holds a whole state and takes the place of all before it: see fork.ts. */
export const REBUILT_ORIGIN = 'rebuilt'

export interface Alarm extends Fork {
  readonly document: string
  /** Envelopes that contradict each other, as far as they are known: ours, and the other. */
  readonly evidence: readonly [ours: Uint8Array | undefined, theirs: Uint8Array | undefined]
  /** The peer that told of the other. */
  readonly from: string
}

export type Effect =
  /** Append to the log; the sequence is the one the log gives. */
  | { readonly kind: 'append', readonly seq: number, readonly update: Uint8Array, readonly origin: string }
  /** Gossip; then tell `published`. */
  | { readonly kind: 'publish', readonly envelope: Uint8Array, readonly after: number }
  | { readonly kind: 'send', readonly to: string, readonly message: DocumentMessage, readonly after: number }
  /** Something is missing: send a `want` (`ask`) to that peer, or to any other. */
  | { readonly kind: 'pull', readonly from: string }
  | { readonly kind: 'alarm', readonly alarm: Alarm }
  /** Show this document from now on; the one before is destroyed. */
  | { readonly kind: 'replaced', readonly doc: Y.Doc }
  /** What a peer said was refused. */
  | { readonly kind: 'refused', readonly from: string, readonly error: SwarmError }
  /** An observer of the application threw this. */
  | { readonly kind: 'raise', readonly error: unknown }
  /** Yjs stopped halfway through what that peer sent: open the document anew from its log. */
  | { readonly kind: 'reload', readonly from: string, readonly error: unknown }

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
}

/** What gossip is to do with an envelope: pass it on, drop it and blame its sender, or just drop it. */
export type Verdict = 'accept' | 'reject' | 'ignore'

interface Knowledge { vector: Map<number, number>, agreed: number }

export class Replica {
  readonly document: string
  readonly #options: ReplicaOptions
  readonly #key: Uint8Array
  readonly #early: EarlyUpdates
  readonly #evidence = new Evidence()
  readonly #outbox: Outbox
  readonly #peers = new Map<string, Knowledge>()
  readonly #heard = new Map<string, number>()
  #doc: Y.Doc
  #digester: Digester
  #incarnation: number
  #sequence: number
  #durable: number
  #rebuiltMs = -Infinity
  #renewedMs = -Infinity
  readonly #alarmed = new Map<string, number>()
  #isApplying = false
  /** Updates that Yjs made itself while it applied others: it cleans up formats. */
  #meanwhile: Uint8Array[] = []

  constructor (options: ReplicaOptions) {
    this.document = options.document
    this.#options = options
    this.#key = fromHex(options.document)
    this.#early = new EarlyUpdates(options.earlyLimits)
    this.#doc = options.doc
    this.#digester = new Digester(options.doc)
    this.#sequence = this.#durable = options.sequence
    this.#incarnation = options.incarnation ?? this.#fresh()
    this.#doc.clientID = this.client
    this.#outbox = new Outbox(options.signer, options.swarmId, options.document, options.sequence)
  }

  get doc (): Y.Doc {
    return this.#doc
  }

  /** Worth keeping for the next start; see ReplicaOptions. */
  get incarnation (): number {
    return this.#incarnation
  }

  get client (): number {
    return clientOf(this.#key, this.#options.signer.publicKey, this.#incarnation)
  }

  get digest (): Digest {
    return this.#digester.digest
  }

  get sequence (): number {
    return this.#sequence
  }

  /** Updates that wait for what they need, and their bytes. */
  get gaps (): { count: number, bytes: number } {
    return { count: this.#early.count, bytes: this.#early.bytes }
  }

  /** Up to which sequence of our log that peer has everything on its disk, as far as it said. */
  agreed (peer: string): number {
    return this.#peers.get(peer)?.agreed ?? 0
  }

  /** The application, or Yjs itself, changed the document. @param update must not change any more */
  edited (update: Uint8Array): Effect[] {
    if (this.#isApplying) {
      this.#meanwhile.push(update)
      return []
    }
    const seq = ++this.#sequence
    const effects: Effect[] = [{ kind: 'append', seq, update, origin: '' }]
    let isOwn: boolean
    try {
      const clients = clientsOf(readUpdate(update))
      isOwn = clients.size === 0 || (clients.size === 1 && clients.has(this.client))
    } catch (error) {
      // Nobody would take it: better said here than by a document that never arrives.
      effects.push({ kind: 'raise', error })
      isOwn = false
    }
    // What the application brought along from elsewhere is nobody's: others pull it.
    this.#outbox.add(seq, isOwn ? update : undefined, this.#incarnation)
    return effects
  }

  /** The log has all up to `seq` on disk. */
  durable (seq: number): Effect[] {
    this.#durable = Math.max(this.#durable, seq)
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
    let envelope: Envelope
    let updates: Checked[]
    try {
      envelope = readEnvelope(bytes, this.#options.swarmId, this.#options.verify)
      if (envelope.document !== this.document) throw new SwarmError('MALFORMED', 'an envelope is for another document')
      if (this.#options.mayWrite?.(envelope.author) === false) throw new SwarmError('FORBIDDEN', `${envelope.author} may not write to this document`)
      updates = envelope.keyId === 0 ? envelope.updates.map(update => ({ update, content: readUpdate(update) })) : []
      this.#checkAuthor(envelope, updates)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return { verdict: error.code === 'VERSION_UNSUPPORTED' ? 'ignore' : 'reject', effects: [{ kind: 'refused', from, error }] }
    }
    const hasMissed = this.#hear(envelope)
    const { effects } = this.#take(from, envelope.author, updates, nowMs, bytes)
    this.#evidence.keep(bytes, updates.map(({ content }) => content))
    const isNotice = updates.length === 0
    if ((hasMissed || isNotice) && !effects.some(({ kind }) => kind === 'pull')) effects.push({ kind: 'pull', from: envelope.author })
    return { verdict: 'accept', effects }
  }

  /** What to send a peer to be told what we lack. */
  ask (to: string): Effect {
    return this.#send(to, { kind: 'want', vector: Y.encodeStateVector(this.#doc), digest: this.digest, mark: this.#sequence })
  }

  /** What to send a peer so that it has all that we have, and says so; by what is known of it. */
  offer (to: string): Effect {
    return this.#have(to, this.#peers.get(to)?.vector ?? new Map(), 1)
  }

  /** A message came from a peer, over a stream. */
  message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    try {
      switch (message.kind) {
        case 'want': return this.#wanted(from, message, nowMs)
        case 'have': return this.#has(from, message, nowMs)
        case 'got': return this.#got(from, message)
        case 'state': return this.#merge(from, message, nowMs)
        case 'prove': return this.#prove(from, message)
        case 'proof': return this.#proven(from, message)
      }
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return [{ kind: 'refused', from, error }]
    }
  }

  close (): void {
    this.#digester.close()
    this.#early.clear()
  }

  #wanted (from: string, { vector, digest, mark }: DocumentMessage & { kind: 'want' }, nowMs: number): Effect[] {
    const theirs = this.#learn(from, readVector(vector), nowMs)
    if (equalDigests(digest, this.digest)) return [this.#send(from, { kind: 'got', digest, mark })]
    if (isForked(digest, this.digest)) return [this.#state(from)]
    return [this.#have(from, theirs, 0)]
  }

  #has (from: string, { vector, digest, mark, hop, update }: DocumentMessage & { kind: 'have' }, nowMs: number): Effect[] {
    const theirs = this.#learn(from, readVector(vector), nowMs)
    const checked = { update, content: readUpdate(update) }
    const { effects, isWhole } = this.#take(from, from, [checked], nowMs)
    if (!isWhole) return effects
    if (isForked(digest, this.digest)) return [...effects, this.#state(from)]
    // All that it had is here now: whatever differs, we have more.
    effects.push(this.#send(from, { kind: 'got', digest, mark }))
    if (!equalDigests(digest, this.digest) && hop < HOPS_MAX) effects.push(this.#have(from, theirs, hop + 1))
    return effects
  }

  #got (from: string, { mark }: DocumentMessage & { kind: 'got' }): Effect[] {
    const knowledge = this.#know(from)
    knowledge.agreed = Math.max(knowledge.agreed, Math.min(mark, this.#sequence))
    return []
  }

  /** Takes in updates that were read: those that fit, and of those that waited what fits then. `isWhole` if all of them are in. */
  #take (from: string, author: string, updates: readonly Checked[], nowMs: number, envelope?: Uint8Array): { effects: Effect[], isWhole: boolean } {
    const { fit, early } = sortUpdates(updates, reachOf(this.#doc))
    for (const { update, gap } of early) this.#early.hold({ author, ...update }, gap)
    const { effects, isWhole } = this.#integrate(from, author, fit, nowMs, envelope)
    for (let ready = this.#early.take(reachOf(this.#doc)); ready.length > 0; ready = this.#early.take(reachOf(this.#doc))) {
      for (const held of ready) {
        // Where one had to be put off, those that build on it have a gap once more, and come with the next pull.
        if (findGap(held.content, reachOf(this.#doc)) === undefined) effects.push(...this.#integrate(from, held.author, [held], nowMs).effects)
      }
    }
    const isMissing = early.some(({ update }) => !this.#covers(update))
    if (isMissing) effects.push({ kind: 'pull', from: author })
    return { effects, isWhole: isWhole && !isMissing }
  }

  /**
   * Applies updates that fit, after those that contradict the document have made a new one of it. Where that has to wait, nothing is
   * applied: Yjs would put the end of a struct whose beginning it has otherwise into two lists at once.
   */
  #integrate (from: string, author: string, updates: readonly Checked[], nowMs: number, envelope?: Uint8Array): { effects: Effect[], isWhole: boolean } {
    const effects: Effect[] = []
    for (const { update, content } of updates) {
      const forks = findForks(this.#doc, update, content)
      if (forks.length === 0) continue
      effects.push(...forks.flatMap(fork => this.#alarm(from, fork, envelope)))
      // A liar must not keep us busy: the rest comes with the next exchange.
      if (nowMs - this.#rebuiltMs < REBUILD_MS_MIN) return { effects, isWhole: false }
      effects.push(...this.#rebuild(mergeForks(Y.encodeStateAsUpdate(this.#doc), update).state, forks, nowMs))
    }
    const applied = this.#apply(from, author, updates)
    return { effects: [...effects, ...applied], isWhole: !applied.some(({ kind }) => kind === 'reload') }
  }

  #apply (from: string, origin: string, updates: readonly Checked[]): Effect[] {
    if (updates.length === 0) return []
    // Somebody else wrote under our clientID: we, before we lost the end of our log. Yjs would leave it too, and say so on the console.
    if (updates.some(({ content }) => content.ranges.some(({ client, to }) => client === this.client && to > Y.getState(this.#doc.store, client)))) this.#renew(updates)
    this.#isApplying = true
    const { news, thrown, isBroken } = applyUpdates(this.#doc, updates, this)
    this.#isApplying = false
    const effects: Effect[] = []
    if (isBroken) return [{ kind: 'reload', from, error: thrown?.error }]
    if (news !== undefined) effects.push({ kind: 'append', seq: ++this.#sequence, update: news, origin })
    if (thrown !== undefined) effects.push({ kind: 'raise', error: thrown.error })
    for (const update of this.#meanwhile.splice(0)) effects.push(...this.edited(update))
    // An observer of the application that wrote within the transaction looks to Yjs like somebody else.
    if (this.#doc.clientID !== this.client) this.#renew()
    return effects
  }

  #merge (from: string, { update: state, digest, hop }: DocumentMessage & { kind: 'state' }, nowMs: number): Effect[] {
    if (equalDigests(digest, this.digest)) return []
    const content = readUpdate(state)
    const whole = sortUpdates([{ update: state, content }], () => 0)
    if (whole.early.length > 0) throw new SwarmError('MALFORMED', 'a state has gaps')
    if (nowMs - this.#rebuiltMs < REBUILD_MS_MIN) return []
    const ours = Y.encodeStateAsUpdate(this.#doc)
    const merged = mergeForks(ours, state)
    const effects = merged.forks.flatMap(fork => this.#alarm(from, fork))
    effects.push(...this.#rebuild(merged.state, merged.forks, nowMs))
    for (const { client, clock } of merged.forks) effects.push(this.#send(from, { kind: 'prove', client, clock }))
    if (!equalDigests(digest, this.digest) && hop < HOPS_MAX) effects.push(this.#state(from, hop + 1))
    return effects
  }

  #rebuild (state: Uint8Array, forks: readonly Fork[], nowMs: number): Effect[] {
    const doc = rebuild(state, this.#options.makeDoc)
    const digester = new Digester(doc)
    if (equalDigests(digester.digest, this.digest)) {
      digester.close()
      doc.destroy()
      return []
    }
    this.#rebuiltMs = nowMs
    const isOwn = forks.some(({ client }) => client === this.client)
    this.#digester.close()
    const old = this.#doc
    this.#doc = doc
    this.#digester = digester
    if (isOwn) {
      this.#outbox.collapse()
      this.#renew()
    } else doc.clientID = this.client
    old.destroy()
    // Every log record before holds for nothing that this one does not say.
    return [{ kind: 'append', seq: ++this.#sequence, update: Y.encodeStateAsUpdate(doc), origin: REBUILT_ORIGIN }, { kind: 'replaced', doc }]
  }

  #prove (from: string, { client, clock }: Fork): Effect[] {
    const envelope = this.#evidence.find({ client, clock })
    return envelope === undefined ? [] : [this.#send(from, { kind: 'proof', client, clock, envelope })]
  }

  #proven (from: string, { client, clock, envelope }: DocumentMessage & { kind: 'proof' }): Effect[] {
    const { author, updates } = readEnvelope(envelope, this.#options.swarmId, this.#options.verify)
    if (!updates.some(update => clientsOf(readUpdate(update)).has(client))) throw new SwarmError('MALFORMED', `an envelope of ${author} proves nothing`)
    return this.#alarm(from, { client, clock }, envelope)
  }

  #alarm (from: string, fork: Fork, theirs?: Uint8Array): Effect[] {
    const name = `${fork.client}/${fork.clock}`
    const ours = this.#evidence.find(fork)
    const pieces = 1 + (ours === undefined ? 0 : 1) + (theirs === undefined ? 0 : 1)
    if (pieces <= (this.#alarmed.get(name) ?? 0) || this.#alarmed.size >= ALARMS_MAX) return []
    this.#alarmed.set(name, pieces)
    return [{ kind: 'alarm', alarm: { document: this.document, ...fork, evidence: [ours, theirs], from } }]
  }

  /** Updates hold clocks of the clientID alone that is the author's. */
  #checkAuthor ({ publicKey, author, incarnation }: Envelope, updates: readonly Checked[]): void {
    const own = clientOf(this.#key, publicKey, incarnation)
    for (const { content } of updates) {
      for (const { client } of content.ranges) {
        if (client !== own) throw new SwarmError('FORBIDDEN', `${author} wrote under the clientID ${client}, which is not its own`)
      }
    }
  }

  /** Whether an envelope before this one was missed. */
  #hear ({ author, incarnation, sequence, previous }: Envelope): boolean {
    const name = `${author}/${incarnation}`
    const last = this.#heard.get(name) ?? 0
    if (sequence <= last) return false
    this.#heard.delete(name)
    this.#heard.set(name, sequence)
    for (const oldest of this.#heard.keys()) {
      if (this.#heard.size <= HEARD_MAX) break
      this.#heard.delete(oldest)
    }
    return previous > last
  }

  #learn (peer: string, vector: Map<number, number>, nowMs: number): Map<number, number> {
    this.#know(peer).vector = vector
    const own = this.client
    // A peer that knows more of us than we do: our log lost its end. Whoever only says so must not use up our incarnations.
    if ((vector.get(own) ?? 0) > Y.getState(this.#doc.store, own) && nowMs - this.#renewedMs >= RENEW_MS_MIN) {
      this.#renewedMs = nowMs
      this.#renew()
    }
    return vector
  }

  #know (peer: string): Knowledge {
    let knowledge = this.#peers.get(peer)
    if (knowledge === undefined) {
      const [oldest] = this.#peers.keys()
      if (this.#peers.size >= PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest)
      knowledge = { vector: new Map(), agreed: 0 }
      this.#peers.set(peer, knowledge)
    }
    return knowledge
  }

  #covers ({ content }: Checked): boolean {
    return content.ranges.every(({ client, to }) => Y.getState(this.#doc.store, client) >= to)
  }

  #have (to: string, vector: ReadonlyMap<number, number>, hop: number): Effect {
    const update = Y.encodeStateAsUpdate(this.#doc, encodeVector(vector))
    return this.#send(to, { kind: 'have', vector: Y.encodeStateVector(this.#doc), digest: this.digest, mark: this.#sequence, hop, update })
  }

  #state (to: string, hop = 0): Effect {
    return this.#send(to, { kind: 'state', digest: this.digest, hop, update: Y.encodeStateAsUpdate(this.#doc) })
  }

  #send (to: string, message: DocumentMessage): Effect {
    return { kind: 'send', to, message, after: this.#sequence }
  }

  #flush (): Effect[] {
    const sealed = this.#outbox.seal(this.#durable)
    if (sealed === undefined) return []
    this.#evidence.keep(sealed.envelope, sealed.updates.map(readUpdate))
    return [{ kind: 'publish', envelope: sealed.envelope, after: sealed.seq }]
  }

  /** @param updates that are about to be applied: what they write under is not fresh */
  #fresh (updates: readonly Checked[] = []): number {
    const known = reachOf(this.#doc)
    const used = new Set(updates.flatMap(({ content }) => [...clientsOf(content)]))
    return freshIncarnation(this.#key, this.#options.signer.publicKey, client => used.has(client) ? 1 : known(client), this.#options.random)
  }

  #renew (updates: readonly Checked[] = []): void {
    this.#incarnation = this.#fresh(updates)
    this.#doc.clientID = this.client
    assert(Y.getState(this.#doc.store, this.client) === 0, 'a fresh clientID has written')
  }
}

function encodeVector (vector: ReadonlyMap<number, number>): Uint8Array {
  return Y.encodeStateVector(new Map(vector))
}
