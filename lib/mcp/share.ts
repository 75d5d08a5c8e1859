/**
 * An MCP server that exists already, offered unchanged: a command, an SDK instance of this process, or a URL.
 *
 *   starting → serving → waiting → starting …, and closed from anywhere
 *
 * Invariants: its catalogue is what the server last said, also while it is down; a call that came while it is down has
 * not run and says so (UNAVAILABLE, `sent: false`); a call in flight when it ends may have run (INDETERMINATE) and is never
 * sent again. A server that ends is started again after a random wait that grows with each failure and is forgotten
 * after a time of health. One that could not be started at first is tried again in the same way.
 */
import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import type { JsonObject } from '../base/json.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import { Callers, outsideCalls } from './callers.ts'
import type { AgentRequest, Asking, Availability, Caller, CallToolResult, HostedAgent, Outcome, ToolCall } from './host.ts'
import type { Link } from './link.ts'
import { pause } from './pause.ts'
import type { Era, ServerSession, SessionEvents, SessionOptions } from './session.ts'
import { openerOf, type Opener, type ServerSource } from './source.ts'
import { saying, startServer, type Started } from './starting.ts'
import { Updates } from './updates.ts'

/** How long a server may take from its start to its first lists unless told otherwise, in milliseconds. */
export const START_MS_MAX = 30_000

/** Bounds of the wait before a restart, in milliseconds: a random part of the lower, doubled with every failure up to the upper. */
export const RESTART_MS = { first: 100, max: 30_000 } as const

/** Time of health after which earlier failures no longer count, in milliseconds. */
export const HEALTHY_MS = 60_000

/** Calls in flight to one shared server; a further one is refused as OVERLOADED. */
export const SHARED_CALLS_IN_FLIGHT_MAX = 1_000

export type { ServerSource } from './source.ts'

/** Sessions of 2025 that one agent in mode `caller` serves at once, each with a server of its own. */
export const SESSIONS_MAX = 32

export interface ShareOptions {
  readonly clock: Clock
  readonly random: Random
  readonly role?: string
  readonly pool?: string
  readonly description?: string
  readonly version?: string
  /**
   * `shared` (default): one connection for everybody, which nobody is asked through by a server of 2025. `caller`: a server of
   * 2025 is started once more for each client that calls, and may ask it.
   */
  readonly session?: 'shared' | 'caller'
  /** Default START_MS_MAX. */
  readonly startMsMax?: number
  /** Default SHARED_CALLS_IN_FLIGHT_MAX. */
  readonly callsInFlightMax?: number
  /** Hears of what no call can tell: a restart, a list that cannot be read. */
  readonly report?: (event: string) => void
}

export interface SharedServer extends HostedAgent {
  readonly availability: Availability & { readonly sinceMs?: number }
  /** Resolves when it first serves; rejects with SERVER_FAILED if its first start failed, after which it is tried again. */
  ready (): Promise<void>
}

/**
 * Starts a server and offers it under a name.
 *
 * @throws SwarmError INVALID_OPTION for a source that is none, or an instance in mode `caller`
 */
export function shareServer (name: string, source: ServerSource, options: ShareOptions): SharedServer {
  return new Shared(name, source, options)
}

/** What a server that is connected to for its lists is told, so that it shows the tools that ask too. */
const ALL_CAPABILITIES: JsonObject = { elicitation: { form: {}, url: {} }, sampling: { tools: {}, context: {} }, roots: {} }

/** Only the first call counts. */
type FirstOutcome = (error?: Error) => void

class Shared implements SharedServer {
  readonly name: string
  readonly role: string | undefined
  readonly pool: string | undefined
  readonly description: string | undefined
  readonly version: string | undefined
  readonly #options: ShareOptions
  readonly #source: Opener
  readonly #isPerCaller: boolean
  readonly #callers: Callers
  readonly #updates: Updates
  /** Servers started for sessions of 2025. */
  readonly #links = new Map<Link, () => Promise<void>>()
  readonly #events = new Emitter<{ change: undefined }>()
  readonly #closing = new AbortController()
  /** How the first start went: no rejection, since nobody need ask. */
  readonly #first: Promise<Error | undefined>
  readonly #done: Promise<void>
  #session: ServerSession | undefined
  #catalogue: Catalogue = { tools: [] }
  #names: ReadonlySet<string> = new Set()
  #down: { readonly reason: string, readonly said?: string, readonly sinceMs: number }
  #era: Era | undefined
  #inFlight = 0

