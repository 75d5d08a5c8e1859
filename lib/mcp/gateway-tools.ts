/** The tools of a gateway: its list, and calls, each with an answer that explains itself. */
import { ProtocolError, ProtocolErrorCode, type ListToolsResult, type Server, type ServerContext } from '@modelcontextprotocol/server'
import { sleep } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { nearestNames, suggestion } from '../mesh/suggest.ts'
import { explainFailure, explainGarbage } from './explain.ts'
import type { GatewayOptions } from './gateway.ts'
import { asError, type GatewayClient } from './gateway-client.ts'
import { isPending, type ClientSide, type Outcome, type Progress } from './host.ts'
import type { GatewayTool } from './names.ts'
import { answerOwn, isOwnTool, shownTools, toolsMaxFor } from './overview.ts'
import { withoutHop } from './revision.ts'
import { LIST_TTL_MS } from './serve-list.ts'
import type { GatewayCall, GatewayView } from './view.ts'

/**
 * Time between the last progress of a call and its answer, in milliseconds. SDK clients, v1 and v2, drop progress that they
 * read together with the answer; on a pipe this keeps the two apart, unless the reader is later than that.
 */
export const PROGRESS_LEAD_MS = 10

/** Member of a listed tool's `_meta`: who provides it, and why it cannot be called now. */
export const PROVIDER_META = 'mcp-swarm/provider'

export function handleTools (server: Server, client: GatewayClient, view: GatewayView, options: GatewayOptions): void {
  const calls = new Calls(client, view, options)
  server.setRequestHandler('tools/list', (_request, { mcpReq }) => listed(view, options, client.era, toolsMaxFor(client.name(mcpReq))))
  server.setRequestHandler('tools/call', async ({ params }, context) => await calls.call(params.name, (params.arguments ?? {}) as JsonObject, context) as never)
}

interface Shown {
  readonly lists: Map<string, ListToolsResult>
  readonly byName: ReadonlyMap<string, GatewayTool>
}

const shown = new WeakMap<readonly GatewayTool[], Shown>()

/** What is made of a list of tools, once. */
function show (tools: readonly GatewayTool[]): Shown {
  const known = shown.get(tools) ?? { lists: new Map(), byName: new Map(tools.map(tool => [tool.name, tool])) }
  shown.set(tools, known)
  return known
}

function listed (view: GatewayView, { tools: mode = 'auto' }: GatewayOptions, era: 'legacy' | 'modern', toolsMax: number): ListToolsResult {
  const { lists } = show(view.tools())
  const key = `${mode} ${era} ${toolsMax}`
  const known = lists.get(key)
  if (known !== undefined) return known
  const { tools, own } = shownTools(view, mode, toolsMax)
  const list = {
    tools: [...tools.map(tool => era === 'legacy' ? ofObjects(definitionOf(tool)) : definitionOf(tool)), ...own],
    ...era === 'modern' && { ttlMs: LIST_TTL_MS, cacheScope: 'private' }
  } as unknown as ListToolsResult
  lists.set(key, list)
  return list
}

/** As its provider defines it, under the gateway's name; a model reads of one that cannot be reached. */
function definitionOf ({ agent, available, name, peerId, peerName, pool, reason, sinceMs, tool }: GatewayTool): JsonObject {
  const provider = {
    ...pool === undefined ? { agent, peer: peerName, peerId } : { pool },
    ...!available && { available: false, reason, ...sinceMs !== undefined && { since: new Date(sinceMs).toISOString() } }
  }
  const described = available ? {} : { description: `(Cannot be reached now: ${reason ?? 'not available'}.) ${tool.description ?? ''}`.trimEnd() }
  return { ...tool, name, ...described, _meta: { ...isObject(tool['_meta']) && tool['_meta'], [PROVIDER_META]: provider } }
}

/** A client of 2025 refuses the whole list for one output schema that is not an object's. */
function ofObjects (tool: JsonObject): JsonObject {
  if (!isObject(tool['outputSchema']) || tool['outputSchema']['type'] === 'object') return tool
  const { outputSchema: _, ...rest } = tool
  return rest
}

