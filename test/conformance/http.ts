/** The fixture served directly over Streamable HTTP: sessions for 2025-11-25, and 2026-07-28, at one address of this machine. */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createMcpHandler, isInitializeRequest, isLegacyRequest, localhostAllowedHostnames, localhostAllowedOrigins, validateHostHeader, validateOriginHeader,
  WebStandardStreamableHTTPServerTransport
} from '@modelcontextprotocol/server'
import { headOf, readBody, send } from '../../lib/mcp/web.node.ts'
import type { Shared } from './context.ts'
import { openFixture } from './fixture.ts'

const BODY_BYTES_MAX = 2 ** 20
const SESSIONS_MAX = 200

/** @returns the address; served until the process ends */
export async function serveDirectly (): Promise<string> {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>()
  const changes = { tools: 0, prompts: 0 }
  const tell: Shared['tell'] = list => { modern[list]() }
  const handler = createMcpHandler(() => openFixture({ changes, tell }), { legacy: 'reject' })
  const modern = { tools: () => { handler.notify.toolsChanged() }, prompts: () => { handler.notify.promptsChanged() } }

  async function answer (request: Request, body: unknown): Promise<Response> {
    const host = validateHostHeader(request.headers.get('host'), localhostAllowedHostnames())
    const origin = validateOriginHeader(request.headers.get('origin'), localhostAllowedOrigins())
    if (!host.ok || !origin.ok) return new Response(null, { status: 403 })
    if (!await isLegacyRequest(request, body)) return await handler.fetch(request, { parsedBody: body })
    const id = request.headers.get('mcp-session-id')
    const session = id === null ? undefined : sessions.get(id)
    if (session !== undefined) return await session.handleRequest(request, { parsedBody: body })
    if (id !== null || !isInitializeRequest(body) || sessions.size >= SESSIONS_MAX) return new Response(null, { status: id === null ? 400 : 404 })
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID, onsessioninitialized: id => { sessions.set(id, transport) }, onsessionclosed: id => { sessions.delete(id) }
    })
    await openFixture({ changes: { tools: 0, prompts: 0 } }).connect(transport)
    return await transport.handleRequest(request, { parsedBody: body })
  }

  const server = createServer((incoming, outgoing) => {
    const over = new AbortController()
    outgoing.once('close', () => { over.abort() })
    void (async () => {
      const text = incoming.method === 'POST' ? await readBody(incoming, BODY_BYTES_MAX) : undefined
      await send(await answer(headOf(incoming, 'http://127.0.0.1/mcp', over.signal), text === undefined ? undefined : JSON.parse(text) as unknown), outgoing)
    })().catch(error => {
      console.error(error)
      outgoing.destroy()
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}
