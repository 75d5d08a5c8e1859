/**
 * The witness in a file `witness` beside the store.
 *
 * The file is a row of pairs of pages of PAGE_BYTES. A page holds the heads of up to PLACES documents, a generation and a hash over
 * all of it; of a pair the page with the higher generation counts. A write puts the new page over the older one of its pair and
 * flushes: power that fails amid it tears that page, and the other still tells what was acknowledged before. So a batch costs
 * one page for each PLACES of its documents, however many there are in all.
 *
 *     magic 4 | version 1 | lost 1 | documents 2 | page's number 4 | generation 8 | documents × (key 16 | sequence 8 | hash 16) | 0… | hash 16
 *
 * Pages are made in order and never go away; each tells how many there are, so that a file cut short is noticed. Once a page was
 * lost, with the heads of documents whose names it alone knew, all pages say so for ever: `lost` is 1, and of a document that is
 * on none of them the witness says 'lost', not that there was none. A file
 * whose write or flush failed is not used again: nobody knows what of it is on disk. The next write makes a new one.
 */
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError, assert } from '../base/error.ts'
import { HASH_BYTES, type Head, type Witness } from '../base/witness.ts'
import { flush, systemCode } from '../identity/disk.node.ts'
import { sha256 } from '#hash'

/** What a disk writes at once at most, and what a torn write may spoil. */
export const PAGE_BYTES = 4_096

/** Version of the pages. A newer one is refused. */
export const WITNESS_VERSION = 1

/** Largest file read: 16,384 pairs, a million and a half documents. */
export const WITNESS_BYTES_MAX = 128 * 2 ** 20

const FILE = 'witness'
const MAGIC = 0x73776d77
const HEAD_BYTES = 32
const KEY_BYTES = 16
const PLACE_BYTES = KEY_BYTES + 8 + HASH_BYTES
const LOST_AT = 5
const COUNT_AT = 6
const NUMBER_AT = 8
const GENERATION_AT = 12
const PAGES_AT = 20

/** Documents on one page. */
export const PLACES = Math.floor((PAGE_BYTES - HEAD_BYTES - HASH_BYTES) / PLACE_BYTES)

/** The file grows by this many pairs at once, so that most writes need not record a new length. */
const GROWTH_PAIRS = 16

interface Page {
  /** Keys in the order of their places. */
  readonly keys: string[]
  /** Of the page on disk; its copy lies at `generation % 2`. 0 if there is none. */
  generation: number
}

/**
 * Opens the witness of a store, made at the first write where there is none.
 *
 * @param folder the store's own; the file lies in it
 * @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE
 */
export async function openWitness (folder: string): Promise<Witness> {
  const path = join(folder, FILE)
  let bytes: Uint8Array | undefined
  try {
    bytes = new Uint8Array(await readFile(path))
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw unusable(path, cause, 'read')
  }
  if (bytes !== undefined && bytes.byteLength > WITNESS_BYTES_MAX) throw unusable(path, new Error(`it has ${bytes.byteLength} bytes`), 'read')
  return new FileWitness(path, bytes)
}

class FileWitness implements Witness {
  readonly #path: string
  readonly #pages: Page[] = []
  readonly #heads = new Map<string, Head>()
  readonly #pageOf = new Map<string, number>()
  /** Whether a page was lost, now or ever. */
  #lost = false
  #file: FileHandle | undefined
  /** Pairs that the file has room for. */
  #room = 0
  /** Whether the next write makes the file anew: there is none, or it cannot be trusted. */
  #anew = true
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor (path: string, bytes: Uint8Array | undefined) {
    this.#path = path
    if (bytes !== undefined) this.#load(bytes)
  }

  async read (key: string): Promise<Head | 'lost' | undefined> {
    return this.#heads.get(key) ?? (this.#lost ? 'lost' : undefined)
  }

  async write (heads: ReadonlyMap<string, Head>): Promise<void> {
    const written = this.#writing.then(async () => { await this.#write(heads) })
    this.#writing = written.catch(() => undefined) // told to whoever wrote
    await written
  }

  async close (): Promise<void> {
    this.#closed = true
    await this.#writing
    await this.#file?.close()
    this.#file = undefined
  }

