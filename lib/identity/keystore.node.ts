/**
 * Where keys lie: one file each (key-text.ts), that this user alone may read.
 *
 * A new key is written to a draft beside its place, flushed to disk, and then linked into place, which the file system does
 * for exactly one of several processes; the others read the winner's key. So a key file is whole from the moment it exists,
 * also after a power cut, and no identity is ever replaced by another.
 */
import { constants } from 'node:fs'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { flush, shellWord, systemCode, writeNewFile } from './disk.node.ts'
import { keyInvalid, readKeyText, writeKeyText } from './key-text.ts'
import { generateKey } from './key.ts'
import type { PrivateKey } from './key.ts'
import { toBase64Url } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'

/** Largest key file read, in bytes. */
export const KEY_FILE_BYTES_MAX = 1024

const OTHERS = 0o077

/** Without waiting for a writer, where somebody has put a pipe. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Reads the key at `path`, or makes it at first use. Several processes that come at once end with the same key.
 *
 * @param path its folder is made where missing, for this user alone
 * @throws SwarmError KEY_EXPOSED if anybody else may read or replace it, KEY_INVALID if it holds no key,
 *   VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE if it cannot be read or made
 */
export async function loadOrCreateKey (path: string, random: Random): Promise<PrivateKey> {
  return await loadKey(path) ?? await keepKey(path, generateKey(random), random)
}

/** The key file of this user's local swarm. */
export function localKeyPath (): string {
  return join(userDataFolder(), 'mcp-swarm', 'local.key')
}

/** Where programs of this user keep data: $XDG_DATA_HOME, or what the platform has instead. Arguments are for tests. */
export function userDataFolder (env: Readonly<Record<string, string | undefined>> = process.env, platform: string = process.platform, home = homedir()): string {
  if (platform === 'win32') return env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local')
  // The XDG specification has relative paths ignored. Source: XDG Base Directory Specification 0.8.
  if (env['XDG_DATA_HOME'] !== undefined && isAbsolute(env['XDG_DATA_HOME'])) return env['XDG_DATA_HOME']
  return platform === 'darwin' ? join(home, 'Library', 'Application Support') : join(home, '.local', 'share')
}

/** Reads the key at `path`; undefined if there is none. @throws SwarmError as `loadOrCreateKey` */
export async function loadKey (path: string): Promise<PrivateKey | undefined> {
  let text: string
  try {
    const file = await open(path, READ)
    try {
      const facts = await file.stat()
      if (!facts.isFile()) throw keyInvalid(path, 'it is not a file')
      checkPrivate(path, facts)
      if (facts.size > KEY_FILE_BYTES_MAX) throw keyInvalid(path, `it has ${facts.size} bytes`)
      text = (await file.readFile()).toString('utf8')
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new SwarmError('FOLDER_UNUSABLE', `key file ${path} cannot be read`, { cause, details: { path } })
  }
  return readKeyText(path, text)
}

/** Checked on the open file, so that what is checked is what is read. Windows keeps no such bits: there, folders protect. */
function checkPrivate (path: string, { mode, uid }: { mode: number, uid: number }): void {
  const user = process.geteuid?.()
  if (user === undefined) return
  const danger = 'others may know this key by now; if this machine has other users, move it away, and a new one is made'
  if (uid !== user) {
    const cure = `chown ${user} ${shellWord(path)}`
    throw new SwarmError('KEY_EXPOSED', `key file ${path} belongs to user ${uid}, not ${user}. Run: ${cure} (${danger})`, { details: { path, cure } })
  }
  if ((mode & OTHERS) !== 0) {
    const cure = `chmod 600 ${shellWord(path)}`
    throw new SwarmError('KEY_EXPOSED', `key file ${path} has mode ${(mode & 0o777).toString(8)}. Run: ${cure} (${danger})`, { details: { path, cure } })
  }
}

/**
 * Keeps a key at `path`, unless one is kept there.
 *
 * @returns the key that is there now @throws SwarmError as `loadOrCreateKey`
 */
export async function keepKey (path: string, key: PrivateKey, random: Random): Promise<PrivateKey> {
  const folder = dirname(path)
  const draft = join(folder, `.${basename(path)}.${toBase64Url(random.bytes(9))}.draft`)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    try {
      await writeNewFile(draft, writeKeyText(key))
      await linkUnlessThere(draft, path)
    } finally {
      await rm(draft, { force: true })
    }
    await flush(folder, 'folder')
  } catch (cause) {
    throw new SwarmError('FOLDER_UNUSABLE', `key file ${path} cannot be made`, { cause, details: { path } })
  }
  const kept = await loadKey(path)
  if (kept === undefined) throw new SwarmError('FOLDER_UNUSABLE', `key file ${path} was removed as it was made`, { details: { path } })
  return kept
}

async function linkUnlessThere (draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error // otherwise another process came first: its key counts
  }
}
