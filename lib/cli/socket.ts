/** The control socket of a data folder: where the process that holds the folder answers other commands of the same user. */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { runtimeFolder, SwarmError } from 'mcp-swarm'

/** Longest path of a socket, in bytes: that of macOS, which is shorter than Linux' 107. Source: sys/un.h. */
export const SOCKET_PATH_BYTES_MAX = 103

/** @throws SwarmError FOLDER_UNUSABLE when every path is too long for a socket */
export function socketPath (dir: string): string {
  const name = createHash('sha256').update(realPath(dir)).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\mcp-swarm-${userInfo().username}-${name}`
  const candidates = [runtimeFolder(), join(tmpdir(), `mcp-swarm-${userInfo().uid}`)].map(folder => join(folder, 'control', `${name}.sock`))
  const path = candidates.find(candidate => Buffer.byteLength(candidate) <= SOCKET_PATH_BYTES_MAX)
  if (path === undefined) throw new SwarmError('FOLDER_UNUSABLE', `the runtime folder ${runtimeFolder()} is too long for a socket; limit ${SOCKET_PATH_BYTES_MAX} bytes: set XDG_RUNTIME_DIR to a shorter one`)
  return path
}

/** Connects to whoever holds the folder; undefined when nobody listens. */
export async function reachHolder (dir: string): Promise<Socket | undefined> {
  const path = socketPath(dir)
  return await new Promise((resolve, reject) => {
    const socket = connect(path)
    const onError = (error: Error & { code?: string }): void => {
      // reset: it ended with us in its queue
      if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ECONNRESET'].includes(error.code ?? '')) return resolve(undefined)
      reject(new SwarmError('FOLDER_UNUSABLE', `cannot reach the peer of ${dir} at ${path}: ${error.message}`, { cause: error }))
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      socket.on('error', () => { socket.destroy() }) // whoever reads it sees it close
      resolve(socket)
    })
  })
}

/** One name for one folder, however it was written; a folder that is not there has no holder either. */
function realPath (dir: string): string {
  try {
    return realpathSync.native(dir)
  } catch {
    return resolve(dir)
  }
}
