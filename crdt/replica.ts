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
import type * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import { admit, type Admitted } from './admit.ts'
import { Alarms } from './alarm.ts'
import { Body } from './body.ts'
import { fromHex } from './cursor.ts'
import type { Digest } from './digest.ts'
import type { Effect, Verdict } from './effect.ts'
import type { Signer, Verify } from './envelope.ts'
import { Exchange } from './exchange.ts'
import type { EarlyLimits } from './gap.ts'
import { Heard } from './heard.ts'
import type { Merged } from './merge.ts'
import type { DocumentMessage } from './message.ts'
import { Outbox } from './outbox.ts'
import { Unflushed } from './unflushed.ts'
import { readUpdate } from './update.ts'

export type { Alarm } from './alarm.ts'
export type { Effect, Verdict } from './effect.ts'
export { REBUILT_ORIGIN } from './state.ts'

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
  readonly #exchange: Exchange
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
    this.#exchange = new Exchange({ body: this.#body, unflushed: this.#unflushed, alarms: this.#alarms, swarmId, verify: options.verify })
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
    return this.#exchange.agreed(peer)
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

  /** What is said over streams: see exchange.ts. */
  pull (to: string): Effect {
    return this.#exchange.pull(to)
  }

  ask (to: string): Effect {
    return this.#exchange.ask(to)
  }

  offer (to: string): Effect {
    return this.#exchange.offer(to)
  }

  lost (peer: string): void {
    this.#exchange.lost(peer)
  }

  message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    return this.#exchange.message(from, message, nowMs)
  }

  merged (merged: Merged | undefined, nowMs: number): Effect[] {
    return this.#exchange.merged(merged, nowMs)
  }

  close (): void {
    this.#body.close()
  }

  #flush (): Effect[] {
    const sealed = this.#outbox.seal(this.#unflushed.durable)
    if (sealed === undefined) return []
    if (sealed.isNew) this.#alarms.keep(sealed.envelope, sealed.updates.map(readUpdate))
    return [{ kind: 'publish', envelope: sealed.envelope, after: sealed.seq }]
  }
}
