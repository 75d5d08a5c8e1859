/**
 * One client of a gateway, and what is kept for it alone: its sessions with agents that have a server for each client, the
 * level it wants logs from, the resources it hears of. Nothing of it is reached by another client.
 *
 * A client of 2026-07-28 over HTTP lives for one request, any other for its connection.
 */
import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { isPending, type ClientSide, type Outcome, type Pending } from './host.ts'
import { META } from './revision.ts'
import { AS_IT_CAME, NO_LIMIT_MS } from './session-lists.ts'
import { withoutTasks } from './task-error.ts'
import type { Upstream } from './upstream.ts'
import type { GatewayView, Target } from './view.ts'

/** How often one request may come back with further questions. */
export const ROUNDS_MAX = 32

/** Questions a server may have at once. */
export const QUESTIONS_MAX = 64

/** Resources one client may hear of. */
export const HEARD_MAX = 256

/** Of the handlers' context, what is used here. */
export type Request = ServerContext['mcpReq']

export class GatewayClient {
  readonly era: 'legacy' | 'modern'
  readonly #view: GatewayView
  readonly #server: Server
  readonly #session: string
  /** Lives for one request. */
  readonly #isBrief: boolean
  readonly #report: (error: Error) => void
  readonly #gone = new AbortController()
  readonly #upstreams = new Map<string, Promise<Upstream | undefined>>()
  /** Requests that are being passed to an agent's own session: whom a question of its server is related to. */
  readonly #passing = new Map<string, Set<Request>>()
  /** Questions of each session's server that are open. */
  readonly #questions = new Map<string, number>()
  readonly #heard = new Map<string, () => void>()
  #logLevel: string | undefined

  /** @param session its name in the swarm, which nobody guesses */
  constructor (view: GatewayView, server: Server, era: 'legacy' | 'modern', session: { readonly name: string, readonly isBrief: boolean }, report: (error: Error) => void) {
    this.#view = view
    this.#server = server
    this.era = era
    this.#session = session.name
    this.#isBrief = session.isBrief
    this.#report = report
  }

