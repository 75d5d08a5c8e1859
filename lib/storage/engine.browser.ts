/**
 * A peer's store in a page: IndexedDB, used as LevelDB is.
 *
 * Written here and not taken from browser-level, because that one cannot ask for a flush, has no listing of one moment, awaits each put of a
 * batch, and would be 23 KB of the bundle: docs/decisions/page-storage.md.
 */
import { openDatabase, transact } from '../identity/disk.browser.ts'

/** Entries read at once: fewer take longer, more are held twice over. */
const READ_ENTRIES = 1_000

type Entry = [key: string, value: Uint8Array]
type Operation = { readonly type: 'put', readonly key: string, readonly value: Uint8Array } | { readonly type: 'del', readonly key: string }

/** Opens the store of a folder, making it where missing. @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED */
export async function openStore (folder: string): Promise<DatabaseEngine> {
  return new DatabaseEngine(await openDatabase(folder))
}

export class DatabaseEngine {
  readonly #database: IDBDatabase
  readonly #writing = new Set<Promise<void>>()

  constructor (database: IDBDatabase) {
    this.#database = database
  }

  async get (key: string): Promise<Uint8Array | undefined> {
    const request = await transact(this.#database, 'read', store => store.get(key) as IDBRequest<Uint8Array | undefined>)
    return request.result
  }

  /** All of them or none. @param options.sync ends only when they are flushed */
  async batch (operations: readonly Operation[], { sync }: { readonly sync: boolean }): Promise<void> {
    if (operations.length === 0) return
    const written = transact(this.#database, sync ? 'strict' : 'relaxed', store => {
      for (const operation of operations) {
        if (operation.type === 'put') store.put(operation.value, operation.key)
        else store.delete(operation.key)
      }
    })
    this.#writing.add(written)
    await written.finally(() => { this.#writing.delete(written) })
  }

  /** Entries in the order of their keys, as they are now: all are read by one transaction, which ends when nothing more is asked of it. */
  iterator (range: { readonly gte: string, readonly lt: string }): { nextv (size: number): Promise<Entry[]>, close (): Promise<void> } {
    let read: Promise<Entry[]> | undefined = this.#read(range)
    read.catch(() => undefined) // told to whoever asks
    return {
      nextv: async size => (await read ?? []).splice(0, size),
      close: async () => { read = undefined }
    }
  }

  /** Ends with every earlier write done. */
  async close (): Promise<void> {
    await Promise.allSettled(this.#writing)
    this.#database.close()
  }

  async #read ({ gte, lt }: { readonly gte: string, readonly lt: string }): Promise<Entry[]> {
    return await transact(this.#database, 'read', store => {
      const entries: Entry[] = []
      const readOn = (range: IDBKeyRange): void => {
        const keys = store.getAllKeys(range, READ_ENTRIES)
        const values = store.getAll(range, READ_ENTRIES) as IDBRequest<Uint8Array[]>
        values.onsuccess = () => { // the later of the two
          keys.result.forEach((key, index) => { entries.push([key as string, values.result[index] as Uint8Array]) })
          const last = keys.result.at(-1)
          if (keys.result.length === READ_ENTRIES) readOn(IDBKeyRange.bound(last, lt, true, true))
        }
      }
      readOn(IDBKeyRange.bound(gte, lt, false, true))
      return entries
    })
  }
}
