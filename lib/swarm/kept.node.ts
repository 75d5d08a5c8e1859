import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError, messageOf } from '../base/error.ts'
import { systemRandom } from '../base/random.ts'
import { toBase64Url } from '../base/bytes.ts'
import { flush, shellWord, systemCode, writeNewFile } from '../identity/disk.node.ts'
import { KEPT_BYTES_MAX, readKept, writeKept, type Kept } from './kept.ts'
import { readPorts, type PortStore } from './ports.ts'

const FILE = 'swarm.json'

/** The ports of last time: nobody's secret, and nothing is lost with it. */
const PORTS_FILE = 'ports.json'

/** Longest such file that is read. */
const PORTS_BYTES_MAX = 4_096

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
  await replace(dir, FILE, writeKept(kept))
}

/** The ports of a folder's peer. What cannot be read is as if it were not there. */
export function keptPorts (dir: string): PortStore {
  return {
    load: async () => {
      try {
        await using file = await open(join(dir, PORTS_FILE), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
        const { bytesRead, buffer } = await file.read(Buffer.alloc(PORTS_BYTES_MAX), 0, PORTS_BYTES_MAX, 0)
        return readPorts(JSON.parse(buffer.toString('utf8', 0, bytesRead)))
      } catch {
        return {} // none yet, or damaged: the next ones take its place
      }
    },
    save: async ports => { await replace(dir, PORTS_FILE, `${JSON.stringify(ports)}\n`) }
  }
}

async function replace (dir: string, file: string, text: string): Promise<void> {
  const path = join(dir, file)
  const draft = join(dir, `.${file}.${toBase64Url(systemRandom.bytes(9))}.draft`)
  try {
    await writeNewFile(draft, text)
    try {
      await rename(draft, path)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
    await flush(dir, 'folder')
  } catch (cause) {
    throw new SwarmError('FOLDER_UNUSABLE', `${path} cannot be written: ${messageOf(cause)}`, { cause, details: { path } })
  }
}
