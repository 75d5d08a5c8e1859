import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError } from '../base/error.ts'
import { systemRandom } from '../base/random.ts'
import { toBase64Url } from '../base/bytes.ts'
import { flush, shellWord, systemCode, writeNewFile } from '../identity/disk.node.ts'
import { KEPT_BYTES_MAX, readKept, writeKept, type Kept } from './kept.ts'

const FILE = 'swarm.json'

/** Others who may write it could take this peer to a swarm of theirs. */
const OTHERS_MAY_WRITE = 0o022

/** What a data folder keeps; undefined if it keeps nothing. @throws SwarmError FOLDER_UNUSABLE, KEY_EXPOSED, VERSION_UNSUPPORTED */
export async function loadKept (dir: string): Promise<Kept | undefined> {
  const path = join(dir, FILE)
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const facts = await file.stat()
      if (!facts.isFile() || facts.size > KEPT_BYTES_MAX) throw new SwarmError('FOLDER_UNUSABLE', `${path} is no file of this release: it has ${facts.size} bytes`, { details: { path } })
      if (process.geteuid !== undefined && (facts.uid !== process.geteuid() || (facts.mode & OTHERS_MAY_WRITE) !== 0)) {
        const cure = `chown ${process.geteuid()} ${shellWord(path)} && chmod 600 ${shellWord(path)}`
        throw new SwarmError('KEY_EXPOSED', `${path} can be changed by others. Run: ${cure}`, { details: { path, cure } })
      }
      return readKept(await file.readFile('utf8'), path)
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new SwarmError('FOLDER_UNUSABLE', `${path} cannot be read`, { cause, details: { path } })
  }
}

/** Keeps it from now on, also after a power cut: the old one or the new one, never half of either. @throws SwarmError FOLDER_UNUSABLE */
export async function saveKept (dir: string, kept: Kept): Promise<void> {
  const path = join(dir, FILE)
  const draft = join(dir, `.${FILE}.${toBase64Url(systemRandom.bytes(9))}.draft`)
  try {
    await writeNewFile(draft, writeKept(kept))
    try {
      await rename(draft, path)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
    await flush(dir, 'folder')
  } catch (cause) {
    throw new SwarmError('FOLDER_UNUSABLE', `${path} cannot be written`, { cause, details: { path } })
  }
}
