/**
 * Yjs's own reading and writing of updates, with short texts of ASCII done by hand: keys, names and most values are such, and for each
 * of them Yjs calls a TextDecoder or a TextEncoder, which costs more than all else about a small entry. What is read and written is
 * the same, byte for byte.
 */
import * as Y from 'yjs'
import { isAscii } from '../lib/base/bytes.ts'

/** Longest text done by hand: its count then fits one byte. Above it an encoder's call is worth its price. */
export const SHORT_CHARS = 64

/** lib0's mark of a text among values. */
const TEXT = 119

/** A position in bytes, as lib0 has it. */
interface Cursor { readonly arr: Uint8Array, pos: number }

class Decoder extends Y.UpdateDecoderV1 {
  override readString (): string {
    return shortText(this.restDecoder) ?? super.readString()
  }

  override readKey (): string {
    return shortText(this.restDecoder) ?? super.readKey()
  }

  override readAny (): unknown {
    const { restDecoder } = this
    if (restDecoder.arr[restDecoder.pos] !== TEXT) return super.readAny()
    restDecoder.pos++
    const text = shortText(restDecoder)
    if (text !== undefined) return text
    restDecoder.pos--
    return super.readAny()
  }
}

class Encoder extends Y.UpdateEncoderV1 {
  override writeString (text: string): void {
    if (!this.#writeShort(text, 0)) super.writeString(text)
  }

  override writeKey (key: string): void {
    if (!this.#writeShort(key, 0)) super.writeKey(key)
  }

  override writeAny (value: unknown): void {
    if (typeof value !== 'string' || !this.#writeShort(value, 1)) super.writeAny(value)
  }

  /** @param mark 1 to write the mark of a text before it @returns false if nothing was written */
  #writeShort (text: string, mark: 0 | 1): boolean {
    const { restEncoder } = this
    const { cbuf, cpos } = restEncoder
    const { length } = text
    if (length > SHORT_CHARS || cpos + mark + 1 + length > cbuf.length) return false
    const start = cpos + mark + 1
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code > 127) return false
      cbuf[start + index] = code
    }
    if (mark === 1) cbuf[cpos] = TEXT
    cbuf[start - 1] = length
    restEncoder.cpos = start + length
    return true
  }
}

/** The next text, if it is a short one of ASCII; else undefined, with nothing read. */
function shortText (cursor: Cursor): string | undefined {
  const { arr: bytes, pos } = cursor
  const length = bytes[pos] ?? Infinity
  if (length > SHORT_CHARS) return undefined
  const end = pos + 1 + length
  if (end > bytes.length || !isAscii(bytes, pos + 1, end)) return undefined
  cursor.pos = end
  return asciiText(bytes, pos + 1, end)
}

/** Eight at a time: one call, and one string that is not made of pieces. */
function asciiText (bytes: Uint8Array, from: number, to: number): string {
  const of = String.fromCharCode
  let [text, at] = ['', from]
  for (; at + 8 <= to; at += 8) text += of(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number, bytes[at + 3] as number, bytes[at + 4] as number, bytes[at + 5] as number, bytes[at + 6] as number, bytes[at + 7] as number)
  for (; at + 4 <= to; at += 4) text += of(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number, bytes[at + 3] as number)
  for (; at < to; at++) text += of(bytes[at] as number)
  return text
}

/** `Y.applyUpdate`. */
export function applyUpdate (doc: Y.Doc, update: Uint8Array, origin?: unknown): void {
  Y.applyUpdateV2(doc, update, origin, Decoder)
}

/** `Y.encodeStateAsUpdate`. @param vector encoded; of what is to be left out */
export function encodeUpdate (doc: Y.Doc, vector?: Uint8Array): Uint8Array {
  // What waits is added by Yjs only where it knows the encoder.
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) return Y.encodeStateAsUpdate(doc, vector)
  return Y.encodeStateAsUpdateV2(doc, vector, new Encoder())
}

/** An encoder of Yjs's, for structs written one by one. */
export function makeEncoder (): Y.UpdateEncoderV1 {
  return new Encoder()
}

/** The structs of `Y.decodeUpdate`. */
export function decodeStructs (update: Uint8Array): (Y.Item | Y.GC | Y.Skip)[] {
  return Y.decodeUpdateV2(update, Decoder).structs
}
