/**
 * LevelDB in a folder, with what it lacks by itself (classic-level 3, LevelDB 1.20):
 *
 * - The creation barrier. It does not flush its first manifest, nor the names of its files: after a power cut a new store often
 *   cannot be opened again. So everything is flushed once, before the first acknowledgement; the format's version, written
 *   last, says that this was done. Later opens do not pay for it.
 * - A store whose file CURRENT is lost would be taken for a new one, and its data deleted. That is refused.
 * - Its lock is a POSIX record lock on the file LOCK, which a process loses as soon as it closes *any* handle on that file,
 *   even one on which LevelDB itself then refuses a second open. So a second open from this process is refused here, before
 *   LevelDB sees it, and the barrier leaves LOCK alone. (Threads of one process cannot see each other's: use one.)
 */
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Level } from 'level'
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
 * Opens the store in a folder, making both where missing.
 *
 * @throws SwarmError FOLDER_IN_USE, VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE for all else, with cause
 */
export async function openStore (folder: string): Promise<Engine> {
  await checkPrivateFolder(folder)
  await refuseHeadless(folder)
  const engine = await openEngine(folder)
  try {
    const version = await engine.get(VERSION_KEY)
    if (version === undefined) {
      await flushNew(folder)
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
export async function openEngine (folder: string, options: { writeBufferSize?: number, cacheSize?: number } = {}): Promise<Engine> {
  const { Level } = await import('level')
  const place = await realpath(folder).catch((cause: unknown) => { throw unusable(folder, cause) })
  if (claimed.has(place)) throw inUse(folder)
  claimed.add(place)
  const engine = new Level<string, Uint8Array>(place, { keyEncoding: 'utf8', valueEncoding: 'view', ...options })
  engine.once('closed', () => { claimed.delete(place) })
  try {
    await engine.open()
    return engine
  } catch (error) {
    claimed.delete(place)
    const { cause } = error as { cause?: unknown }
    throw (cause as { code?: unknown } | undefined)?.code === 'LEVEL_LOCKED' ? inUse(folder, cause) : unusable(folder, cause ?? error)
  }
}

async function flushNew (folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== 'LOCK') await flush(join(folder, name), 'file')
  }
  await flush(folder, 'folder')
  await flush(dirname(await realpath(folder)), 'folder')
}

/** Nothing acknowledged can lie in tables or logs before CURRENT is on disk: so data without it is a store that lost it. */
async function refuseHeadless (folder: string): Promise<void> {
  const names = await readdir(folder).catch((cause: unknown) => { throw unusable(folder, cause) })
  if (names.includes('CURRENT')) return
  for (const name of names.filter(name => /\.(ldb|sst|log)$/.test(name))) {
    if ((await stat(join(folder, name))).size > 0) throw unusable(folder, new Error(`${name} holds data, but the file CURRENT is missing`))
  }
}

function inUse (folder: string, cause?: unknown): SwarmError {
  return new SwarmError('FOLDER_IN_USE', `store ${folder} is open already, in this or another process`, { cause, details: { folder } })
}

function unusable (folder: string, cause: unknown): SwarmError {
  const damaged = (cause as { code?: unknown }).code === 'LEVEL_CORRUPTION'
  return new SwarmError('FOLDER_UNUSABLE', `store ${folder} cannot be opened: ${messageOf(cause)}. ` + (damaged
    ? 'It is damaged: put its backup back, or move it away; what other peers have comes back from them'
    : 'Check its permissions and the space on its disk'), { cause, details: { folder, damaged } })
}
