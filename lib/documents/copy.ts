/**
 * This peer's copy of one document: the Y.Doc that the application holds, its replica, its log, and what is waited for.
 *
 * Invariants: every change of the application goes into the log before anything else is done with it; a Y.Doc that is not
 * shared any more refuses changes, loudly; after `close` nothing of it moves.
 */
import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import type { Committer } from '../../crdt/committer.ts'
import type { Signer } from '../../crdt/envelope.ts'
import { applyPending, encodeWithPending } from '../../crdt/pending.ts'
import type { Damage } from '../../crdt/damage.ts'
import { Replica, type Alarm } from '../../crdt/replica.ts'
import { emptyDocument } from '../../crdt/state.ts'
import type { SyncedOptions } from './document.ts'
import type { DocumentEvents, YDoc } from './events.ts'
import { readCopy, type Found } from './found.ts'
import { hold, isChanging, refuseChanges } from './held.ts'
import { keepIncarnation } from './incarnation.ts'
import { DocumentLog } from './log.ts'
import { failureOf, type DocumentStatus, type Repair } from './status.ts'
import { Waiters } from './waiters.ts'

export interface CopyOptions {
  readonly name: string
  readonly key: string
  readonly swarmId: string
  readonly signer: Signer
  readonly random: Random
  readonly clock: Clock
  readonly committer: Committer
  /** Tells the driver; each may bring about the next. */
  readonly onEdit: (copy: Copy, update: Uint8Array) => void
  readonly onDurable: (copy: Copy, sequence: number) => void
  readonly onFailure: (failure: SwarmError | undefined) => void
  readonly onLost: (copy: Copy, why: SwarmError) => void // the application has spoilt the Y.Doc: to be opened anew
  /** Ask linked peers to confirm what is here, now. */
  readonly confirm: (copy: Copy) => void
  /** Linked peers that have the document. */
  readonly holders: () => readonly string[]
}

/** What is opened together, and anew after Yjs stopped halfway. */
interface Core { readonly replica: Replica, readonly log: DocumentLog, readonly damage: readonly Damage[] }

export class Copy {
  readonly name: string
  readonly key: string
  readonly events = new Emitter<DocumentEvents>()
  readonly #options: CopyOptions
  readonly #closing = new AbortController()
  #core: Core
  #pending: Uint8Array[]
  #damage: readonly Damage[]
  #lastRepair: Repair | null = null
  #isRepairing = false
  #failure: SwarmError | undefined
  #broken: SwarmError | undefined // why a change is in no log, until the document is opened anew
  #keptIncarnation: number | undefined
  /** The Y.Doc that the application has. */
  #shown: YDoc
  #unwatch: () => void = () => undefined
  readonly #waiters: Waiters

  /** @throws SwarmError DISK_FAILED, OVERLOADED, VERSION_UNSUPPORTED, FOLDER_UNUSABLE, CLOSED */
  static async open (options: CopyOptions): Promise<Copy> {
    const { pending, kept, ...found } = await readCopy(options)
    return new Copy(options, found, pending, kept)
  }

