/**
 * A large state as several updates, each of which fits onto those before it: Yjs takes an update in one go, 100,000 entries in some
 * 200 ms, in which nobody else has their turn.
 */
import * as Y from 'yjs'
import { assert } from '../lib/base/error.ts'
import { applyUpdate } from './codec.ts'
import { structsOf, writeState } from './fork.ts'
import type { Steps } from './steps.ts'
import type { Struct } from './unit.ts'
import { readUpdate } from './update.ts'

/** Structs of one part: Yjs takes them in some 10 ms. */
export const PART_STRUCTS_MAX = 4_096

/**
 * Cuts a state without gaps. Takes about as long as to read it: for a thread.
 *
 * @returns updates of at most `structsMax` structs; what is deleted stands in the last
 */
export function cutState (state: Uint8Array, structsMax = PART_STRUCTS_MAX): Uint8Array[] {
  const parts: Uint8Array[] = []
  let part = new Map<number, Struct[]>()
  let count = 0
  for (const struct of inOrder(structsOf(state))) {
    if (count === structsMax) {
      parts.push(writeState(part, []))
      part = new Map()
      count = 0
    }
    const structs = part.get(struct.id.client)
    if (structs === undefined) part.set(struct.id.client, [struct])
    else structs.push(struct)
    count++
  }
  return [...parts, writeState(part, readUpdate(state).deletes)]
}

/** Puts the parts of a state into an empty document that nobody sees yet, one in each step. */
export function * putTogether (parts: readonly Uint8Array[], makeDoc: () => Y.Doc): Steps<Y.Doc> {
  const doc = makeDoc()
  for (const [index, part] of parts.entries()) {
    if (index > 0) yield
    doc.transact(transaction => {
      applyUpdate(doc, part)
      // Of what is not whole yet, Yjs must not tidy up formats that only seem to change nothing: of one's own changes it does not.
      transaction.local = true
    })
  }
  return doc
}

/** Structs so that each comes after those that it needs. */
function * inOrder (clients: ReadonlyMap<number, readonly Struct[]>): Generator<Struct> {
  const done = new Map<number, number>()
  const dueOf = (client: number): Struct | undefined => clients.get(client)?.[done.get(client) ?? 0]
  const has = ({ client, clock }: Y.ID): boolean => clock < (dueOf(client)?.id.clock ?? Infinity)
  for (const first of clients.keys()) {
    // Clients of which structs are taken until the one below goes on.
    const stack = [first]
    for (let client = stack.at(-1); client !== undefined; client = stack.at(-1)) {
      const struct = dueOf(client)
      const need = struct === undefined ? undefined : needsOf(struct).find(id => id.client !== client && !has(id))
      if (need !== undefined) {
        assert(stack.length <= clients.size, 'structs of a state need each other in a circle')
        stack.push(need.client)
        continue
      }
      if (struct !== undefined) {
        done.set(client, (done.get(client) ?? 0) + 1)
        yield struct
      }
      // One at a time for whoever waits: it then looks again.
      if (stack.length > 1 || struct === undefined) stack.pop()
    }
  }
}

/** @param struct as it was read: what it needs by ids */
function needsOf (struct: Struct): Y.ID[] {
  if (!(struct instanceof Y.Item)) return []
  return [struct.origin, struct.rightOrigin, struct.parent].filter(id => id instanceof Y.ID)
}
