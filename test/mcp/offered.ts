/** What agents offer, for tests of how a gateway names and finds it. */
import type { JsonObject } from '../../lib/base/json.ts'
import type { ToolDefinition } from '../../lib/directory/catalogue.ts'
import type { Offered } from '../../lib/mcp/entries.ts'

export interface Made {
  readonly peer?: string
  readonly peerId?: string
  readonly agent?: string
  readonly pool?: string
  readonly tools?: readonly (string | ToolDefinition)[]
  readonly prompts?: readonly string[]
  readonly resources?: readonly string[]
  readonly templates?: readonly string[]
  readonly capabilities?: JsonObject
  readonly session?: 'caller'
  /** Another makes every definition another. */
  readonly version?: string
  readonly available?: boolean
  readonly sinceMs?: number
}

export function offered ({
  peer = 'alice', peerId = `id-${peer}`, agent = 'notes', pool, tools = [], prompts, resources, templates, capabilities, session, version = '1', available = true, sinceMs
}: Made): Offered {
  return {
    peerId,
    peerName: peer,
    agent: { name: agent, pool, catalogue: 'c', available },
    catalogue: {
      tools: tools.map(tool => typeof tool === 'string' ? { name: tool, description: version, inputSchema: { type: 'object' } } : tool),
      prompts: prompts?.map(name => ({ name, description: version })),
      resources: resources?.map(uri => ({ uri, name: uri, description: version })),
      resourceTemplates: templates?.map(uriTemplate => ({ uriTemplate, name: uriTemplate, description: version })),
      capabilities,
      session
    },
    available,
    ...!available && { reason: 'exited' },
    ...sinceMs !== undefined && { sinceMs }
  }
}

export function offeredBy (...made: readonly Made[]): Offered[] {
  return made.map(offered)
}
