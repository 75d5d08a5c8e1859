/** A document as a whole: from its log, into bytes, and with what was chosen when it was built anew. */
import * as Y from 'yjs'
import { applyUpdate, encodeUpdate } from './codec.ts'

/** The origin in the log of a record that holds a whole state and takes the place of all before it: see fork.ts. */
export const REBUILT_ORIGIN = 'rebuilt'

/** A record of the log, or a snapshot, for which the origin is ''. */
export interface Logged { readonly update: Uint8Array, readonly origin: string }

/** What of a log counts, in order: a record of a rebuilt document takes the place of all before it. */
export function livingRecords<T extends Logged> (records: readonly T[]): readonly T[] {
  const last = records.findLastIndex(({ origin }) => origin === REBUILT_ORIGIN)
  return last === -1 ? records : records.slice(last)
}

/** A document of a snapshot, if there is one, and the records after it, in one transaction. */
export function documentOf (makeDoc: () => Y.Doc, snapshot: Uint8Array | undefined, records: readonly Logged[]): Y.Doc {
  const doc = makeDoc()
  const living = livingRecords([...snapshot === undefined ? [] : [{ update: snapshot, origin: '' }], ...records])
  doc.transact(() => { for (const { update } of living) applyUpdate(doc, update) }, 'log')
  return doc
}

/** All that a document holds, as one update. What Yjs has collected may lie in more pieces at one peer than at another: see `canonicalState`. */
export function encodeState (doc: Y.Doc): Uint8Array {
  return encodeUpdate(doc)
}

/** A state as a peer has it that took it in at once: equal bytes for equal documents. */
export function canonicalState (state: Uint8Array): Uint8Array {
  const doc = documentOf(emptyDocument, state, [])
  const canonical = encodeState(doc)
  doc.destroy()
  return canonical
}

/** An empty document. */
export function emptyDocument (): Y.Doc {
  return new Y.Doc()
}

/** Whether Yjs waits for something, which it should never have been given. */
export function hasPending (doc: Y.Doc): boolean {
  return doc.store.pendingStructs !== null || doc.store.pendingDs !== null
}
