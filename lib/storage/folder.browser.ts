/**
 * A page's folders: databases of its origin. One tab at a time holds one, by a Web Lock, which the browser takes back however the tab
 * ends. Whatever asks for a real folder is told that there is none.
 */
import type { FolderLock, Holder } from './holder.ts'
import { deadline, systemClock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'

export { openStore } from './engine.browser.ts'
export type { FolderLock, Holder } from './holder.ts'

/** How long a tab that is just going, such as this one before it was loaded anew, may take to let go of its folder, in milliseconds. */
const LET_GO_MS_MAX = 2_000

/**
 * Takes the folder for this tab.
 *
 * @throws SwarmError FOLDER_IN_USE if another tab of this origin has it, FOLDER_UNUSABLE where pages may not keep data
 */
export async function holdFolder (folder: string, holder: Omit<Holder, 'facts'>): Promise<FolderLock> {
  if (typeof indexedDB === 'undefined' || (navigator as Partial<Navigator>).locks === undefined) {
    throw new SwarmError('FOLDER_UNUSABLE', `this page can keep no data in ${folder}: only pages of https or of this machine can. Leave out dir, and it keeps its data in memory`, { details: { folder } })
  }
  const release = await take(folder)
  return { holder: { ...holder, facts: {} }, write: async () => {}, release: async () => { release() } }
}

/** @returns lets others have it */
async function take (folder: string): Promise<() => void> {
  const limit = deadline(systemClock, LET_GO_MS_MAX)
  try {
    return await new Promise((resolve, reject) => {
      navigator.locks.request(`mcp-swarm ${folder}`, { signal: limit.signal }, async () => {
        await new Promise<void>(letGo => { resolve(letGo) })
      }).catch(reject)
    })
  } catch (cause) {
    if (limit.signal.aborted) {
      throw new SwarmError('FOLDER_IN_USE', `another tab of this site is the peer of ${folder}: close that one, or give this one a dir of its own`, { cause, details: { folder } })
    }
    throw new SwarmError('FOLDER_UNUSABLE', `this page can keep no data in ${folder}: ${messageOf(cause)}`, { cause, details: { folder } })
  } finally {
    limit.done()
  }
}

/** A page has no command line that would ask. */
export async function readHolder (_folder: string): Promise<Holder | undefined> {
  return undefined
}

/** Makes sure that there is room for so many bytes, by the browser's estimate. @throws SwarmError FOLDER_UNUSABLE */
export async function checkRoom (folder: string, roomBytes: number): Promise<void> {
  const { quota = Infinity, usage = 0 } = await navigator.storage.estimate()
  if (quota - usage >= roomBytes) return
  throw new SwarmError('FOLDER_UNUSABLE', `${folder} has no room: needed are ${roomBytes / 2 ** 20} MiB`, { details: { folder } })
}

export async function checkPrivateFolder (path: string): Promise<void> {
  throw noFolder(path)
}

export function defaultDataFolder (_configPath?: string): string {
  throw noFolder('for data')
}

export function runtimeFolder (): string {
  throw noFolder('for running peers')
}

function noFolder (folder: string): SwarmError {
  return new SwarmError('FOLDER_UNUSABLE', `a page has no folder ${folder}`, { details: { folder } })
}