  constructor (name: string, source: ServerSource, options: ShareOptions) {
    this.name = name
    this.role = options.role
    this.pool = options.pool
    this.description = options.description
    this.version = options.version
    this.#options = options
    this.#source = openerOf(name, source, options.clock)
    this.#isPerCaller = options.session === 'caller'
    if (this.#isPerCaller && !this.#source.isRepeatable) {
      throw new SwarmError('INVALID_OPTION', `server ${name}: an instance cannot be started for each caller: share a function that makes one`)
    }
    this.#callers = new Callers({
      clock: options.clock,
      random: options.random,
      report: message => { options.report?.(`server ${name}: ${message}`) },
      hasRoom: () => this.#links.size + this.#callers.count < SESSIONS_MAX,
      open: async (capabilities, events) => (await this.#connect({ ...this.#events2025, ...events }, { capabilities, lists: false, era: 'legacy' })).session
    })
    this.#updates = new Updates(message => { options.report?.(`server ${name}: ${message}`) })
    this.#down = { reason: 'starting', sinceMs: options.clock.wallMs() }
    let tell: FirstOutcome = () => {}
    this.#first = new Promise(resolve => { tell = resolve })
    this.#done = this.#live(tell)
  }

  get catalogue (): Catalogue {
    return this.#catalogue
  }

  get availability (): Availability & { readonly sinceMs?: number } {
    return this.#session === undefined ? { available: false, ...this.#down } : { available: true }
  }

  async ready (): Promise<void> {
    const error = await this.#first
    if (error !== undefined) throw error
  }

  onChange (listener: () => void): () => void {
    return this.#events.on('change', listener)
  }

  async callTool (call: ToolCall & { readonly client?: undefined }): Promise<CallToolResult>
  async callTool (call: ToolCall): Promise<Outcome>
  async callTool (call: ToolCall): Promise<Outcome> {
    const session = this.#serving(call.name)
    if (!this.#names.has(call.name)) {
      throw new SwarmError('UNKNOWN_TOOL', `server ${this.name} has no tool ${call.name}`, { details: { agent: this.name, tool: call.name, sent: false } })
    }
    return await this.#pass(session, 'tools/call', { name: call.name, arguments: call.arguments }, call) as Outcome
  }

  async request (request: AgentRequest): Promise<JsonObject> {
    return await this.#pass(this.#serving(request.method), request.method, request.params, request)
  }

  async subscribe (uri: string, updated: (uri: string) => void, asking?: Pick<Asking, 'caller' | 'client'>): Promise<() => void> {
    const isOwn = this.#isPerCaller && this.#era === 'legacy' && asking?.client?.session !== undefined
    return isOwn ? await this.#callers.subscribe(uri, updated, asking) : await this.#updates.add(uri, updated)
  }

  enter (caller: Caller, session: string): () => void {
    return this.#callers.enter(caller.peerId, session)
  }

  left (caller: Caller, session: string): void {
    this.#callers.left(caller.peerId, session)
  }

  async openSession (caller: Caller): Promise<Link> {
    this.#serving('a session')
    if (!this.#isPerCaller) throw new SwarmError('UNAVAILABLE', `server ${this.name} keeps no sessions: it is shared by all`, { details: { sent: false } })
    if (this.#links.size + this.#callers.count >= SESSIONS_MAX) {
      throw new SwarmError('OVERLOADED', `server ${this.name} serves ${SESSIONS_MAX} sessions; that is its limit, and ${caller.peerId} would have one more`, { details: { sent: false } })
    }
    const link = await this.#source.open()
    const { transport, trouble } = link
    const end = transport.close.bind(transport) // whoever takes the transport may put our way of closing in its place
    this.#links.set(link, end)
    return {
      transport,
      trouble,
      close: async () => {
        this.#links.delete(link)
        await end()
      }
    }
  }

  async close (): Promise<void> {
    this.#closing.abort(new SwarmError('CLOSED', `server ${this.name} is no longer shared`))
    await Promise.all([this.#done, this.#callers.close(), ...[...this.#links.values()].map(async end => { await end() })])
  }

  /** @throws SwarmError UNAVAILABLE */
  #serving (what: string): ServerSession {
    if (this.#session !== undefined) return this.#session
    throw new SwarmError('UNAVAILABLE', `server ${this.name} is down: ${this.#down.reason}`, { details: { agent: this.name, tool: what, sent: false, sinceMs: this.#down.sinceMs } })
  }

  /** To the server, or to the one that the caller's client has for itself. */
  async #pass (session: ServerSession, method: string, params: JsonObject, asking: Asking): Promise<JsonObject> {
    const max = this.#options.callsInFlightMax ?? SHARED_CALLS_IN_FLIGHT_MAX
    if (this.#inFlight >= max) throw new SwarmError('OVERLOADED', `server ${this.name} has ${max} calls in flight; that is its limit`, { details: { agent: this.name, sent: false } })
    this.#inFlight++
    try {
      const isOwn = this.#isPerCaller && session.era === 'legacy'
      return isOwn ? await this.#callers.request(method, params, asking) as JsonObject : await session.request(method, params, asking)
    } finally {
      this.#inFlight--
    }
  }

  /** What a server of 2025 is told by whoever connects to it for a client. */
  get #events2025 (): SessionEvents {
    return { changed: () => {}, trouble: error => { this.#options.report?.(`server ${this.name}: ${error.message}`) } }
  }

  async #live (tell: FirstOutcome): Promise<void> {
    const { clock, random, report } = this.#options
    const { signal } = this.#closing
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const healthyMs = await this.#serve(tell)
        if (healthyMs >= HEALTHY_MS) failures = 1
      } catch (error) {
        const { details: { reason, said } } = error as SwarmError
        this.#goDown(typeof reason === 'string' ? reason : messageOf(error), typeof said === 'string' ? said : undefined)
        tell(error as SwarmError)
      }
      if (signal.aborted || !this.#source.isRepeatable) break
      report?.(`server ${this.name} is down: ${this.#down.reason}${saying(this.#down.said)}`)
      await pause(clock, random.next() * Math.min(RESTART_MS.max, RESTART_MS.first * 2 ** (failures - 1)), signal)
    }
    if (!signal.aborted) return
    tell(signal.reason as SwarmError)
    this.#goDown('it is no longer shared')
  }

  /** One life of the server. @returns how long it was healthy, in milliseconds @throws SwarmError SERVER_FAILED if it never was */
  async #serve (onServing: () => void): Promise<number> {
    const { clock, report } = this.#options
    const { signal } = this.#closing
    const { session, link } = await this.#connect({
      changed: catalogue => { this.#offer(catalogue) },
      trouble: error => { report?.(`server ${this.name}: ${error.message}`) },
      updated: uri => { this.#updates.told(uri) },
      ...this.#isPerCaller && { ask: async method => outsideCalls(method) }
    }, this.#isPerCaller ? { capabilities: ALL_CAPABILITIES, session: 'caller' } : {})
    const sinceMs = clock.nowMs()
    this.#era = session.era
    this.#session = session
    this.#updates.attach(session)
    this.#offer(sameOr(this.#catalogue, session.catalogue))
    onServing()
    const stop = (): void => { void session.close() }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    await session.closed
    signal.removeEventListener('abort', stop)
    const trouble = link.trouble()
    this.#goDown(trouble?.reason ?? 'it closed the connection', trouble?.said)
    return clock.nowMs() - sinceMs
  }

  async #connect (events: SessionEvents, options: Pick<SessionOptions, 'capabilities' | 'era' | 'lists' | 'session'>): Promise<Started> {
    const { clock, startMsMax = START_MS_MAX } = this.#options
    const era = options.era ?? (this.#era === 'legacy' ? 'legacy' : undefined)
    return await startServer({ name: this.name, source: this.#source, clock, startMsMax, signal: this.#closing.signal, events, options: { ...options, era } })
  }

  #offer (catalogue: Catalogue): void {
    if (this.#session === undefined) return // read again when it serves
    this.#catalogue = catalogue
    this.#names = new Set(catalogue.tools.map(({ name }) => name))
    this.#events.emit('change', undefined)
  }

  #goDown (reason: string, said?: string): void {
    this.#session = undefined
    this.#updates.detach()
    this.#down = { reason, said, sinceMs: this.#options.clock.wallMs() }
    this.#events.emit('change', undefined)
  }
}

/** A restart that changes nothing shall not look like a change. */
function sameOr (held: Catalogue, fresh: Catalogue): Catalogue {
  return JSON.stringify(held) === JSON.stringify(fresh) ? held : fresh
}
