/** A gateway over HTTP in front of a whole swarm in memory: `bob` offers, `alice` serves. */
import { connect, type Socket } from 'node:net'
import { systemClock } from '../../lib/base/clock.ts'
import type { MCPAgent } from '../../lib/mcp/agent.ts'
import { serveGatewayHttp, type HttpGateway, type HttpGatewayOptions } from '../../lib/mcp/http.node.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import { Lab } from '../../lib/testing.ts'
import { within } from './parts.ts'

export const TOKEN = 'a-token-of-the-tests'

export interface Stage {
  readonly gateway: HttpGateway
  readonly agent: MCPAgent
  readonly reported: Error[]
  close (): Promise<void>
}

export async function stage (build: (agent: MCPAgent) => void, options: Partial<HttpGatewayOptions> = {}): Promise<Stage> {
  const lab = new Lab()
  const reported: Error[] = []
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const agent = bob.agent('worker')
  build(agent)
  await agent.start()
  await within(Promise.all([...agent.catalogue.tools].filter(({ name }) => !['ping', 'echo', 'get_status'].includes(name)).map(({ name }) => alice.offered({ tool: name }))), 'the tools at alice')
  const gateway = await serveGatewayHttp(gatewayView(alice), { port: 0, token: TOKEN, clock: systemClock, report: error => { reported.push(error) }, ...options })
  return {
    gateway,
    agent,
    reported,
    async close () {
      await within(gateway.close(), 'the gateway to close')
      await within(lab.close(), 'the lab to close')
    }
  }
}

/** A request as a well-behaved client sends it, changed by what is given. */
export async function post ({ url }: HttpGateway, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return await fetch(url, { method: 'POST', headers: { ...HEADERS, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body), signal })
}

export const HEADERS = { 'authorization': `Bearer ${TOKEN}`, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream' }

export const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } } }

/** Begins a session of 2025-11-25. Returns the headers of further requests in it. */
export async function begin (gateway: HttpGateway): Promise<Record<string, string>> {
  const response = await post(gateway, INITIALIZE)
  await response.text()
  const session = { 'mcp-session-id': response.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' }
  await post(gateway, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)
  return session
}

/** A call of 2026-07-28. */
export function modern (id: number, name: string, args: object = {}): { body: object, headers: Record<string, string> } {
  const envelope = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' } }
  return {
    body: { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, _meta: envelope } },
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name }
  }
}

/** Bytes on a connection, as no client library would send them; what comes back gathers in `heard`. */
export async function raw ({ url }: HttpGateway, text: string): Promise<{ socket: Socket, heard: () => string, closed: Promise<void> }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let heard = ''
  socket.setEncoding('utf8').on('data', (more: string) => { heard += more })
  socket.on('error', () => { socket.destroy() })
  const closed = new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
  await within(new Promise<void>(resolve => { socket.once('connect', () => { resolve() }) }), 'the connection')
  socket.write(text)
  return { socket, heard: () => heard, closed }
}

/** A request as text. */
export function requestText (body: object, headers: Record<string, string> = {}): string {
  const text = JSON.stringify(body)
  const head = Object.entries({ host: 'localhost', ...HEADERS, 'content-length': String(Buffer.byteLength(text)), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `POST /mcp HTTP/1.1\r\n${head}\r\n${text}`
}
