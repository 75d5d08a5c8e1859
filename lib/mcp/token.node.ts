/**
 * The token that a client of the gateway shows, in a file that this user alone may read: one line, so that a shell can put
 * it into a header. Whoever calls holds the data folder, so no two processes make one at once.
 */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { flush, shellWord, systemCode, writeNewFile } from '../identity/disk.node.ts'
import { toBase64Url } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { systemRandom, type Random } from '../base/random.ts'

/** Random bytes of a token. */
const TOKEN_BYTES = 32

/** A token in base64url: 43 characters say 32 bytes. Source: RFC 4648, section 5. */
const TOKEN = /^[\w-]{43}$/

/** Largest file read, in bytes: a token, and what an editor may have put behind it. */
const FILE_BYTES_MAX = 256

const OTHERS = 0o077

/**
 * Reads the token at `path`, or makes it at first use.
 *
 * @param path in a folder that is there and held by this process
 * @throws SwarmError KEY_EXPOSED if anybody else may read it, KEY_INVALID if it holds no token, FOLDER_UNUSABLE if it
 *   cannot be read or made; none of them quotes what the file holds
 */
export async function loadOrCreateToken (path: string, random: Random = systemRandom): Promise<string> {
  try {
    const text = await read(path)
    if (text === undefined) return await create(path, random)
    const token = text.trim()
    if (TOKEN.test(token)) return token
    throw new SwarmError('KEY_INVALID', `token file ${path} holds no token`, { details: { path } })
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    throw new SwarmError('FOLDER_UNUSABLE', `token file ${path} cannot be read or made`, { cause, details: { path } })
  }
}

async function read (path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const { mode, size, uid } = await file.stat()
      const user = process.geteuid?.()
      if (user !== undefined && (uid !== user || (mode & OTHERS) !== 0)) { // Windows keeps no such bits: there, folders protect
        const cure = uid === user ? `chmod 600 ${shellWord(path)}` : `chown ${user} ${shellWord(path)}`
        throw new SwarmError('KEY_EXPOSED', `token file ${path} may be read by others. Run: ${cure} (or delete it, and a new one is made)`, { details: { path, cure } })
      }
      return size > FILE_BYTES_MAX ? '' : await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Whole from the moment it has its name: a crash leaves a draft, which the next one replaces. */
async function create (path: string, random: Random): Promise<string> {
  const token = toBase64Url(random.bytes(TOKEN_BYTES))
  const draft = `${path}.new`
  await rm(draft, { force: true })
  await writeNewFile(draft, `${token}\n`)
  await rename(draft, path)
  await flush(dirname(path), 'folder')
  return token
}
