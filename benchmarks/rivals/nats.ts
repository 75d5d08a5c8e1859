/** The rival: NATS request and reply, two clients and a server on loopback. Run by itself it is the process that replies. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { Caller } from '../calls/peer.ts'
import { PAYLOAD, serveUntilDone, startSide } from '../calls/side.ts'

/** The part of the client that is used here; its package is installed in this folder alone, so that types cannot come from it. */
interface NatsModule {
  connect (options: { servers: string }): Promise<NatsConnection>
}
interface NatsConnection {
  request (subject: string, data: string, options: { timeout: number }): Promise<NatsMessage>
  subscribe (subject: string, options: { callback: (error: Error | null, message: NatsMessage) => void }): unknown
  flush (): Promise<void>
  close (): Promise<void>
}
interface NatsMessage {
  json (): unknown
  respond (data: string): boolean
}

const SUBJECT = 'say'

/** Starts server, replying process and a requesting client; says why not where the server or the client is not installed. */
export async function startNats (): Promise<Caller | string> {
  const module = await load()
  if (module === undefined) return 'the NATS client is not installed: npm ci --prefix benchmarks/rivals'
  const port = await freePort()
  const server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const failed = once(server, 'error').then(() => 'nats-server is not installed: apt-get install nats-server')
  const ready = new Promise<undefined>(resolve => {
    server.stderr?.on('data', (bytes: Buffer) => { if (bytes.includes('Server is ready')) resolve(undefined) })
  })
  const trouble = await Promise.race([failed, ready])
  if (trouble !== undefined) return trouble
  const servers = `nats://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    const gone = once(server, 'exit')
    server.kill()
    await gone
  }
  try {
    const side = await startSide(new URL('./nats.ts', import.meta.url), 'reply', servers)
    const connection = await module.connect({ servers })
    return {
      call: async () => (await connection.request(SUBJECT, JSON.stringify(PAYLOAD), { timeout: 10_000 })).json(),
      stop: async () => {
        await connection.close()
        await side.stop()
        await stop()
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function runReply (servers: string): Promise<void> {
  const connection = await (await load())?.connect({ servers })
  if (connection === undefined) throw new Error('no NATS client')
  connection.subscribe(SUBJECT, { callback: (_error, message) => { message.respond(JSON.stringify(message.json())) } })
  await connection.flush()
  await serveUntilDone({})
  await connection.close()
}

async function load (): Promise<NatsModule | undefined> {
  const name = '@nats-io/transport-node'
  try {
    return await import(name) as NatsModule
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

if (process.argv[2] === 'reply') await runReply(process.argv[3] ?? '')
