/**
 * The whole swarm as one MCP server, on one transport: for a client that knows nothing of swarms.
 *
 * Each connection speaks the revision its client opens with, 2026-07-28 or one of 2025; `serveStdio` of the SDK decides
 * that, over whatever transport it is given. Below it stands the SDK's low-level server over lists that are made once for
 * each change of the swarm: a call costs a look-up.
 *
 * Invariants: a failed call is a result that explains itself and names its provider, never a broken connection; what a
 * provider answers passes unchanged; no progress comes after its answer.
 */
import { ProtocolError, ProtocolErrorCode, Server, type JSONRPCRequest, type ListToolsResult, type Result, type ServerContext, type Transport } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { Clock } from '../base/clock.ts'
import { sleep } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import { nearestNames, suggestion } from '../mesh/suggest.ts'
import { explainFailure, explainGarbage } from './explain.ts'
import type { CallToolResult, Progress } from './host.ts'
import type { GatewayTool } from './names.ts'

/** Shortest time between two announcements of changed tools, in milliseconds: peers come in crowds. */
export const LIST_CHANGED_MS_MIN = 100

/**
 * Time between the last progress of a call and its answer, in milliseconds. SDK clients, v1 and v2, drop progress that they
 * read together with the answer; on a pipe this keeps the two apart, unless the reader is later than that.
 */
export const PROGRESS_LEAD_MS = 10

/** Member of a listed tool's `_meta`: who provides it. */
export const PROVIDER_META = 'mcp-swarm/provider'

const INSTRUCTIONS = 'These tools belong to agents on several machines, which come and go; the list changes with them. ' +
  'A tool that fails says which peer was asked, whether anything has run, and what to do.'

/** The swarm as a gateway sees it. */
export interface GatewayView {
  /** Every tool on show, in order of name; the same array while nothing has changed. */
  tools (): readonly GatewayTool[]
  /** Tells that `tools` has changed. Returns the way to stop. */
  onChange (listener: () => void): () => void
  /** @throws SwarmError as `swarm.call` */
  call (tool: GatewayTool, args: JsonObject, options: GatewayCall): Promise<CallToolResult>
}

export interface GatewayCall {
  readonly signal: AbortSignal
  /** Present when the client listens. */
  readonly progress?: (progress: Progress) => void
  /** The request's `_meta`, without what belongs to the client's own connection. */
  readonly meta: JsonObject
}

export interface GatewayOptions {
  readonly clock: Clock
  /** For the client's model: replaces the default. */
  readonly instructions?: string
  /** Hears of bugs and of trouble on the wire that no answer can tell. */
  readonly report?: (error: Error) => void
}

export interface Gateway {
  /** Ends the connection; calls in flight are aborted. */
  close (): Promise<void>
  /** Resolves when the connection has ended, from either side. */
  readonly closed: Promise<void>
}

/** @param transport not started; the gateway's from here on */
export function serveGateway (view: GatewayView, transport: Transport, options: GatewayOptions): Gateway {
  const wire = new Wire(transport)
  const serving = serveStdio(({ era }) => openConnection(view, era, options), { transport: wire, onerror: error => { options.report?.(error) } })
  return { close: async () => { await serving.close() }, closed: wire.closed }
}

type Handler = (request: JSONRPCRequest, context: ServerContext) => Promise<Result>

/** The SDK would parse results and drop what it does not know. */
class PlainServer extends Server {
  protected override _wrapHandler (_method: string, handler: Handler): Handler {
    return handler
  }
}

/** A server for one client that stays connected, and is told of changes. */
function openConnection (view: GatewayView, era: 'legacy' | 'modern', options: GatewayOptions): Server {
  const server = openServer(view, options)
  let isReady = era === 'modern'
  const { check, stop } = announceChanges(view, options.clock, () => isReady, () => { tellChanged(server, options) })
  server.oninitialized = () => { // before that a client of 2025 need not listen
    isReady = true
    check()
  }
  server.onclose = stop
  return server
}

/** The gateway as a server of the SDK, of either revision, connected to nothing. It tells of no changes by itself. */
export function openServer (view: GatewayView, options: GatewayOptions): Server {
  const server = new PlainServer({ name: 'mcp-swarm', title: 'MCP swarm', version: VERSION }, {
    capabilities: { tools: { listChanged: true } }, instructions: options.instructions ?? INSTRUCTIONS
  })
  server.setRequestHandler('tools/list', () => listOf(view.tools()))
  server.setRequestHandler('tools/call', async ({ params }, context) => await call(view, params.name, (params.arguments ?? {}) as JsonObject, context, options))
  return server
}

/** Tells the client of a connected server that the tools have changed. */
export function tellChanged (server: Server, { report }: GatewayOptions): void {
  server.sendToolListChanged().catch((error: unknown) => { report?.(asError(error)) })
}

interface Shown { readonly list: ListToolsResult, readonly byName: ReadonlyMap<string, GatewayTool> }

