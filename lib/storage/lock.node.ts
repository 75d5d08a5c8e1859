/**
 * One process at a time holds a data folder: two peers with one key and one store would destroy each other's work.
 *
 * The lock is LevelDB's own, on an empty store in `<folder>/lock`. The system drops it when the process ends, however it ends:
 * nothing stale is left by a kill, no process id is ever compared, and of two at once one wins. It is the one lock that works
 * alike on Linux, macOS and Windows without a further native module (Node has none), and it costs about 3 ms. The store in it
 * holds nothing, so a damaged one is started afresh; only its file LOCK counts, and that is never deleted.
 *
 * Beside it lies `holder.json`: who holds the folder, and what others need to talk to it. That is a hint and no more: a killed
 * holder leaves it behind, and it is written a moment after the lock is taken. Only the lock decides.
 */
import { mkdir, open, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openEngine } from './engine.node.ts'
import type { Engine } from './engine.node.ts'
import { checkPrivateFolder } from './private.node.ts'
import type { FolderLock, Holder } from './holder.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject } from '../base/json.ts'
import type { JsonObject } from '../base/json.ts'
import { systemCode } from '../identity/disk.node.ts'

/** Largest holder file read, in bytes. */
export const HOLDER_BYTES_MAX = 64 * 2 ** 10

const HOLDER_FILE = 'holder.json'

/**
 * Takes the folder for this process, making it where missing.
 *
 * @throws SwarmError FOLDER_IN_USE with `details.holder` (a Holder, or undefined in its first moment), FOLDER_UNUSABLE
 */
export async function holdFolder (folder: string, holder: Omit<Holder, 'facts'>): Promise<FolderLock> {
  await checkPrivateFolder(folder)
  const place = await realpath(folder)
  const lock = await takeLock(place)
  const held = new HeldFolder(place, lock, { pid: holder.pid, name: holder.name, startedAtMs: holder.startedAtMs, facts: {} })
  try {
    await held.write({})
    return held
  } catch (error) {
    await lock.close()
    throw error
  }
}

/**
 * Who holds the folder, by its own word: it may have been killed since. Undefined if nobody ever did, or it let go.
 *
 * @throws SwarmError FOLDER_UNUSABLE if the folder cannot be read
 */
export async function readHolder (folder: string): Promise<Holder | undefined> {
  try {
    const file = await open(join(folder, HOLDER_FILE), 'r')
    try {
      const { size } = await file.stat()
      return size > HOLDER_BYTES_MAX ? undefined : parseHolder((await file.readFile()).toString())
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new SwarmError('FOLDER_UNUSABLE', `folder ${folder} cannot be read`, { cause, details: { folder } })
  }
}

async function takeLock (folder: string): Promise<Engine> {
  const place = join(folder, 'lock')
  const take = async (): Promise<Engine> => await openEngine(place, { writeBufferSize: 64 * 2 ** 10, cacheSize: 0 })
  try {
    await mkdir(place, { recursive: true, mode: 0o700 })
    try {
      return await take()
    } catch (error) {
      if (error instanceof SwarmError && error.code === 'FOLDER_IN_USE') throw error
      // Without CURRENT it is made anew, by whoever has LOCK; to whoever may have it by now, CURRENT does not matter.
      await rm(join(place, 'CURRENT'), { force: true })
      return await take()
    }
  } catch (cause) {
    if (cause instanceof SwarmError && cause.code === 'FOLDER_IN_USE') throw inUse(folder, await readLivingHolder(folder), cause)
    throw new SwarmError('FOLDER_UNUSABLE', `folder ${folder} cannot be held: check its permissions and the space on its disk`, { cause, details: { folder } })
  }
}

function inUse (folder: string, holder: Holder | undefined, cause: unknown): SwarmError {
  const who = holder === undefined ? 'another process, just started' : `"${holder.name}", process ${holder.pid}, since ${localTime(holder.startedAtMs)}`
  return new SwarmError('FOLDER_IN_USE', `data folder ${folder} is in use by ${who}. Stop that one, or give this peer a folder of its own (--dir)`, { cause, details: { folder, holder } })
}

/** Between the taking of the lock and the writing of its file, the file may still name one that was killed. */
async function readLivingHolder (folder: string): Promise<Holder | undefined> {
  const holder = await readHolder(folder)
  try {
    if (holder !== undefined) process.kill(holder.pid, 0)
    return holder
  } catch (error) {
    return systemCode(error) === 'ESRCH' ? undefined : holder // EPERM: it lives, as another user's
  }
}

function parseHolder (text: string): Holder | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // written by nobody of ours: says nothing about who holds the folder
  }
  if (!isObject(value)) return undefined
  const { pid, name, startedAtMs, facts } = value
  if (!Number.isSafeInteger(pid) || (pid as number) <= 0 || typeof name !== 'string' || !Number.isFinite(startedAtMs) || !isObject(facts)) return undefined
  return { pid: pid as number, name, startedAtMs: startedAtMs as number, facts }
}

class HeldFolder implements FolderLock {
  readonly #folder: string
  readonly #lock: Engine
  #holder: Holder
  #last: Promise<void> = Promise.resolve()
  #released: Promise<void> | undefined

  constructor (folder: string, lock: Engine, holder: Holder) {
    this.#folder = folder
    this.#lock = lock
    this.#holder = holder
  }

  get holder (): Holder {
    return this.#holder
  }

  async write (facts: JsonObject): Promise<void> {
    if (this.#released !== undefined) throw new SwarmError('CLOSED', `folder ${this.#folder} was let go`)
    this.#holder = { ...this.#holder, facts }
    const text = `${JSON.stringify(this.#holder)}\n`
    if (text.length * 3 > HOLDER_BYTES_MAX) throw new SwarmError('TOO_LARGE', `facts of ${text.length} characters for ${HOLDER_FILE}`)
    const written = this.#last.then(async () => { await this.#replace(text) })
    this.#last = written.catch(() => undefined) // told to whoever wrote; the next write is another matter
    await written
  }

  async release (): Promise<void> {
    this.#released ??= this.#letGo()
    await this.#released
  }

  async #letGo (): Promise<void> {
    await this.#last
    try {
      await rm(join(this.#folder, HOLDER_FILE), { force: true }) // before the lock goes: afterwards it is another's
    } finally {
      await this.#lock.close()
    }
  }

  async #replace (text: string): Promise<void> {
    const draft = join(this.#folder, `.${HOLDER_FILE}.draft`)
    try {
      await writeFile(draft, text, { mode: 0o600 }) // not flushed: it means nothing once the process is gone
      await rename(draft, join(this.#folder, HOLDER_FILE))
    } catch (cause) {
      throw new SwarmError('FOLDER_UNUSABLE', `folder ${this.#folder} cannot be written: ${messageOf(cause)}`, { cause, details: { folder: this.#folder } })
    }
  }
}

function localTime (wallMs: number): string {
  return new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' }).format(wallMs)
}
