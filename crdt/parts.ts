/** Many updates as two buffers: what is cheap to hand to a thread. */
import { turn } from './turn.ts'

export interface Parts {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each part ends. */
  readonly ends: Float64Array<ArrayBuffer>
}

/** Joined before others have their turn: 1 or 2 ms of work. */
const JOINED_PARTS = 8_192
const JOINED_BYTES = 4 * 2 ** 20

/** Joins them, in slices. */
export async function joinParts (parts: readonly Uint8Array[]): Promise<Parts> {
  const ends = new Float64Array(parts.length)
  let end = 0
  for (let index = 0; index < parts.length; index++) ends[index] = end += (parts[index] as Uint8Array).byteLength
  const bytes = new Uint8Array(end)
  let [at, sinceTurn] = [0, 0]
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] as Uint8Array
    for (let from = 0; from < part.byteLength; from += JOINED_BYTES) {
      const piece = part.subarray(from, from + JOINED_BYTES)
      bytes.set(piece, at)
      at += piece.byteLength
      sinceTurn += JOINED_BYTES / JOINED_PARTS + piece.byteLength
      if (sinceTurn < JOINED_BYTES) continue
      sinceTurn = 0
      await turn()
    }
  }
  return { bytes, ends }
}

export function splitParts ({ bytes, ends }: Parts): Uint8Array[] {
  return Array.from(ends, (end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
}
