/**
 * A page of the witness's file.
 *
 *     magic 4 | version 1 | lost 1 | documents 2 | page's number 4 | generation 8 | pages 4 | 0… to 32 | documents × place | 0… | mark 16 | hash 16
 *     place   key 16 | how 1 | sure: sequence 8, hash 16 | claimed: sequence 8, hash 16
 *
 * Of a place, `how` says what its claim is worth: SETTLED nothing, it is `sure`; CLAIMED by this very page; DOUBTFUL, by an earlier
 * one that was never confirmed. The mark, 16 bytes that follow from the page, confirms what is CLAIMED: it lies outside of what
 * the hash covers and in one sector, so that it can be written into the page without a flush, and be lost, but not spoil the page. The
 * next page of the pair is begun only after that: so where the other of a pair is neither blank nor whole, torn
 * by such a begin, the page counts as marked.
 */
import { SwarmError, assert } from '../base/error.ts'
import { HASH_BYTES, type Head, type Standing } from '../base/witness.ts'
import { sha256 } from '#hash'

/** What a disk writes at once at most, and what a torn write may spoil. */
export const PAGE_BYTES = 4_096

/** Version of the pages. A newer one is refused. */
export const WITNESS_VERSION = 2

const MAGIC = 0x73776d77
const HEAD_BYTES = 32
const KEY_BYTES = 16
export const MARK_BYTES = 16
/** Where the mark lies. */
export const MARK_AT = PAGE_BYTES - HASH_BYTES - MARK_BYTES
/** A head in a place. */
const END_BYTES = 8 + HASH_BYTES
const PLACE_BYTES = KEY_BYTES + 1 + 2 * END_BYTES
const LOST_AT = 5
const COUNT_AT = 6
const NUMBER_AT = 8
const GENERATION_AT = 12
const PAGES_AT = 20

/** Documents on one page. */
export const PLACES = Math.floor((MARK_AT - HEAD_BYTES) / PLACE_BYTES)

/** What a claim is worth. */
export const [SETTLED, CLAIMED, DOUBTFUL] = [0, 1, 2] as const

/** What is known of a document, and whether its claim is an earlier page's. */
export interface Place extends Standing { readonly isDoubtful: boolean }

export interface PageHead { readonly number: number, readonly generation: number, readonly pages: number, readonly lost: boolean }
export interface ReadPage extends PageHead {
  readonly isMarked: boolean
  readonly places: readonly { readonly key: string, readonly how: number, readonly sure: Head, readonly claimed: Head }[]
}

export function writePage (places: readonly (readonly [string, Place])[], { number, generation, pages, lost }: PageHead): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES)
  const view = new DataView(page.buffer)
  view.setUint32(0, MAGIC)
  page[4] = WITNESS_VERSION
  page[LOST_AT] = lost ? 1 : 0
  view.setUint16(COUNT_AT, places.length)
  view.setUint32(NUMBER_AT, number)
  view.setBigUint64(GENERATION_AT, BigInt(generation))
  view.setUint32(PAGES_AT, pages)
  places.forEach(([key, place], index) => {
    assert(key.length === 2 * KEY_BYTES && place.sure.hash.byteLength === HASH_BYTES, `${key} is no key of a witness`)
    const at = HEAD_BYTES + index * PLACE_BYTES
    for (let index = 0; index < KEY_BYTES; index++) page[at + index] = parseInt(key.slice(2 * index, 2 * index + 2), 16)
    page[at + KEY_BYTES] = howOf(place)
    for (const [end, { sequence, hash }] of [place.sure, place.claimed ?? place.sure].entries()) {
      const endAt = at + KEY_BYTES + 1 + end * END_BYTES
      view.setBigUint64(endAt, BigInt(sequence))
      page.set(hash, endAt + 8)
    }
  })
  page.set(hashOf(page).subarray(0, HASH_BYTES), PAGE_BYTES - HASH_BYTES)
  return page
}

/** @throws SwarmError VERSION_UNSUPPORTED if it is whole and newer; undefined if it is not whole */
export function readPage (path: string, page: Uint8Array, number: number): ReadPage | undefined {
  if (page.byteLength !== PAGE_BYTES) return undefined
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES)
  if (view.getUint32(0) !== MAGIC || !isAt(page, PAGE_BYTES - HASH_BYTES, hashOf(page).subarray(0, HASH_BYTES))) return undefined
  if (page[4] !== WITNESS_VERSION) throw new SwarmError('VERSION_UNSUPPORTED', `${path} has format ${page[4]}; this release reads ${WITNESS_VERSION}. Use the release that wrote it`, { details: { path } })
  const count = view.getUint16(COUNT_AT)
  if (view.getUint32(NUMBER_AT) !== number || count > PLACES) return undefined
  const headAt = (at: number): Head => ({ sequence: Number(view.getBigUint64(at)), hash: page.slice(at + 8, at + END_BYTES) })
  const places = Array.from({ length: count }, (_, index) => {
    const at = HEAD_BYTES + index * PLACE_BYTES
    const key = Array.from(page.subarray(at, at + KEY_BYTES), byte => byte.toString(16).padStart(2, '0')).join('')
    const endAt = at + KEY_BYTES + 1
    return { key, how: page[at + KEY_BYTES] as number, sure: headAt(endAt), claimed: headAt(endAt + END_BYTES) }
  })
  return { number, generation: Number(view.getBigUint64(GENERATION_AT)), pages: view.getUint32(PAGES_AT), lost: page[LOST_AT] === 1, isMarked: isAt(page, MARK_AT, markOf(page)), places }
}

function howOf ({ claimed, isDoubtful }: Place): number {
  return claimed === undefined ? SETTLED : isDoubtful ? DOUBTFUL : CLAIMED
}

/** Over all but the mark and the hash itself: its first half is the page's hash, its second half the mark. */
function hashOf (page: Uint8Array): Uint8Array {
  return sha256(page.subarray(0, MARK_AT))
}

export function markOf (page: Uint8Array): Uint8Array {
  return hashOf(page).slice(HASH_BYTES, HASH_BYTES + MARK_BYTES)
}

function isAt (page: Uint8Array, at: number, bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => byte === page[at + index])
}
