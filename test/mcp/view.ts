/** A gateway's view of agents in this process, as lib/swarm makes it of a swarm. */
import type { Offering } from '../../lib/directory/directory.ts'
import type { AgentRequest, HostedAgent } from '../../lib/mcp/host.ts'
import { locate } from '../../lib/mcp/locate.ts'
import { gatewayPrompts, gatewayTools, type GatewayTool, type Prefix } from '../../lib/mcp/names.ts'
import { gatewayResources, type GatewayResources } from '../../lib/mcp/resources.ts'
import { ToolSearch } from '../../lib/mcp/search.ts'
import type { GatewayPrompt, GatewayView, Target } from '../../lib/mcp/view.ts'
import { CALLER } from './parts.ts'

export interface Placed { readonly agent: HostedAgent, readonly peer?: string }

interface Known extends GatewayResources { readonly tools: readonly GatewayTool[], readonly prompts: readonly GatewayPrompt[] }

export function viewOf (placed: readonly Placed[], prefix?: Prefix): GatewayView {
  let known: Known | undefined
  const listeners = new Set<() => void>()
  const search = new ToolSearch()
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
  const lists = (): Known => known ??= { tools: gatewayTools(offerings(), { prefix }), prompts: gatewayPrompts(offerings(), { prefix }), ...gatewayResources(offerings()) }
  const agentOf = ({ agent, peerName }: Target): HostedAgent =>
    (placed.find(({ agent: { name }, peer = 'alice' }) => name === agent && peer === peerName) as Placed).agent
  return {
    tools: () => lists().tools,
    prompts: () => lists().prompts,
    resources: () => lists().resources,
    resourceTemplates: () => lists().templates,
    locate: uri => locate({ ...lists(), resourceTemplates: lists().templates }, uri),
    search: async (query, limit) => await search.find(lists().tools, query, limit),
    status: () => ({ peers: [] }),
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    call: async (tool, args, options) => await agentOf(tool).callTool({ name: tool.tool.name, arguments: args, caller: CALLER, ...options }),
    request: async (target, method, params, options) => await agentOf(target).request?.({ method, params, caller: CALLER, ...options } satisfies AgentRequest) ?? {},
    listen ({ agent, peerId }, { resourceSubscriptions: uris = [] }, heard) {
      const placedAgent = placed.find(({ agent: { name }, peer = 'alice' }) => name === agent && `id-${peer}` === peerId)?.agent
      const stopping = (uris as readonly string[]).map(uri => placedAgent?.subscribe?.(uri, updated => { heard('notifications/resources/updated', { uri: updated }) }))
      return () => { for (const each of stopping) void each?.then(stop => { stop() }) }
    },
    async openSession (target) {
      const link = await agentOf(target).openSession?.(CALLER)
      if (link === undefined) throw new Error(`agent ${target.agent} keeps no sessions`)
      if (link.close !== undefined) link.transport.close = link.close
      return link.transport
    },
    endSession () {}
  }
}
