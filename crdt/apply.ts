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
import { findGap, type Gap, type Reach } from './gap.ts'
import type { Content } from './update.ts'

export interface Checked { readonly update: Uint8Array, readonly content: Content }

export interface Applied {
  /** What was new, as one update; undefined where all of it was known. */
  readonly news: Uint8Array | undefined
  /** What an observer of the application threw. */
  readonly thrown?: { readonly error: unknown }
  /** Yjs stopped halfway: the document is not to be trusted any more, and has to be opened anew from its log. */
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
  doc.on('update', onUpdate)
  try {
    Y.transact(doc, () => { for (const update of updates) Y.applyUpdate(doc, unknownPart(doc, update), origin) }, origin, false)
    assert(doc.store.pendingStructs === null && doc.store.pendingDs === null, 'Yjs was given a gap')
    return { news, isBroken: false }
  } catch (error) {
    return { news, thrown: { error }, isBroken: !holds(doc, updates) }
  } finally {
    doc.off('update', onUpdate)
  }
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
