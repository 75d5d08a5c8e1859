/** A document of a state that was merged of two branches: see fork.ts. */
import * as Y from 'yjs'
import { equalBytes } from '../lib/base/bytes.ts'
import { assert } from '../lib/base/error.ts'
import { applyUpdate, encodeUpdate } from './codec.ts'
import { endOf, structsOf, writeState } from './fork.ts'
import { atOnce } from './steps.ts'
import { readUpdate } from './update.ts'

/** Readings of a rebuilt document until it stays the same. Of some lies Yjs makes two documents in turn: peers then merge once more. */
const READINGS_MAX = 4

/**
 * Puts a state without gaps into an empty document. Structs of forked branches may need each other in a circle: those are
 * given up, the same ones everywhere, and their clocks stay taken.
 *
 * The document is one that its own state gives again: where a lie has put something beside what Yjs then collects, only a second
 * reading finds that it has no place, and a log would otherwise not replay to what the peer had.
 */
export function rebuild (state: Uint8Array, makeDoc: () => Y.Doc): Y.Doc {
  return atOnce(rebuilding(state, makeDoc))
}

/** The same, a reading at a time. */
export function * rebuilding (state: Uint8Array, makeDoc: () => Y.Doc): Generator<undefined, Y.Doc> {
  let doc = read(state, makeDoc)
  yield
  if (doc.store.pendingStructs !== null) {
    const whole = giveUp(doc.store.pendingStructs.update, doc, state)
    doc.destroy()
    doc = read(whole, makeDoc)
    yield
  }
  assert(doc.store.pendingStructs === null && doc.store.pendingDs === null, 'a rebuilt document has gaps')
  let before = encodeUpdate(doc)
  for (let readings = 1; readings <= READINGS_MAX; readings++) {
    const again = read(before, makeDoc)
    yield
    const after = encodeUpdate(again)
    doc.destroy()
    doc = again
    if (equalBytes(after, before)) return doc
    before = after
  }
  return doc
}

function read (state: Uint8Array, makeDoc: () => Y.Doc): Y.Doc {
  const doc = makeDoc()
  applyUpdate(doc, state)
  return doc
}

/** A state in which what is stuck behind `doc`, because it waits for itself, is as if it had been collected. */
function giveUp (stuck: Uint8Array, doc: Y.Doc, state: Uint8Array): Uint8Array {
  const structs = structsOf(state)
  for (const [client, left] of structsOf(stuck)) {
    const from = Y.getState(doc.store, client)
    const all = structs.get(client) ?? []
    const end = endOf(left)
    structs.set(client, [...all.filter(({ id, length }) => id.clock + length <= from), new Y.GC(Y.createID(client, from), end - from)])
  }
  return writeState(structs, readUpdate(state).deletes)
}
