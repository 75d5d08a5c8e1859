/**
 * When one client has said two things at one clock: a liar, a copied data folder, or an author whose log lost its end unnoticed.
 * Yjs keeps whichever came first, for ever, with equal state vectors.
 *
 * Two such states become one by a rule that asks nobody: of the client that forked, both branches agree up to a clock; from there on
 * the branch whose first clock comes first in byte order counts, and past its end what the other has. Deletes are united. Every
 * clock that either state has stays taken, so that what others wrote beside a lost branch finds its place beside the one that won.
 * Merging is symmetric and only ever replaces a branch by a smaller one, so replicas that keep exchanging states end equal, in
 * whatever order they do it. docs/decisions/equivocation.md says why, and what it costs.
 *
 * A document cannot take back what Yjs has integrated: the merged state is put into a new one (rebuild.ts).
 */
import * as Y from 'yjs'
import { decodeStructs, makeEncoder } from './codec.ts'
import { Writer } from './cursor.ts'
import { untwist } from './twist.ts'
import { isSamePlace, isWhole, writePlace, writeUnit, type Struct } from './unit.ts'
import { readUpdate, type Content, type Range } from './update.ts'

/** Where a client has said two things. */
export interface Fork { readonly client: number, readonly clock: number }

/** The first clock, of every client, at which an update contradicts a document. */
export function findForks (doc: Y.Doc, update: Uint8Array, content: Content): Fork[] {
  const known = content.ranges.filter(({ client, from }) => from < Y.getState(doc.store, client))
  if (known.length === 0) return []
  const structs = structsOf(update)
  return known.flatMap(({ client, from, to }) => {
    const ours = (doc.store.clients.get(client) ?? []) as Struct[]
    const clock = firstConflict(ours, structs.get(client) ?? [], from, Math.min(to, Y.getState(doc.store, client)))
    return clock === undefined ? [] : [{ client, clock }]
  })
}

/** Whether two updates say two things at one clock: what an alarm's evidence shows to anybody. */
export function forksBetween (left: Uint8Array, right: Uint8Array): Fork[] {
  const [ours, theirs] = [structsOf(left), structsOf(right)]
  return [...ours].flatMap(([client, structs]) => {
    const others = theirs.get(client)
    if (others === undefined) return []
    const clock = firstConflict(structs, others, 0, Infinity)
    return clock === undefined ? [] : [{ client, clock }]
  })
}

/**
 * Merges two states, each without gaps, of which the second may also be some update that fits onto the first.
 *
 * @returns the merged state, without gaps and twists (twist.ts), and the forks found
 */
export function mergeForks (ours: Uint8Array, theirs: Uint8Array): { state: Uint8Array, forks: Fork[] } {
  const [left, right] = [structsOf(ours), structsOf(theirs)]
  const forks: Fork[] = []
  const merged = new Map<number, Struct[]>()
  for (const client of new Set([...left.keys(), ...right.keys()])) {
    const { structs, conflict } = mergeClient(left.get(client) ?? [], right.get(client) ?? [])
    merged.set(client, structs)
    if (conflict !== undefined) forks.push({ client, clock: conflict })
  }
  return { state: writeState(untwist(merged), [...readUpdate(ours).deletes, ...readUpdate(theirs).deletes]), forks }
}

export function structsOf (update: Uint8Array): Map<number, Struct[]> {
  const clients = new Map<number, Struct[]>()
  for (const struct of decodeStructs(update)) {
    if (struct instanceof Y.Skip) continue
    const structs = clients.get(struct.id.client)
    if (structs === undefined) clients.set(struct.id.client, [struct])
    else structs.push(struct)
  }
  return clients
}

