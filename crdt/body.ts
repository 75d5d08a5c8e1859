/**
 * The document of a replica, and the ways into it: what the application edits, what comes from others and fits, and what is made anew
 * of two branches. Everything that changes it is told as an append, in the order in which it happened.
 */
import * as Y from 'yjs'
import { assert } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import type { Alarms } from './alarm.ts'
import { applyUpdates, reachOf, sortUpdates, type Checked } from './apply.ts'
import { clientOf, freshIncarnation } from './author.ts'
import { encodeUpdate } from './codec.ts'
import { Digester, equalDigests, type Digest } from './digest.ts'
import type { Effect } from './effect.ts'
import { findForks, mergeForks, type Fork } from './fork.ts'
import { EarlyUpdates, findGap, type EarlyLimits } from './gap.ts'
import { MERGE_HERE_BYTES, putOn, type Merged } from './merge.ts'
import type { Outbox } from './outbox.ts'
import { Pace, type Underway } from './pace.ts'
import { rebuild } from './rebuild.ts'
import { REBUILT_ORIGIN } from './state.ts'
import { isCrossed, isTwisted } from './twist.ts'
import type { Unflushed } from './unflushed.ts'
import { clientsOf, readUpdate, type Content } from './update.ts'

/** How often a peer's word that we once wrote more makes us take a fresh clientID, at most; in milliseconds. */
export const RENEW_MS_MIN = 10_000

/** An update that holds nothing. */
const NOTHING = Uint8Array.of(0, 0)

export interface BodyOptions {
  /** As recovered from the log; its clientID is set here. */
  readonly doc: Y.Doc
  readonly makeDoc: () => Y.Doc
  /** The document's key, and its author's public key. */
  readonly key: Uint8Array
  readonly publicKey: Uint8Array
  readonly random: Random
  /** The last sequence in the log. */
  readonly sequence: number
  readonly incarnation: number | undefined
  readonly earlyLimits: EarlyLimits | undefined
  /** Default MERGE_HERE_BYTES. */
  readonly mergeHereBytes: number | undefined
  /** The origin of transactions that are not the application's. */
  readonly origin: unknown
  /** Both take what was written here. */
  readonly outbox: Outbox
  readonly unflushed: Unflushed
  readonly alarms: Alarms
}

/** Where updates came from: the peer that passed them on, who wrote them, and the envelope they were in, if in one. */
export interface Source { readonly from: string, readonly author: string, readonly envelope?: Uint8Array }

export class Body {
  readonly #options: BodyOptions
  readonly #early: EarlyUpdates
  #doc: Y.Doc
  #digester: Digester
  #incarnation: number
  /** Worked out once for each incarnation: every edit asks for it. */
  #client: { readonly incarnation: number, readonly id: number } | undefined
  #sequence: number
  readonly #pace = new Pace()
  #renewedMs = -Infinity
  #isApplying = false
  /** Updates that Yjs made itself while it applied others: it cleans up formats. */
  #meanwhile: Uint8Array[] = []

  constructor (options: BodyOptions) {
    this.#options = options
    this.#early = new EarlyUpdates(options.earlyLimits)
    this.#doc = options.doc
    this.#digester = new Digester(options.doc)
    this.#sequence = options.sequence
    this.#incarnation = options.incarnation ?? this.#fresh([])
    this.#doc.clientID = this.client
  }

  get doc (): Y.Doc {
    return this.#doc
  }

  get digest (): Digest {
    return this.#digester.digest
  }

  /** See `Digester.prepare`. */
  prepareDigest (blocks: number): boolean {
    return this.#digester.prepare(blocks)
  }

  /** Of the last append. */
  get sequence (): number {
    return this.#sequence
  }

  get incarnation (): number {
    return this.#incarnation
  }

