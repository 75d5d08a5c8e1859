/** What a gateway answers besides tools: resources, prompts, completion, log levels, tasks. Each passes to the agent whose it is. */
import { ProtocolError, ProtocolErrorCode, type Result, type Server, type ServerContext, type StandardSchemaV1 } from '@modelcontextprotocol/server'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { nearestNames, suggestion } from '../mesh/suggest.ts'
import { explainText } from './explain.ts'
import type { GatewayOptions } from './gateway.ts'
import { asError, type GatewayClient } from './gateway-client.ts'
import { isPending, type ClientSide, type Progress } from './host.ts'
import { withoutHop } from './revision.ts'
import { LIST_TTL_MS } from './serve-list.ts'
import { expectTasks, unknownTask } from './task-error.ts'
import { parseTaskId } from './task-id.ts'
import type { GatewayView, Located, Target } from './view.ts'

/** JSON-RPC's code of 2025 for a resource that is not there; the SDK gives clients of 2026-07-28 theirs. */
const RESOURCE_NOT_FOUND = -32002

const ANY: StandardSchemaV1<unknown, JsonObject> = {
  '~standard': { version: 1, vendor: 'mcp-swarm', validate: value => isObject(value) ? { value } : { issues: [{ message: 'parameters are no object' }] } }
}

export function handleRequests (server: Server, client: GatewayClient, view: GatewayView, options: GatewayOptions): void {
  const { report } = options
  const cache = client.era === 'modern' ? { ttlMs: LIST_TTL_MS, cacheScope: 'private' } : {}
  const list = (member: string, entries: readonly JsonObject[]): Result => ({ [member]: entries, ...cache })
  server.setRequestHandler('resources/list', () => list('resources', view.resources().map(({ uri, resource }) => ({ ...resource, uri }))) as never)
  server.setRequestHandler('resources/templates/list', () => list('resourceTemplates', view.resourceTemplates().map(({ template, uriTemplate }) => ({ ...template, uriTemplate }))) as never)
  server.setRequestHandler('prompts/list', () => list('prompts', view.prompts().map(({ name, prompt }) => ({ ...prompt, name }))) as never)

  server.setRequestHandler('resources/read', async ({ params }, { mcpReq }) => {
    const { target, uri } = locate(params.uri)
    const result = await ask(target, 'resources/read', { uri }, mcpReq)
    return (uri === params.uri ? result : underUri(result, uri, params.uri)) as never
  })
  server.setRequestHandler('prompts/get', async ({ params }, { mcpReq }) => {
    const found = view.prompts().find(({ name }) => name === params.name)
    if (found === undefined) throw unknown('prompt', params.name, view.prompts().map(({ name }) => name))
    return await ask(found, 'prompts/get', { name: found.prompt['name'], ...params.arguments !== undefined && { arguments: params.arguments } }, mcpReq) as never
  })
  server.setRequestHandler('completion/complete', async ({ params }, { mcpReq }) => {
    const { argument, context, ref } = params
    const [target, own] = reference(ref)
    return await ask(target, 'completion/complete', { ref: own, argument, ...context !== undefined && { context } }, mcpReq) as never
  })

  if (client.era === 'legacy') {
    server.setRequestHandler('logging/setLevel', async ({ params }) => {
      await client.setLogLevel(params.level)
      return {}
    })
    server.setRequestHandler('resources/subscribe', async ({ params }) => {
      const { target, uri } = locate(params.uri)
      await explained(target, async () => { await client.hear(target, uri, params.uri) })
      return {}
    })
    server.setRequestHandler('resources/unsubscribe', ({ params }) => {
      client.hearNoMore(params.uri)
      return {}
    })
    server.setNotificationHandler('notifications/roots/list_changed', async () => { await client.rootsChanged() })
  } else {
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      server.setRequestHandler(method, { params: ANY }, async (params, { mcpReq }) => {
        const { _meta, ...plain } = params
        return await explained(undefined, async () => {
          expectTasks(client.capabilities(mcpReq), method)
          const place = parseTaskId(plain['taskId'])
          try {
            return await ask(targetOf(place), method, plain, mcpReq)
          } catch (error) {
            if (error instanceof ProtocolError && isObject(error.data) && error.data['code'] === 'UNKNOWN_AGENT') throw unknownTask('nobody here knows the agent that ran it')
            throw error
          }
        })
      })
    }
  }

  function locate (uri: string): Located {
    const located = view.locate(uri)
    if (located === undefined) throw new ProtocolError(RESOURCE_NOT_FOUND, `Resource not found: ${JSON.stringify(uri)}`, { uri })
    return located
  }

  /** Whose a completion is for, and the reference in that agent's own names. */
  function reference (ref: JsonObject): [Target, JsonObject] {
    if (ref['type'] === 'ref/prompt') {
      const found = view.prompts().find(({ name }) => name === ref['name'])
      if (found === undefined) throw unknown('prompt', textIn(ref['name']), view.prompts().map(({ name }) => name))
      return [found, { ...ref, name: found.prompt['name'] }]
    }
    const template = view.resourceTemplates().find(({ uriTemplate }) => uriTemplate === ref['uri'])
    if (template !== undefined) return [template, { ...ref, uri: template.template['uriTemplate'] }]
    const { target, uri } = locate(textIn(ref['uri']))
    return [target, { ...ref, uri }]
  }

  async function ask (target: Target, method: string, params: JsonObject, request: ServerContext['mcpReq']): Promise<JsonObject> {
    const { progressToken } = request._meta ?? {}
    const meta = withoutHop(request._meta ?? {}) as JsonObject
    const notify = (told: string, about: JsonObject): void => {
      request.notify({ method: told, params: about }).catch((error: unknown) => { report?.(asError(error)) })
    }
    const how = {
      signal: request.signal,
      meta,
      ...progressToken !== undefined && { progress: (told: Progress) => { notify('notifications/progress', { progressToken, ...told }) } }
    }
    return await explained(target, async () => {
      const upstream = await client.upstream(target)
      if (upstream !== undefined) {
        return checked(method, await client.pass(target, upstream, method, { ...params, ...Object.keys(meta).length > 0 && { _meta: meta } }, request, how))
      }
      const side = client.side(target, request, notify)
      const once = async (answers: Pick<ClientSide, 'inputResponses' | 'requestState'> = {}): Promise<JsonObject> =>
        await view.request(target, method, params, { ...how, client: { ...side, ...answers } })
      return checked(method, await client.fulfil(await once(), request, once))
    })
  }

  /** Failures as the protocol's errors, which say whose they are: these requests have no result that could tell of one. */
  async function explained<Answer> (target: Target | undefined, run: () => Promise<Answer>): Promise<Answer> {
    try {
      return await run()
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      if (!(error instanceof SwarmError)) {
        report?.(asError(error))
        throw new ProtocolError(ProtocolErrorCode.InternalError, 'a bug in mcp-swarm; its log has more')
      }
      const { rpc, ...details } = error.details
      if (isObject(rpc) && Number.isSafeInteger(rpc['code'])) throw new ProtocolError(rpc['code'] as number, error.message, rpc['data'])
      throw new ProtocolError(ProtocolErrorCode.InternalError, target === undefined ? error.message : explainText(error, target), { code: error.code, ...details })
    }
  }
}

