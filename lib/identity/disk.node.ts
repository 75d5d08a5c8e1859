import { open, rm } from 'node:fs/promises'

/** Writes a new file that only this user may read, and flushes it to disk. Fails with EEXIST if the name is taken; leaves nothing behind on failure. */
export async function writeNewFile (path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** Flushes what a file holds, or which names a folder has, so that it survives a power cut. Windows has no such call for folders, and needs none. */
export async function flush (path: string, kind: 'file' | 'folder'): Promise<void> {
  if (kind === 'folder' && process.platform === 'win32') return
  const handle = await open(path, kind === 'folder' ? 'r' : 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The system's name of an error, as ENOENT; undefined if it has none. */
export function systemCode (error: unknown): string | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** A path as one word of a shell, for a command that a message proposes. */
export function shellWord (path: string): string {
  return `'${path.replaceAll('\'', '\'\\\'\'')}'`
}
