/**
 * What Yjs could not apply of a damaged log, taken out of the document: a replica never holds a gap. It is applied when what it
 * waits for has come from another peer.
 */
import * as Y from 'yjs'
import { applyUpdates, reachOf } from './apply.ts'
import { encodeUpdate } from './codec.ts'
import { findGap } from './gap.ts'
import { readUpdate } from './update.ts'

/** Takes out of a document what it keeps waiting, as updates. */
export function takePending (doc: Y.Doc): Uint8Array[] {
  const { pendingStructs, pendingDs } = doc.store
  doc.store.pendingStructs = null
  doc.store.pendingDs = null
  return [pendingStructs?.update, pendingDs].filter(update => update !== undefined && update !== null).map(update => Y.convertUpdateFormatV2ToV1(update))
}

/**
 * Applies of what was taken out what fits by now.
 *
 * @param origin of the transaction; not the replica, which then logs it and tells others
 * @returns what still waits
 */
export function applyPending (doc: Y.Doc, pending: readonly Uint8Array[], origin: unknown): Uint8Array[] {
  return pending.flatMap(update => {
    if (findGap(readUpdate(update), reachOf(doc)) !== undefined) return [update]
    applyUpdates(doc, [{ update, content: readUpdate(update) }], origin)
    return []
  })
}

/** All that a document holds, and what waits, as one update. */
export function encodeWithPending (doc: Y.Doc, pending: readonly Uint8Array[]): Uint8Array {
  const state = encodeUpdate(doc)
  return pending.length === 0 ? state : Y.mergeUpdates([state, ...pending])
}

/** An update that changes nothing. */
export function emptyUpdate (): Uint8Array {
  return Uint8Array.of(0, 0)
}
