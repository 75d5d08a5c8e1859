/**
 * Clients of 2025-11-25 and before, over Streamable HTTP: each has a session by the name of its Mcp-Session-Id, and in it a
 * server of its own, so that none sees what is another's.
 *
 * Invariants: a session that has a request or a stream open is not idle; at most SESSIONS_MAX are there, and the one that has
 * been idle longest makes room; changes are announced on the session's GET stream, and wait until there is one.
 * Source: MCP 2025-11-25, "Transports", Streamable HTTP.
 */
import { isInitializeRequest, WebStandardStreamableHTTPServerTransport, type Server } from '@modelcontextprotocol/server'
import { toBase64Url } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import { openServer, type GatewayOptions } from './gateway.ts'
import { announceChanges, tellChanged } from './gateway-changes.ts'
import { refusal } from './http-answer.ts'
import type { GatewayView } from './view.ts'

/** Sessions at once. */
export const SESSIONS_MAX = 64

/** How long a session without requests or streams is kept, in milliseconds: a client that crashed ends none. */
export const SESSION_IDLE_MS_MAX = 30 * 60_000

/** Random bytes of a session's name: nobody guesses one. */
const ID_BYTES = 24

interface Session {
  readonly id: string
  readonly server: Server
  readonly transport: WebStandardStreamableHTTPServerTransport
  /** The client has opened its stream for what is told outside requests. */
  onStream (isOpen: boolean): void
  /** Requests and streams open now. */
  open: number
  idleSinceMs: number
  /** Takes back the end that idling brings. */
  stay: () => void
}

export class Sessions {
  readonly #view: GatewayView
  readonly #options: GatewayOptions
  readonly #random: Random
  readonly #sessions = new Map<string, Session>()

  constructor (view: GatewayView, options: GatewayOptions, random: Random) {
    this.#view = view
    this.#options = options
    this.#random = random
  }

  /**
   * @param body of a POST, parsed
   * @param over fires when the exchange has ended, however it did
   */
  async fetch (request: Request, body: unknown, over: AbortSignal): Promise<Response> {
    const id = request.headers.get('mcp-session-id')
    if (id === null && isInitializeRequest(body)) return await this.#begin(request, body, over)
    if (id === null) return refusal(400, 'Mcp-Session-Id is missing: begin with initialize')
    const session = this.#sessions.get(id)
    if (session === undefined) return refusal(404, 'no such session: it has ended; begin anew with initialize', -32001)
    const response = await this.#serve(session, request, body, over)
    if (request.method === 'GET' && response.ok && !over.aborted) {
      over.addEventListener('abort', () => { session.onStream(false) }, { once: true })
      session.onStream(true)
    }
    return response
  }

  async close (): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(async ({ server }) => { await server.close() }))
  }

  async #begin (request: Request, body: unknown, over: AbortSignal): Promise<Response> {
    while (this.#sessions.size >= SESSIONS_MAX) {
      if (!await this.#makeRoom()) return refusal(503, `${SESSIONS_MAX} sessions are in use`)
    }
    const id = toBase64Url(this.#random.bytes(ID_BYTES))
    const session = this.#open(id)
    await session.server.connect(session.transport)
    const response = await this.#serve(session, request, body, over)
    if (!response.ok) await session.server.close()
    return response
  }

  #open (id: string): Session {
    const server = openServer(this.#view, 'legacy', this.#options)
    let [isInitialized, isListening] = [false, false]
    const { check, stop } = announceChanges(this.#view, this.#options.clock, () => isInitialized && isListening, kinds => { tellChanged(server, kinds, this.#options) })
    server.oninitialized = () => {
      isInitialized = true
      check()
    }
    const session: Session = {
      id,
      server,
      transport: new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => id }),
      onStream (isOpen) {
        isListening = isOpen
        check()
      },
      open: 0,
      idleSinceMs: this.#options.clock.nowMs(),
      stay: () => {}
    }
    const { onclose } = server
    server.onclose = () => {
      onclose?.()
      stop()
      session.stay()
      this.#sessions.delete(id)
    }
    this.#sessions.set(id, session)
    return session
  }

  async #serve (session: Session, request: Request, body: unknown, over: AbortSignal): Promise<Response> {
    session.open++
    session.stay()
    const leave = (): void => { this.#leave(session) }
    if (over.aborted) leave()
    else over.addEventListener('abort', leave, { once: true })
    return await session.transport.handleRequest(request, { parsedBody: body })
  }

  #leave (session: Session): void {
    const { clock } = this.#options
    if (--session.open > 0 || this.#sessions.get(session.id) !== session) return
    session.idleSinceMs = clock.nowMs()
    session.stay = clock.after(SESSION_IDLE_MS_MAX, () => { this.#end(session) })
  }

  /** Ends the session that has been idle longest. Returns false where none is. */
  async #makeRoom (): Promise<boolean> {
    const idle = [...this.#sessions.values()].filter(({ open }) => open === 0)
    const [oldest] = idle.sort((left, right) => left.idleSinceMs - right.idleSinceMs)
    await oldest?.server.close()
    return oldest !== undefined
  }

  #end ({ server }: Session): void {
    server.close().catch((error: unknown) => { this.#options.report?.(error as Error) })
  }
}
