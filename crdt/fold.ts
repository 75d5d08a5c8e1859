/**
 * Folds a snapshot and the updates after it into one snapshot, through a document: `Y.mergeUpdates` keeps what was deleted, and is
 * quadratic. What waits for an update that is missing stays in the snapshot, still waiting.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import { applyUpdate, encodeUpdate } from './codec.ts'

/** What is folded: views on bytes that stay as they are meanwhile. */
export interface Folding {
  readonly snapshot: Uint8Array | undefined
  readonly updates: readonly Uint8Array[]
}

export type Fold = (folding: Folding) => Promise<Uint8Array>

/** Updates applied before others may have their turn. */
const SLICE_UPDATES = 64

/**
 * Takes as long as it takes, about 5 s for a million updates: for a thread of its own.
 *
 * @throws SwarmError DOCUMENT_DAMAGED if an update is none, or the result is not equal to what went in
 */
export function fold ({ snapshot, updates }: Folding): Uint8Array {
  const document = new Y.Doc()
  document.transact(() => {
    if (snapshot !== undefined) apply(document, snapshot)
    for (const update of updates) apply(document, update)
  })
  return checked(document)
}

/**
 * The same in slices, for where there are no threads. The snapshot that goes in, and the one that comes out, are one slice each:
 * 100,000 entries take about 100 ms.
 *
 * @param turn resolves when others have had their turn
 */
export async function foldInSlices ({ snapshot, updates }: Folding, turn: () => Promise<void>): Promise<Uint8Array> {
  const document = new Y.Doc()
  if (snapshot !== undefined) apply(document, snapshot)
  for (let index = 0; index < updates.length; index += SLICE_UPDATES) {
    await turn()
    document.transact(() => { for (const update of updates.slice(index, index + SLICE_UPDATES)) apply(document, update) })
  }
  await turn()
  return checked(document)
}

function apply (document: Y.Doc, update: Uint8Array): void {
  try {
    applyUpdate(document, update)
  } catch (cause) {
    throw new SwarmError('DOCUMENT_DAMAGED', `an update of ${update.byteLength} bytes cannot be applied`, { cause })
  }
}

/** The document as one update, which gives the same document back: the same items, and the same deleted ones. */
function checked (document: Y.Doc): Uint8Array {
  const update = encodeUpdate(document)
  const copy = new Y.Doc()
  applyUpdate(copy, update)
  const isEqual = Y.equalSnapshots(Y.snapshot(document), Y.snapshot(copy)) && isWaiting(document) === isWaiting(copy)
  document.destroy()
  copy.destroy()
  if (!isEqual) throw new SwarmError('DOCUMENT_DAMAGED', `a snapshot of ${update.byteLength} bytes does not give its document back`)
  return update
}

function isWaiting ({ store }: Y.Doc): boolean {
  return store.pendingStructs !== null || store.pendingDs !== null
}
