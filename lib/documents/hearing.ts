/** What peers say over their streams: told to the cores, answered as fast as they read. */
import type { Clock } from '../base/clock.ts'
import type { Sync } from '../../crdt/sync.ts'
import type { Ahead } from './ahead.ts'
import type { Asking } from './asking.ts'
import type { Channels } from './channels.ts'
import type { Copy } from './copy.ts'
import { keyOf, kindOf } from './peek.ts'
import type { Performing } from './performing.ts'
import { Questions } from './questions.ts'

export interface HearingParts {
  /** Open ones, by key. */
  readonly copies: ReadonlyMap<string, Copy>
  readonly sync: Pick<Sync, 'begin' | 'received'>
  readonly channels: Pick<Channels, 'isFull' | 'owe'>
  readonly asking: Pick<Asking, 'answered' | 'ask' | 'heard'>
  readonly ahead: Pick<Ahead, 'changed'>
  readonly performing: Pick<Performing, 'perform'>
  readonly clock: Clock
  /** Something may be due earlier than it was. */
  readonly onChange: () => void
}

export class Hearing {
  readonly #parts: HearingParts
  readonly #questions = new Questions()

  constructor (parts: HearingParts) {
    this.#parts = parts
  }

  /** A message came over a stream. @param bytes kept: they must not change any more */
  hear (peerId: string, bytes: Uint8Array): void {
    const { ahead, asking, channels, clock, copies, performing, sync, onChange } = this.#parts
    const kind = kindOf(bytes)
    const key = kind === 'compare' ? undefined : keyOf(bytes)
    const copy = key === undefined ? undefined : copies.get(key)
    if (key !== undefined && copy === undefined) return
    // Whoever leaves our answers unread gets no further ones until it has read them, nor the work of making them.
    if ((kind === 'want' || kind === 'compare') && channels.isFull(peerId)) {
      channels.owe(peerId)
      if (key !== undefined) this.#questions.keep(peerId, key, bytes)
      return
    }
    if (copy !== undefined) asking.heard(copy.key, peerId)
    performing.perform(sync.received(peerId, bytes, clock.nowMs()))
    if (copy !== undefined && (kind === 'have' || kind === 'got' || kind === 'state')) {
      asking.answered(copy.key, peerId)
      copy.heard(peerId)
      ahead.changed(copy.key)
      if (copy.needs(peerId)) asking.ask(copy, peerId)
    }
    onChange()
  }

  /** There is room again for answers to a peer: those that it waits for go first, and then a comparison shows what else was left out. */
  answer (peerId: string): void {
    const { channels, performing, sync } = this.#parts
    for (const question of this.#questions.take(peerId)) this.hear(peerId, question)
    if (channels.isFull(peerId)) channels.owe(peerId)
    else performing.perform(sync.begin(peerId))
  }

  gone (peerId: string): void {
    this.#questions.take(peerId)
  }
}