/** Walks two lists of one client's structs over the clocks that both have. */
function * pairs (left: readonly Struct[], right: readonly Struct[], from: number, to: number): Generator<{ left: Struct, right: Struct, from: number, to: number }> {
  let [i, j] = [indexAt(left, from), indexAt(right, from)]
  while (i < left.length && j < right.length) {
    const [a, b] = [left[i] as Struct, right[j] as Struct]
    const [start, end] = [Math.max(a.id.clock, b.id.clock, from), Math.min(a.id.clock + a.length, b.id.clock + b.length, to)]
    if (start >= to) return
    if (start < end) yield { left: a, right: b, from: start, to: end }
    if (a.id.clock + a.length <= end) i++
    if (b.id.clock + b.length <= end) j++
    if (end === to) return
  }
}

function indexAt (structs: readonly Struct[], clock: number): number {
  let [low, high] = [0, structs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const struct = structs[middle] as Struct
    if (struct.id.clock + struct.length <= clock) low = middle + 1
    else high = middle
  }
  return low
}

function firstConflict (left: readonly Struct[], right: readonly Struct[], from: number, to: number): number | undefined {
  for (const pair of pairs(left, right, from, to)) {
    if (isSame(pair.left, pair.right, pair.from, pair.to)) continue
    for (let clock = pair.from; clock < pair.to; clock++) {
      if (compareUnits(pair.left, pair.right, clock) !== 0) return clock
    }
  }
  return undefined
}

/** Whether two structs certainly do not contradict each other from one clock to another, without writing down either: most do not. */
function isSame (left: Struct, right: Struct, from: number, to: number): boolean {
  return !(left instanceof Y.Item) || !(right instanceof Y.Item) || isEqual(left, right, from, to)
}

/** Whether two items certainly say the same from one clock to another. */
function isEqual (left: Y.Item, right: Y.Item, from: number, to: number): boolean {
  const [first, second] = [from - left.id.clock, from - right.id.clock]
  return isSamePlace(left, first, right, second) && isSameContent(left.content, first, right.content, second, to - from)
}

function isSameContent (left: Y.Item['content'], at: number, right: Y.Item['content'], beside: number, length: number): boolean {
  if (left instanceof Y.ContentString && right instanceof Y.ContentString) return left.str.slice(at, at + length) === right.str.slice(beside, beside + length)
  if (!(left instanceof Y.ContentAny) || !(right instanceof Y.ContentAny)) return false
  for (let index = 0; index < length; index++) {
    const value: unknown = left.arr[at + index]
    // What is made of parts is compared as it is written.
    if ((typeof value === 'object' && value !== null) || !Object.is(value, right.arr[beside + index])) return false
  }
  return true
}

/** 0 where two structs may say the same at a clock: of one that was deleted or collected, what is known of it. */
function compareUnits (left: Struct, right: Struct, clock: number): number {
  if (!(left instanceof Y.Item) || !(right instanceof Y.Item)) return 0
  const order = compareBytes(placeAt(first, left, clock), placeAt(second, right, clock))
  if (order !== 0 || !isWhole(left) || !isWhole(right)) return order
  return compareBytes(unitAt(left, clock), unitAt(right, clock))
}

const [first, second] = [new Writer(), new Writer()]

function placeAt (writer: Writer, item: Y.Item, clock: number): Uint8Array {
  writePlace(writer.clear(), item, clock - item.id.clock)
  return writer.view()
}

function unitAt (item: Y.Item, clock: number): Uint8Array {
  const writer = new Writer()
  writeUnit(writer, item.content, clock - item.id.clock)
  return writer.view()
}

function compareBytes (left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.byteLength, right.byteLength)
  for (let index = 0; index < length; index++) {
    const order = (left[index] as number) - (right[index] as number)
    if (order !== 0) return order
  }
  return left.byteLength - right.byteLength
}