  get client (): number {
    if (this.#client?.incarnation !== this.#incarnation) this.#client = { incarnation: this.#incarnation, id: clientOf(this.#options.key, this.#options.publicKey, this.#incarnation) }
    return this.#client.id
  }

  /** Updates that wait for what they need, and their bytes. */
  get gaps (): { count: number, bytes: number } {
    return { count: this.#early.count, bytes: this.#early.bytes }
  }

  /** Whether a merge is done aside. */
  get isMerging (): boolean {
    return this.#pace.isMerging
  }

  /** The application, or Yjs itself, changed the document. */
  edited (update: Uint8Array): Effect[] {
    if (this.#isApplying) {
      this.#meanwhile.push(update)
      return []
    }
    const seq = ++this.#sequence
    this.#pace.edited(update)
    const effects: Effect[] = [{ kind: 'append', seq, update, origin: '' }]
    let content: Content | undefined
    try {
      content = readUpdate(update)
    } catch (error) {
      // Nobody would take it: better said here than by a document that never arrives.
      effects.push({ kind: 'raise', error })
    }
    const isOwn = content !== undefined && [...clientsOf(content)].every(client => client === this.client)
    this.#options.unflushed.add(seq, content?.ranges)
    // What the application brought along from elsewhere is nobody's: others pull it.
    this.#options.outbox.add(seq, isOwn ? update : undefined, this.#incarnation)
    return effects
  }

  /** Takes in updates that were read: those that fit, and of those that waited what fits then. `isWhole` if all of them are in. */
  take (source: Source, updates: readonly Checked[], nowMs: number): { effects: Effect[], isWhole: boolean } {
    const { fit, early } = sortUpdates(updates, reachOf(this.#doc))
    for (const { update, gap } of early) {
      this.#early.hold({ author: source.author, ...update }, gap)
      for (const { client, to } of update.content.ranges) if (client === this.client) this.hearOfUs(to, nowMs)
    }
    const { effects, isWhole } = this.#integrate(source, fit, nowMs)
    for (let ready = this.#early.take(reachOf(this.#doc)); ready.length > 0; ready = this.#early.take(reachOf(this.#doc))) {
      for (const held of ready) {
        // Where one had to be put off, those that build on it have a gap once more, and come with the next pull.
        if (findGap(held.content, reachOf(this.#doc)) === undefined) effects.push(...this.#integrate({ from: source.from, author: held.author }, [held], nowMs).effects)
      }
    }
    const isMissing = early.some(({ update }) => !this.#covers(update))
    if (isMissing) effects.push({ kind: 'pull', from: source.author })
    return { effects, isWhole: isWhole && !isMissing }
  }

  /** Merges a whole state of a peer, without gaps, that contradicts ours; undefined if that has to wait. See `isMerging`. */
  merge (from: string, { update, digest, hop }: { readonly update: Uint8Array, readonly digest: Digest, readonly hop: number }, nowMs: number): { effects: Effect[], forks: readonly Fork[] } | undefined {
    if (this.#pace.mustWait(from, nowMs)) return undefined
    const ours = encodeUpdate(this.#doc)
    if (this.#isLarge(ours)) return { effects: this.#mergeAside(from, ours, [update], { digest, hop }), forks: [] }
    const merged = mergeForks(ours, update)
    const effects = merged.forks.flatMap(fork => this.#options.alarms.raise(from, fork))
    return { effects: [...effects, ...this.#rebuild(merged.state, merged.forks, nowMs)], forks: merged.forks }
  }

  /** A merge that was left to the driver is done; undefined if that failed. @returns what was under way, and the forks of its state */
  merged (merged: Merged | undefined, nowMs: number): Pick<Underway, 'from' | 'state'> & { effects: Effect[], forks: readonly Fork[] } {
    const ended = this.#pace.end(nowMs)
    assert(ended !== undefined, 'nothing is being merged')
    const { from, state, digest, edits, waiting } = ended
    const compare = waiting.map((from): Effect => ({ kind: 'compare', from }))
    const forks = state === undefined ? [] : merged?.forks ?? [] // of others the alarm was raised when they were found
    const effects = forks.flatMap(fork => this.#options.alarms.raise(from, fork))
    if (merged !== undefined && !equalDigests(merged.digest, digest)) {
      const { doc, forks: own } = putOn(merged, edits, this.#options.makeDoc)
      effects.push(...this.#replace(doc, new Digester(doc), edits.length === 0 ? merged.state : encodeUpdate(doc), [...merged.forks, ...own]))
    } else merged?.doc?.destroy()
    return { effects: [...effects, ...compare], forks, from, state }
  }

  /** A peer says that we have written up to that clock: if we know less of ourselves, our log has lost its end. */
  hearOfUs (clock: number, nowMs: number): void {
    // Whoever only says so must not use up our incarnations.
    if (clock <= Y.getState(this.#doc.store, this.client) || nowMs - this.#renewedMs < RENEW_MS_MIN) return
    this.#renewedMs = nowMs
    this.#renew()
  }

  close (): void {
    this.#digester.close()
    this.#early.clear()
  }

  /**
   * Applies updates that fit, after those that contradict the document have made a new one of it, and without what is twisted. Where
   * that has to wait, nothing is applied: Yjs would put the end of a struct whose beginning it has otherwise into two lists at once.
   */
  #integrate (source: Source, updates: readonly Checked[], nowMs: number): { effects: Effect[], isWhole: boolean } {
    if (this.isMerging && updates.length > 0 && this.#pace.mustWait(source.from, nowMs)) return { effects: [], isWhole: false }
    const effects: Effect[] = []
    for (const { update, content } of updates) {
      const forks = findForks(this.#doc, update, content)
      if (forks.length === 0) continue
      effects.push(...forks.flatMap(fork => this.#options.alarms.raise(source.from, fork, source.envelope)))
      // A liar must not keep us busy: the rest comes with the next exchange.
      if (this.#pace.mustWait(source.from, nowMs)) return { effects, isWhole: false }
      const ours = encodeUpdate(this.#doc)
      if (this.#isLarge(ours)) return { effects: [...effects, ...this.#mergeAside(source.from, ours, [update])], isWhole: false }
      effects.push(...this.#rebuild(mergeForks(ours, update).state, forks, nowMs))
    }
    const isCrossing = updates.some(update => isCrossed(this.#doc, update))
    const isToUntwist = isCrossing || isTwisted(this.#doc, updates)
    if (isToUntwist) {
      if (this.#pace.mustWait(source.from, nowMs)) return { effects, isWhole: false }
      const ours = encodeUpdate(this.#doc)
      if (this.#isLarge(ours)) return { effects: [...effects, ...this.#mergeAside(source.from, ours, updates.map(({ update }) => update))], isWhole: false }
    }
    effects.push(...this.#apply(source, updates))
    if (effects.some(({ kind }) => kind === 'reload')) return { effects, isWhole: false }
    if (isToUntwist) effects.push(...this.#rebuild(mergeForks(Y.encodeStateAsUpdate(this.#doc), NOTHING).state, [], nowMs, isCrossing))
    return { effects, isWhole: true }
  }

  #apply ({ from, author }: Source, updates: readonly Checked[]): Effect[] {
    if (updates.length === 0) return []
    // Somebody else wrote under our clientID: we, before we lost the end of our log. Yjs would leave it too, and say so on the console.
    if (updates.some(({ content }) => content.ranges.some(({ client, to }) => client === this.client && to > Y.getState(this.#doc.store, client)))) this.#renew(updates)
    this.#isApplying = true
    const { news, thrown, isBroken } = applyUpdates(this.#doc, updates, this.#options.origin)
    this.#isApplying = false
    if (isBroken) return [{ kind: 'reload', from, error: thrown?.error }]
    const effects: Effect[] = []
    if (news !== undefined) effects.push({ kind: 'append', seq: ++this.#sequence, update: news, origin: author })
    if (thrown !== undefined) effects.push({ kind: 'raise', error: thrown.error })
    for (const update of this.#meanwhile.splice(0)) effects.push(...this.edited(update))
    // An observer of the application that wrote within the transaction looks to Yjs like somebody else.
    if (this.#doc.clientID !== this.client) this.#renew()
    return effects
  }

  /** @param isToLog even where the same comes of it: what the log has would give something else */
  #rebuild (state: Uint8Array, forks: readonly Fork[], nowMs: number, isToLog = false): Effect[] {
    const doc = rebuild(state, this.#options.makeDoc)
    const digester = new Digester(doc)
    if (!isToLog && equalDigests(digester.digest, this.digest)) {
      digester.close()
      doc.destroy()
      return []
    }
    this.#pace.rest(state.byteLength, nowMs)
    return this.#replace(doc, digester, encodeUpdate(doc), forks)
  }

  /** @param update all of the document */
  #replace (doc: Y.Doc, digester: Digester, update: Uint8Array, forks: readonly Fork[]): Effect[] {
    this.#digester.close()
    const old = this.#doc
    const client = this.client
    this.#doc = doc
    this.#digester = digester
    if (forks.some(fork => fork.client === client)) {
      this.#options.outbox.collapse()
      this.#renew()
    } else doc.clientID = client
    old.destroy()
    this.#options.unflushed.add(++this.#sequence)
    // Every log record before holds for nothing that this one does not say.
    return [{ kind: 'append', seq: this.#sequence, update, origin: REBUILT_ORIGIN }, { kind: 'replaced', doc }]
  }

  #isLarge ({ byteLength }: Uint8Array): boolean {
    return byteLength > (this.#options.mergeHereBytes ?? MERGE_HERE_BYTES)
  }

  #mergeAside (from: string, ours: Uint8Array, theirs: readonly Uint8Array[], state?: Underway['state']): Effect[] {
    this.#pace.begin({ from, state, bytes: ours.byteLength, digest: this.digest })
    return [{ kind: 'merge', merging: { ours, theirs } }]
  }

  #covers ({ content }: Checked): boolean {
    return content.ranges.every(({ client, to }) => Y.getState(this.#doc.store, client) >= to)
  }

  /** @param updates that are about to be applied: what they write under is not fresh */
  #fresh (updates: readonly Checked[]): number {
    const known = reachOf(this.#doc)
    const used = new Set(updates.flatMap(({ content }) => [...clientsOf(content)]))
    return freshIncarnation(this.#options.key, this.#options.publicKey, client => used.has(client) ? 1 : known(client), this.#options.random)
  }

  #renew (updates: readonly Checked[] = []): void {
    this.#incarnation = this.#fresh(updates)
    this.#doc.clientID = this.client
    assert(Y.getState(this.#doc.store, this.client) === 0, 'a fresh clientID has written')
  }
}
