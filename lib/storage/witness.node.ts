/**
 * The witness in a file `witness` beside the store.
 *
 * The file is a row of pairs of pages of PAGE_BYTES. A page holds what is known of PLACES documents, a generation and a hash over
 * all of it (page.ts); of a pair the page with the higher generation counts. A claim puts the new page over the older one of its pair and
 * flushes: power that fails amid it tears that page, and the other still tells what was acknowledged before. So a batch costs
 * one page for each PLACES of its documents, however many there are in all.
 *
 * Pages are made in order and never go away; each tells how many there are, so that a file cut short is noticed. Once a page was
 * lost, with the heads of documents whose names it alone knew, all pages say so for ever: `lost` is 1, and of a document that is
 * on none of them the witness says 'lost', not that there was none. A file
 * whose write or flush failed is not used again: nobody knows what of it is on disk. The next claim makes a new one.
 */
import { constants, writeSync } from 'node:fs'
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError } from '../base/error.ts'
import { START, type Head, type Standing, type Witness } from '../base/witness.ts'
import { flush, systemCode } from '../identity/disk.node.ts'
import { readBoot } from './boot.node.ts'
import { CLAIMED, MARK_AT, MARK_BYTES, PAGE_BYTES, PLACES, SETTLED, markOf, readPage, writePage, type Place } from './page.ts'

/** Largest file read: 16,384 pairs, a million documents. */
export const WITNESS_BYTES_MAX = 128 * 2 ** 20

const FILE = 'witness'

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
  return new FileWitness(path, bytes, await readBoot())
}

class FileWitness implements Witness {
  readonly boot: string
  readonly #path: string
  readonly #places = new Map<string, Place>()
  readonly #pageOf = new Map<string, number>()
  readonly #pages: Page[] = []
  /** Whether a page was lost. */
  #lost = false
  #file: FileHandle | undefined
  /** The same file, where a write can flush itself: one page then takes one call instead of two. */
  #through: FileHandle | undefined
  /** Pairs of pages that the file has room for. */
  #room = 0
  /** Whether the next claim makes the file anew: there is none, or it cannot be trusted. */
  #anew = true
  /** The last claim, while it is not confirmed, and the marks that would confirm it, by page. */
  #claimed: ReadonlyMap<string, Head> = new Map()
  readonly #marks = new Map<number, Uint8Array>()
  #writing: Promise<void> = Promise.resolve()
  /** Pages whose last mark may not be on disk. */
  readonly #unflushed = new Set<number>()
  #closed = false

  constructor (path: string, bytes: Uint8Array | undefined, boot: string) {
    this.boot = boot
    this.#path = path
    if (bytes !== undefined) this.#load(bytes)
  }

  async read (key: string): Promise<Standing | 'lost' | undefined> {
    return this.#places.get(key) ?? (this.#lost ? 'lost' : undefined)
  }

  async claim (heads: ReadonlyMap<string, Head>): Promise<void> {
    await this.#next(async () => { await this.#claim(heads) })
  }

