/** A file of somebody else's, read whole and replaced whole: at every moment it is the old one or the new one. */
import { constants } from 'node:fs'
import { access, lstat, mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SwarmError } from 'mcp-swarm'

/** Largest file read, in bytes. Claude Code keeps a history of every project in its own. */
export const FILE_BYTES_MAX = 2 ** 24

/** Most backups beside one file. */
export const BACKUPS_MAX = 100

/** A file as it was found. */
export interface Original {
  /** The path behind links. */
  readonly realPath: string
  readonly bytes: Buffer
  readonly text: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** @returns undefined if there is none @throws SwarmError CONFIG_INVALID if it cannot be read, is no UTF-8 or too large */
export async function readOriginal (path: string): Promise<Original | undefined> {
  const refuse = (what: string, cause?: unknown): SwarmError => new SwarmError('CONFIG_INVALID', `${path} ${what}`, { cause, details: { path } })
  try {
    const realPath = await realpath(path)
    const stats = await stat(realPath)
    if (!stats.isFile()) throw refuse('is no file')
    if (stats.size > FILE_BYTES_MAX) throw refuse(`has ${stats.size} bytes; limit ${FILE_BYTES_MAX}`)
    const bytes = await readFile(realPath)
    return { realPath, bytes, text: decode(bytes) ?? fail(refuse('is not UTF-8')), mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid }
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    if (codeOf(cause) !== 'ENOENT' && codeOf(cause) !== 'ENOTDIR') throw refuse(`cannot be read: ${(cause as Error).message}`, cause)
    if (await isThere(path)) throw refuse('is a link to a file that is not there', cause)
    return undefined
  }
}

/**
 * Replaces a file, or makes it and its folder. A link stays a link; mode and owner stay. Before an old file is replaced, a
 * copy of it is put beside `path`, under a name that was free.
 *
 * @param original what `readOriginal` gave
 * @param mode of a new file
 * @returns the path of the copy, null if there was nothing to copy; undefined if somebody else changed the file meanwhile:
 *   then nothing was done
 * @throws SwarmError FOLDER_UNUSABLE; the file is then as it was
 */
export async function rewrite (path: string, original: Original | undefined, text: string, mode: number): Promise<{ backup: string | null } | undefined> {
  const realPath = original?.realPath ?? path
  const draft = join(dirname(realPath), `.${basename(realPath)}.${process.pid}.tmp`)
  try {
    if (original === undefined) await mkdir(dirname(path), { recursive: true })
    else await access(realPath, constants.W_OK)
    await create(draft, Buffer.from(text), original ?? { mode })
    try {
      const now = await readOriginal(path)
      if (original === undefined ? now !== undefined : now?.bytes.equals(original.bytes) !== true) return undefined
      const backup = original === undefined ? null : await backUp(path, original)
      await rename(draft, realPath)
      return { backup }
    } finally {
      await rm(draft, { force: true })
    }
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    throw new SwarmError('FOLDER_UNUSABLE', `cannot write ${path}: ${(cause as Error).message}`, { cause, details: { path } })
  }
}

async function backUp (path: string, original: Original): Promise<string> {
  for (let number = 0; number < BACKUPS_MAX; number++) {
    const backup = number === 0 ? `${path}.bak` : `${path}.bak.${number}`
    try {
      await create(backup, original.bytes, original)
      return backup
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw cause
    }
  }
  throw new SwarmError('FOLDER_UNUSABLE', `${path} has ${BACKUPS_MAX} backups beside it: remove some`, { details: { path } })
}

/** Makes a file that was not there, whole and on disk, or leaves none. */
async function create (path: string, bytes: Uint8Array, { mode, uid, gid }: { mode: number, uid?: number, gid?: number }): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    const made = await file.stat()
    // Under sudo the file would else become root's, and its owner could no longer read it.
    if (uid !== undefined && gid !== undefined && (made.uid !== uid || made.gid !== gid)) await file.chown(uid, gid)
    if (uid !== undefined) await file.chmod(mode) // whatever the umask took away
    await file.writeFile(bytes)
    await file.sync()
  } catch (cause) {
    await rm(path, { force: true })
    throw cause
  } finally {
    await file.close()
  }
}

/** @returns undefined if it is no UTF-8; a byte order mark stays */
function decode (bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Whether a path names anything, be it a link to nothing. */
export async function isThere (path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return false
    throw cause
  }
}

function codeOf (cause: unknown): unknown {
  return (cause as { code?: unknown }).code
}

function fail (error: Error): never {
  throw error
}
