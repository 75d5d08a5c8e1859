/**
 * What a page has for a disk: IndexedDB, one database for each folder, which every page of the same origin can read. A transaction
 * happens as a whole or not at all, also when the browser is killed; `strict` ones end after they are flushed.
 * Source: Indexed Database API 3.0, sections 2.7.3 (durability) and 4.2.
 */
import { SwarmError, messageOf } from '../base/error.ts'

/** Format of what is stored. A newer one is refused; an older one would be converted where it is opened. */
const VERSION = 1

/** The one object store of each database. Its keys are texts. */
const STORE = 'entries'

export type Mode = 'read' | 'relaxed' | 'strict'

/**
 * Opens the database of a folder, making it where missing.
 *
 * @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE for all else, with cause
 */
export async function openDatabase (folder: string): Promise<IDBDatabase> {
  try {
    return await new Promise((resolve, reject) => {
      const opening = indexedDB.open(`mcp-swarm ${folder}`, VERSION)
      opening.onupgradeneeded = () => { opening.result.createObjectStore(STORE) }
      opening.onerror = () => { reject(opening.error ?? new Error('it does not open')) }
      opening.onsuccess = () => { resolve(opening.result) }
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'VersionError') {
      throw new SwarmError('VERSION_UNSUPPORTED', `a newer release wrote ${folder}; this one reads format ${VERSION}. Load the page anew`, { cause, details: { folder } })
    }
    throw new SwarmError('FOLDER_UNUSABLE', `this page can keep no data in ${folder}: ${messageOf(cause)}`, { cause, details: { folder } })
  }
}

/**
 * One transaction: `act` asks for all that it reads and writes, at once or when earlier requests have ended.
 *
 * @returns what `act` returned, once the transaction has ended @throws whatever stopped it; then nothing of it happened
 */
export async function transact<Result> (database: IDBDatabase, mode: Mode, act: (store: IDBObjectStore) => Result): Promise<Result> {
  const transaction = database.transaction(STORE, mode === 'read' ? 'readonly' : 'readwrite', mode === 'read' ? {} : { durability: mode })
  return await new Promise((resolve, reject) => {
    transaction.onabort = () => { reject(transaction.error ?? new Error('the transaction was stopped')) }
    try {
      const result = act(transaction.objectStore(STORE))
      transaction.oncomplete = () => { resolve(result) }
    } catch (error) {
      transaction.abort() // otherwise what was asked for before would happen
      throw error
    }
  })
}

/** The text kept under a path, whose last part is its key; undefined if there is none. @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED */
export async function readText (path: string): Promise<string | undefined> {
  const value: unknown = await within(path, 'read', 'read', (store, key) => store.get(key))
  if (value === undefined || typeof value === 'string') return value
  throw new SwarmError('FOLDER_UNUSABLE', `${path} holds no text`, { details: { path } })
}

/** Keeps a text from now on, also after a power cut. @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED */
export async function writeText (path: string, text: string): Promise<void> {
  await within(path, 'strict', 'written', (store, key) => store.put(text, key))
}

/** Keeps a text, unless one is kept there. @returns the one that is there now @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED */
export async function keepText (path: string, text: string): Promise<string> {
  await within(path, 'strict', 'written', (store, key) => {
    const counting = store.count(key)
    counting.onsuccess = () => { if (counting.result === 0) store.put(text, key) }
    return counting
  })
  return await readText(path) ?? text
}

async function within (path: string, mode: Mode, done: string, act: (store: IDBObjectStore, key: string) => IDBRequest): Promise<unknown> {
  const end = path.lastIndexOf('/')
  const database = await openDatabase(path.slice(0, end))
  try {
    const request = await transact(database, mode, store => act(store, path.slice(end + 1)))
    return request.result as unknown
  } catch (cause) {
    throw new SwarmError('FOLDER_UNUSABLE', `${path} cannot be ${done}: ${messageOf(cause)}`, { cause, details: { path } })
  } finally {
    database.close()
  }
}
