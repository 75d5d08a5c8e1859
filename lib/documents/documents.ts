/**
 * The documents of a peer: opens and closes them, tells their cores (crdt/sync.ts) what happens, and when; performing.ts does what
 * those decide. Three ways bring changes to others, each for when the last has failed: gossip, at once; an echo, ECHO_MS after an own
 * change (asking.ts); and the rounds of anti-entropy.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Storage } from '../base/storage.ts'
import type { Witness } from '../base/witness.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Links } from '../mesh/links.ts'
import { Committer, type Durability } from '../../crdt/committer.ts'
import { documentKey } from '../../crdt/name.ts'
import { listDocuments } from '../../crdt/place.ts'
import { Sync } from '../../crdt/sync.ts'
import { Ahead } from './ahead.ts'
import { Asking, CONFIRM_MS } from './asking.ts'
import { Bell } from './bell.ts'
import { Channels } from './channels.ts'
import { Copy } from './copy.ts'
import { Document } from './document.ts'
import { Gossiping } from './gossiping.ts'
import { Hearing } from './hearing.ts'
import { Performing, type OnTrouble } from './performing.ts'
import { failureOf, type DocumentEntry, type DocumentsStatus } from './status.ts'
import { bucketOf } from './topic.ts'

/** Documents open at once. */
export const OPEN_MAX = 20_000

/** How long what is published at the end may take to leave, in milliseconds. */
export const LEAVE_MS = 1_000

export interface DocumentsOptions {
  readonly swarmId: string
  readonly key: PrivateKey
  readonly network: Network
  readonly links: Links
  readonly storage: Storage
  readonly witness: Witness | undefined
  readonly durability: Durability
  readonly clock: Clock
  readonly random: Random
  readonly isMember: (connection: Connection) => boolean
  /** A document was opened, or closed for the last time. */
  readonly onOpen?: () => void
  /** Default OPEN_MAX. */
  readonly openMax?: number
  readonly onTrouble: OnTrouble
}

interface Opened { readonly copy: Promise<Copy>, handles: number, closing: Promise<void> | undefined }