  async confirm (): Promise<void> {
    for (const [key, sure] of this.#claimed) this.#places.set(key, { sure, claimed: undefined, isDoubtful: false })
    this.#claimed = new Map()
    await this.#next(async () => { await this.#try(async () => { this.#mark() }) })
  }

  async close (): Promise<void> {
    this.#closed = true
    await this.#writing
    try {
      if (this.#unflushed.size > 0) await this.#file?.datasync()
    } catch (cause) {
      throw unusable(this.#path, cause, 'written')
    } finally {
      await this.#letGo()
    }
  }

  /** One after the other. */
  async #next (act: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(act)
    this.#writing = written.catch(() => undefined) // told to whoever wrote
    await written
  }

  #load (bytes: Uint8Array): void {
    const pairs = Math.ceil(bytes.byteLength / (2 * PAGE_BYTES))
    let told = 0
    for (let number = 0; number < pairs; number++) {
      const parts = [0, 1].map(copy => bytes.subarray((2 * number + copy) * PAGE_BYTES, (2 * number + copy + 1) * PAGE_BYTES))
      const copies = parts.map(part => readPage(this.#path, part, number))
      const [newest] = copies.filter(copy => copy !== undefined).sort((left, right) => right.generation - left.generation)
      const page: Page = { keys: [], generation: newest?.generation ?? 0 }
      this.#pages.push(page)
      told = Math.max(told, newest?.pages ?? 0)
      this.#lost ||= newest?.lost === true
      // Where the other was torn by a begin, this one had been confirmed.
      const isMarked = newest?.isMarked === true || parts.some((part, copy) => copies[copy] === undefined && part.some(byte => byte !== 0))
      for (const { key, how, sure, claimed } of newest?.places ?? []) {
        page.keys.push(key)
        const isSettled = how === SETTLED || (how === CLAIMED && isMarked)
        this.#places.set(key, isSettled ? { sure: claimed, claimed: undefined, isDoubtful: false } : { sure, claimed, isDoubtful: true })
        this.#pageOf.set(key, number)
      }
    }
    // Room made in advance is zeros, beyond the pages that the others tell of.
    const used = Math.max(told, this.#pages.findLastIndex(page => page.generation > 0) + 1)
    this.#lost ||= bytes.byteLength === 0 || used > pairs || used === 0 || this.#pages.slice(0, used).some(page => page.generation === 0)
    this.#pages.length = Math.min(used, pairs)
  }

  async #claim (heads: ReadonlyMap<string, Head>): Promise<void> {
    if (this.#closed) throw new SwarmError('CLOSED', `${this.#path} is closed`)
    const before = this.#pages.length
    const dirty = new Set<number>()
    // Of a claim that was never confirmed, nobody knows; and what follows in its pair would say that it was.
    if (this.#claimed.size > 0) this.#anew = true
    for (const key of this.#claimed.keys()) this.#places.set(key, { ...this.#places.get(key) as Place, isDoubtful: true })
    this.#claimed = heads
    for (const [key, claimed] of heads) {
      this.#places.set(key, { sure: this.#places.get(key)?.sure ?? START, claimed, isDoubtful: false })
      dirty.add(this.#place(key))
    }
    if (this.#pages.length > before) for (const number of this.#pages.keys()) dirty.add(number) // each tells how many there are
    await this.#try(async () => {
      if (this.#anew || this.#pages.length > this.#room) await this.#make()
      else if (dirty.size > 0) await this.#put(dirty)
    })
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

  async #try (write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (cause) {
      this.#anew = true
      throw unusable(this.#path, cause, 'written')
    }
  }

  /** Writes pages over their older copies, and flushes. */
  async #put (dirty: ReadonlySet<number>): Promise<void> {
    const file = this.#file as FileHandle
    // What else is to be flushed needs a flush of the whole file.
    const isAlone = dirty.size === 1 && [...this.#unflushed].every(number => dirty.has(number))
    const through = isAlone ? this.#through : undefined
    await Promise.all([...dirty].map(async number => {
      const page = this.#pages[number] as Page
      const bytes = this.#page(page, number)
      const { bytesWritten } = await (through ?? file).write(bytes, 0, PAGE_BYTES, startOf(page, number))
      checkWritten(bytesWritten, PAGE_BYTES)
    }))
    if (through === undefined) await file.datasync()
    this.#unflushed.clear()
  }

  /**
   * Puts the marks into the pages of the last claim. Here and now: a few bytes into a page that the system holds, and has just written,
   * take it microseconds; to have a thread do it would take an edit longer on its way than the write.
   */
  #mark (): void {
    const file = this.#file
    const marks = [...this.#marks]
    this.#marks.clear()
    if (this.#anew || file === undefined) return // what makes the file anew tells it
    for (const [number, mark] of marks) {
      this.#unflushed.add(number)
      checkWritten(writeSync(file.fd, mark, 0, MARK_BYTES, startOf(this.#pages[number] as Page, number) + MARK_AT), MARK_BYTES)
    }
  }

  /** Writes all of it into a new file, and puts that in the place of the old one. */
  async #make (): Promise<void> {
    await this.#letGo()
    const room = Math.ceil(Math.max(this.#pages.length, 1) / GROWTH_PAIRS) * GROWTH_PAIRS
    const bytes = new Uint8Array(2 * room * PAGE_BYTES)
    this.#pages.forEach((page, number) => {
      const written = this.#page(page, number)
      bytes.set(written, startOf(page, number))
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
    // Elsewhere the flag is missing, or promises less than a flush does.
    if (process.platform === 'linux') this.#through = await open(this.#path, constants.O_WRONLY | constants.O_DSYNC)
    this.#room = room
    this.#anew = false
    this.#unflushed.clear()
  }

  async #letGo (): Promise<void> {
    const [file, through] = [this.#file, this.#through]
    ;[this.#file, this.#through] = [undefined, undefined]
    await through?.close()
    await file?.close()
  }

  /** The next generation of a page. */
  #page (page: Page, number: number): Uint8Array {
    page.generation++
    const places = page.keys.map(key => [key, this.#places.get(key) as Place] as const)
    const bytes = writePage(places, { number, generation: page.generation, pages: this.#pages.length, lost: this.#lost })
    if (page.keys.some(key => this.#claimed.has(key))) this.#marks.set(number, markOf(bytes))
    return bytes
  }
}

/** Where the copy of a page begins that counts. */
function startOf ({ generation }: Page, number: number): number {
  return (2 * number + generation % 2) * PAGE_BYTES
}

function checkWritten (count: number, expected: number): void {
  if (count !== expected) throw new Error(`${count} of ${expected} bytes`)
}

function unusable (path: string, cause: unknown, done: string): SwarmError {
  return new SwarmError('FOLDER_UNUSABLE', `${path} cannot be ${done}: check its permissions and the space on its disk`, { cause, details: { path } })
}
