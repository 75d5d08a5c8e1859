/**
 * A document and what contradicts it become one (fork.ts). Of a large document that takes about a second per 100,000 entries: it is
 * left to whoever drives the replica, aside (aside.node.ts), and what is edited meanwhile is put on top.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import { applyUpdates } from './apply.ts'
import { applyUpdate, encodeUpdate } from './codec.ts'
import { cutState, putTogether } from './cut.ts'
import { Digester, type Digest } from './digest.ts'
import { findForks, mergeForks, type Fork } from './fork.ts'
import { rebuild, rebuilding } from './rebuild.ts'
import { emptyDocument } from './state.ts'
import { atOnce, inTurns, type Steps } from './steps.ts'
import { isCrossed, isTwisted } from './twist.ts'
import { readUpdate, type Content } from './update.ts'

/** Largest document, in bytes, that is merged where it is found out: that takes up to 30 ms. */
export const MERGE_HERE_BYTES = 64 * 2 ** 10

export interface Merging {
  /** A state without gaps. */
  readonly ours: Uint8Array
  /** A state without gaps, or updates that fit onto ours in their order. */
  readonly theirs: readonly Uint8Array[]
}

export interface Merged {
  /** What its document gives again. */
  readonly state: Uint8Array
  /** The same in parts: see cut.ts. */
  readonly parts: readonly Uint8Array[]
  readonly forks: readonly Fork[]
  /** Of that document. */
  readonly digest: Digest
  /** That document, where it was laid out ahead: whoever does not use it destroys it. */
  readonly doc?: Y.Doc
}

export type Merge = (merging: Merging) => Promise<Merged>

export function mergeWhole (merging: Merging): Merged {
  return atOnce(mergeSteps(merging))
}

/** The same in slices, for where there are no threads: each is still a reading of the whole document, or the merging itself. */
export async function mergeInSlices (merging: Merging, turn: () => Promise<void>): Promise<Merged> {
  return await inTurns(mergeSteps(merging), turn)
}

function * mergeSteps ({ ours, theirs }: Merging): Steps<Merged> {
  const { state, forks } = mergeForks(ours, theirs.length === 1 ? theirs[0] as Uint8Array : Y.mergeUpdates([...theirs]))
  yield
  const doc = yield* rebuilding(state, emptyDocument)
  const whole = encodeUpdate(doc)
  yield
  const digester = new Digester(doc)
  const { digest } = digester
  digester.close()
  doc.destroy()
  yield
  return { state: whole, parts: cutState(whole), forks, digest }
}

/** Makes the document of what was merged, in slices of some 10 ms: nobody has it yet, so that others can have their turn. */
export function * layOut (merged: Merged, makeDoc: () => Y.Doc): Steps<Merged> {
  return { ...merged, doc: yield* putTogether(merged.parts, makeDoc) }
}

/**
 * The document of what was merged aside, with what this peer edited meanwhile.
 *
 * @returns also where those edits contradict it
 */
export function putOn (merged: Merged, edits: readonly Uint8Array[], makeDoc: () => Y.Doc): { doc: Y.Doc, forks: readonly Fork[] } {
  let doc = merged.doc ?? atOnce(putTogether(merged.parts, makeDoc))
  const forks: Fork[] = []
  for (const update of edits) {
    let content: Content | undefined
    try {
      content = readUpdate(update)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error // that nobody else takes it was told when it was edited
    }
    if (content === undefined) {
      applyUpdate(doc, update)
      continue
    }
    const checked = { update, content }
    const found = findForks(doc, update, content)
    if (found.length === 0 && !isTwisted(doc, [checked]) && !isCrossed(doc, checked)) applyUpdates(doc, [checked], 'meanwhile')
    else {
      // Somebody else writes under our name, as after the copying of a folder; or we wrote beside a lie that has lost.
      const before = doc
      doc = rebuild(mergeForks(encodeUpdate(before), update).state, makeDoc)
      before.destroy()
      forks.push(...found)
    }
  }
  return { doc, forks }
}