export class Documents {
  readonly #options: DocumentsOptions
  readonly #committer: Committer
  readonly #sync: Sync
  readonly #channels: Channels
  readonly #gossiping: Gossiping
  readonly #asking: Asking
  readonly #ahead: Ahead
  readonly #performing: Performing
  readonly #hearing: Hearing
  /** By key; `#copies` has those that are open, also while the last of their changes goes to disk. */
  readonly #opened = new Map<string, Opened>()
  readonly #copies = new Map<string, Copy>()
  /** Copies that somebody waits for others to confirm: looked through at every edit, where there may be thousands of copies. */
  readonly #awaited = new Set<Copy>()
  readonly #bell: Bell
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor (options: DocumentsOptions) {
    const { storage, witness, clock, durability, random, network, links, swarmId, key, isMember } = options
    this.#options = options
    this.#committer = new Committer({ storage, witness, clock, durability })
    this.#sync = new Sync(key.peerId, random)
    this.#asking = new Asking({
      clock, random,
      peers: () => this.#channels.peers,
      show: (copy, effect) => { this.#performing.show(copy, effect) },
      compare: peerId => { if (!this.#isClosed) this.#performing.perform(this.#sync.begin(peerId)) }
    })
    this.#ahead = new Ahead({
      clock,
      sign: document => { this.#gossiping.prepare(document, this.#sync.prepare(document)) },
      hash: (document, blocks) => this.#copies.get(document)?.replica.prepareDigest(blocks) ?? false
    })
    this.#gossiping = new Gossiping({
      network, swarmId,
      onEnvelope: (document, from, bytes) => {
        const { verdict, actions } = this.#sync.heard(document, from, bytes, clock.nowMs())
        this.#performing.perform(actions)
        this.#copies.get(document)?.heard(from)
        this.#ahead.changed(document)
        this.#arm()
        return verdict
      },
      isOpen: document => this.#sync.replica(document) !== undefined, // not while it is opened anew
      onTrouble: error => { options.onTrouble('gossip', error.code, `changes reach other peers late: ${error.message}`) }
    })
    this.#channels = new Channels({
      swarmId, network, links, clock, random, isMember,
      onOpen: peerId => { this.#linked(peerId) },
      onGone: peerId => { this.#gone(peerId) },
      onRoom: peerId => { this.#hearing.answer(peerId) },
      onMessage: (peerId, bytes) => { this.#hearing.hear(peerId, bytes) },
      onTrouble: (peerId, error) => { options.onTrouble(`documents/${peerId}`, error.code, `the exchange of documents with peer ${peerId} broke: ${error.message}`) }
    })
    const onChange = (): void => { this.#arm() }
    this.#performing = new Performing({
      copies: this.#copies, sync: this.#sync, channels: this.#channels, gossiping: this.#gossiping, asking: this.#asking, ahead: this.#ahead, clock,
      onTrouble: options.onTrouble, onChange
    })
    this.#hearing = new Hearing({
      copies: this.#copies, sync: this.#sync, channels: this.#channels, asking: this.#asking, ahead: this.#ahead, performing: this.#performing, clock,
      onChange
    })
    this.#bell = new Bell(clock, () => { this.#tick() })
    this.#tick()
  }

  /**
   * Opens a document, made where there is none. Each call gives a handle of its own, to be closed.
   *
   * @throws SwarmError NAME_INVALID, OVERLOADED, DISK_FAILED, VERSION_UNSUPPORTED, FOLDER_UNUSABLE, CLOSED
   */
  async open (name: string): Promise<Document> {
    const key = documentKey(name)
    for (;;) {
      this.#checkOpen()
      const closing = this.#opened.get(key)?.closing
      if (closing === undefined) break
      await closing.catch(() => undefined) // told to whoever closed it
    }
    const known = this.#opened.get(key)
    const { openMax = OPEN_MAX } = this.#options
    if (known === undefined && this.#opened.size >= openMax) throw new SwarmError('OVERLOADED', `${this.#opened.size} documents are open; limit ${openMax}: close some`)
    const opened = known ?? { copy: this.#open(name, key), handles: 0, closing: undefined }
    this.#opened.set(key, opened)
    opened.handles++
    try {
      const copy = await opened.copy
      this.#checkOpen()
      return new Document(copy, async () => { await this.#release(key, opened) })
    } catch (error) {
      opened.handles--
      if (opened.handles === 0 && this.#opened.get(key) === opened) this.#opened.delete(key)
      throw error
    }
  }

  /** Documents on disk here, and open ones, by name. @throws SwarmError FOLDER_UNUSABLE, CLOSED */
  async list (): Promise<DocumentEntry[]> {
    this.#checkOpen()
    const found = new Map<string, DocumentEntry>()
    for (const { key, name } of await listDocuments(this.#options.storage)) found.set(key, { key, name, status: undefined })
    for (const [key, copy] of this.#copies) found.set(key, { key, name: copy.name, status: copy.status() })
    return [...found.values()].sort((left, right) => (left.name ?? '') < (right.name ?? '') ? -1 : 1)
  }

  /** The topics of those that are open, each a bit. */
  get topics (): number {
    let topics = 0
    for (const key of this.#copies.keys()) topics |= 1 << bucketOf(key)
    return topics >>> 0
  }

  status (): DocumentsStatus {
    return {
      durability: this.#committer.durability,
      open: [...this.#copies.values()].map(copy => copy.status()),
      unsafeBytes: this.#committer.bytes,
      failure: failureOf(this.#committer.failure)
    }
  }

  /** Flushes and closes all, lets what is on disk reach others, and ends. @throws SwarmError DISK_FAILED if something is not on disk */
  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close (): Promise<void> {
    this.#isClosed = true
    this.#bell.cancel()
    this.#ahead.close()
    const copies = await Promise.allSettled([...this.#opened.values()].map(async ({ copy }) => await copy))
    const failures: unknown[] = []
    const open = copies.flatMap(result => result.status === 'fulfilled' && !result.value.isClosed ? [result.value] : [])
    for (const result of await Promise.allSettled(open.map(async copy => { await copy.flushed() }))) if (result.status === 'rejected') failures.push(result.reason)
    let cancel = (): void => {}
    await Promise.race([this.#gossiping.settled(), new Promise<void>(resolve => { cancel = this.#options.clock.after(LEAVE_MS, resolve) })])
    cancel()
    this.#gossiping.close()
    await this.#channels.close()
    for (const result of await Promise.allSettled(open.map(async copy => { await this.#shut(copy) }))) if (result.status === 'rejected') failures.push(result.reason)
    await this.#committer.close().catch((error: unknown) => { failures.push(error) })
    if (failures.length > 0) throw failures[0]
  }

  async #open (name: string, key: string): Promise<Copy> {
    const { swarmId, random, clock } = this.#options
    const copy = await Copy.open({
      name, key, swarmId, signer: this.#options.key, random, clock, committer: this.#committer,
      onEdit: (from, update) => { this.#edited(from, update) },
      onDurable: (from, sequence) => { if (this.#copies.get(key) === from) this.#performing.perform(this.#sync.durable(key, sequence)) },
      onFailure: failure => { this.#performing.found(failure) },
      onLost: (from, why) => { this.#performing.lost(from, why) },
      confirm: from => {
        this.#awaited.add(from)
        this.#asking.confirm(from)
        this.#arm()
      },
      holders: () => this.#asking.holders(key)
    })
    if (this.#isClosed) {
      await copy.close()
      this.#checkOpen()
    }
    this.#copies.set(key, copy)
    this.#options.onOpen?.()
    this.#gossiping.join(key)
    this.#performing.perform(this.#sync.add(copy.replica, clock.nowMs()))
    this.#asking.compareSoon()
    this.#arm()
    return copy
  }

  async #release (key: string, opened: Opened): Promise<void> {
    opened.handles--
    if (opened.handles > 0 || this.#isClosed) return await this.#closing
    opened.closing = opened.copy.then(async copy => { await this.#shut(copy) })
    try {
      await opened.closing
    } finally {
      this.#opened.delete(key)
    }
  }

  /** What its last changes bring about still goes out when they are on disk. */
  async #shut (copy: Copy): Promise<void> {
    const { key } = copy
    try {
      await copy.close()
    } finally {
      this.#gossiping.leave(key)
      this.#sync.remove(key)
      this.#copies.delete(key)
      this.#options.onOpen?.()
      this.#asking.closed(key)
    }
  }

  #edited (copy: Copy, update: Uint8Array): void {
    const { key } = copy
    if (this.#copies.get(key) !== copy) return
    this.#performing.perform(this.#sync.edited(key, update))
    this.#asking.edited(key)
    this.#ahead.edited(key)
    this.#arm()
  }

  #linked (peerId: string): void {
    this.#performing.perform(this.#sync.connected(peerId))
    for (const copy of this.#copies.values()) if (copy.isDamaged || copy.isAwaited) this.#asking.ask(copy, peerId)
    this.#arm()
  }

  #gone (peerId: string): void {
    this.#sync.disconnected(peerId)
    this.#asking.gone(peerId)
    this.#performing.gone(peerId)
    this.#hearing.gone(peerId)
    this.#arm()
  }

  #tick (): void {
    this.#performing.perform(this.#sync.tick(this.#options.clock.nowMs()))
    this.#asking.tick(key => this.#copies.get(key))
    for (const copy of this.#awaited) this.#asking.confirm(copy)
    this.#arm()
  }

  /** Sees to it that time is told when something is due. */
  #arm (): void {
    if (this.#isClosed) return
    const nowMs = this.#options.clock.nowMs()
    let dueMs = Math.min(this.#sync.nextMs, this.#asking.nextMs)
    for (const copy of this.#awaited) if (!copy.isAwaited) this.#awaited.delete(copy)
    if (this.#awaited.size > 0) dueMs = Math.min(dueMs, nowMs + CONFIRM_MS)
    this.#bell.set(dueMs)
  }

  #checkOpen (): void {
    if (this.#isClosed) throw new SwarmError('CLOSED', 'the swarm is closed')
  }
}