function textIn (value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The member without which a result is none. */
const NEEDED: Readonly<Record<string, (result: JsonObject) => boolean>> = {
  'resources/read': ({ contents }) => Array.isArray(contents) && contents.every(part => isObject(part) && typeof part['uri'] === 'string'),
  'prompts/get': ({ messages }) => Array.isArray(messages) && messages.every(message => isObject(message) && typeof message['role'] === 'string' && isObject(message['content'])),
  'completion/complete': ({ completion }) => isObject(completion) && Array.isArray(completion['values'])
}

/** @throws SwarmError MALFORMED for an answer that no client could read */
function checked (method: string, result: JsonObject): JsonObject {
  if (isPending(result) || NEEDED[method]?.(result) !== false) return result
  throw new SwarmError('MALFORMED', `what came back is no result of ${method}`)
}

/** Tasks live at the peer that runs them, known here or not. */
function targetOf ({ agent, peerId }: { agent: string, peerId: string }): Target {
  return { agent, peerId, peerName: peerId, available: true, capabilities: {}, session: 'shared' }
}

/** A result about a resource that the gateway shows under another URI. */
function underUri (result: JsonObject, own: string, asked: string): JsonObject {
  const { contents } = result
  if (!Array.isArray(contents)) return result
  return { ...result, contents: contents.map((part: unknown) => isObject(part) && part['uri'] === own ? { ...part, uri: asked } : part) as JsonObject[] }
}

function unknown (what: string, name: string, names: readonly string[]): ProtocolError {
  const nearest = nearestNames(name, names)
  return new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown ${what}: ${JSON.stringify(name)}${suggestion(nearest)}`, { nearest })
}
