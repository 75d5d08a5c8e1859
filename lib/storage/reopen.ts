/**
 * A storage that is opened anew after a write has failed, before the next one.
 *
 * What LevelDB had in hand when a write failed, nobody knows: half a record may stand at the end of its log, and after a failed flush
 * it refuses all writes. Writing on behind that would lose what is written. Opened anew, it reads its log as after a crash, up
 * to the half record, and starts another. Until there is room for that, the storage that failed goes on being read.
 */
import { checkRoom } from '#folder'
import { SwarmError } from '../base/error.ts'
import type { Change, Storage } from '../base/storage.ts'
import { openStorage } from './level.ts'

/** Room that must be there before a storage is opened anew: what LevelDB writes for its log, twice over, in bytes. */
export const ROOM_BYTES = 8 * 2 ** 20

/** Opens as `openStorage` does. @throws SwarmError as that one */
export async function openReopening (folder: string | undefined): Promise<Storage> {
  const storage = await openStorage(folder)
  if (folder === undefined) return storage
  return new ReopeningStorage(storage, async () => { await checkRoom(folder, ROOM_BYTES) }, async () => await openStorage(folder))
}

/** Keeps the promises of what it opens. `check` throws while it cannot be opened again; then it is left as it is. */
export class ReopeningStorage implements Storage {
  #storage: Storage
  readonly #check: () => Promise<void>
  readonly #open: () => Promise<Storage>
  #isDoubtful = false
  #reopening: Promise<void> | undefined
  #closed = false

  constructor (storage: Storage, check: () => Promise<void>, open: () => Promise<Storage>) {
    this.#storage = storage
    this.#check = check
    this.#open = open
  }

  async get (key: string): Promise<Uint8Array | undefined> {
    await this.#reopening?.catch(() => undefined) // told to whoever wrote
    return await this.#storage.get(key)
  }

  async write (changes: readonly Change[], options?: { sync?: boolean }): Promise<void> {
    if (this.#isDoubtful && !this.#closed) {
      this.#reopening ??= this.#reopen().finally(() => { this.#reopening = undefined })
      await this.#reopening
    }
    try {
      await this.#storage.write(changes, options)
    } catch (error) {
      if (!(error instanceof SwarmError && error.code === 'CLOSED')) this.#isDoubtful = true
      throw error
    }
  }

  entries (prefix: string): AsyncIterable<readonly [string, Uint8Array]> {
    // Passed on entry by entry, all of it would take twice as long.
    return this.#reopening === undefined ? this.#storage.entries(prefix) : this.#entriesLater(prefix)
  }

  async close (): Promise<void> {
    this.#closed = true
    await this.#reopening?.catch(() => undefined) // told to whoever wrote
    await this.#storage.close()
  }

  async * #entriesLater (prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    await this.#reopening?.catch(() => undefined) // told to whoever wrote
    yield* this.#storage.entries(prefix)
  }

  async #reopen (): Promise<void> {
    await this.#check()
    await this.#storage.close()
    this.#storage = await this.#open()
    this.#isDoubtful = false
  }
}
