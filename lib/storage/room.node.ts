import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError, messageOf } from '../base/error.ts'
import { systemCode } from '../identity/disk.node.ts'

/** What a system says of a disk, or of a user's part of it, that is full. */
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT']

/** Makes sure that a folder has room for so many bytes, by writing them. @throws SwarmError FOLDER_UNUSABLE */
export async function checkRoom (folder: string, roomBytes: number): Promise<void> {
  const path = join(folder, 'room')
  try {
    const file = await open(path, 'w', 0o600)
    try {
      const block = new Uint8Array(2 ** 20)
      for (let bytes = 0; bytes < roomBytes; bytes += block.byteLength) await file.writeFile(block)
      await file.datasync()
    } finally {
      await file.close()
    }
  } catch (cause) {
    const why = FULL.includes(systemCode(cause)) ? `has no room: needed are ${roomBytes / 2 ** 20} MiB` : `cannot be written: ${messageOf(cause)}`
    throw new SwarmError('FOLDER_UNUSABLE', `folder ${folder} ${why}`, { cause, details: { folder } })
  } finally {
    await rm(path, { force: true })
  }
}
