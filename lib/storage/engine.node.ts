/**
 * LevelDB in a folder, with what it lacks by itself (classic-level 3, LevelDB 1.20):
 *
 * - The creation barrier. It does not flush its first manifest, nor the names of its files: after a power cut a new store often
 *   cannot be opened again. So everything is flushed once, before the first acknowledgement; the format's version, written
 *   last, says that this was done. Later opens do not pay for it.
 * - A damaged store. It does not look at its tables' checksums, and ends the process over what it reads there; a store whose
 *   file CURRENT is lost it takes for a new one, and deletes what is there. So its files are looked at first, and mended: mend.node.ts.
 * - Its lock is a POSIX record lock on the file LOCK, which a process loses as soon as it closes *any* handle on that file,
 *   even one on which LevelDB itself then refuses a second open. So a second open from this process is refused here, before
 *   LevelDB sees it, and the barrier leaves LOCK alone. (Threads of one process cannot see each other's: use one.)
 */
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Level } from 'level'
import { findHarm, flushStore, mend } from './mend.node.ts'
import { checkPrivateFolder } from './private.node.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { flush } from '../identity/disk.node.ts'

export type Engine = Level<string, Uint8Array>

/** Format of what is stored. A newer one is refused; an older one would be converted here. */
export const STORE_VERSION = 1

/** Below every key of the port, whose keys are printable. */
export const VERSION_KEY = '\u0000version'

/** Folders open in this process, by their real paths; shared by all copies of this module in a thread. */
const claimed = (globalThis as { [key: symbol]: Set<string> | undefined })[Symbol.for('mcp-swarm/claimed')] ??= new Set()

/**
 * Opens the store in a folder, making both where missing, and mending what is damaged: then something of it may be missing.
 *
 * @throws SwarmError FOLDER_IN_USE, VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE for all else, with cause
 */
export async function openStore (folder: string): Promise<Engine> {
  await checkPrivateFolder(folder)
  const { place, release } = await claim(folder)
  let engine: Engine
  try {
    await mendWhereDue(folder, place, false)
    engine = await launch(folder, place, {}, release).catch(async (error: unknown) => {
      if (!(error instanceof SwarmError && error.details?.['damaged'] === true)) throw error
      await mendWhereDue(folder, place, true)
      return await launch(folder, place, {}, release)
    })
  } catch (cause) {
    release()
    throw cause instanceof SwarmError ? cause : unusable(folder, cause)
  }
  try {
    const version = await engine.get(VERSION_KEY)
    if (version === undefined) {
      await flushStore(place)
      await flush(dirname(place), 'folder')
      await engine.put(VERSION_KEY, Uint8Array.of(STORE_VERSION), { sync: true })
    } else if (version[0] !== STORE_VERSION || version.byteLength !== 1) {
      throw new SwarmError('VERSION_UNSUPPORTED', `store ${folder} has format ${version.join('.')}; this release reads ${STORE_VERSION}. Use the release that wrote it, or another folder`, { details: { folder } })
    }
    return engine
  } catch (cause) {
    await engine.close()
    throw cause instanceof SwarmError ? cause : unusable(folder, cause)
  }
}

/** Opens LevelDB in a folder that exists. @throws SwarmError FOLDER_IN_USE, FOLDER_UNUSABLE */
export async function openEngine (folder: string, options: EngineOptions = {}): Promise<Engine> {
  const { place, release } = await claim(folder)
  return await launch(folder, place, options, release).catch((error: unknown) => {
    release()
    throw error
  })
}

interface EngineOptions { readonly writeBufferSize?: number, readonly cacheSize?: number }

/** Keeps others in this process from a folder. @throws SwarmError FOLDER_IN_USE, FOLDER_UNUSABLE */
async function claim (folder: string): Promise<{ readonly place: string, readonly release: () => void }> {
  const place = await realpath(folder).catch((cause: unknown) => { throw unusable(folder, cause) })
  if (claimed.has(place)) throw inUse(folder)
  claimed.add(place)
  return { place, release: () => { claimed.delete(place) } }
}

async function launch (folder: string, place: string, options: EngineOptions, release: () => void): Promise<Engine> {
  const { Level } = await import('level')
  const engine = new Level<string, Uint8Array>(place, { keyEncoding: 'utf8', valueEncoding: 'view', ...options })
  try {
    await engine.open()
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    throw codeOf(cause) === 'LEVEL_LOCKED' ? inUse(folder, cause) : unusable(folder, cause ?? error)
  }
  engine.once('closed', release)
  return engine
}

async function mendWhereDue (folder: string, place: string, isDue: boolean): Promise<void> {
  const harm = await findHarm(place)
  if (!harm.isDue && !isDue) return
  const { Level } = await import('level')
  // What another process is just writing looks damaged. LevelDB asks for its lock first, so that this tells, and does nothing else.
  const probe = new Level(place, { createIfMissing: false, errorIfExists: true })
  const cause = await probe.open().then(() => undefined, (error: unknown) => (error as { cause?: unknown }).cause)
  if (codeOf(cause) === 'LEVEL_LOCKED') throw inUse(folder, cause)
  // The package's types are those of all platforms; a page has no repair.
  await mend(place, harm, async () => { await (Level as unknown as { repair (folder: string): Promise<void> }).repair(place) })
}

function codeOf (cause: unknown): unknown {
  return (cause as { code?: unknown } | undefined)?.code
}

function inUse (folder: string, cause?: unknown): SwarmError {
  return new SwarmError('FOLDER_IN_USE', `store ${folder} is open already, in this or another process`, { cause, details: { folder } })
}

function unusable (folder: string, cause: unknown): SwarmError {
  const damaged = codeOf(cause) === 'LEVEL_CORRUPTION'
  return new SwarmError('FOLDER_UNUSABLE', `store ${folder} cannot be opened: ${messageOf(cause)}. ` + (damaged
    ? 'It is damaged: put its backup back, or move it away; what other peers have comes back from them'
    : 'Check its permissions and the space on its disk'), { cause, details: { folder, damaged } })
}
