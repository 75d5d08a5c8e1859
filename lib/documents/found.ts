/** What is found on this disk of a document, and the Y.Doc made of it. */
import type { Clock } from '../base/clock.ts'
import type { Committer } from '../../crdt/committer.ts'
import type { Damage } from '../../crdt/damage.ts'
import { takePending } from '../../crdt/pending.ts'
import { REBUILT_ORIGIN, type Replica } from '../../crdt/replica.ts'
import { documentOf, emptyDocument } from '../../crdt/state.ts'
import { Wal } from '../../crdt/wal.ts'
import { recallIncarnation } from './incarnation.ts'

export interface Found {
  readonly wal: Wal
  readonly doc: Replica['doc']
  /** Whether the log holds a record that takes the place of all before it (crdt/fork.ts). */
  readonly isRebuilt: boolean
  /** Under which to write on; undefined for a fresh one. */
  readonly incarnation: number | undefined
  readonly damage: readonly Damage[]
}

/**
 * Reads a document's log.
 *
 * @returns also the updates that wait for something damaged, and the incarnation that is kept on disk
 * @throws SwarmError DISK_FAILED, OVERLOADED, VERSION_UNSUPPORTED, FOLDER_UNUSABLE, CLOSED
 */
export async function readCopy ({ key, name, committer, clock }: { readonly key: string, readonly name: string, readonly committer: Committer, readonly clock: Clock }): Promise<Found & { readonly pending: Uint8Array[], readonly kept: number | undefined }> {
  const { wal, snapshot, updates, recovery } = await Wal.open(key, { committer, name, clock })
  const doc = documentOf(emptyDocument, snapshot, updates)
  const incarnation = await recallIncarnation(key, committer, recovery)
  return {
    wal, doc, incarnation, kept: incarnation, damage: recovery.damage,
    isRebuilt: updates.some(({ origin }) => origin === REBUILT_ORIGIN),
    pending: takePending(doc)
  }
}
