/**
 * One caller's stream to one agent, after the first line: JSON-RPC in, JSON-RPC out, both revisions on the same stream.
 * Every request is of the stateless revision if its `_meta` says so, otherwise of the session that `initialize` began.
 */
import { afterTurn, type Clock } from '../base/clock.ts'
import { assert, SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { LineReader, LineStream } from '../base/line.ts'
import type { Caller, CallToolResult, HostedAgent, Progress } from './host.ts'
import { META, SESSION_REVISION, STATELESS_REVISION } from './revision.ts'
import { RunningCall } from './serve-call.ts'
import { LIST_TTL_MS, toolPages } from './serve-list.ts'
import { Bounds } from './wire-bounds.ts'
import { Outlet } from './wire-outlet.ts'
import { brief, endSoon, isRpcId, isShallow, RPC, rpcError, type RpcId } from './wire.ts'

/** `subscriptions/listen` requests one stream may hold open. */
export const SUBSCRIPTIONS_MAX = 16

export interface SessionOptions {
  readonly caller: Caller
  readonly clock: Clock
  readonly report: (error: unknown) => void
  readonly onCall?: () => void
  readonly callsInFlightMax: number
  readonly lineBytesMax: number
  /** The agent as offered to this caller now. @throws SwarmError UNKNOWN_AGENT, FORBIDDEN */
  readonly find: () => HostedAgent
}

type Era = 'stateless' | 'session'

export class Session implements LineReader {
  readonly #lines: LineStream
  readonly #outlet: Outlet
  readonly #options: SessionOptions
  readonly #calls = new Map<RpcId, RunningCall>()
  readonly #bounds: Bounds<RpcId>
  /** Ids of open `subscriptions/listen` requests that asked for changes of tools. */
  readonly #listening = new Set<RpcId>()
  #agent: HostedAgent
  #tools: unknown
  #unwatch: () => void
  #isInitialized = false
  #isOver = false
  #isTelling = false

  constructor (lines: LineStream, agent: HostedAgent, options: SessionOptions) {
    this.#lines = lines
    this.#outlet = new Outlet(lines, options.lineBytesMax)
    this.#options = options
    this.#bounds = new Bounds(options.clock, id => {
      this.#calls.get(id)?.abort(new SwarmError('TIMEOUT', 'the caller waits no longer'))
    })
    this.#agent = agent
    this.#tools = agent.catalogue.tools
    this.#unwatch = agent.onChange(() => { this.#changed() })
  }

  line (text: string): void {
    if (this.#isOver) return
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      // Framing is still in step, but a peer that writes broken JSON is broken: the caller is told, then the stream ends.
      this.#send(`{"jsonrpc":"2.0","id":null,"error":${rpcErrorOf(RPC.parse, 'a line is not JSON')}}`)
      this.#finish()
      return
    }
    if (!isObject(message) || message.jsonrpc !== '2.0') return this.#refuse(isObject(message) ? message.id : null, RPC.request, 'not a JSON-RPC 2.0 message')
    const { method, id } = message
    // A response: nothing was asked of this caller, and an answer to an answer could go round for ever.
    if (method === undefined) return
    const params = message.params ?? {}
    if (typeof method !== 'string' || !isObject(params)) return this.#refuse(id, RPC.request, 'a method that is no text, or parameters that are no object')
    if (id === undefined) return this.#notification(method, params)
    if (!isRpcId(id)) return this.#refuse(null, RPC.request, 'an id must be an integer or a short text')
    this.#request(id, method, params)
  }

  /** A caller that ends its side is gone: nothing waits for the answers. */
  ended (): void {
    this.#finish()
  }

  closed (error?: Error): void {
    this.#isOver = true
    this.#unwatch()
    this.#bounds.clear()
    const reason = new SwarmError('ABORTED', 'the caller\'s stream has ended', { cause: error })
    for (const call of this.#calls.values()) call.abort(reason)
  }

  #finish (): void {
    endSoon(this.#lines, this.#options.clock)
    this.closed()
  }

  #notification (method: string, params: JsonObject): void {
    if (method !== 'notifications/cancelled' || !isRpcId(params.requestId)) return
    this.#listening.delete(params.requestId)
    // The entry stays until the tool has really stopped: what still runs counts against the limit.
    this.#calls.get(params.requestId)?.abort(new SwarmError('ABORTED', 'the caller gave the call up'))
  }

  #request (id: RpcId, method: string, params: JsonObject): void {
    if (this.#calls.has(id) || this.#listening.has(id)) return this.#refuse(null, RPC.request, 'the id is in use')
    const meta = isObject(params._meta) ? params._meta : undefined
    const version = meta?.[META.protocolVersion]
    if (version === undefined) return this.#inSession(id, method, params, meta)
    if (version !== STATELESS_REVISION) return this.#refuse(id, RPC.version, `unsupported protocol version ${brief(version)}`, versionData(version))
    if (!isObject(meta?.[META.clientCapabilities])) return this.#refuse(id, RPC.params, `_meta lacks ${META.clientCapabilities}`)
    switch (method) {
      case 'tools/call': return this.#call(id, params, meta, 'stateless')
      case 'tools/list': return this.#list(id, params, 'stateless')
      case 'server/discover': return this.#discover(id)
      case 'subscriptions/listen': return this.#listen(id, params)
      default: this.#refuse(id, RPC.method, `no method ${brief(method)}`)
    }
  }

  #inSession (id: RpcId, method: string, params: JsonObject, meta: JsonObject | undefined): void {
    if (method === 'ping') return this.#result(id, '{}')
    if (method === 'initialize') return this.#initialize(id, params)
    if (!this.#isInitialized) return this.#refuse(id, RPC.request, `neither a session (initialize) nor ${META.protocolVersion} in _meta`)
    switch (method) {
      case 'tools/call': return this.#call(id, params, meta, 'session')
      case 'tools/list': return this.#list(id, params, 'session')
      default: this.#refuse(id, RPC.method, `no method ${brief(method)}`)
    }
  }

  /** A session begins in the one revision we speak there; a caller that cannot speak it leaves, as the specification asks. */
  #initialize (id: RpcId, params: JsonObject): void {
    if (typeof params.protocolVersion !== 'string') return this.#refuse(id, RPC.params, 'initialize names no protocol version')
    this.#isInitialized = true
    const { instructions } = this.#agent.catalogue
    this.#result(id, JSON.stringify({ protocolVersion: SESSION_REVISION, capabilities: CAPABILITIES, serverInfo: this.#info(), instructions }))
  }

  #discover (id: RpcId): void {
    if (!this.#find(id)) return
    const { instructions } = this.#agent.catalogue
    this.#result(id, JSON.stringify({
      resultType: 'complete', supportedVersions: [STATELESS_REVISION], capabilities: CAPABILITIES, instructions, ttlMs: LIST_TTL_MS, cacheScope: 'private', _meta: { [META.serverInfo]: this.#info() }
    }))
  }

  #list (id: RpcId, params: JsonObject, era: Era): void {
    if (!this.#find(id)) return
    const pages = toolPages(this.#agent.catalogue)[era]
    const { cursor } = params
    const index = cursor === undefined ? 0 : typeof cursor === 'string' ? Number(cursor) : NaN
    const page = pages[index]
    if (page === undefined) return this.#refuse(id, RPC.params, 'the cursor points to no page')
    const next = index + 1 < pages.length ? `,"nextCursor":"${index + 1}"` : ''
    const rest = era === 'session' ? '' : `,"resultType":"complete","ttlMs":${LIST_TTL_MS},"cacheScope":"private","_meta":${JSON.stringify({ [META.serverInfo]: this.#info() })}`
    this.#result(id, `{"tools":${page}${next}${rest}}`)
  }

  #listen (id: RpcId, params: JsonObject): void {
    if (!this.#find(id)) return
    if (!isObject(params.notifications)) return this.#refuse(id, RPC.params, 'notifications must be an object')
    const wanted = params.notifications.toolsListChanged === true
    if (wanted && this.#listening.size >= SUBSCRIPTIONS_MAX) return this.#fail(id, new SwarmError('OVERLOADED', `over ${SUBSCRIPTIONS_MAX} subscriptions on a stream`))
    const _meta = { [META.subscriptionId]: id }
    this.#send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: wanted ? { toolsListChanged: true } : {}, _meta } }))
    if (wanted) this.#listening.add(id)
    else this.#result(id, JSON.stringify({ resultType: 'complete', _meta }))
  }

  #call (id: RpcId, params: JsonObject, meta: JsonObject | undefined, era: Era): void {
    const { name, arguments: args = {} } = params
    if (typeof name !== 'string' || !isObject(args)) return this.#refuse(id, RPC.params, 'a call needs a name and an object of arguments')
    if (!isShallow(params)) return this.#fail(id, new SwarmError('INVALID_ARGUMENTS', `arguments of ${brief(name)} are nested too deep`))
    if (this.#calls.size >= this.#options.callsInFlightMax) {
      return this.#fail(id, new SwarmError('OVERLOADED', `${this.#calls.size} calls in flight on this stream; limit ${this.#options.callsInFlightMax}`, { details: { executed: false } }))
    }
    if (!this.#find(id)) return
    const token = meta?.progressToken
    const call = new RunningCall(name, args, this.#options.caller, meta, isRpcId(token) ? progress => { this.#progress(token, progress) } : undefined)
    this.#calls.set(id, call)
    this.#options.onCall?.()
    const timeoutMs = meta?.[META.timeoutMs]
    if (typeof timeoutMs === 'number' && timeoutMs > 0) this.#bounds.set(id, timeoutMs)
    void this.#run(id, call, era)
  }

  async #run (id: RpcId, call: RunningCall, era: Era): Promise<void> {
    try {
      const result = await this.#agent.callTool(call)
      if (call.isAwaited) this.#deliver(id, resultText(result, era))
    } catch (error) {
      if (!(error instanceof SwarmError)) this.#options.report(error)
      if (call.isAwaited) this.#fail(id, error instanceof SwarmError ? error : new SwarmError('TOOL_FAILED', 'internal error', { details: { rpc: { code: RPC.internal } } }))
    } finally {
      call.isAwaited = false
      this.#bounds.delete(id)
      this.#calls.delete(id)
    }
  }

  /** A result that cannot be sent costs its own call only; the caller learns that it has run. */
  #deliver (id: RpcId, result: string): void {
    try {
      this.#outlet.send(resultLine(id, result))
    } catch (cause) {
      if (!(cause instanceof SwarmError)) throw cause
      this.#fail(id, new SwarmError(cause.code, `the tool has run, but its result cannot be sent: ${cause.message}`, { cause, details: { executed: true } }))
    }
  }

  #progress (progressToken: RpcId, { progress, total, message }: Progress): void {
    // Progress tells only how far things are: what a slow reader has no room for is dropped, never queued.
    if (this.#outlet.isFull) return
    this.#send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress, total, message } }))
  }

  /** Finds the agent as it is offered now; tells the caller where it is not any more. */
  #find (id: RpcId): boolean {
    try {
      const agent = this.#options.find()
      if (agent === this.#agent) return true
      this.#unwatch()
      this.#agent = agent
      this.#unwatch = agent.onChange(() => { this.#changed() })
      this.#changed()
      return true
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#fail(id, error)
      return false
    }
  }

  /** Tells of a changed list once a turn, however often it changes. */
  #changed (): void {
    if (this.#isTelling || this.#tools === this.#agent.catalogue.tools) return
    this.#isTelling = true
    afterTurn(() => {
      this.#isTelling = false
      this.#tools = this.#agent.catalogue.tools
      if (this.#isOver) return
      if (this.#isInitialized) this.#send('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
      for (const id of this.#listening) {
        this.#send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: { [META.subscriptionId]: id } } }))
      }
    })
  }

  #info (): { name: string, version: string } {
    return { name: this.#agent.name, version: this.#agent.version ?? '0.0.0' }
  }

  #result (id: RpcId, result: string): void {
    this.#send(resultLine(id, result))
  }

  #fail (id: RpcId, error: SwarmError): void {
    this.#send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${rpcError(error)}}`)
  }

  #refuse (id: unknown, code: number, message: string, data?: JsonObject): void {
    this.#send(`{"jsonrpc":"2.0","id":${isRpcId(id) ? JSON.stringify(id) : 'null'},"error":${rpcErrorOf(code, message, data)}}`)
  }

  /** A caller that leaves even short lines unread until no more can be held has lost its stream. */
  #send (line: string): void {
    if (this.#isOver) return
    try {
      this.#outlet.send(line)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#lines.abort(error)
    }
  }
}

const CAPABILITIES = { tools: { listChanged: true } }

function versionData (requested: unknown): JsonObject {
  return { code: 'VERSION_UNSUPPORTED', executed: false, supported: [STATELESS_REVISION], requested: brief(requested) }
}

function resultLine (id: RpcId, result: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
}

function rpcErrorOf (code: number, message: string, data: JsonObject = { code: 'MALFORMED', executed: false }): string {
  return JSON.stringify({ code, message, data })
}

/** A tool's result as JSON of the era: the stateless revision names the kind of every result. */
function resultText (result: CallToolResult, era: Era): string {
  assert(isObject(result), 'a tool answers with an object')
  if (era === 'stateless') {
    const text = JSON.stringify(result)
    return 'resultType' in result ? text : text === '{}' ? '{"resultType":"complete"}' : `{"resultType":"complete",${text.slice(1)}`
  }
  const { resultType: _, structuredContent, ...rest } = result as CallToolResult & { resultType?: unknown }
  return JSON.stringify(isObject(structuredContent) ? { ...rest, structuredContent } : rest)
}
