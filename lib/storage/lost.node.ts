/** What a mending has set aside, bounded: a disk that goes on spoiling tables must not fill up with spoilt tables. */
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../identity/disk.node.ts'

/** Files set aside that are kept, and bytes of them; above either the oldest go. */
export const LOST_FILES_MAX = 100
export const LOST_BYTES_MAX = 64 * 2 ** 20

/** The file that tells how much is gone. */
export const GONE = 'gone.txt'

/** Deletes what is too much in the folder of what was set aside, and says so there. @throws what the disk throws */
export async function trimLost (folder: string): Promise<void> {
  const names = (await readdir(folder)).filter(name => name !== GONE)
  const files = await Promise.all(names.map(async name => {
    const { size, mtimeMs } = await stat(join(folder, name))
    return { name, size, mtimeMs }
  }))
  files.sort((left, right) => right.mtimeMs - left.mtimeMs || (left.name < right.name ? 1 : -1))
  let bytes = 0
  const tooMany = files.filter(({ size }, index) => {
    bytes += size
    return index >= LOST_FILES_MAX || (bytes > LOST_BYTES_MAX && index > 0)
  })
  if (tooMany.length === 0) return
  const before = await readGone(join(folder, GONE))
  const gone = { files: before.files + tooMany.length, bytes: before.bytes + tooMany.reduce((sum, { size }) => sum + size, 0) }
  // Told first: cut short here, it has told of some that are still there.
  await writeFile(join(folder, GONE), `${gone.files} files of ${gone.bytes} bytes in all, the oldest of those that were damaged, are gone: ${LOST_FILES_MAX} of ${LOST_BYTES_MAX} bytes are kept\n`, { mode: 0o600 })
  for (const { name } of tooMany) await rm(join(folder, name))
}

async function readGone (path: string): Promise<{ files: number, bytes: number }> {
  try {
    const [, files, bytes] = /^(\d+) files of (\d+) bytes/.exec(await readFile(path, 'utf8')) ?? []
    return { files: Number(files ?? 0), bytes: Number(bytes ?? 0) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { files: 0, bytes: 0 }
    throw error
  }
}
