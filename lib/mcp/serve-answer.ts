/** What a stream to an agent answers, as JSON: made from the agent and the request, in the revision of the request. */
import { assert } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { ClientSide, HostedAgent } from './host.ts'
import { META, SESSION_REVISION, STATELESS_REVISION } from './revision.ts'
import { LISTS, LIST_TTL_MS, pagesOf, type ListMethod } from './serve-list.ts'
import { TASKS_CAPABILITY } from './task-error.ts'

/** `stateless`: 2026-07-28. `session`: 2025-11-25. */
export type Era = 'stateless' | 'session'

/** The result of `initialize`. */
export function greeting (agent: HostedAgent): object {
  return { protocolVersion: SESSION_REVISION, capabilities: capabilitiesOf(agent), serverInfo: infoOf(agent), instructions: agent.catalogue.instructions }
}

/** The result of `server/discover`. */
export function discovery (agent: HostedAgent, hasTasks: boolean): object {
  return {
    resultType: 'complete',
    supportedVersions: [STATELESS_REVISION],
    capabilities: { ...capabilitiesOf(agent), ...hasTasks && TASKS_CAPABILITY },
    instructions: agent.catalogue.instructions,
    ttlMs: LIST_TTL_MS,
    cacheScope: 'private',
    _meta: { [META.serverInfo]: infoOf(agent) }
  }
}

/** A page of a list as the text of a result. */
export function listPage (agent: HostedAgent, method: ListMethod, cursor: unknown, era: Era): { readonly text: string } | 'no list' | 'no page' {
  const member = LISTS[method]
  const pages = pagesOf(agent.catalogue, member)?.[era]
  if (pages === undefined) return 'no list'
  const index = cursor === undefined ? 0 : typeof cursor === 'string' ? Number(cursor) : NaN
  const page = pages[index]
  if (page === undefined) return 'no page'
  const next = index + 1 < pages.length ? `,"nextCursor":"${index + 1}"` : ''
  const rest = era === 'session' ? '' : `,"resultType":"complete","ttlMs":${LIST_TTL_MS},"cacheScope":"private","_meta":${JSON.stringify({ [META.serverInfo]: infoOf(agent) })}`
  return { text: `{"${member}":${page}${next}${rest}}` }
}

/**
 * The client behind a request of the stateless revision, where it can be asked or wants to hear more than the result.
 *
 * @param meta with `clientCapabilities`
 * @param session which of the caller's clients the stream is for
 */
export function clientIn ({ inputResponses, requestState }: JsonObject, meta: JsonObject, session: string | null, log: (params: JsonObject) => void): ClientSide | undefined {
  const capabilities = meta[META.clientCapabilities] as JsonObject
  const logLevel = meta[META.logLevel]
  if (session === null && logLevel === undefined && requestState === undefined && inputResponses === undefined && isEmpty(capabilities)) return undefined
  return {
    capabilities,
    ...isObject(inputResponses) && { inputResponses },
    ...typeof requestState === 'string' && { requestState },
    ...session !== null && { session },
    ...typeof logLevel === 'string' && { logLevel, log }
  }
}

/** A result as JSON of the era: the stateless revision names the kind of every result. */
export function resultText (result: object, era: Era): string {
  assert(isObject(result), 'an agent answers with an object')
  if (era === 'stateless') {
    const text = JSON.stringify(result)
    return 'resultType' in result ? text : text === '{}' ? '{"resultType":"complete"}' : `{"resultType":"complete",${text.slice(1)}`
  }
  const { resultType: _, structuredContent, ...rest } = result
  return JSON.stringify(isObject(structuredContent) ? { ...rest, structuredContent } : rest)
}

/** What a stream to the agent serves: what its server has declared, as far as it passes. */
function capabilitiesOf (agent: HostedAgent): JsonObject {
  const { capabilities = {}, prompts, resources } = agent.catalogue
  const passes = agent.request !== undefined
  return {
    tools: { listChanged: true },
    ...resources !== undefined && { resources: { listChanged: true, ...isObject(capabilities.resources) && capabilities.resources.subscribe === true && { subscribe: true } } },
    ...prompts !== undefined && { prompts: { listChanged: true } },
    ...passes && capabilities.completions !== undefined && { completions: {} },
    ...passes && capabilities.logging !== undefined && { logging: {} }
  }
}

function isEmpty (object: JsonObject): boolean {
  for (const _ in object) return false
  return true
}

function infoOf ({ name, version }: HostedAgent): { name: string, version: string } {
  return { name, version: version ?? '0.0.0' }
}
