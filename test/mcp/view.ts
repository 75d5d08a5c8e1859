/** A gateway's view of agents in this process, as lib/swarm makes it of a swarm. */
import type { Offering } from '../../lib/directory/directory.ts'
import type { GatewayView } from '../../lib/mcp/gateway.ts'
import type { HostedAgent } from '../../lib/mcp/host.ts'
import { gatewayTools, type GatewayTool, type Prefix } from '../../lib/mcp/names.ts'
import { CALLER } from './parts.ts'

export interface Placed { readonly agent: HostedAgent, readonly peer?: string }

export function viewOf (placed: readonly Placed[], prefix?: Prefix): GatewayView {
  let known: readonly GatewayTool[] | undefined
  const listeners = new Set<() => void>()
  for (const { agent } of placed) {
    agent.onChange(() => {
      known = undefined
      for (const listener of listeners) listener()
    })
  }
  const offerings = (): Offering[] => placed.map(({ agent, peer = 'alice' }) => ({
    peerId: `id-${peer}`,
    peerName: peer,
    agent: { name: agent.name, pool: agent.pool, catalogue: '', available: agent.availability.available },
    catalogue: agent.catalogue,
    available: agent.availability.available,
    ...!agent.availability.available && { reason: agent.availability.reason }
  }))
  return {
    tools: () => known ??= gatewayTools(offerings(), { prefix }),
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    async call ({ tool, agent, peerName }, args, options) {
      const found = placed.find(({ agent: { name }, peer = 'alice' }) => name === agent && peer === peerName) as Placed
      return await found.agent.callTool({ name: tool.name, arguments: args, caller: CALLER, ...options })
    }
  }
}
