/**
 * The one way into a document for what comes from outside.
 *
 * `Y.applyUpdate` reads and changes in one go: of 17,094 mutated updates that it refused, 1,509 had already changed the document.
 * Trying each on a copy first would double memory and time. Instead nothing reaches it that it could refuse: `readUpdate` is
 * stricter than Yjs, and `findGap` shows that everything needed is there. An observer of the application that throws does
 * not undo anything: Yjs has finished by then, and the error is handed on.
 */
import * as Y from 'yjs'
import { assert } from '../lib/base/error.ts'
import { applyUpdate } from './codec.ts'
import { findGap, type Gap, type Reach } from './gap.ts'
import type { Content } from './update.ts'

export interface Checked { readonly update: Uint8Array, readonly content: Content }

export interface Applied {
  /** What was new, as one update; undefined where all of it was known. */
  readonly news: Uint8Array | undefined
  /** What an observer of the application threw. */
  readonly thrown?: { readonly error: unknown }
  /** Yjs stopped halfway, or an observer destroyed the document: it is not to be trusted any more, and has to be opened anew from its log. */
  readonly isBroken: boolean
}

/** How far a document has come with a client. */
export function reachOf (doc: Y.Doc): Reach {
  return client => Y.getState(doc.store, client)
}

/**
 * Applies updates that were read, in order, in one transaction.
 *
 * @param updates each fits onto the document with those before it: see `findGap`
 * @param origin the transaction's origin, by which observers know that the change is not the application's
 */
export function applyUpdates (doc: Y.Doc, updates: readonly Checked[], origin: unknown): Applied {
  let news: Uint8Array | undefined
  const onUpdate = (update: Uint8Array, from: unknown): void => { if (from === origin) news = update }
  try {
    Y.transact(doc, transaction => {
      let whole = newWhole(transaction, updates)
      try {
        for (const update of updates) applyUpdate(doc, unknownPart(doc, update), origin)
        if (dropFronts(transaction)) whole = undefined
        news = whole
      } finally {
        // Yjs writes down what a transaction did where somebody listens: for a large update that takes a third as long as to apply it.
        if (news === undefined) doc.on('update', onUpdate)
      }
    }, origin, false)
    assert(doc.store.pendingStructs === null && doc.store.pendingDs === null, 'Yjs was given a gap')
    return { news, isBroken: doc.isDestroyed }
  } catch (error) {
    return { news, thrown: { error }, isBroken: doc.isDestroyed || !holds(doc, updates) }
  } finally {
    doc.off('update', onUpdate)
  }
}

/**
 * What is about to be applied, if all of it is new, and nothing else is in the transaction: then the log needs nothing but that. An
 * answer repeats all deletes: they are not to be logged again and again.
 */
function newWhole ({ doc, changed, deleteSet }: Y.Transaction, [update, ...others]: readonly Checked[]): Uint8Array | undefined {
  // An observer may have written as soon as the transaction began.
  if (update === undefined || others.length > 0 || changed.size > 0 || deleteSet.clients.size > 0) return undefined
  const { ranges, deletes, structs } = update.content
  return structs > 0 && deletes.length <= structs && ranges.every(({ client, from }) => from >= Y.getState(doc.store, client)) ? update.update : undefined
}

/**
 * An update that begins within what is known, from there on. Yjs would do the same, but with the parent of the known part as the
 * update has it: if that is not ours, a struct then hangs in two lists.
 */
function unknownPart (doc: Y.Doc, { update, content }: Checked): Uint8Array {
  const isCut = content.ranges.some(({ client, from, to }) => {
    const known = Y.getState(doc.store, client)
    return from < known && known < to
  })
  return isCut ? Y.diffUpdate(update, Y.encodeStateVector(doc)) : update
}

/**
 * Of a key's entries only the last lives, as Yjs has it, but for one case: an entry of several clocks, such as only a lie makes, that is
 * split later. Whoever reads its parts one by one deletes all but the last; so do we, or our log would replay to something else.
 *
 * @returns whether there was one
 */
function dropFronts (transaction: Y.Transaction): boolean {
  let isDropped = false
  for (const back of transaction._mergeStructs) {
    if (!(back instanceof Y.Item) || back.parentSub === null || back.id.clock === 0) continue
    const front = Y.getItem(transaction.doc.store, Y.createID(back.id.client, back.id.clock - 1))
    if (front instanceof Y.Item && front.parentSub !== null && front.right !== null && !front.deleted) {
      front.delete(transaction)
      isDropped = true
    }
  }
  return isDropped
}

/** Of updates, those that fit one after the other, and the first gap of each that does not. */
export function sortUpdates<T extends Checked> (updates: readonly T[], reach: Reach): { fit: T[], early: { update: T, gap: Gap }[] } {
  const ends = new Map<number, number>()
  const reachNow: Reach = client => Math.max(reach(client), ends.get(client) ?? 0)
  const [fit, early]: [T[], { update: T, gap: Gap }[]] = [[], []]
  for (const update of updates) {
    const gap = findGap(update.content, reachNow)
    if (gap !== undefined) early.push({ update, gap })
    else {
      fit.push(update)
      for (const { client, to } of update.content.ranges) ends.set(client, Math.max(to, reachNow(client)))
    }
  }
  return { fit, early }
}

function holds (doc: Y.Doc, updates: readonly Checked[]): boolean {
  return doc.store.pendingStructs === null && doc.store.pendingDs === null &&
    updates.every(({ content }) => content.ranges.every(({ client, to }) => Y.getState(doc.store, client) >= to))
}