const shown = new WeakMap<readonly GatewayTool[], Shown>()

function show (tools: readonly GatewayTool[]): Shown {
  const known = shown.get(tools)
  if (known !== undefined) return known
  const list = {
    tools: tools.map(({ name, tool, agent, pool, peerId, peerName }) => {
      const provider = pool === undefined ? { agent, peer: peerName, peerId } : { pool }
      return { ...tool, name, _meta: { ...isObject(tool['_meta']) && tool['_meta'], [PROVIDER_META]: provider } }
    })
  } as unknown as ListToolsResult
  const made = { list, byName: new Map(tools.map(tool => [tool.name, tool])) }
  shown.set(tools, made)
  return made
}

function listOf (tools: readonly GatewayTool[]): ListToolsResult {
  return show(tools).list
}

async function call (view: GatewayView, name: string, args: JsonObject, { mcpReq }: ServerContext, { clock, report }: GatewayOptions): Promise<CallToolResult> {
  const { byName } = show(view.tools())
  const tool = byName.get(name)
  if (tool === undefined) {
    const nearest = nearestNames(name, byName.keys())
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${JSON.stringify(name)}${suggestion(nearest)}`, { code: 'UNKNOWN_TOOL', nearest })
  }
  const { progressToken, ...meta } = mcpReq._meta ?? {}
  let toldAtMs = -Infinity
  let isDone = false
  const progress = (told: Progress): void => {
    if (isDone || progressToken === undefined) return
    toldAtMs = clock.nowMs()
    mcpReq.notify({ method: 'notifications/progress', params: { progressToken, ...told } }).catch((error: unknown) => { report?.(asError(error)) })
  }
  const result = await answer(view, tool, args, { signal: mcpReq.signal, meta: meta as JsonObject, ...progressToken !== undefined && { progress } }, report)
  isDone = true
  const earlyMs = toldAtMs + PROGRESS_LEAD_MS - clock.nowMs()
  if (earlyMs > 0) await sleep(clock, earlyMs)
  return result
}

async function answer (view: GatewayView, tool: GatewayTool, args: JsonObject, options: GatewayCall, report: GatewayOptions['report']): Promise<CallToolResult> {
  try {
    const result = await view.call(tool, args, options)
    return isResult(result) ? result : explainGarbage(tool)
  } catch (error) {
    if (!(error instanceof SwarmError)) {
      report?.(asError(error))
      throw new ProtocolError(ProtocolErrorCode.InternalError, 'a bug in mcp-swarm; its log has more')
    }
    const { rpc } = error.details
    // the server behind answered with a protocol error: that passes as one
    if (error.code === 'TOOL_FAILED' && isObject(rpc) && Number.isSafeInteger(rpc['code'])) throw new ProtocolError(rpc['code'] as number, error.message, rpc['data'])
    return explainFailure(error, tool)
  }
}

function isResult (value: unknown): value is CallToolResult {
  if (!isObject(value)) return false
  const { content } = value
  return Array.isArray(content) && content.every(block => isObject(block) && typeof block['type'] === 'string')
}

/**
 * Calls `tell` when the tools have changed: at once, then at most every LIST_CHANGED_MS_MIN.
 *
 * @param isReady whether somebody listens; what changes meanwhile is told by the next `check`
 */
export function announceChanges (view: GatewayView, clock: Clock, isReady: () => boolean, tell: () => void): { check: () => void, stop: () => void } {
  let told = view.tools()
  let isOver = false
  let cancel: (() => void) | undefined
  const check = (): void => {
    if (isOver || cancel !== undefined || !isReady() || view.tools() === told) return
    told = view.tools()
    tell()
    cancel = clock.after(LIST_CHANGED_MS_MIN, () => {
      cancel = undefined
      check()
    })
  }
  const forget = view.onChange(check)
  return {
    check,
    stop () {
      isOver = true
      forget()
      cancel?.()
    }
  }
}

/** The transport, with its end to wait for: `serveStdio` keeps that to itself. */
class Wire implements Transport {
  onmessage?: Transport['onmessage']
  onerror?: (error: Error) => void
  onclose?: () => void
  readonly closed: Promise<void>
  readonly #inner: Transport
  #end = (): void => {}

  constructor (inner: Transport) {
    this.#inner = inner
    this.closed = new Promise(resolve => { this.#end = resolve })
  }

  async start (): Promise<void> {
    this.#inner.onmessage = (message, extra) => { this.onmessage?.(message, extra) }
    this.#inner.onerror = error => { this.onerror?.(error) }
    this.#inner.onclose = () => {
      this.#end()
      this.onclose?.()
    }
    try {
      await this.#inner.start()
    } catch (error) {
      this.#end()
      throw error
    }
  }

  async send (...message: Parameters<Transport['send']>): Promise<void> {
    await this.#inner.send(...message)
  }

  async close (): Promise<void> {
    await this.#inner.close()
    this.#end()
  }
}

function asError (error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error))
}
