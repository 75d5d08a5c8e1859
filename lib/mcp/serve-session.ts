/**
 * One caller's stream to one agent, after the first line: JSON-RPC in, JSON-RPC out, both revisions on the same stream.
 * Every request is of the stateless revision if its `_meta` says so, otherwise of the session that `initialize` began.
 */
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { LineReader, LineStream } from '../base/line.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import { AGENT_METHODS, type Caller, type ClientSide, type HostedAgent, type Progress } from './host.ts'
import { META, STATELESS_REVISION } from './revision.ts'
import { clientIn, discovery, greeting, listPage, resultText, type Era } from './serve-answer.ts'
import { RunningCall, RunningRequest } from './serve-call.ts'
import { isListMethod, type ListMethod } from './serve-list.ts'
import { kindsChanged, Listening } from './serve-listen.ts'
import { TASK_METHODS, type Tasks } from './tasks.ts'
import { Bounds } from './wire-bounds.ts'
import { Writer } from './serve-writer.ts'
import { brief, endSoon, isRpcId, isShallow, LEFT, RPC, type RpcId } from './wire.ts'

export interface SessionOptions {
  readonly caller: Caller
  readonly clock: Clock
  readonly report: (error: unknown) => void
  readonly onCall?: () => void
  readonly tasks?: Tasks
  readonly callsInFlightMax: number
  readonly lineBytesMax: number
  /** Which of the caller's clients the stream is for, as its first line says. */
  readonly session: string | null
  /** The agent as offered to this caller now. @throws SwarmError UNKNOWN_AGENT, FORBIDDEN */
  readonly find: () => HostedAgent
}

export class Session implements LineReader {
  readonly #lines: LineStream
  readonly #writer: Writer
  readonly #options: SessionOptions
  readonly #calls = new Map<RpcId, RunningCall | RunningRequest>()
  readonly #bounds: Bounds<RpcId>
  readonly #listening: Listening
  #agent: HostedAgent
  #told: Catalogue
  #unwatch: () => void
  #isInitialized = false
  #isOver = false
  #isTelling = false