class Calls {
  readonly #client: GatewayClient
  readonly #view: GatewayView
  readonly #options: GatewayOptions

  constructor (client: GatewayClient, view: GatewayView, options: GatewayOptions) {
    this.#client = client
    this.#view = view
    this.#options = options
  }

  async call (name: string, args: JsonObject, context: ServerContext): Promise<Outcome | JsonObject> {
    const { byName } = show(this.#view.tools())
    const tool = byName.get(name)
    if (tool !== undefined) return await this.#callOne(tool, args, context)
    if (isOwnTool(name)) return await answerOwn(this.#view, name, args, async (named, inner) => await this.#callOne(named, inner, context) as JsonObject)
    const nearest = nearestNames(name, byName.keys())
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${JSON.stringify(name)}${suggestion(nearest)}`, { code: 'UNKNOWN_TOOL', nearest })
  }

  async #callOne (tool: GatewayTool, args: JsonObject, { mcpReq }: ServerContext): Promise<Outcome | JsonObject> {
    const { clock, report } = this.#options
    const { progressToken } = mcpReq._meta ?? {}
    const meta = withoutHop(mcpReq._meta ?? {}) as JsonObject
    let toldAtMs = -Infinity
    let isDone = false
    const notify = (method: string, params: JsonObject): void => {
      if (isDone) return
      toldAtMs = clock.nowMs()
      mcpReq.notify({ method, params }).catch((error: unknown) => { report?.(asError(error)) })
    }
    const how = {
      signal: mcpReq.signal,
      meta,
      client: this.#client.side(tool, mcpReq, notify),
      ...progressToken !== undefined && { progress: (told: Progress) => { notify('notifications/progress', { progressToken, ...told }) } }
    }
    const result = await this.#answer(tool, args, how, mcpReq)
    isDone = true
    const earlyMs = toldAtMs + PROGRESS_LEAD_MS - clock.nowMs()
    if (earlyMs > 0) await sleep(clock, earlyMs)
    return result
  }

  async #answer (tool: GatewayTool, args: JsonObject, how: GatewayCall & { readonly client: ClientSide }, request: ServerContext['mcpReq']): Promise<Outcome | JsonObject> {
    try {
      const result = await this.#ask(tool, args, how, request)
      return isResult(result) || isPending(result) ? result : explainGarbage(tool)
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      if (!(error instanceof SwarmError)) {
        this.#options.report?.(asError(error))
        throw new ProtocolError(ProtocolErrorCode.InternalError, 'a bug in mcp-swarm; its log has more')
      }
      const { rpc } = error.details
      // the server behind answered with a protocol error: that passes as one
      if (error.code === 'TOOL_FAILED' && isObject(rpc) && Number.isSafeInteger(rpc['code'])) throw new ProtocolError(rpc['code'] as number, error.message, rpc['data'])
      return explainFailure(error, tool)
    }
  }

  async #ask (tool: GatewayTool, args: JsonObject, how: GatewayCall & { readonly client: ClientSide }, request: ServerContext['mcpReq']): Promise<Outcome | JsonObject> {
    const upstream = await this.#client.upstream(tool)
    if (upstream !== undefined) {
      const params = { name: tool.tool.name, arguments: args, ...Object.keys(how.meta).length > 0 && { _meta: how.meta } }
      return await this.#client.pass(tool, upstream, 'tools/call', params, request, how)
    }
    const call = async (answers: Pick<ClientSide, 'inputResponses' | 'requestState'> = {}): Promise<Outcome> =>
      await this.#view.call(tool, args, { ...how, client: { ...how.client, ...answers } })
    return await this.#client.fulfil(await call(), request, call)
  }
}

function isResult (value: unknown): boolean {
  if (!isObject(value)) return false
  const { content } = value
  return Array.isArray(content) && content.every(block => isObject(block) && typeof block['type'] === 'string')
}