  private constructor (options: CopyOptions, found: Found, pending: Uint8Array[], kept: number | undefined) {
    this.#options = options
    this.name = options.name
    this.key = options.key
    this.#waiters = new Waiters({
      name: options.name, clock: options.clock,
      count: sequence => options.holders().filter(peerId => this.replica.agreed(peerId) >= sequence).length,
      ask: () => { options.confirm(this) }
    })
    this.#pending = pending
    this.#damage = found.damage
    this.#keptIncarnation = kept
    this.#core = this.#build(found)
    this.#shown = found.doc
    this.#watch()
  }

  get ydoc (): YDoc {
    return this.#core.replica.doc
  }

  get replica (): Replica {
    return this.#core.replica
  }

  get isClosed (): boolean {
    return this.#closing.signal.aborted
  }

  /** Whether somebody waits for others to confirm. */
  get isAwaited (): boolean {
    return this.#waiters.size > 0
  }

  /** Whether what is damaged here is asked of others. */
  get isDamaged (): boolean {
    return this.#damage.length > 0
  }

  append (sequence: number, update: Uint8Array, origin: string): void {
    if (this.isClosed) return
    this.#keepIncarnation(origin === '')
    this.#core.log.append(sequence, update, origin)
  }

  /** Whether what is to wait for a sequence waits for a disk that has failed. */
  isStuck (after: number): boolean {
    return this.#failure !== undefined && after > this.#core.log.durable
  }

  /** Acts once the log has all up to a sequence on disk. */
  when (after: number, act: () => void): void {
    this.#core.log.when(after, act)
  }

  async flushed (): Promise<void> {
    await this.#ended()
    await this.#core.log.flushed()
  }

  async synced (options: SyncedOptions): Promise<void> {
    await this.#ended()
    const { sequence } = this.replica
    await this.#waiters.wait(sequence, options, this.#closing.signal, async () => { await this.flushed() })
  }

  /** Whether a peer has to be asked to confirm what somebody waits for. */
  needs (peerId: string): boolean {
    return this.isAwaited && (this.#waiters.last > this.replica.agreed(peerId) || !this.#options.holders().includes(peerId))
  }

  /** Something came from a peer: what was waited for may be there. */
  heard (from: string): void {
    if (this.isClosed) return
    if (this.#pending.length > 0) this.#pending = applyPending(this.ydoc, this.#pending, 'log')
    this.#waiters.check()
    if (this.#damage.length > 0 && !this.#isRepairing && this.#pending.length === 0 && this.replica.gaps.count === 0) void this.#repair(from)
  }

  alarmed (alarm: Alarm): void {
    this.events.emit('alarm', alarm)
  }

  /** The replica has made a new Y.Doc of it. */
  replaced (): void {
    const old = this.#shown
    this.#unwatch()
    refuseChanges(old, `document ${JSON.stringify(this.name)} was replaced: use document.ydoc`)
    this.#watch()
    this.events.emit('replaced', { ydoc: this.ydoc })
  }

  /**
   * Opens it anew from its log, since the Y.Doc in memory cannot be trusted any more.
   *
   * @returns the replica that takes the place of the one before
   * @throws SwarmError as `open`, DISK_FAILED if the log is not whole on disk
   */
  async reload (): Promise<Replica> {
    const { replica, log } = this.#core
    this.#unwatch()
    refuseChanges(replica.doc, `document ${JSON.stringify(this.name)} is being opened anew: wait for the event replaced`)
    replica.close()
    await log.close()
    const { pending, kept, ...found } = await readCopy(this.#options)
    if (this.isClosed) {
      await found.wal.close()
      found.doc.destroy()
      throw new SwarmError('CLOSED', `document ${JSON.stringify(this.name)} is closed`)
    }
    replica.doc.destroy()
    refuseChanges(replica.doc, `document ${JSON.stringify(this.name)} was replaced: use document.ydoc`)
    this.#broken = undefined
    this.#pending = pending
    this.#damage = found.damage
    this.#keptIncarnation = kept
    this.#core = this.#build(found)
    this.#watch()
    return this.replica
  }

  reloaded (): void {
    this.events.emit('replaced', { ydoc: this.ydoc })
  }

  status (): DocumentStatus {
    const { name, key, replica } = this
    const { committer, holders } = this.#options
    const { bytes, records, snapshotBytes } = this.#core.log.status()
    const { count, bytes: early } = replica.gaps
    return {
      name, key, durability: committer.durability, bytes: bytes + snapshotBytes, snapshotBytes, log: { records, bytes },
      sequence: replica.sequence, durable: this.#core.log.durable,
      gaps: { count: count + this.#pending.length, bytes: this.#pending.reduce((sum, { byteLength }) => sum + byteLength, early) },
      peers: holders().map(peerId => ({ peerId, lag: replica.sequence - replica.agreed(peerId) })),
      damage: this.#damage, lastRepair: this.#lastRepair, failure: failureOf(this.#failure)
    }
  }

  /** Flushes and closes. @throws SwarmError DISK_FAILED if changes are not on disk; it is closed all the same */
  async close (): Promise<void> {
    if (this.isClosed) return
    this.#unwatch()
    const { doc } = this.replica
    refuseChanges(doc, `document ${JSON.stringify(this.name)} is closed`)
    try {
      await this.#core.log.close()
    } finally {
      this.#closing.abort(new SwarmError('CLOSED', `document ${JSON.stringify(this.name)} is closed`))
      this.replica.close()
      doc.destroy()
    }
  }

  #build ({ wal, doc, isRebuilt, incarnation, damage }: Found): Core {
    const { key, swarmId, signer, random, clock, onDurable } = this.#options
    const replica = new Replica({ document: key, swarmId, signer, random, doc, makeDoc: emptyDocument, sequence: wal.durable, incarnation })
    const log = new DocumentLog({
      wal, clock, isRebuilt,
      encode: () => encodeWithPending(this.ydoc, this.#pending),
      onDurable: sequence => { if (!this.isClosed) onDurable(this, sequence) },
      onFailure: failure => { this.#setFailure(failure) },
      onDamage: error => { this.events.emit('trouble', error) }
    })
    return { replica, log, damage }
  }

  #watch (): void {
    const doc = this.#shown = this.replica.doc
    this.#unwatch = hold(doc, {
      isOurs: origin => origin === this.replica,
      onEdit: update => { this.#options.onEdit(this, update) },
      onLost: why => { if (doc === this.ydoc) this.#lost(why) } // one that was replaced is destroyed
    })
  }

  #lost (why: SwarmError): void {
    this.#unwatch()
    refuseChanges(this.ydoc, `document ${JSON.stringify(this.name)} is being opened anew: wait for the event replaced`)
    if (why.code !== 'CLOSED') {
      this.#broken = why
      this.events.emit('trouble', why)
    }
    queueMicrotask(() => { this.#options.onLost(this, why) }) // not in the middle of a transaction
  }

  /** What is being changed counts as changed: it is in the log when its transaction has ended. @throws SwarmError DOCUMENT_DAMAGED if it was lost */
  async #ended (): Promise<void> {
    if (isChanging(this.ydoc)) await Promise.resolve()
    if (this.#broken !== undefined) throw this.#broken
  }

  /** Keeps on disk under which incarnation this peer writes: one that was written under, and in place of one that was given up. */
  #keepIncarnation (isWritten: boolean): void {
    const { incarnation } = this.replica
    if (incarnation === this.#keptIncarnation || (!isWritten && this.#keptIncarnation === undefined)) return
    try {
      keepIncarnation(this.key, this.#options.committer, incarnation)
      this.#keptIncarnation = incarnation
    } catch (error) {
      // Too much waits for the disk, as the log tells: it is tried anew with what comes next.
      if (!(error instanceof SwarmError)) throw error
    }
  }

  async #repair (from: string): Promise<void> {
    this.#isRepairing = true
    const damage = this.#damage
    try {
      await this.#core.log.repaired()
      this.#damage = []
      this.#lastRepair = { atMs: this.#options.clock.wallMs(), from, damage }
      this.events.emit('repaired', this.#lastRepair)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      if (!this.isClosed) this.events.emit('trouble', error)
    } finally {
      this.#isRepairing = false
    }
  }

  #setFailure (failure: SwarmError | undefined): void {
    const isNew = failure !== undefined && this.#failure === undefined
    this.#failure = failure
    if (isNew) this.events.emit('trouble', failure)
    this.#options.onFailure(failure)
  }
}
