import { toolHash } from '../directory/catalogue.ts'
import { locate } from '../mcp/locate.ts'
import type { Prefix } from '../mcp/names.ts'
import { ToolSearch } from '../mcp/search.ts'
import type { GatewayView } from '../mcp/view.ts'
import { CALL_MS_MAX } from './calling.ts'
import { factsOf } from './facts.ts'
import type { Lists } from './showing.ts'
import type { Swarm } from './swarm.ts'

/** The swarm as a gateway shows it. A list in which nothing has changed is the same array. */
export function gatewayView (swarm: Swarm, { prefix }: { prefix?: Prefix } = {}): GatewayView {
  const hashes = new WeakMap<object, string>()
  const search = new ToolSearch()
  const lists = (): Lists => swarm.lists({ prefix })
  return {
    tools: () => lists().tools,
    resources: () => lists().resources,
    resourceTemplates: () => lists().resourceTemplates,
    prompts: () => lists().prompts,
    locate: uri => locate(lists(), uri),
    search: async (query, limit) => await search.find(lists().tools, query, limit),
    status: () => factsOf(swarm.status(), lists()),
    onChange: listener => swarm.on('tools:changed', listener),
    async call ({ agent, available, peerId, pool, tool }, args, options) {
      if (!available) await swarm.seek(pool === undefined ? { agent, peerId } : { pool }, options.signal)
      // The client decides how long it waits, and cancels when it no longer does.
      const bounds = { ...options, timeoutMs: CALL_MS_MAX }
      if (pool === undefined) return await swarm.call(tool.name, args, { ...bounds, agent, peer: peerId })
      const definition = hashes.get(tool) ?? toolHash(tool)
      hashes.set(tool, definition)
      return await swarm.call(tool.name, args, { ...bounds, pool, definition })
    },
    async request ({ agent, available, peerId, pool }, method, params, options) {
      const whom = pool === undefined ? { agent, peerId } : { pool }
      if (!available) await swarm.seek(whom, options.signal)
      return await swarm.requests.request(whom, method, params, { ...options, timeoutMs: CALL_MS_MAX })
    },
    listen: (...listening) => swarm.requests.listen(...listening),
    async openSession (target, session, signal) {
      if (!target.available) await swarm.seek(target, signal)
      return await swarm.requests.openSession(target, session, signal)
    },
    endSession: (session, mayReturn) => { swarm.endSession(session, mayReturn) }
  }
}
