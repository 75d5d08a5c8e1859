import { realpathSync, statSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { userDataFolder } from '../identity/keystore.node.ts'
import { sha256 } from '#hash'
import { utf8 } from '../base/bytes.ts'

export { openStore } from './engine.node.ts'
export { holdFolder, readHolder } from './lock.node.ts'
export { checkPrivateFolder } from './private.node.ts'
export { checkRoom } from './room.node.ts'
export type { FolderLock, Holder } from './holder.ts'

/** Longest readable part of a data folder's name. */
const NAME_CHARS_MAX = 24
const HASH_BYTES = 4

/**
 * The data folder of a config file, `<user data>/mcp-swarm/peers/<name of the project>-<8 hex digits of its path's hash>`;
 * without one, `…/peers/default`. The same file by another path or link is the same peer.
 */
export function defaultDataFolder (configPath?: string): string {
  const peers = join(userDataFolder(), 'mcp-swarm', 'peers')
  if (configPath === undefined) return join(peers, 'default')
  const path = realPathOf(resolve(configPath))
  const hash = Array.from(sha256(utf8(path)).subarray(0, HASH_BYTES), byte => byte.toString(16).padStart(2, '0')).join('')
  const readable = basename(dirname(path)).toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, NAME_CHARS_MAX).replace(/^-+|-+$/g, '')
  return join(peers, readable === '' ? hash : `${readable}-${hash}`)
}

/** Where Linux has the folders that $XDG_RUNTIME_DIR names, each by its user's id. Source: pam_systemd(8). */
const SESSIONS = '/run/user'

/**
 * Where this user's running peers find each other: below $XDG_RUNTIME_DIR where that is this user's, else below what it would
 * name (an MCP client that hands on few variables leaves it out, and its peer is to meet those of a terminal), else below the
 * temporary folder by user id. To be checked by `checkPrivateFolder` before anything below it is. Arguments are for tests.
 */
export function runtimeFolder (env: Readonly<Record<string, string | undefined>> = process.env, temporary = tmpdir(), sessions = SESSIONS): string {
  const user = String(process.geteuid?.() ?? userInfo().username)
  const own = [env['XDG_RUNTIME_DIR'], join(sessions, user)].find(folder => folder !== undefined && isAbsolute(folder) && isOwn(folder))
  return own === undefined ? join(temporary, `mcp-swarm-${user}`) : join(own, 'mcp-swarm')
}

/** Under sudo the variable may name another user's folder, and in a bare session one that nobody made. */
function isOwn (folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false })
  return found?.isDirectory() === true && (process.geteuid === undefined || found.uid === process.geteuid())
}

/** The path behind links, of a file that may not exist yet. */
function realPathOf (path: string): string {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return realpathSync(path)
  return dirname(path) === path ? path : join(realPathOf(dirname(path)), basename(path))
}
