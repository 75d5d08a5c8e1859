/**
 * Mends a store that is damaged, so that it opens with all that is left of it; whoever wrote it finds out what is not.
 *
 * Tables that are not as they were written go into the folder `lost`, where nobody looks but people
 * (bounded: lost.node.ts). Then LevelDB makes its manifest
 * anew from the tables and logs that are there, and puts the old one, and logs that it has read, into `lost` too. Deleted keys may
 * come back by that, and old values where the newest are lost.
 *
 * A mending cut short is begun anew at the next opening: the file `mending` says that it is due.
 */
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { flush, systemCode } from '../identity/disk.node.ts'
import { trimLost } from './lost.node.ts'
import { isWholeManifest, isWholeTable } from './table.ts'

/** Largest table that is looked at: LevelDB's hold some MiB, or one large value and what lies around it. */
export const TABLE_BYTES_MAX = 512 * 2 ** 20

const DUE = 'mending'
const LOST = 'lost'

/** What is wrong with a store that nobody has open. */
export interface Harm {
  /** Tables that LevelDB must not see. */
  readonly tables: readonly string[]
  /** Whether it needs mending: a manifest that is lost or damaged tells LevelDB to delete tables that are good. */
  readonly isDue: boolean
}

export async function findHarm (folder: string): Promise<Harm> {
  const names = await readdir(folder)
  const tables: string[] = []
  for (const name of names.filter(name => /^\d+\.(ldb|sst)$/.test(name))) {
    if (!await isWholeFile(join(folder, name))) tables.push(name)
  }
  return { tables, isDue: tables.length > 0 || names.includes(DUE) || (await holdsData(folder, names) && !await isManifestWhole(folder)) }
}

/**
 * Mends it.
 *
 * @param repair LevelDB's own way to make a manifest
 * @throws what the disk throws
 */
export async function mend (folder: string, { tables }: Harm, repair: (folder: string) => Promise<void>): Promise<void> {
  await writeFile(join(folder, DUE), '', { mode: 0o600 })
  await flush(folder, 'folder')
  await mkdir(join(folder, LOST), { recursive: true, mode: 0o700 })
  for (const name of tables) await rename(join(folder, name), join(folder, LOST, name))
  await flush(join(folder, LOST), 'folder')
  await repair(folder)
  await trimLost(join(folder, LOST))
  await flushStore(folder)
  await rm(join(folder, DUE))
  await flush(folder, 'folder')
}

/** Flushes every file of a store, and their names; LOCK is left alone, since closing it would give the lock away. */
export async function flushStore (folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== 'LOCK' && name !== LOST) await flush(join(folder, name), 'file')
  }
  await flush(folder, 'folder')
}

async function isWholeFile (path: string): Promise<boolean> {
  if ((await stat(path)).size > TABLE_BYTES_MAX) return true
  try {
    return isWholeTable(await readFile(path))
  } catch (error) {
    if (systemCode(error) === 'EIO') return false
    throw error
  }
}

async function isManifestWhole (folder: string): Promise<boolean> {
  try {
    const current = await readFile(join(folder, 'CURRENT'), 'latin1')
    return /^MANIFEST-\d+\n$/.test(current) && isWholeManifest(await readFile(join(folder, current.trimEnd())))
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EIO') return false
    throw error
  }
}

/** Nothing acknowledged can lie in tables or logs before CURRENT is on disk: a store without both is a new one. */
async function holdsData (folder: string, names: readonly string[]): Promise<boolean> {
  if (names.includes('CURRENT')) return true
  for (const name of names.filter(name => /^\d+\.(ldb|sst|log)$/.test(name))) if ((await stat(join(folder, name))).size > 0) return true
  return false
}