  /** What this client can be asked for. */
  capabilities (request?: Request): JsonObject {
    if (this.era === 'legacy') return withoutTasks((this.#server.getClientCapabilities() ?? {}) as JsonObject)
    const said = (request?.envelope as JsonObject | undefined)?.[META.clientCapabilities]
    return isObject(said) ? said : {}
  }

  /** What the client calls itself. */
  name (request: Request): string | undefined {
    if (this.era === 'legacy') return this.#server.getClientVersion()?.name
    const info = (request.envelope as JsonObject | undefined)?.[META.clientInfo]
    return isObject(info) && typeof info['name'] === 'string' ? info['name'] : undefined
  }

  /** The client as agents see it in a request. */
  side (target: Target, request: Request, notify: (method: string, params: JsonObject) => void): ClientSide {
    const said = (request.envelope as JsonObject | undefined)?.[META.logLevel]
    const logLevel = typeof said === 'string' ? said : this.#logLevel
    const state: unknown = request.requestState()
    return {
      capabilities: this.capabilities(request),
      ...request.inputResponses !== undefined && { inputResponses: request.inputResponses as JsonObject },
      ...typeof state === 'string' && { requestState: state },
      ...target.session === 'caller' && { session: this.#session },
      ...logLevel !== undefined && { logLevel, log: (params: JsonObject) => { notify('notifications/message', params) } }
    }
  }

  /** Sets from which level on the client hears logs. */
  async setLogLevel (level: string): Promise<void> {
    this.#logLevel = level
    await this.#tellUpstreams(async upstream => { await upstream.request('logging/setLevel', { level }, {}) })
  }

  /** The client's folders have changed. */
  async rootsChanged (): Promise<void> {
    await this.#tellUpstreams(async upstream => { await upstream.notify('notifications/roots/list_changed') })
  }

  /**
   * The session of a client of 2025 with an agent that has a server for each.
   *
   * @returns undefined where there is none: the agent is shared, the client of 2026-07-28, or the server speaks no 2025
   * @throws SwarmError UNREACHABLE, UNAVAILABLE, OVERLOADED, …
   */
  async upstream (target: Target): Promise<Upstream | undefined> {
    if (this.era === 'modern' || target.session !== 'caller') return undefined
    const key = keyOf(target)
    const known = this.#upstreams.get(key)
    if (known !== undefined) return await known
    const opening = this.#open(target, key)
    this.#upstreams.set(key, opening)
    opening.catch(() => { this.#upstreams.delete(key) }) // who asked hears why; the next one tries again
    return await opening
  }

  /** Passes a request to an agent's session for this client. @throws SwarmError as `Upstream.request` */
  async pass (target: Target, upstream: Upstream, method: string, params: JsonObject, request: Request, how: Parameters<Upstream['request']>[2]): Promise<JsonObject> {
    const passing = this.#passing.get(keyOf(target)) ?? new Set<Request>()
    this.#passing.set(keyOf(target), passing.add(request))
    try {
      return await upstream.request(method, params, how)
    } finally {
      passing.delete(request)
    }
  }

  /**
   * Asks a client of 2025 for what an agent of 2026-07-28 needs, as often as it needs more. One of 2026-07-28 gets the
   * questions themselves.
   *
   * @param retry the request again, with the answers
   * @throws ProtocolError where the client refuses, or is asked too often, too much, or for nothing
   */
  async fulfil (first: Outcome | JsonObject, request: Request, retry: (answers: Pick<ClientSide, 'inputResponses' | 'requestState'>) => Promise<Outcome | JsonObject>): Promise<JsonObject> {
    let outcome = first
    for (let round = 0; isPending(outcome) && outcome.resultType === 'input_required'; round++) {
      checkQuestions(outcome)
      if (this.era === 'modern') break
      if (round === ROUNDS_MAX) throw new ProtocolError(ProtocolErrorCode.InternalError, `the server asked for more ${ROUNDS_MAX} times, and was stopped`)
      const { requestState } = outcome
      outcome = await retry({ inputResponses: await this.#answer(outcome, request), ...typeof requestState === 'string' && { requestState } })
    }
    return outcome as JsonObject
  }

  /** Hears of updates of a resource. @throws SwarmError OVERLOADED */
  async hear (target: Target, uri: string, shownUri: string): Promise<void> {
    if (this.#heard.has(shownUri)) return
    if (this.#heard.size >= HEARD_MAX) throw new SwarmError('OVERLOADED', `${HEARD_MAX} resources are subscribed to; that is the limit`, { details: { sent: false } })
    const upstream = await this.upstream(target)
    if (upstream === undefined) {
      this.#heard.set(shownUri, this.#view.listen(target, { resourceSubscriptions: [uri] }, (method, { uri: updated }) => { this.#tell(method, { uri: updated === uri ? shownUri : updated }) }))
      return
    }
    await upstream.request('resources/subscribe', { uri }, {})
    this.#heard.set(shownUri, () => { upstream.request('resources/unsubscribe', { uri }, {}).catch((error: unknown) => { this.#report(asError(error)) }) })
  }

  hearNoMore (uri: string): void {
    this.#heard.get(uri)?.()
    this.#heard.delete(uri)
  }

  close (): void {
    if (this.#gone.signal.aborted) return
    this.#gone.abort(new SwarmError('ABORTED', 'the client has gone'))
    for (const uri of [...this.#heard.keys()]) this.hearNoMore(uri)
    for (const opening of this.#upstreams.values()) void opening.then(async upstream => { await upstream?.close() }).catch(() => undefined) // it was never open
    this.#upstreams.clear()
    this.#view.endSession(this.#session, this.#isBrief)
  }

  async #open (target: Target, key: string): Promise<Upstream | undefined> {
    const transport = await this.#view.openSession(target, this.#session, this.#gone.signal)
    const { Upstream } = await import('./upstream.ts')
    const upstream = await Upstream.open(transport, {
      info: this.#server.getClientVersion(),
      capabilities: this.capabilities(),
      ask: async (method, params, signal) => await this.#ask(key, method, params, signal),
      told: (method, params) => { this.#tell(method, params, key) }
    }, this.#gone.signal)
    if (upstream === undefined) return undefined
    void upstream.closed.then(() => { this.#upstreams.delete(key) })
    if (this.#logLevel !== undefined) await upstream.request('logging/setLevel', { level: this.#logLevel }, {}).catch((error: unknown) => { this.#report(asError(error)) })
    return upstream
  }

  async #answer ({ inputRequests }: Pending, request: Request): Promise<JsonObject> {
    const questions = isObject(inputRequests) ? Object.entries(inputRequests) : []
    return Object.fromEntries(await Promise.all(questions.map(async ([key, question]) => {
      if (!isObject(question) || typeof question['method'] !== 'string') throw new ProtocolError(ProtocolErrorCode.InternalError, 'the server asked for something that is no request')
      const params = isObject(question['params']) ? question['params'] : {}
      return [key, await request.send({ method: question['method'], params }, AS_IT_CAME, { timeout: NO_LIMIT_MS, signal: request.signal })] as const
    })))
  }

  /** A server of 2025 turns to its client: on the way of a request that it works on, where there is one. */
  async #ask (key: string, method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    const open = this.#questions.get(key) ?? 0
    if (open >= QUESTIONS_MAX) throw new ProtocolError(ProtocolErrorCode.InternalError, `the server has ${open} questions open; limit ${QUESTIONS_MAX}`)
    this.#questions.set(key, open + 1)
    const [request] = this.#passing.get(key) ?? []
    const options = { timeout: NO_LIMIT_MS, signal }
    try {
      return request === undefined
        ? await this.#server.request({ method, params }, AS_IT_CAME, options)
        : await request.send({ method, params }, AS_IT_CAME, options)
    } finally {
      this.#questions.set(key, (this.#questions.get(key) ?? 1) - 1)
    }
  }

  /** @param key whose server tells: over HTTP a client may listen to nothing but its requests */
  #tell (method: string, params: JsonObject, key?: string): void {
    if (this.#gone.signal.aborted) return
    const [request] = key === undefined ? [] : this.#passing.get(key) ?? []
    const telling = request === undefined ? this.#server.notification({ method, params }) : request.notify({ method, params })
    telling.catch((error: unknown) => { this.#report(asError(error)) })
  }

  async #tellUpstreams (tell: (upstream: Upstream) => Promise<void>): Promise<void> {
    await Promise.all([...this.#upstreams.values()].map(async opening => {
      try {
        const upstream = await opening
        if (upstream !== undefined) await tell(upstream)
      } catch (error) {
        this.#report(asError(error))
      }
    }))
  }
}

/** @throws ProtocolError */
function checkQuestions ({ inputRequests, requestState }: Pending): void {
  const count = isObject(inputRequests) ? Object.keys(inputRequests).length : 0
  if (count > QUESTIONS_MAX) throw new ProtocolError(ProtocolErrorCode.InternalError, `the server asked ${count} things at once; limit ${QUESTIONS_MAX}`)
  if (count === 0 && typeof requestState !== 'string') throw new ProtocolError(ProtocolErrorCode.InternalError, 'the server asks for more, and says not for what')
}

function keyOf ({ agent, peerId }: Target): string {
  return `${peerId}\n${agent}`
}

export function asError (error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error))
}