  constructor (lines: LineStream, agent: HostedAgent, options: SessionOptions) {
    this.#lines = lines
    this.#writer = new Writer(lines, options.lineBytesMax)
    this.#options = options
    this.#bounds = new Bounds(options.clock, id => {
      this.#calls.get(id)?.abort(new SwarmError('TIMEOUT', 'the caller waits no longer'))
    })
    this.#listening = new Listening(message => { this.#writer.send(JSON.stringify(message)) }, options.tasks)
    this.#agent = agent
    this.#told = agent.catalogue
    this.#unwatch = this.#watch(agent)
  }

  line (text: string): void {
    if (this.#isOver) return
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      // Framing is still in step, but a peer that writes broken JSON is broken: the caller is told, then the stream ends.
      this.#writer.refuse(null, RPC.parse, 'a line is not JSON')
      this.#finish()
      return
    }
    if (!isObject(message) || message.jsonrpc !== '2.0') return this.#writer.refuse(isObject(message) ? message.id : null, RPC.request, 'not a JSON-RPC 2.0 message')
    const { method, id } = message
    // A response: nothing was asked of this caller, and an answer to an answer could go round for ever.
    if (method === undefined) return
    const params = message.params ?? {}
    if (typeof method !== 'string' || !isObject(params)) return this.#writer.refuse(id, RPC.request, 'a method that is no text, or parameters that are no object')
    if (id === undefined) return this.#notification(method, params)
    if (!isRpcId(id)) return this.#writer.refuse(null, RPC.request, 'an id must be an integer or a short text')
    this.#request(id, method, params)
  }

  /** A caller that ends its side is gone: nothing waits for the answers. */
  ended (): void {
    this.#finish()
  }

  closed (error?: Error): void {
    this.#isOver = true
    this.#writer.end()
    this.#unwatch()
    this.#listening.close()
    this.#bounds.clear()
    const reason = new SwarmError('ABORTED', 'the caller\'s stream has ended', { cause: error })
    for (const call of this.#calls.values()) call.abort(reason)
  }

  #finish (): void {
    endSoon(this.#lines, this.#options.clock)
    this.closed()
  }

  #notification (method: string, params: JsonObject): void {
    const { caller, session } = this.#options
    if (method === LEFT && session !== null) return this.#agent.left?.(caller, session)
    if (method !== 'notifications/cancelled' || !isRpcId(params.requestId)) return
    this.#listening.cancel(params.requestId)
    // The entry stays until the tool has really stopped: what still runs counts against the limit.
    this.#calls.get(params.requestId)?.abort(new SwarmError('ABORTED', 'the caller gave the call up'))
  }

  #request (id: RpcId, method: string, params: JsonObject): void {
    if (this.#calls.has(id) || this.#listening.has(id)) return this.#writer.refuse(null, RPC.request, 'the id is in use')
    const meta = isObject(params._meta) ? params._meta : undefined
    const version = meta?.[META.protocolVersion]
    if (version === undefined) return this.#inSession(id, method, params, meta)
    if (version !== STATELESS_REVISION) return this.#writer.refuse(id, RPC.version, `unsupported protocol version ${brief(version)}`, versionData(version))
    if (!isObject(meta?.[META.clientCapabilities])) return this.#writer.refuse(id, RPC.params, `_meta lacks ${META.clientCapabilities}`)
    switch (method) {
      case 'tools/call': return this.#call(id, params, meta, 'stateless')
      case 'server/discover': return this.#discover(id)
      case 'subscriptions/listen': return void this.#listen(id, params, meta)
      default:
        if (this.#options.tasks !== undefined && TASK_METHODS.includes(method)) this.#task(id, method, params, meta, this.#options.tasks)
        else this.#other(id, method, params, meta, 'stateless')
    }
  }

  #inSession (id: RpcId, method: string, params: JsonObject, meta: JsonObject | undefined): void {
    if (method === 'ping') return this.#writer.result(id, '{}')
    if (method === 'initialize') return this.#initialize(id, params)
    if (!this.#isInitialized) return this.#writer.refuse(id, RPC.request, `neither a session (initialize) nor ${META.protocolVersion} in _meta`)
    if (method === 'tools/call') return this.#call(id, params, meta, 'session')
    this.#other(id, method, params, meta, 'session')
  }

  #other (id: RpcId, method: string, params: JsonObject, meta: JsonObject | undefined, era: Era): void {
    if (isListMethod(method)) return this.#list(id, method, params, era)
    if (AGENT_METHODS.includes(method)) return this.#pass(id, method, params, meta, era)
    this.#writer.refuse(id, RPC.method, `no method ${brief(method)}`)
  }

  /** A session begins in the one revision we speak there; a caller that cannot speak it leaves, as the specification asks. */
  #initialize (id: RpcId, params: JsonObject): void {
    if (typeof params.protocolVersion !== 'string') return this.#writer.refuse(id, RPC.params, 'initialize names no protocol version')
    this.#isInitialized = true
    this.#writer.result(id, JSON.stringify(greeting(this.#agent)))
  }

  #discover (id: RpcId): void {
    if (this.#find(id)) this.#writer.result(id, JSON.stringify(discovery(this.#agent, this.#options.tasks !== undefined)))
  }

  #list (id: RpcId, method: ListMethod, params: JsonObject, era: Era): void {
    if (!this.#find(id)) return
    const page = listPage(this.#agent, method, params.cursor, era)
    if (page === 'no list') return this.#writer.refuse(id, RPC.method, `agent ${this.#agent.name} does not know ${method}`)
    if (page === 'no page') return this.#writer.refuse(id, RPC.params, 'the cursor points to no page')
    this.#writer.result(id, page.text)
  }

  async #listen (id: RpcId, params: JsonObject, meta: JsonObject | undefined): Promise<void> {
    if (!this.#find(id)) return
    if (!isObject(params.notifications)) return this.#writer.refuse(id, RPC.params, 'notifications must be an object')
    try {
      const asking = new RunningRequest('subscriptions/listen', params, this.#options.caller, meta, this.#clientOf(id, {}, meta, 'stateless'), undefined)
      const isOpen = await this.#listening.listen(id, params.notifications, this.#agent, asking)
      if (!isOpen) this.#writer.result(id, JSON.stringify({ resultType: 'complete', _meta: { [META.subscriptionId]: id } }))
    } catch (error) {
      if (!(error instanceof SwarmError)) this.#options.report(error)
      this.#writer.fail(id, error instanceof SwarmError ? error : internal())
    }
  }

  #call (id: RpcId, params: JsonObject, meta: JsonObject | undefined, era: Era): void {
    const { name, arguments: args = {} } = params
    if (typeof name !== 'string' || !isObject(args)) return this.#writer.refuse(id, RPC.params, 'a call needs a name and an object of arguments')
    if (!this.#mayRun(id, name, params)) return
    const call = new RunningCall(name, args, this.#options.caller, meta, this.#clientOf(id, params, meta, era), this.#tellerOf(meta))
    this.#options.onCall?.()
    const { tasks } = this.#options
    const agent = this.#agent
    void this.#run(id, call, era, async () => tasks === undefined ? await agent.callTool(call) : await tasks.call(agent, call))
  }

  #task (id: RpcId, method: string, params: JsonObject, meta: JsonObject | undefined, tasks: Tasks): void {
    if (!this.#mayRun(id, method, params)) return
    const agent = this.#agent
    const { _meta, ...plain } = params
    const request = new RunningRequest(method, plain, this.#options.caller, meta, this.#clientOf(id, {}, meta, 'stateless'), undefined)
    void this.#run(id, request, 'stateless', async () => await tasks.request(agent, request))
  }

  #pass (id: RpcId, method: string, params: JsonObject, meta: JsonObject | undefined, era: Era): void {
    if (!this.#mayRun(id, method, params)) return
    const agent = this.#agent
    const { _meta, inputResponses, requestState, ...plain } = params
    const request = new RunningRequest(method, plain, this.#options.caller, meta, this.#clientOf(id, params, meta, era), this.#tellerOf(meta))
    void this.#run(id, request, era, async () => {
      if (agent.request === undefined) throw new SwarmError('TOOL_FAILED', `agent ${agent.name} has tools alone`, { details: { executed: false, rpc: { code: RPC.method } } })
      return await agent.request(request)
    })
  }

  #mayRun (id: RpcId, what: string, params: JsonObject): boolean {
    if (!isShallow(params)) {
      this.#writer.fail(id, new SwarmError('INVALID_ARGUMENTS', `arguments of ${brief(what)} are nested too deep`))
      return false
    }
    if (this.#calls.size >= this.#options.callsInFlightMax) {
      this.#writer.fail(id, new SwarmError('OVERLOADED', `${this.#calls.size} calls in flight on this stream; limit ${this.#options.callsInFlightMax}`, { details: { executed: false } }))
      return false
    }
    return this.#find(id)
  }

  #clientOf (id: RpcId, params: JsonObject, meta: JsonObject | undefined, era: Era): ClientSide | undefined {
    return era === 'session' ? undefined : clientIn(params, meta as JsonObject, this.#options.session, message => { this.#writer.log(id, message) })
  }

  #tellerOf (meta: JsonObject | undefined): ((progress: Progress) => void) | undefined {
    const token = meta?.progressToken
    return isRpcId(token) ? progress => { this.#writer.progress(token, progress) } : undefined
  }

  async #run (id: RpcId, call: RunningCall | RunningRequest, era: Era, run: () => Promise<object>): Promise<void> {
    this.#calls.set(id, call)
    const timeoutMs = call.meta?.[META.timeoutMs]
    if (typeof timeoutMs === 'number' && timeoutMs > 0) this.#bounds.set(id, timeoutMs)
    try {
      const result = await run()
      if (call.isAwaited) this.#writer.deliver(id, resultText(result, era))
    } catch (error) {
      if (!(error instanceof SwarmError)) this.#options.report(error)
      if (call.isAwaited) this.#writer.fail(id, error instanceof SwarmError ? error : internal())
    } finally {
      call.isAwaited = false
      this.#bounds.delete(id)
      this.#calls.delete(id)
    }
  }

  /** Finds the agent as it is offered now; tells the caller where it is not any more. */
  #find (id: RpcId): boolean {
    try {
      const agent = this.#options.find()
      if (agent === this.#agent) return true
      this.#unwatch()
      this.#agent = agent
      void this.#listening.moveTo(agent)
      this.#unwatch = this.#watch(agent)
      this.#changed()
      return true
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#writer.fail(id, error)
      return false
    }
  }

  /** Hears of the agent's changes, and lets it know that this client is here. */
  #watch (agent: HostedAgent): () => void {
    const { caller, session } = this.#options
    const leave = session === null ? undefined : agent.enter?.(caller, session)
    const unwatch = agent.onChange(() => { this.#changed() })
    return () => {
      unwatch()
      leave?.()
    }
  }

  /** Tells of changed lists once a turn, however often they change. */
  #changed (): void {
    if (this.#isTelling || this.#told === this.#agent.catalogue) return
    this.#isTelling = true
    afterTurn(() => {
      this.#isTelling = false
      const before = this.#told
      this.#told = this.#agent.catalogue
      if (this.#isOver) return
      const kinds = kindsChanged(before, this.#told)
      if (this.#isInitialized) for (const kind of kinds) this.#writer.send(`{"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}`)
      this.#listening.changed(kinds)
    })
  }
}

function internal (): SwarmError {
  return new SwarmError('TOOL_FAILED', 'internal error', { details: { rpc: { code: RPC.internal } } })
}

function versionData (requested: unknown): JsonObject {
  return { code: 'VERSION_UNSUPPORTED', executed: false, supported: [STATELESS_REVISION], requested: brief(requested) }
}
