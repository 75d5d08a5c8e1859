/** One clock of a document in bytes: where it was put, and what was put there; the same whatever Yjs has merged or split. */
import * as Y from 'yjs'
import type { Writer } from './cursor.ts'

/** A struct of a document, or of an update that was decoded and belongs to none. */
export type Struct = Y.Item | Y.GC | Y.Skip

/** Where an item was put: between which two clocks, or else under which parent. */
export function writePlace (writer: Writer, item: Y.Item, offset = 0): void {
  const origin = offset === 0 ? item.origin : Y.createID(item.id.client, item.id.clock + offset - 1)
  writeId(writer, origin)
  writeId(writer, item.rightOrigin)
  if (origin !== null || item.rightOrigin !== null) return
  const parent = parentOf(item.parent)
  if (typeof parent === 'string') writer.byte(2).text(parent)
  else writeId(writer, parent)
  if (item.parentSub === null) writer.byte(0)
  else writer.byte(1).text(item.parentSub)
}

/** Whether `writePlace` writes the same of two items, each at an offset. False where that would have to be tried. */
export function isSamePlace (left: Y.Item, at: number, right: Y.Item, beside: number): boolean {
  const isFirst = at === 0 && beside === 0
  if (!isFirst && (at === 0 || beside === 0)) return false
  if (isFirst ? !isSameId(left.origin, right.origin) : left.id.client !== right.id.client || left.id.clock + at !== right.id.clock + beside) return false
  if (!isSameId(left.rightOrigin, right.rightOrigin)) return false
  if (!isFirst || left.origin !== null || left.rightOrigin !== null) return true
  return left.parentSub === right.parentSub && isSameParent(left.parent, right.parent)
}

function isSameId (left: Y.ID | null, right: Y.ID | null): boolean {
  return left === null || right === null ? left === right : left.client === right.client && left.clock === right.clock
}

function isSameParent (left: Y.Item['parent'], right: Y.Item['parent']): boolean {
  const [ours, theirs] = [parentOf(left), parentOf(right)]
  return typeof ours === 'string' || typeof theirs === 'string' ? ours === theirs : isSameId(ours, theirs)
}

/** The name of a root type, or the id of the item that holds another. */
function parentOf (parent: Y.Item['parent']): string | Y.ID | null {
  if (parent === null || typeof parent === 'string' || !('_item' in parent)) return parent
  return parent._item === null ? rootName(parent) : parent._item.id
}

const rootNames = new WeakMap<object, string>()

/** Yjs looks through all root types for it. */
function rootName (type: Y.AbstractType<unknown>): string {
  const known = rootNames.get(type)
  if (known !== undefined) return known
  const name = Y.findRootTypeKey(type)
  rootNames.set(type, name)
  return name
}

export function writeId (writer: Writer, id: Y.ID | null): void {
  if (id === null) writer.byte(0)
  else writer.byte(1).count(id.client).count(id.clock)
}

/** What Yjs makes of either half of a character of two clocks when it parts them, as it may do at one peer alone. */
const PARTED = 0xfffd

function isHalf (code: number): boolean {
  return (code & 0xf800) === 0xd800
}

/** One clock's worth of content, as Yjs itself writes it; of half a character, only that it is one. */
export function writeUnit (writer: Writer, content: Y.Item['content'], offset: number): void {
  writer.byte(content.getRef())
  if (content instanceof Y.ContentString) {
    const code = content.str.charCodeAt(offset)
    writer.count(isHalf(code) ? PARTED : code)
    return
  }
  if (content instanceof Y.ContentAny) {
    const value: unknown = content.arr[offset]
    if (typeof value === 'string') writer.byte(TEXT).text(value)
    else writer.put(yjsBytes(encoder => { encoder.writeAny(value) }))
  } else if (content instanceof Y.ContentJSON) writer.text(JSON.stringify(content.arr[offset]) ?? 'undefined')
  else writer.put(yjsBytes(encoder => { content.write(encoder, 0) }))
}

/** lib0's mark of a text among values. */
const TEXT = 119

/** What Yjs writes; a view, good until the next call. */
function yjsBytes (write: (encoder: Y.UpdateEncoderV1) => void): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  write(encoder)
  const { bufs, cbuf, cpos } = encoder.restEncoder
  return bufs.length === 0 ? cbuf.subarray(0, cpos) : encoder.toUint8Array()
}

/** Whether an item's content is still there. */
export function isWhole (item: Y.Item): boolean {
  return !item.deleted && !(item.content instanceof Y.ContentDeleted)
}
