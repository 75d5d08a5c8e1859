/**
 * Items that are put behind one clock and before an earlier one of the same run: behind the `e` of "the" and before its `h`, where `e` was
 * put behind `h`. No author does that; it takes a lie, or words beside a branch of one that lost (fork.ts).
 *
 * Yjs puts such an item at one place where it holds the run in one piece, and at another where it holds it in several, which differs
 * from peer to peer and from the log to its replay; and no digest shows it, for each clock says the same everywhere. So such items are
 * given up, by every peer, as if they had been collected: their clocks stay taken.
 */
import * as Y from 'yjs'
import type { Checked } from './apply.ts'
import type { Struct } from './unit.ts'
import type { Twist } from './update.ts'

/** The struct that holds a clock, if one is known. */
type Find = (client: number, clock: number) => Struct | undefined

/** Whether updates would put something new into a document that is twisted. Time grows with the structs of what they are put into. */
export function isTwisted (doc: Y.Doc, updates: readonly Checked[]): boolean {
  const fresh = updates.flatMap(({ content }) => content.twists).filter(({ client, clock }) => clock >= Y.getState(doc.store, client))
  if (fresh.length === 0) return false
  let come: Map<number, Struct[]> | undefined
  return findTwists(fresh, (client, clock) => {
    if (clock < Y.getState(doc.store, client)) return structAt(doc.store.clients.get(client), clock)
    come ??= structsBy(updates)
    return structAt(come.get(client), clock)
  }).length > 0
}

/**
 * Whether an update would put something new between two neighbours that lie in different types by now, or under different keys, or of which
 * one alone was collected: where it was written they were neighbours, on a branch that lost. Yjs holds on to such an item until one of
 * the two is collected, and every later reading of the document then drops it; or it drops it, and a log that is read at once does not.
 */
export function isCrossed (doc: Y.Doc, { update, content }: Checked): boolean {
  if (!content.hasBetween || doc.store.clients.size === 0) return false
  const find = ({ client, clock }: Y.ID): Struct | undefined => structAt(doc.store.clients.get(client), clock)
  return Y.decodeUpdate(update).structs.some(struct => {
    if (!(struct instanceof Y.Item) || struct.origin === null || struct.rightOrigin === null) return false
    if (struct.id.clock + struct.length <= Y.getState(doc.store, struct.id.client)) return false
    const [left, right] = [find(struct.origin), find(struct.rightOrigin)]
    if (left === undefined || right === undefined) return false
    if (!(left instanceof Y.Item) || !(right instanceof Y.Item)) return left instanceof Y.Item || right instanceof Y.Item
    return left.parent !== right.parent || left.parentSub !== right.parentSub
  })
}

/** The same structs of every client, in order and without holes, with GC in place of what is twisted. */
export function untwist (clients: ReadonlyMap<number, readonly Struct[]>): Map<number, Struct[]> {
  const suspects: Twist[] = []
  for (const [client, structs] of clients) for (const struct of structs) {
    if (!(struct instanceof Y.Item) || struct.origin === null || struct.rightOrigin === null) continue
    const { id: { clock }, origin: { client: of, clock: left }, rightOrigin: { client: other, clock: right } } = struct
    if (of === other && right <= left) suspects.push({ client, clock, of, left, right })
  }
  const twisted = new Set(findTwists(suspects, (client, clock) => structAt(clients.get(client), clock)).map(({ client, clock }) => `${client}/${clock}`))
  return new Map([...clients].map(([client, structs]) => [client, structs.map(struct =>
    twisted.has(`${client}/${struct.id.clock}`) ? new Y.GC(struct.id, struct.length) : struct)]))
}

function findTwists (suspects: readonly Twist[], find: Find): Twist[] {
  const starts = new Map<string, number>()
  return suspects.filter(({ of, left, right }) => right >= runStart(of, left, find, starts))
}

/** The first clock of a run, each clock of which was put behind the one before. @param starts those known by now, by their structs */
function runStart (client: number, clock: number, find: Find, starts: Map<string, number>): number {
  const passed: string[] = []
  let start = clock + 1
  while (start > 0) {
    const struct = find(client, start - 1)
    if (!(struct instanceof Y.Item)) break
    const name = `${client}/${struct.id.clock}`
    const known = starts.get(name)
    start = known ?? struct.id.clock
    if (known !== undefined) break
    passed.push(name)
    if (struct.origin?.client !== client || struct.origin.clock !== start - 1) break
  }
  for (const name of passed) starts.set(name, start)
  return start
}

function structAt (structs: readonly Struct[] | undefined, clock: number): Struct | undefined {
  let [low, high] = [0, (structs?.length ?? 0) - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const struct = structs?.[middle] as Struct
    if (clock < struct.id.clock) high = middle - 1
    else if (clock >= struct.id.clock + struct.length) low = middle + 1
    else return struct
  }
  return undefined
}

function structsBy (updates: readonly Checked[]): Map<number, Struct[]> {
  const clients = new Map<number, Struct[]>()
  for (const { update } of updates) for (const struct of Y.decodeUpdate(update).structs) {
    const structs = clients.get(struct.id.client)
    if (structs === undefined) clients.set(struct.id.client, [struct])
    else if (struct.id.clock + struct.length > endOf(structs)) structs.push(struct)
  }
  return clients
}

function endOf (structs: readonly Struct[]): number {
  const last = structs.at(-1)
  return last === undefined ? 0 : last.id.clock + last.length
}
