import { chmod, lstat, mkdir, readdir, stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { flush, shellWord, systemCode } from '../identity/disk.node.ts'
import { SwarmError } from '../base/error.ts'

const OTHERS = 0o077
const ALL_MAY_WRITE = 0o002
const STICKY = 0o1000

/**
 * Makes sure of a folder that this user owns and nobody else may enter; makes it where missing, with mode 0700. An empty one
 * of ours is tightened to that mode; one that holds something is not, since that might shut others out of what is theirs too.
 *
 * In a folder that everybody may write to, as /tmp, somebody else may have put something under the name first. A link is
 * followed only if it is ours, and the folder it leads to must be ours; a folder of somebody else's is refused; so is one
 * whose parent lets everybody rename it. Below a folder that was checked, nobody else can put anything.
 *
 * @throws SwarmError FOLDER_UNUSABLE saying what is wrong, and the command that cures it where there is one
 */
export async function checkPrivateFolder (path: string): Promise<void> {
  const folder = resolve(path)
  try {
    const found = await look(folder) ?? await make(folder)
    if (!found.isDirectory()) throw unusable(folder, 'it is not a folder')
    const user = process.geteuid?.()
    if (user === undefined) return // Windows: the user's profile protects what lies in it
    if (found.uid !== user) throw unusable(folder, `it belongs to user ${found.uid}, not ${user}`)
    const parent = await stat(dirname(folder))
    if ((parent.mode & ALL_MAY_WRITE) !== 0 && (parent.mode & STICKY) === 0) {
      throw unusable(folder, `everybody may replace it, since ${dirname(folder)} has mode ${modeOf(parent)}`, `chmod o-w ${shellWord(dirname(folder))}`)
    }
    if ((found.mode & OTHERS) !== 0) await tighten(folder, found)
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    throw unusable(folder, 'it cannot be made or looked into', undefined, cause)
  }
}

/** What stands there, behind a link of our own; undefined if nothing does. */
async function look (folder: string): Promise<Stats | undefined> {
  try {
    const found = await lstat(folder)
    if (!found.isSymbolicLink()) return found
    const user = process.geteuid?.()
    if (user !== undefined && found.uid !== user) throw unusable(folder, `it is a link that user ${found.uid} made, not ${user}`)
    return await stat(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Makes a folder and whatever is missing above it; each name survives a power cut. */
async function make (folder: string): Promise<Stats> {
  const parent = dirname(folder)
  if (parent !== folder && await look(parent) === undefined) await make(parent)
  try {
    await mkdir(folder, { mode: 0o700 })
    await flush(parent, 'folder')
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error // otherwise another process came first; what it made is looked at next
  }
  return await look(folder) ?? await lstat(folder)
}

async function tighten (folder: string, found: Stats): Promise<void> {
  if ((await readdir(folder)).length > 0) {
    throw unusable(folder, `others may enter it, mode ${modeOf(found)}, and it is not empty`, `chmod 700 ${shellWord(folder)}`)
  }
  await chmod(folder, 0o700)
}

function unusable (folder: string, why: string, cure?: string, cause?: unknown): SwarmError {
  const advice = cure === undefined ? 'Choose another folder' : `Run: ${cure}`
  return new SwarmError('FOLDER_UNUSABLE', `folder ${folder} cannot be used: ${why}. ${advice}`, { cause, details: { folder, cure } })
}

function modeOf ({ mode }: Stats): string {
  return (mode & 0o7777).toString(8)
}
