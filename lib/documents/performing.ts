/**
 * Does what the cores of documents decide (crdt/sync.ts), in order. What shows a change to others, an envelope or a message, waits until
 * the log has that change on disk.
 */
import { mergeAside } from '#aside'
import type { Clock } from '../base/clock.ts'
import { SwarmError, type ErrorCode } from '../base/error.ts'
import { layOut, type Merge, type Merged, type Merging } from '../../crdt/merge.ts'
import { writeMessage } from '../../crdt/message.ts'
import type { Effect } from '../../crdt/replica.ts'
import { emptyDocument } from '../../crdt/state.ts'
import { inTurns } from '../../crdt/steps.ts'
import type { Action, Sync } from '../../crdt/sync.ts'
import { turn } from '../../crdt/turn.ts'
import type { Ahead } from './ahead.ts'
import type { Asking } from './asking.ts'
import type { Channels } from './channels.ts'
import type { Copy } from './copy.ts'
import type { Gossiping } from './gossiping.ts'

/** Something is wrong with a subject; a message of undefined: no more. */
export type OnTrouble = (subject: string, code: ErrorCode, message: string | undefined) => void

export interface PerformingParts {
  /** Open ones, by key. */
  readonly copies: ReadonlyMap<string, Copy>
  readonly sync: Sync
  readonly channels: Pick<Channels, 'peers' | 'send'>
  readonly gossiping: Pick<Gossiping, 'publish'>
  readonly asking: Pick<Asking, 'edited'>
  readonly ahead: Pick<Ahead, 'changed'>
  readonly clock: Clock
  readonly onTrouble: OnTrouble
  /** Something may be due earlier than it was. */
  readonly onChange: () => void
}

export class Performing {
  readonly #parts: PerformingParts
  readonly #merge: Merge
  /** Peers that something was to be sent to, and was not, since it shows what a disk that failed has not. */
  readonly #unsaid = new Set<string>()

  constructor (parts: PerformingParts) {
    this.#parts = parts
    this.#merge = mergeAside(parts.clock)
  }

  perform (actions: readonly Action[]): void {
    for (const action of actions) this.#act(action)
  }

  #act (action: Action): void {
    switch (action.kind) {
      case 'append': return this.#parts.copies.get(action.document)?.append(action.seq, action.update, action.origin)
      case 'publish': return this.#publish(action.document, action.envelope, action.after)
      case 'send': return this.#send(action)
      case 'alarm': {
        const { document, client, clock, from } = action.alarm
        const copy = this.#parts.copies.get(document)
        this.#parts.onTrouble(`fork/${document}`, 'RECORD_INVALID', `document ${JSON.stringify(copy?.name ?? document)}: two different changes have the number ${client}/${clock}, as peer ${from} shows`)
        return copy?.alarmed(action.alarm)
      }
      case 'replaced':
        this.#parts.ahead.changed(action.document)
        return this.#parts.copies.get(action.document)?.replaced()
      case 'merge': return void this.#mergeAside(action.document, action.merging)
      case 'reload':
        if (this.#parts.sync.replica(action.document) === undefined) return // it is under way
        return void this.#reload(action.document, `Yjs stopped in the middle of a change: ${String(action.error)}`)
      case 'refused': return this.#parts.onTrouble(`refused/${action.from}`, action.error.code, `what peer ${action.from} said about a document was refused: ${action.error.message}`)
      case 'raise': {
        const { error } = action
        if (error instanceof SwarmError) this.#parts.onTrouble(`document/${action.document}`, error.code, `a change of document ${JSON.stringify(this.#parts.copies.get(action.document)?.name)} reaches nobody: ${error.message}`)
        else queueMicrotask(() => { throw error }) // an observer of the application broke: it is told as any exception of its own
      }
    }
  }

  #publish (key: string, envelope: Uint8Array, after: number): void {
    const copy = this.#parts.copies.get(key)
    copy?.when(after, () => {
      void this.#parts.gossiping.publish(key, envelope).then(count => {
        if (this.#parts.copies.get(key) !== copy) return
        if (count === 0 && this.#parts.channels.peers.size > 0) this.#parts.asking.edited(key, true)
        this.perform(this.#parts.sync.published(key))
        this.#parts.onChange()
      })
    })
  }

  #send ({ to, bytes, document, after }: Action & { kind: 'send' }): void {
    const go = (): void => { this.#parts.channels.send(to, bytes) }
    if (document === undefined) return go()
    const copy = this.#parts.copies.get(document)
    if (copy?.isStuck(after) !== true) return copy?.when(after, go)
    // How long it stays so nobody knows, and whoever asks asks again: the comparison when it works again says it all, once.
    this.#unsaid.add(to)
    copy.replica.lost(to)
  }

  /** What is wrong with the disk; undefined when it works: what was not said is found by comparing. */
  found (failure: SwarmError | undefined): void {
    this.#parts.onTrouble('documents', failure?.code ?? 'DISK_FAILED', failure?.message)
    if (failure !== undefined) return
    const peers = [...this.#unsaid]
    this.#unsaid.clear()
    for (const peerId of peers) this.perform(this.#parts.sync.begin(peerId))
  }

  gone (peerId: string): void {
    this.#unsaid.delete(peerId)
  }

  async #mergeAside (key: string, merging: Merging): Promise<void> {
    const copy = this.#parts.copies.get(key)
    if (copy === undefined) return
    const { replica } = copy
    let merged: Merged | undefined
    try {
      merged = await inTurns(layOut(await this.#merge(merging), emptyDocument), turn)
      this.#parts.onTrouble(`merge/${key}`, 'UNAVAILABLE', undefined)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#parts.onTrouble(`merge/${key}`, error.code, `what contradicts document ${JSON.stringify(copy.name)} cannot be merged with it, and is asked for again: ${error.message}`)
    }
    if (this.#parts.sync.replica(key) !== replica || copy.isClosed) return merged?.doc?.destroy() // closed, or being opened anew
    this.perform(this.#parts.sync.merged(key, merged, this.#parts.clock.nowMs()))
    this.#parts.onChange()
  }

  /** The application has spoilt a document's Y.Doc: it is opened anew. */
  lost (copy: Copy, why: SwarmError): void {
    const { copies, sync } = this.#parts
    if (copies.get(copy.key) === copy && sync.replica(copy.key) === copy.replica) void this.#reload(copy.key, why.message)
  }

  /** @param why as a sentence */
  async #reload (key: string, why: string): Promise<void> {
    const copy = this.#parts.copies.get(key)
    if (copy === undefined) return
    this.#parts.sync.remove(key)
    this.#parts.onTrouble(`document/${key}`, 'DOCUMENT_DAMAGED', `document ${JSON.stringify(copy.name)} is opened anew: ${why}`)
    try {
      await copy.reload()
      if (this.#parts.copies.get(key) !== copy || copy.isClosed) return
      this.perform(this.#parts.sync.add(copy.replica, this.#parts.clock.nowMs()))
      copy.reloaded()
      this.#parts.onTrouble(`document/${key}`, 'DOCUMENT_DAMAGED', undefined)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      if (copy.isClosed) return
      copy.events.emit('trouble', error)
      this.#parts.onTrouble(`document/${key}`, error.code, `document ${JSON.stringify(copy.name)} cannot be opened anew: ${error.message}. Close it and open it again`)
    }
  }

  /** Shows what was asked for outside of the cores' turn. */
  show (copy: Copy, effect: Effect): void {
    if (effect.kind !== 'send') return
    this.#send({ kind: 'send', to: effect.to, bytes: writeMessage({ key: copy.key, ...effect.message }), document: copy.key, after: effect.after })
  }
}
