import { openStore } from '#folder'
import { SwarmError, assert, messageOf } from '../base/error.ts'
import type { Change, Storage } from '../base/storage.ts'

/** Longest key, in characters. */
export const KEY_CHARS_MAX = 512

/** Entries, and bytes of them, read at once: one by one, a thousand take ten times as long. */
const READ_ENTRIES = 1_000
const READ_BYTES = 2 ** 20

/** Just above every key that begins with a prefix: the character after the slash that ends it. */
const AFTER_SLASH = '0'

const PRINTABLE = /^[\x20-\x7e]+$/

/** What is used of LevelDB, and of its twin in memory. */
interface Engine {
  get (key: string): Promise<Uint8Array | undefined>
  batch (operations: Operation[], options: { sync: boolean }): Promise<void>
  iterator (range: { gte: string, lt: string, highWaterMarkBytes?: number }): { nextv (size: number): Promise<[string, Uint8Array][]>, close (): Promise<void> }
  close (): Promise<void>
}
type Operation = { type: 'put', key: string, value: Uint8Array } | { type: 'del', key: string }

/**
 * Opens the storage of a peer: LevelDB in a folder, which is made where missing, or memory without one.
 *
 * @throws SwarmError FOLDER_IN_USE, FOLDER_UNUSABLE with its cause, VERSION_UNSUPPORTED if a newer release wrote it
 */
export async function openStorage (folder: string | undefined): Promise<Storage> {
  if (folder !== undefined) return new LevelStorage(await openStore(folder), folder, viewOf)
  const { default: { MemoryLevel } } = await import('memory-level') // in a bundle that is split it has no other export
  const memory = new MemoryLevel<string, Uint8Array>({ keyEncoding: 'utf8', valueEncoding: 'view', storeEncoding: 'view' })
  await memory.open()
  return new LevelStorage(memory, 'in memory', copyOf)
}

/** What memory gives is what it holds. */
function copyOf (value: Uint8Array): Uint8Array {
  return new Uint8Array(value)
}

/** What a store gives is nobody else's; in Node it is a Buffer, whose `slice` would be a view. */
function viewOf ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

class LevelStorage implements Storage {
  readonly #engine: Engine
  readonly #name: string
  readonly #own: (value: Uint8Array) => Uint8Array
  #closed: Promise<void> | undefined

  /** @param own makes what was read the reader's */
  constructor (engine: Engine, name: string, own: (value: Uint8Array) => Uint8Array) {
    this.#engine = engine
    this.#name = name
    this.#own = own
  }

  async get (key: string): Promise<Uint8Array | undefined> {
    checkKey(key)
    const value = await this.#try(async () => await this.#engine.get(key), 'read')
    return value === undefined ? undefined : this.#own(value)
  }

  async write (changes: readonly Change[], options: { sync?: boolean } = {}): Promise<void> {
    const operations = changes.map(({ key, value }): Operation => {
      checkKey(key)
      return value === undefined ? { type: 'del', key } : { type: 'put', key, value: new Uint8Array(value) }
    })
    await this.#try(async () => { await this.#engine.batch(operations, { sync: options.sync ?? false }) }, 'written')
  }

  async * entries (prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    checkKey(prefix)
    assert(prefix.endsWith('/'), `a prefix ends in a slash, unlike ${prefix}`)
    this.#checkOpen()
    const entries = this.#engine.iterator({ gte: prefix, lt: prefix.slice(0, -1) + AFTER_SLASH, highWaterMarkBytes: READ_BYTES })
    const read = async (): Promise<[string, Uint8Array][]> => await this.#try(async () => await entries.nextv(READ_ENTRIES), 'read')
    let coming = read()
    try {
      for (;;) {
        const some = await coming
        if (some.length === 0) return
        coming = read() // LevelDB's thread reads on while these are looked at
        coming.catch(() => undefined) // thrown when its turn comes
        for (const [key, value] of some) yield [key, this.#own(value)]
      }
    } finally {
      await entries.close()
    }
  }

  async close (): Promise<void> {
    this.#closed ??= this.#engine.close()
    await this.#closed
  }

  async #try<Value> (act: () => Promise<Value>, done: string): Promise<Value> {
    this.#checkOpen()
    try {
      return await act()
    } catch (cause) {
      throw this.#failure(cause, done)
    }
  }

  #checkOpen (): void {
    if (this.#closed !== undefined) throw new SwarmError('CLOSED', `storage ${this.#name} is closed`)
  }

  #failure (cause: unknown, done: string): SwarmError {
    if (this.#closed !== undefined) return new SwarmError('CLOSED', `storage ${this.#name} was closed meanwhile`, { cause })
    return new SwarmError('FOLDER_UNUSABLE', `storage ${this.#name} cannot be ${done}: ${messageOf(cause)}`, { cause, details: { folder: this.#name } })
  }
}

function checkKey (key: string): void {
  assert(key.length <= KEY_CHARS_MAX && PRINTABLE.test(key), `${JSON.stringify(key.slice(0, KEY_CHARS_MAX))} is no key: 1 to ${KEY_CHARS_MAX} printable characters of ASCII`)
}
