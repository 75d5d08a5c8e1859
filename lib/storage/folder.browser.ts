/** A page has no folders: it is a peer in memory. Whatever asks for a folder is told so. */
import type { FolderLock, Holder } from './holder.ts'
import { SwarmError } from '../base/error.ts'

export type { FolderLock, Holder } from './holder.ts'

export async function openStore (folder: string): Promise<never> {
  throw noFolder(folder)
}

export async function holdFolder (folder: string, _holder: Omit<Holder, 'facts'>): Promise<FolderLock> {
  throw noFolder(folder)
}

export async function readHolder (folder: string): Promise<Holder | undefined> {
  throw noFolder(folder)
}

export async function checkPrivateFolder (path: string): Promise<void> {
  throw noFolder(path)
}

export async function checkRoom (folder: string, _roomBytes: number): Promise<void> {
  throw noFolder(folder)
}

export function defaultDataFolder (_configPath?: string): string {
  throw noFolder('for data')
}

export function runtimeFolder (): string {
  throw noFolder('for running peers')
}

function noFolder (folder: string): SwarmError {
  return new SwarmError('FOLDER_UNUSABLE', `a page has no folder ${folder}: leave out dir, and it keeps its data in memory`, { details: { folder } })
}