function mergeClient (left: readonly Struct[], right: readonly Struct[]): { structs: Struct[], conflict?: number } {
  const conflict = firstConflict(left, right, 0, Infinity)
  const [leftEnd, rightEnd] = [endOf(left), endOf(right)]
  const common = conflict ?? Math.min(leftEnd, rightEnd)
  const structs: Struct[] = []
  // Before any conflict both say the same, and one may know more of it.
  const from = Math.max(startOf(left), startOf(right))
  for (const source of [left, right]) for (const struct of source) if (struct.id.clock < from) structs.push(cut(struct, struct.id.clock, Math.min(from, struct.id.clock + struct.length)))
  for (const pair of pairs(left, right, from, common)) structs.push(better(cut(pair.left, pair.from, pair.to), cut(pair.right, pair.from, pair.to)))
  const [winner, other] = conflict === undefined ? [left, right] : winnerAt(left, right, conflict)
  const rest = (source: readonly Struct[], start: number): void => {
    for (let index = indexAt(source, start); index < source.length; index++) {
      const struct = source[index] as Struct
      structs.push(cut(struct, Math.max(start, struct.id.clock), struct.id.clock + struct.length))
    }
  }
  const start = Math.max(common, from)
  rest(winner, start)
  rest(other, Math.max(start, endOf(winner)))
  return conflict === undefined ? { structs } : { structs, conflict }
}

function winnerAt (left: readonly Struct[], right: readonly Struct[], clock: number): [readonly Struct[], readonly Struct[]] {
  const order = compareUnits(left[indexAt(left, clock)] as Struct, right[indexAt(right, clock)] as Struct, clock)
  return order <= 0 ? [left, right] : [right, left]
}

/** Of two that do not contradict each other, the one that knows more; else the first in byte order, so that all choose the same. */
function better (left: Struct, right: Struct): Struct {
  if (left instanceof Y.Item && right instanceof Y.Item && left.length === right.length && isEqual(left, right, left.id.clock, left.id.clock + left.length)) return left
  const order = knowledge(right) - knowledge(left)
  if (order !== 0) return order < 0 ? left : right
  return compareBytes(bytesOf(left), bytesOf(right)) <= 0 ? left : right
}

function bytesOf (struct: Struct): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  struct.write(encoder, 0)
  return encoder.toUint8Array()
}

function knowledge (struct: Struct): number {
  return struct instanceof Y.Item ? isWhole(struct) ? 2 : 1 : 0
}

function startOf (structs: readonly Struct[]): number {
  return structs[0]?.id.clock ?? Infinity
}

export function endOf (structs: readonly Struct[]): number {
  const last = structs.at(-1)
  return last === undefined ? 0 : last.id.clock + last.length
}

/** The part of a struct from one clock to another; the struct stays as it is. */
function cut (struct: Struct, from: number, to: number): Struct {
  const { client, clock } = struct.id
  if (from === clock && to === clock + struct.length) return struct
  if (!(struct instanceof Y.Item)) return new Y.GC(Y.createID(client, from), to - from)
  let content = struct.content.copy()
  if (to < clock + struct.length) content.splice(to - clock)
  if (from > clock) content = content.splice(from - clock)
  const origin = from > clock ? Y.createID(client, from - 1) : struct.origin
  return new Y.Item(Y.createID(client, from), null, origin, null, struct.rightOrigin, struct.parent, struct.parentSub, content)
}

/** Writes an update: structs of each client in order and without holes, highest client first as Yjs does, and deletes. */
export function writeState (clients: ReadonlyMap<number, readonly Struct[]>, deletes: readonly Range[]): Uint8Array {
  const sorted = [...clients].filter(([, structs]) => structs.length > 0).sort(([left], [right]) => right - left)
  const writer = new Writer().count(sorted.length)
  for (const [client, structs] of sorted) {
    const encoder = makeEncoder()
    for (const struct of structs) struct.write(encoder, 0)
    writer.count(structs.length).count(client).count(startOf(structs)).put(encoder.toUint8Array())
  }
  const byClient = new Map<number, Range[]>()
  for (const range of deletes) {
    const ranges = byClient.get(range.client)
    if (ranges === undefined) byClient.set(range.client, [range])
    else ranges.push(range)
  }
  writer.count(byClient.size)
  for (const [client, ranges] of byClient) {
    writer.count(client).count(ranges.length)
    for (const { from, to } of ranges) writer.count(from).count(to - from)
  }
  return writer.bytes()
}
