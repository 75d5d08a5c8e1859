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
  // A type in a document; the name of a root type or an id in an update.
  const parent = item.parent as Y.AbstractType<unknown> | Y.ID | string
  if (typeof parent === 'string') writer.byte(2).text(parent)
  else if (!('_item' in parent)) writeId(writer, parent)
  else if (parent._item === null) writer.byte(2).text(Y.findRootTypeKey(parent))
  else writeId(writer, parent._item.id)
  if (item.parentSub === null) writer.byte(0)
  else writer.byte(1).text(item.parentSub)
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
export function writeUnit (encoder: Y.UpdateEncoderV1, content: Y.Item['content'], offset: number): void {
  encoder.writeInfo(content.getRef())
  if (content instanceof Y.ContentString) {
    const code = content.str.charCodeAt(offset)
    encoder.writeLen(isHalf(code) ? PARTED : code)
  } else if (content instanceof Y.ContentAny) encoder.writeAny(content.arr[offset])
  else if (content instanceof Y.ContentJSON) encoder.writeString(JSON.stringify(content.arr[offset]) ?? 'undefined')
  else content.write(encoder, 0)
}

/** Whether an item's content is still there. */
export function isWhole (item: Y.Item): boolean {
  return !item.deleted && !(item.content instanceof Y.ContentDeleted)
}
