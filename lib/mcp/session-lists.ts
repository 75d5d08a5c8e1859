/** What a server offers, read through the SDK's Client to the end of every list. */
import type { Client, StandardSchemaV1 } from '@modelcontextprotocol/client'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { sealCatalogue, TOOLS_MAX, type Catalogue, type ToolDefinition } from '../directory/catalogue.ts'

/** Most pages of one list that are read: a cursor that never ends is a broken server. */
export const LIST_PAGES_MAX = 256

/** As far as a timer reaches, in milliseconds: no limit of ours. */
export const NO_LIMIT_MS = 2 ** 31 - 1

/** JSON-RPC's code for a method that is not there. */
const METHOD_NOT_FOUND = -32601

/** The SDK's own schemas would drop members that they do not know. */
export const AS_IT_CAME: StandardSchemaV1<unknown, JsonObject> = {
  '~standard': { version: 1, vendor: 'mcp-swarm', validate: value => isObject(value) ? { value } : { issues: [{ message: 'the result is not an object' }] } }
}

/**
 * @param client connected
 * @throws SwarmError TOO_LARGE, MALFORMED for lists that no peer would take; what the SDK throws
 */
export async function readCatalogue (client: Client, { session }: { session?: 'caller' } = {}): Promise<Catalogue> {
  const has = client.getServerCapabilities() ?? {}
  const [tools, resources, resourceTemplates, prompts] = await Promise.all([
    has.tools === undefined ? [] : readList(client, 'tools/list', 'tools'),
    has.resources === undefined ? undefined : readList(client, 'resources/list', 'resources'),
    has.resources === undefined ? undefined : readList(client, 'resources/templates/list', 'resourceTemplates'),
    has.prompts === undefined ? undefined : readList(client, 'prompts/list', 'prompts')
  ])
  const instructions = client.getInstructions()
  return sealCatalogue({
    tools: (tools ?? []) as unknown as readonly ToolDefinition[],
    ...has.resources !== undefined && { resources: resources ?? [] },
    ...resourceTemplates !== undefined && { resourceTemplates },
    ...has.prompts !== undefined && { prompts: prompts ?? [] },
    ...instructions !== undefined && { instructions },
    ...Object.keys(has).length > 0 && { capabilities: has as JsonObject },
    ...session !== undefined && { session }
  }).catalogue
}

/** @returns undefined where the server does not know the method: some declare more than they have */
async function readList (client: Client, method: string, member: string): Promise<JsonObject[] | undefined> {
  const entries: JsonObject[] = []
  let cursor: unknown
  for (let page = 0; page < LIST_PAGES_MAX; page++) {
    let result: JsonObject
    try {
      result = await client.request({ method, params: typeof cursor === 'string' ? { cursor } : {} }, AS_IT_CAME, { timeout: NO_LIMIT_MS })
    } catch (error) {
      if ((error as { code?: unknown }).code === METHOD_NOT_FOUND) return undefined
      throw error
    }
    const some = result[member]
    if (!Array.isArray(some) || !some.every(isObject)) throw new SwarmError('MALFORMED', `the server answered ${method} without a list of ${member}`)
    entries.push(...some)
    if (entries.length > TOOLS_MAX) throw new SwarmError('TOO_LARGE', `the server lists over ${TOOLS_MAX} ${member}`)
    cursor = result['nextCursor']
    if (typeof cursor !== 'string') return entries
  }
  throw new SwarmError('TOO_LARGE', `the server lists its ${member} on over ${LIST_PAGES_MAX} pages`)
}
