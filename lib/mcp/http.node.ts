/**
 * The gateway over Streamable HTTP, for clients on this machine, in both revisions at one address: of 2026-07-28 each request
 * stands alone, and `subscriptions/listen` is told of changes; older clients have sessions (`http-sessions.ts`).
 *
 * Anything on this machine can reach a loopback port, and so can any web page that the user opens. So, before a body is read:
 * the Host is a name of this machine (a page cannot rebind one of its own to us), the Origin, where a browser says one, is of
 * this machine, and the token is shown. Nothing else is served, and whatever a client can make grow has a bound.
 * Source: MCP 2026-07-28, "Transports", Streamable HTTP, Security Warning.
 */
import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createMcpHandler, isJsonContentType, isLegacyRequest, localhostAllowedHostnames, localhostAllowedOrigins, validateHostHeader, validateOriginHeader, type McpHttpHandler
} from '@modelcontextprotocol/server'
import { sha256 } from '#hash'
import { utf8 } from '../base/bytes.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, JSON_DEPTH_MAX } from '../base/json.ts'
import { systemRandom, type Random } from '../base/random.ts'
import { openServer, type GatewayOptions } from './gateway.ts'
import { isListen, Subscriptions, type Listen } from './gateway-subscriptions.ts'
import { eventStream, refusal } from './http-answer.ts'
import { findMismatch, HEADER_MISMATCH } from './http-params.ts'
import { Sessions } from './http-sessions.ts'
import type { GatewayView } from './view.ts'
import { headOf, readBody, send } from './web.node.ts'

/** Largest body of a request, in bytes: that of a line of the swarm's own streams. */
export const BODY_BYTES_MAX = 4 * 2 ** 20

/** How long a request may take to come in, head and body, in milliseconds; a connection that asks nothing has as long. */
export const REQUEST_MS_MAX = 10_000

/** Connections at once; a further one is closed. */
export const CONNECTIONS_MAX = 256

/** Requests open at once, streams among them: clients may send several on one connection. */
export const REQUESTS_MAX = 256

/** Calls that run at once: a client of a session may hang up on its own, and come again. */
export const CALLS_MAX = 256

/**
 * How long a connection is kept for a further request, in milliseconds. Clients keep theirs a little shorter; the longer it is, the
 * rarer a request meets a connection that is just being closed.
 */
export const IDLE_MS_MAX = 30_000

/** How often Node looks for requests that take too long, in milliseconds. */
const CHECK_MS = 500

const PATH = '/mcp'
const HOSTS = ['127.0.0.1', '::1', 'localhost']

export interface HttpGatewayOptions extends GatewayOptions {
  /** 0: any that is free. */
  readonly port: number
  /** A name of this machine alone. Default 127.0.0.1. */
  readonly host?: string
  /** What every request must bear. Without it whatever runs on this machine may call. */
  readonly token?: string
  /** Names sessions. Default the system's. */
  readonly random?: Random
  /** Requests wait for it: a peer that has just joined does not know the tools yet. */
  readonly ready?: Promise<unknown>
}

export interface HttpGateway {
  /** `http://127.0.0.1:<port>/mcp` */
  readonly url: string
  /** Ends every session, stream and connection; calls in flight are aborted. */
  close (): Promise<void>
}

/**
 * Serves the gateway at a port of this machine.
 *
 * @throws SwarmError PORT_IN_USE; INVALID_OPTION where `host` is not this machine, or the port not ours to take
 */
