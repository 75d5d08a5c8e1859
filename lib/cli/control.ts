/**
 * The control socket at the holder's end. It lies in a folder that only this user may enter, and belongs to whoever holds
 * the data folder: a socket file that is there already was left by a holder that died.
 */
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { checkPrivateFolder, deadline, SwarmError, systemClock, type Swarm } from 'mcp-swarm'
import { answer } from './answer.ts'
import { serveGateway } from './gateway.ts'
import { readFirstLine, writeLine } from './lines.ts'
import { errorReply, readRequest } from './request.ts'
import { socketPath } from './socket.ts'

/** Connections at once; a further one is closed. */
export const CLIENTS_MAX = 256

/** How long a connection may take to say what it wants, in milliseconds. */
export const FIRST_LINE_MS_MAX = 5_000

/**
 * @param gateway where this process serves the gateway over HTTP
 * @returns the way to stop: answers end, connections close
 */
export async function serveControl (dir: string, swarm: Swarm, gateway?: string): Promise<() => Promise<void>> {
  const path = socketPath(dir)
  const clients = new Set<Socket>()
  const server = createServer(socket => {
    clients.add(socket)
    socket.on('error', () => { socket.destroy() }) // what it was doing ends with its close
    socket.on('close', () => { clients.delete(socket) })
    serveClient(swarm, socket, gateway).catch((error: unknown) => {
      if (!socket.destroyed) socket.end(`${errorReply(error)}\n`, () => { socket.destroy() }) // whoever still sends would wait for ever
    })
  })
  server.maxConnections = CLIENTS_MAX
  if (process.platform !== 'win32') {
    await checkPrivateFolder(dirname(dirname(path)))
    await checkPrivateFolder(dirname(path))
    await rm(path, { force: true })
  }
  await listen(server, path)
  if (process.platform !== 'win32') await chmod(path, 0o600)
  return async () => {
    const closed = new Promise<void>(resolve => { server.close(() => { resolve() }) })
    for (const socket of clients) socket.destroy()
    await closed
  }
}

async function serveClient (swarm: Swarm, socket: Socket, gateway?: string): Promise<void> {
  const { signal, done } = deadline(systemClock, FIRST_LINE_MS_MAX)
  signal.addEventListener('abort', () => { socket.destroy() })
  const line = await readFirstLine(socket).finally(done)
  if (line === undefined) return void socket.destroy()
  const request = readRequest(line)
  if (request.do === 'mcp') return await serveGateway(swarm, socket, request)
  const closing = new AbortController()
  socket.on('close', () => { closing.abort(new SwarmError('ABORTED', 'the command that asked has ended')) })
  socket.resume() // nothing more is expected, but its end must be seen
  const result = await answer(swarm, request, {
    signal: closing.signal,
    progress: progress => { void writeLine(socket, JSON.stringify({ progress })) },
    changed: async changed => { await writeLine(socket, JSON.stringify({ changed })) }
  }, gateway)
  socket.end(`${JSON.stringify({ result })}\n`)
}

async function listen (server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => {
      reject(new SwarmError('FOLDER_UNUSABLE', `cannot listen on the control socket ${path}: ${cause.message}`, { cause }))
    })
    server.listen(path, resolve)
  })
}
