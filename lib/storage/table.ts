/**
 * Whether LevelDB's own files are as they were written. LevelDB has checksums in them, and does not look at those of its tables:
 * it takes damaged bytes for numbers, asks for that much memory or breaks an assertion, and the whole process ends, long after
 * the table was opened. So they are looked at here, before LevelDB sees them.
 *
 *     table      blocks, each followed by type 1 and checksum 4 | footer 48: places of the index of indexes and of the index, …, magic 8
 *     manifest   pieces in pages of 32 KiB: checksum 4 | length 2 | type 1 | bytes
 *
 * Source: LevelDB, doc/table_format.md and doc/log_format.md. Little-endian.
 */
import { maskedCrc32c } from './crc32c.ts'
import { unpackSnappy } from './snappy.ts'

const FOOTER_BYTES = 48
const MAGIC = [0x8b80fb57, 0xdb477524] as const
const TRAILER_BYTES = 5
const PACKED = 1

const PAGE_BYTES = 32 * 2 ** 10
const PIECE_HEAD_BYTES = 7
const PIECE_TYPES = 4

/** Whether every block of a table is what was written. */
export function isWholeTable (file: Uint8Array): boolean {
  const end = file.byteLength - FOOTER_BYTES
  if (end < 0) return false
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (view.getUint32(end + 40, true) !== MAGIC[0] || view.getUint32(end + 44, true) !== MAGIC[1]) return false
  const footer = new Cursor(file.subarray(end, end + 40))
  const [meta, index] = [footer.place(), footer.place()]
  return [meta, index].every(place => {
    const block = readBlock(file, place, end)
    const places = block === undefined ? undefined : placesIn(block)
    return places?.every(inner => isWholeBlock(file, inner, end)) ?? false
  })
}

/** Whether a manifest has no flaw but a torn end: after that nothing was written. */
export function isWholeManifest (file: Uint8Array): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let at = 0
  while (at < file.byteLength) {
    const pageEnd = Math.min(at - at % PAGE_BYTES + PAGE_BYTES, file.byteLength)
    if (pageEnd - at < PIECE_HEAD_BYTES) {
      at = pageEnd
      continue
    }
    const end = at + PIECE_HEAD_BYTES + view.getUint16(at + 4, true)
    if (end > file.byteLength) return true
    if (end > pageEnd || view.getUint8(at + 6) > PIECE_TYPES || view.getUint8(at + 6) === 0) return false
    if (maskedCrc32c(file.subarray(at + 6, end)) !== view.getUint32(at, true)) return false
    at = end
  }
  return file.byteLength > 0
}

interface Place { readonly offset: number, readonly size: number }

function isWholeBlock (file: Uint8Array, place: Place | undefined, end: number): place is Place {
  if (place === undefined || place.offset + place.size + TRAILER_BYTES > end) return false
  const checked = place.offset + place.size + 1
  const kept = new DataView(file.buffer, file.byteOffset + checked, 4).getUint32(0, true)
  return maskedCrc32c(file.subarray(place.offset, checked)) === kept
}

function readBlock (file: Uint8Array, place: Place | undefined, end: number): Uint8Array | undefined {
  if (!isWholeBlock(file, place, end)) return undefined
  const bytes = file.subarray(place.offset, place.offset + place.size)
  return file[place.offset + place.size] === PACKED ? unpackSnappy(bytes) : bytes
}

/** The places that the entries of an index point to; undefined if it is none. Entries share beginnings of keys, which are skipped. */
function placesIn (block: Uint8Array): (Place | undefined)[] | undefined {
  if (block.byteLength < 4) return undefined
  const restarts = new DataView(block.buffer, block.byteOffset + block.byteLength - 4, 4).getUint32(0, true)
  const end = block.byteLength - 4 - 4 * restarts
  if (end < 0) return undefined
  const cursor = new Cursor(block.subarray(0, end))
  const places: (Place | undefined)[] = []
  while (!cursor.isDone) {
    const [shared, own, bytes] = [cursor.number(), cursor.number(), cursor.number()]
    if (shared === undefined || own === undefined || bytes === undefined) return undefined
    cursor.skip(own)
    const value = cursor.take(bytes)
    if (value === undefined) return undefined
    places.push(new Cursor(value).place())
  }
  return places
}

class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isDone (): boolean {
    return this.#at >= this.#bytes.byteLength
  }

  /** Seven bits a byte, the lowest first; undefined beyond what a number holds. */
  number (): number | undefined {
    let value = 0
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) return undefined
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
    return undefined
  }

  place (): Place | undefined {
    const [offset, size] = [this.number(), this.number()]
    return offset === undefined || size === undefined ? undefined : { offset, size }
  }

  skip (count: number): void {
    this.#at += count
  }

  take (count: number): Uint8Array | undefined {
    const from = this.#at
    this.#at += count
    return this.#at <= this.#bytes.byteLength ? this.#bytes.subarray(from, this.#at) : undefined
  }
}
