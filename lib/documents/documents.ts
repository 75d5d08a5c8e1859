/**
 * The documents of a peer: opens and closes them, and drives what their cores decide (crdt/sync.ts).
 *
 * Effects are performed in order. What shows a change to others (an envelope, a message) waits until the log has that change on
 * disk. Three ways bring changes to others, each for when the last has failed: gossip, at once; an echo, ECHO_MS after an own
 * change, in which some peers are asked whether they have it; and the rounds of anti-entropy.
 */
import type { Clock } from '../base/clock.ts'
import { afterTurn } from '../base/clock.ts'
import { SwarmError, type ErrorCode } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Storage } from '../base/storage.ts'
import type { Witness } from '../base/witness.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Links } from '../mesh/links.ts'
import { Committer, type Durability } from '../../crdt/committer.ts'
import { writeMessage } from '../../crdt/message.ts'
import { documentKey } from '../../crdt/name.ts'
import { listDocuments } from '../../crdt/place.ts'
import type { Effect } from '../../crdt/replica.ts'
import { Sync, type Action } from '../../crdt/sync.ts'
import { Channels } from './channels.ts'
import { Copy, failureOf } from './copy.ts'
import { Document } from './document.ts'
import { Gossiping } from './gossiping.ts'
import { keyOf, kindOf } from './peek.ts'
import type { DocumentEntry, DocumentsStatus } from './status.ts'

/** Documents open at once. */
export const OPEN_MAX = 20_000

/** How long after an own change some peers that have the document are asked whether they have the change too, in milliseconds. */
export const ECHO_MS = 1_000

/** Peers asked in one echo; and documents asked for one by one: of more, all are compared. */
export const ECHO_PEERS = 3
export const ECHO_DOCUMENTS_MAX = 32

/** How long a peer that was asked to confirm may take until it is asked again, in milliseconds. */
export const CONFIRM_MS = 2_000

/** Peers compared with at once after a document was opened. */
export const NEIGHBOURS_MAX = 16

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
  /** Something is wrong with a subject; a message of undefined: no more. */
  readonly onTrouble: (subject: string, code: ErrorCode, message: string | undefined) => void
}

interface Opened { readonly copy: Promise<Copy>, handles: number, closing: Promise<void> | undefined }