  #load (bytes: Uint8Array): void {
    const pairs = Math.ceil(bytes.byteLength / (2 * PAGE_BYTES))
    let told = 0
    for (let number = 0; number < pairs; number++) {
      const copies = [0, 1].map(copy => readPage(this.#path, bytes.subarray((2 * number + copy) * PAGE_BYTES, (2 * number + copy + 1) * PAGE_BYTES), number))
      const [newest] = copies.filter(copy => copy !== undefined).sort((left, right) => right.generation - left.generation)
      const page: Page = { keys: [], generation: newest?.generation ?? 0 }
      this.#pages.push(page)
      told = Math.max(told, newest?.pages ?? 0)
      this.#lost ||= newest?.lost === true
      for (const [key, head] of newest?.heads ?? []) {
        page.keys.push(key)
        this.#heads.set(key, head)
        this.#pageOf.set(key, number)
      }
    }
    // Room made in advance is zeros, beyond the pages that the others tell of.
    const used = Math.max(told, this.#pages.findLastIndex(page => page.generation > 0) + 1)
    this.#lost ||= bytes.byteLength === 0 || used > pairs || used === 0 || this.#pages.slice(0, used).some(page => page.generation === 0)
    this.#pages.length = Math.min(used, pairs)
  }

  async #write (heads: ReadonlyMap<string, Head>): Promise<void> {
    if (this.#closed) throw new SwarmError('CLOSED', `${this.#path} is closed`)
    const before = this.#pages.length
    const dirty = new Set<number>()
    for (const [key, head] of heads) {
      assert(key.length === 2 * KEY_BYTES && head.hash.byteLength === HASH_BYTES, `${key} is no key of a witness`)
      this.#heads.set(key, head)
      dirty.add(this.#place(key))
    }
    if (this.#pages.length > before) for (const number of this.#pages.keys()) dirty.add(number) // each tells how many there are
    try {
      if (this.#anew || this.#pages.length > this.#room) await this.#make()
      else if (dirty.size > 0) await this.#put(dirty)
    } catch (cause) {
      this.#anew = true
      throw unusable(this.#path, cause, 'written')
    }
  }

  #place (key: string): number {
    const known = this.#pageOf.get(key)
    if (known !== undefined) return known
    const last = this.#pages.length - 1
    const number = (this.#pages[last]?.keys.length ?? PLACES) < PLACES ? last : last + 1
    const page = this.#pages[number] ??= { keys: [], generation: 0 }
    page.keys.push(key)
    this.#pageOf.set(key, number)
    return number
  }

  /** Writes pages over their older copies, and flushes. */
  async #put (dirty: ReadonlySet<number>): Promise<void> {
    const file = this.#file as FileHandle
    await Promise.all([...dirty].map(async number => {
      const page = this.#pages[number] as Page
      const generation = page.generation + 1
      const bytes = writePage(page.keys, this.#heads, number, generation, this.#pages.length, this.#lost)
      const { bytesWritten } = await file.write(bytes, 0, PAGE_BYTES, (2 * number + generation % 2) * PAGE_BYTES)
      if (bytesWritten !== PAGE_BYTES) throw new Error(`${bytesWritten} of ${PAGE_BYTES} bytes`)
      page.generation = generation
    }))
    await file.datasync()
  }

  /** Writes all of it into a new file, and puts that in the place of the old one. */
  async #make (): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    const room = Math.ceil(Math.max(this.#pages.length, 1) / GROWTH_PAIRS) * GROWTH_PAIRS
    const bytes = new Uint8Array(2 * room * PAGE_BYTES)
    this.#pages.forEach((page, number) => {
      page.generation++
      bytes.set(writePage(page.keys, this.#heads, number, page.generation, this.#pages.length, this.#lost), (2 * number + page.generation % 2) * PAGE_BYTES)
    })
    const draft = `${this.#path}.draft`
    await rm(draft, { force: true })
    const file = await open(draft, 'wx+', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
      await rename(draft, this.#path)
      await flush(join(this.#path, '..'), 'folder')
    } catch (error) {
      await file.close()
      throw error
    }
    this.#file = file
    this.#room = room
    this.#anew = false
  }
}

interface ReadPage {
  readonly generation: number
  readonly pages: number
  readonly lost: boolean
  readonly heads: readonly (readonly [string, Head])[]
}

function writePage (keys: readonly string[], heads: ReadonlyMap<string, Head>, number: number, generation: number, pages: number, lost: boolean): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES)
  const view = new DataView(page.buffer)
  view.setUint32(0, MAGIC)
  page[4] = WITNESS_VERSION
  page[LOST_AT] = lost ? 1 : 0
  view.setUint16(COUNT_AT, keys.length)
  view.setUint32(NUMBER_AT, number)
  view.setBigUint64(GENERATION_AT, BigInt(generation))
  view.setUint32(PAGES_AT, pages)
  keys.forEach((key, place) => {
    const at = HEAD_BYTES + place * PLACE_BYTES
    const head = heads.get(key) as Head
    for (let index = 0; index < KEY_BYTES; index++) page[at + index] = parseInt(key.slice(2 * index, 2 * index + 2), 16)
    view.setBigUint64(at + KEY_BYTES, BigInt(head.sequence))
    page.set(head.hash, at + KEY_BYTES + 8)
  })
  page.set(hashOf(page), PAGE_BYTES - HASH_BYTES)
  return page
}

/** @throws SwarmError VERSION_UNSUPPORTED if it is whole and newer; undefined if it is not whole */
function readPage (path: string, page: Uint8Array, number: number): ReadPage | undefined {
  if (page.byteLength !== PAGE_BYTES) return undefined
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES)
  if (view.getUint32(0) !== MAGIC || hashOf(page).some((byte, index) => byte !== page[PAGE_BYTES - HASH_BYTES + index])) return undefined
  if (page[4] !== WITNESS_VERSION) throw new SwarmError('VERSION_UNSUPPORTED', `${path} has format ${page[4]}; this release reads ${WITNESS_VERSION}`, { details: { path } })
  const count = view.getUint16(COUNT_AT)
  if (view.getUint32(NUMBER_AT) !== number || count > PLACES) return undefined
  const heads = Array.from({ length: count }, (_, place) => {
    const at = HEAD_BYTES + place * PLACE_BYTES
    const key = Array.from(page.subarray(at, at + KEY_BYTES), byte => byte.toString(16).padStart(2, '0')).join('')
    return [key, { sequence: Number(view.getBigUint64(at + KEY_BYTES)), hash: page.slice(at + KEY_BYTES + 8, at + PLACE_BYTES) }] as const
  })
  return { generation: Number(view.getBigUint64(GENERATION_AT)), pages: view.getUint32(PAGES_AT), lost: page[LOST_AT] === 1, heads }
}

function hashOf (page: Uint8Array): Uint8Array {
  return sha256(page.subarray(0, PAGE_BYTES - HASH_BYTES)).subarray(0, HASH_BYTES)
}

function unusable (path: string, cause: unknown, done: string): SwarmError {
  return new SwarmError('FOLDER_UNUSABLE', `${path} cannot be ${done}: check its permissions and the space on its disk`, { cause, details: { path } })
}
