import { toolHash } from '../../lib/directory/catalogue.ts'
import type { ToolDefinition } from '../../lib/directory/catalogue.ts'
import type { Provider } from '../../lib/directory/directory.ts'
import type { Circumstances } from '../../lib/mesh/choice.ts'
import { seededRandom } from '../../lib/base/random.ts'

export interface Offer {
  readonly peer: string
  readonly agent?: string
  readonly pool?: string
  readonly tool?: string
  readonly description?: string
  readonly annotations?: Record<string, boolean>
  /** Why it cannot serve. */
  readonly reason?: string
}

/** A provider as the directory would give it; the id of peer `x` is `id-x`. */
export function provider ({ peer, agent = 'agent', pool, tool = 'tool', description, annotations, reason }: Offer): Provider {
  const definition: ToolDefinition = { name: tool, inputSchema: { type: 'object' }, ...description === undefined ? {} : { description }, ...annotations === undefined ? {} : { annotations } }
  return {
    peerId: `id-${peer}`,
    peerName: peer,
    agent: { name: agent, ...pool === undefined ? {} : { pool }, catalogue: 'hash', available: reason === undefined, ...reason === undefined ? {} : { reason } },
    tool: definition,
    toolHash: toolHash(definition),
    available: reason === undefined,
    ...reason === undefined ? {} : { reason }
  }
}

/** An idle swarm in which just these providers live. */
export function around (providers: readonly Provider[], more: Partial<Circumstances> = {}): Circumstances {
  return {
    nowMs: 0,
    random: seededRandom(1),
    loads: () => 0,
    living: {
      tools: () => new Set(providers.map(({ tool }) => tool.name)),
      peers: () => providers.map(({ agent, peerId, peerName }) => ({ peerId, name: peerName, agents: [agent.name] }))
    },
    ...more
  }
}