export class Documents {
  readonly #options: DocumentsOptions
  readonly #committer: Committer
  readonly #sync: Sync
  readonly #channels: Channels
  readonly #gossiping: Gossiping
  /** By key; `#copies` has those that are open, also while the last of their changes goes to disk. */
  readonly #opened = new Map<string, Opened>()
  readonly #copies = new Map<string, Copy>()
  /** Linked peers known to have a document, by its key. */
  readonly #holders = new Map<string, Set<string>>()
  /** When an echo of a document is due; and when a peer was asked to confirm one, by `key peer`. */
  readonly #echoes = new Map<string, number>()
  readonly #asked = new Map<string, number>()
  #compareAll = false
  #cancelTick: () => void = () => undefined
  #tickMs = Infinity
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor (options: DocumentsOptions) {
    const { storage, witness, clock, durability, random, network, links, swarmId, key, isMember } = options
    this.#options = options
    this.#committer = new Committer({ storage, witness, clock, durability })
    this.#sync = new Sync(key.peerId, random)
    this.#gossiping = new Gossiping({
      network, swarmId,
      onEnvelope: (document, from, bytes) => {
        const { verdict, actions } = this.#sync.heard(document, from, bytes, clock.nowMs())
        this.#perform(actions)
        this.#copies.get(document)?.heard(from)
        return verdict
      },
      isOpen: document => this.#copies.has(document),
      onTrouble: error => { options.onTrouble('gossip', error.code, `changes reach other peers late: ${error.message}`) }
    })
    this.#channels = new Channels({
      swarmId, network, links, clock, random, isMember,
      onOpen: peerId => { this.#linked(peerId) },
      onGone: peerId => { this.#gone(peerId) },
      onRoom: peerId => { this.#perform(this.#sync.begin(peerId)) },
      onMessage: (peerId, bytes) => { this.#hear(peerId, bytes) },
      onTrouble: (peerId, error) => { options.onTrouble(`documents/${peerId}`, error.code, `the exchange of documents with peer ${peerId} broke: ${error.message}`) }
    })
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
    if (known === undefined && this.#opened.size >= OPEN_MAX) throw new SwarmError('OVERLOADED', `${this.#opened.size} documents are open; limit ${OPEN_MAX}: close some`)
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
    this.#cancelTick()
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
      onDurable: (from, sequence) => { if (this.#copies.get(key) === from) this.#perform(this.#sync.durable(key, sequence)) },
      onFailure: failure => { this.#options.onTrouble('documents', failure?.code ?? 'DISK_FAILED', failure?.message) },
      confirm: from => { this.#confirm(from) },
      holders: () => [...this.#holders.get(key) ?? []]
    })
    if (this.#isClosed) {
      await copy.close()
      this.#checkOpen()
    }
    this.#copies.set(key, copy)
    this.#gossiping.join(key)
    this.#perform(this.#sync.add(copy.replica, clock.nowMs()))
    this.#compareSoon()
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
      this.#holders.delete(key)
      this.#echoes.delete(key)
      for (const asked of this.#asked.keys()) if (asked.startsWith(key)) this.#asked.delete(asked)
    }
  }

  #edited (copy: Copy, update: Uint8Array): void {
    const { key } = copy
    if (this.#copies.get(key) !== copy) return
    this.#perform(this.#sync.edited(key, update))
    if (this.#echoes.has(key)) return
    this.#echoes.set(key, this.#options.clock.nowMs() + ECHO_MS)
    this.#arm()
  }

  #linked (peerId: string): void {
    const began = this.#sync.connected(peerId)
    this.#perform(began)
    for (const copy of this.#copies.values()) if (copy.isDamaged || copy.isAwaited) this.#ask(copy, peerId)
    this.#arm()
  }

  #gone (peerId: string): void {
    this.#sync.disconnected(peerId)
    for (const holders of this.#holders.values()) holders.delete(peerId)
    for (const asked of this.#asked.keys()) if (asked.endsWith(peerId)) this.#asked.delete(asked)
  }

  /** A message came over a stream. */
  #hear (peerId: string, bytes: Uint8Array): void {
    const kind = kindOf(bytes)
    // Whoever leaves our answers unread gets no further ones, nor the work of making them.
    if ((kind === 'want' || kind === 'compare') && this.#channels.isFull(peerId)) return
    const key = kind === 'compare' ? undefined : keyOf(bytes)
    const copy = key === undefined ? undefined : this.#copies.get(key)
    if (key !== undefined && copy === undefined) return
    if (copy !== undefined && this.#channels.peers.has(peerId)) this.#holdersOf(copy.key).add(peerId)
    this.#perform(this.#sync.received(peerId, bytes, this.#options.clock.nowMs()))
    if (copy !== undefined && (kind === 'have' || kind === 'got' || kind === 'state')) {
      this.#asked.delete(`${copy.key} ${peerId}`)
      copy.heard(peerId)
      if (copy.isAwaited && copy.needs(peerId)) this.#ask(copy, peerId)
    }
    this.#arm()
  }

  #perform (actions: readonly Action[]): void {
    for (const action of actions) this.#act(action)
  }

  #act (action: Action): void {
    switch (action.kind) {
      case 'append': return this.#copies.get(action.document)?.append(action.seq, action.update, action.origin)
      case 'publish': return this.#publish(action.document, action.envelope, action.after)
      case 'send': return this.#send(action)
      case 'alarm': {
        const { document, client, clock, from } = action.alarm
        const copy = this.#copies.get(document)
        this.#options.onTrouble(`fork/${document}`, 'RECORD_INVALID', `document ${JSON.stringify(copy?.name ?? document)}: two different changes have the number ${client}/${clock}, as peer ${from} shows`)
        return copy?.alarmed(action.alarm)
      }
      case 'replaced': return this.#replaced(action.document)
      case 'reload': return void this.#reload(action.document, action.error)
      case 'refused': return this.#options.onTrouble(`refused/${action.from}`, action.error.code, `what peer ${action.from} said about a document was refused: ${action.error.message}`)
      case 'raise': {
        const { error } = action
        if (error instanceof SwarmError) this.#options.onTrouble(`document/${action.document}`, error.code, `a change of document ${JSON.stringify(this.#copies.get(action.document)?.name)} reaches nobody: ${error.message}`)
        else queueMicrotask(() => { throw error }) // an observer of the application broke: it is told as any exception of its own
      }
    }
  }

  #publish (key: string, envelope: Uint8Array, after: number): void {
    const copy = this.#copies.get(key)
    copy?.when(after, () => {
      void this.#gossiping.publish(key, envelope).then(count => {
        if (this.#copies.get(key) !== copy) return
        // Gossip reached nobody: ask at once.
        if (count === 0 && this.#channels.peers.size > 0) this.#echoes.set(key, this.#options.clock.nowMs())
        this.#perform(this.#sync.published(key))
        this.#arm()
      })
    })
  }

  #send ({ to, bytes, document, after }: Action & { kind: 'send' }): void {
    const go = (): void => { this.#channels.send(to, bytes) }
    if (document === undefined) go()
    else this.#copies.get(document)?.when(after, go)
  }

  #replaced (key: string): void {
    const copy = this.#copies.get(key)
    copy?.replaced()
  }

  async #reload (key: string, cause: unknown): Promise<void> {
    const copy = this.#copies.get(key)
    if (copy === undefined) return
    this.#sync.remove(key)
    this.#options.onTrouble(`document/${key}`, 'DOCUMENT_DAMAGED', `document ${JSON.stringify(copy.name)} is opened anew, since Yjs stopped in the middle of a change: ${String(cause)}`)
    try {
      await copy.reload()
      if (this.#copies.get(key) !== copy || copy.isClosed) return
      this.#perform(this.#sync.add(copy.replica, this.#options.clock.nowMs()))
      copy.reloaded()
      this.#options.onTrouble(`document/${key}`, 'DOCUMENT_DAMAGED', undefined)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      copy.events.emit('trouble', error)
      this.#options.onTrouble(`document/${key}`, error.code, `document ${JSON.stringify(copy.name)} cannot be opened anew: ${error.message}. Close it and open it again`)
    }
  }

  /** Asks those who may have a document to confirm what is here. */
  #confirm (copy: Copy): void {
    for (const peerId of this.#some(this.#channels.peers, NEIGHBOURS_MAX)) if (copy.needs(peerId)) this.#ask(copy, peerId)
    this.#arm()
  }

  /** Once at a time: a confirmation that comes asks for the next. */
  #ask (copy: Copy, peerId: string): void {
    const name = `${copy.key} ${peerId}`
    const nowMs = this.#options.clock.nowMs()
    if (nowMs - (this.#asked.get(name) ?? -Infinity) < CONFIRM_MS) return
    this.#asked.set(name, nowMs)
    const { replica } = copy
    this.#show(copy, this.#holders.get(copy.key)?.has(peerId) === true && copy.isAwaited ? replica.offer(peerId) : replica.ask(peerId))
  }

  #show (copy: Copy, effect: Effect): void {
    if (effect.kind !== 'send') return
    this.#send({ kind: 'send', to: effect.to, bytes: writeMessage({ key: copy.key, ...effect.message }), document: copy.key, after: effect.after })
  }

  /** Compares everything with neighbours at the end of this turn: after documents were opened, however many. */
  #compareSoon (): void {
    if (this.#compareAll) return
    this.#compareAll = true
    afterTurn(() => {
      this.#compareAll = false
      if (this.#isClosed) return
      for (const peerId of this.#some(this.#channels.peers, NEIGHBOURS_MAX)) this.#perform(this.#sync.begin(peerId))
    })
  }

  #echo (nowMs: number): void {
    const due = [...this.#echoes].filter(([, dueMs]) => dueMs <= nowMs).map(([key]) => key)
    for (const key of due) this.#echoes.delete(key)
    if (due.length > ECHO_DOCUMENTS_MAX) {
      for (const peerId of this.#some(this.#channels.peers, ECHO_PEERS)) this.#perform(this.#sync.begin(peerId))
      return
    }
    for (const key of due) {
      const copy = this.#copies.get(key)
      if (copy === undefined) continue
      const holders = this.#holders.get(key)
      const peers = holders === undefined || holders.size === 0 ? this.#channels.peers : holders
      for (const peerId of this.#some(peers, ECHO_PEERS)) this.#show(copy, copy.replica.ask(peerId))
    }
  }

  #some (peers: ReadonlySet<string>, count: number): string[] {
    const left = [...peers]
    while (left.length > count) left.splice(Math.floor(this.#options.random.next() * left.length), 1)
    return left
  }

  #holdersOf (key: string): Set<string> {
    const holders = this.#holders.get(key) ?? new Set()
    this.#holders.set(key, holders)
    return holders
  }

  #tick (): void {
    const nowMs = this.#options.clock.nowMs()
    this.#tickMs = Infinity
    this.#perform(this.#sync.tick(nowMs))
    this.#echo(nowMs)
    for (const copy of this.#copies.values()) if (copy.isAwaited) this.#confirm(copy)
    this.#arm()
  }

  /** Sees to it that time is told when something is due. */
  #arm (): void {
    if (this.#isClosed) return
    const nowMs = this.#options.clock.nowMs()
    let dueMs = this.#sync.nextMs
    for (const echoMs of this.#echoes.values()) dueMs = Math.min(dueMs, echoMs)
    if ([...this.#copies.values()].some(copy => copy.isAwaited)) dueMs = Math.min(dueMs, nowMs + CONFIRM_MS)
    if (dueMs >= this.#tickMs) return
    this.#cancelTick()
    this.#tickMs = dueMs
    this.#cancelTick = this.#options.clock.after(Math.max(0, dueMs - nowMs), () => { this.#tick() })
  }

  #checkOpen (): void {
    if (this.#isClosed) throw new SwarmError('CLOSED', 'the swarm is closed')
  }
}