export async function serveGatewayHttp (view: GatewayView, options: HttpGatewayOptions): Promise<HttpGateway> {
  const { host = '127.0.0.1', port } = options
  if (!HOSTS.includes(host)) throw new SwarmError('INVALID_OPTION', `the gateway listens on this machine alone (${HOSTS.join(', ')}), not on ${host}`)
  const gateway = new HttpFront(view, options)
  const server = createServer({ connectionsCheckingInterval: CHECK_MS, headersTimeout: REQUEST_MS_MAX, requestTimeout: REQUEST_MS_MAX, keepAliveTimeout: IDLE_MS_MAX }, (incoming, outgoing) => {
    gateway.answer(incoming, outgoing).catch((error: unknown) => {
      options.report?.(error instanceof Error ? error : new Error(messageOf(error)))
      outgoing.destroy()
    })
  })
  server.maxConnections = CONNECTIONS_MAX
  try {
    await listen(server, host, port)
  } catch (error) {
    await gateway.close()
    throw error
  }
  const bound = (server.address() as AddressInfo).port
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const closed = new Promise<void>(resolve => { server.close(() => { resolve() }) })
    await gateway.close()
    server.closeAllConnections()
    await closed
  }
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}${PATH}`, close: () => closing ??= close() }
}

/** What stands behind the port. */
class HttpFront {
  readonly #view: GatewayView
  readonly #options: HttpGatewayOptions
  readonly #sessions: Sessions
  readonly #modern: McpHttpHandler
  readonly #subscriptions: Subscriptions
  readonly #ready: Promise<boolean>
  /** Ends each open subscription in order. */
  readonly #finishing = new Set<() => void>()
  readonly #tokenHash: Uint8Array | undefined
  /** Held until they end: a request that nobody holds no longer hears that its client has gone. */
  readonly #open = new Set<Request>()

  constructor (view: GatewayView, options: HttpGatewayOptions) {
    const { clock, random = systemRandom, ready, report, token } = options
    const calls = boundCalls(view)
    this.#view = view
    this.#options = options
    this.#sessions = new Sessions(calls, options, random)
    this.#modern = createMcpHandler(() => openServer(calls, 'modern', options), { legacy: 'reject', onerror: error => { report?.(error) } })
    this.#subscriptions = new Subscriptions(view, clock)
    this.#ready = Promise.resolve(ready).then(() => true, () => false)
    this.#tokenHash = token === undefined ? undefined : sha256(utf8(token))
  }

  /** Answers one request, to its end. */
  async answer (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const over = new AbortController()
    outgoing.once('close', () => { over.abort() })
    const refused = this.#refuse(incoming)
    if (refused !== undefined) return await send(refused, outgoing)
    const request = headOf(incoming, `http://${this.#options.host ?? '127.0.0.1'}${PATH}`, over.signal)
    this.#open.add(request)
    over.signal.addEventListener('abort', () => { this.#open.delete(request) }, { once: true })
    try {
      await send(await this.#serve(incoming, request, over.signal), outgoing)
    } catch (error) {
      if (!over.signal.aborted && incoming.errored === null) throw error // otherwise the client has gone, and nobody is left to tell
    }
  }

  async close (): Promise<void> {
    for (const finish of [...this.#finishing]) finish()
    this.#subscriptions.close()
    await Promise.all([this.#sessions.close(), this.#modern.close()])
  }

  /** Why a request gets nothing, from its head alone. */
  #refuse ({ headers, method = '', url }: IncomingMessage): Response | undefined {
    const host = validateHostHeader(headers.host, localhostAllowedHostnames())
    if (!host.ok) return refusal(403, host.message)
    const origin = validateOriginHeader(headers.origin, localhostAllowedOrigins())
    if (!origin.ok) return refusal(403, origin.message)
    if (url?.split('?')[0] !== PATH) return refusal(404, `only ${PATH} is served here`)
    if (!this.#isAllowed(headers.authorization)) return refusal(401, 'show the token: Authorization: Bearer …', undefined, { 'WWW-Authenticate': 'Bearer realm="mcp-swarm"' })
    if (!['GET', 'POST', 'DELETE'].includes(method)) return refusal(405, `${method} is not served here`, undefined, { Allow: 'GET, POST, DELETE' })
    if (method === 'POST' && !isJsonContentType(headers['content-type'])) return refusal(415, 'the Content-Type must be application/json')
    if (this.#open.size >= REQUESTS_MAX) return refusal(503, `${REQUESTS_MAX} requests are open; try again in a moment`, undefined, { 'Retry-After': '1' })
    return undefined
  }

  /** Hashes are compared, which have one length, and in a time that does not tell how far they agree. */
  #isAllowed (authorization = ''): boolean {
    if (this.#tokenHash === undefined) return true
    const [, shown] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
    return shown !== undefined && timingSafeEqual(sha256(utf8(shown)), this.#tokenHash)
  }

  async #serve (incoming: IncomingMessage, request: Request, over: AbortSignal): Promise<Response> {
    const body = request.method === 'POST' ? await readJson(incoming) : undefined
    if (body instanceof Response) return body
    if (!await this.#ready) return refusal(503, 'the gateway is closing')
    if (await isLegacyRequest(request, body)) return await this.#sessions.fetch(request, body, over)
    const refused = this.#refuseParams(request, body)
    if (refused !== undefined) return refused
    return isListen(body) ? await this.#listen(request, body, over) : await this.#modern.fetch(request, { parsedBody: body })
  }

  /** The SDK checks the request as one that asks for nothing, which it would end at once; what is asked for is served here. */
  async #listen (request: Request, body: Listen, over: AbortSignal): Promise<Response> {
    const checked = await this.#modern.fetch(request, { parsedBody: { ...body, params: { ...body.params, notifications: {} } } })
    if (checked.headers.get('content-type')?.startsWith('text/event-stream') !== true) return checked
    await checked.body?.cancel()
    const { response, send, end } = eventStream(this.#options.clock)
    const opened = this.#subscriptions.open(body, send)
    if (opened === undefined) end()
    else {
      const finish = (): void => {
        opened.finish()
        end()
      }
      this.#finishing.add(finish)
      const stop = (): void => {
        this.#finishing.delete(finish)
        opened.stop()
        end()
      }
      if (over.aborted) stop()
      else over.addEventListener('abort', stop, { once: true })
    }
    return response
  }

  /** Why a call gets nothing whose headers do not say what its arguments say. */
  #refuseParams ({ headers }: Request, body: unknown): Response | undefined {
    if (!isObject(body) || body['method'] !== 'tools/call' || !isObject(body['params'])) return undefined
    const { name, arguments: args } = body['params']
    const schema = this.#view.tools().find(tool => tool.name === name)?.tool['inputSchema']
    const mismatch = isObject(schema) && isObject(args) ? findMismatch(schema, args, headers) : undefined
    return mismatch === undefined ? undefined : refusal(400, mismatch, HEADER_MISMATCH, {}, body['id'])
  }
}

/** The value of a body, or the answer to one that has none. */
async function readJson (incoming: IncomingMessage): Promise<unknown> {
  const text = await readBody(incoming, BODY_BYTES_MAX)
  if (text === undefined) return refusal(413, `the body is over the limit of ${BODY_BYTES_MAX} bytes`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return refusal(400, `the body is not JSON: ${messageOf(error)}`, -32700)
  }
  return isDeeper(value, JSON_DEPTH_MAX) ? refusal(400, `the body is nested deeper than ${JSON_DEPTH_MAX}`, -32600) : value
}

/** Level by level, since a walk into the depth could be deeper than the stack. */
function isDeeper (value: unknown, depthMax: number): boolean {
  let level = [value]
  for (let depth = 0; depth <= depthMax; depth++) {
    level = level.flatMap(each => typeof each === 'object' && each !== null ? Object.values(each) as unknown[] : [])
    if (level.length === 0) return false
  }
  return true
}

function boundCalls (view: GatewayView): GatewayView {
  let running = 0
  const bounded = async <Answer>(run: () => Promise<Answer>): Promise<Answer> => {
    if (running >= CALLS_MAX) throw new SwarmError('OVERLOADED', `the gateway already has ${CALLS_MAX} calls in flight`, { details: { sent: false } })
    running++
    try {
      return await run()
    } finally {
      running--
    }
  }
  return {
    ...view,
    call: async (...call) => await bounded(async () => await view.call(...call)),
    request: async (...request) => await bounded(async () => await view.request(...request))
  }
}

async function listen (server: HttpServer, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: Error & { code?: string }) => {
      const isTaken = cause.code === 'EADDRINUSE'
      reject(new SwarmError(isTaken ? 'PORT_IN_USE' : 'INVALID_OPTION', isTaken
        ? `the gateway cannot listen on ${host} port ${port}: another process has it`
        : `the gateway cannot listen on ${host} port ${port}: ${cause.message}`, { cause, details: { port } }))
    })
    server.listen(port, host, resolve)
  })
}
