import { toolHash } from '../directory/catalogue.ts'
import type { GatewayView } from '../mcp/gateway.ts'
import type { GatewayTool, Prefix } from '../mcp/names.ts'
import { CALL_MS_MAX } from './calling.ts'
import type { Swarm } from './swarm.ts'

/**
 * The swarm as a gateway shows it. The list is made anew only when what it holds has changed, so a client is told of
 * changes that it can see, and of no others.
 */
export function gatewayView (swarm: Swarm, { prefix }: { prefix?: Prefix } = {}): GatewayView {
  let shown: readonly GatewayTool[] = []
  let isStale = true
  const hashes = new WeakMap<object, string>()
  // Kept as long as the swarm is: whoever made the view holds it that long.
  swarm.on('tools:changed', () => { isStale = true })
  return {
    tools () {
      if (isStale) {
        isStale = false
        const tools = swarm.tools({ prefix })
        if (!areAlike(tools, shown)) shown = tools
      }
      return shown
    },
    onChange: listener => swarm.on('tools:changed', listener),
    async call ({ agent, peerId, pool, tool }, args, options) {
      // The client decides how long it waits, and cancels when it no longer does.
      const bounds = { ...options, timeoutMs: CALL_MS_MAX }
      if (pool === undefined) return await swarm.call(tool.name, args, { ...bounds, agent, peer: peerId })
      const definition = hashes.get(tool) ?? toolHash(tool)
      hashes.set(tool, definition)
      return await swarm.call(tool.name, args, { ...bounds, pool, definition })
    }
  }
}

/** Definitions are compared by identity: a catalogue that has not changed is the same object. */
function areAlike (left: readonly GatewayTool[], right: readonly GatewayTool[]): boolean {
  return left.length === right.length && left.every((tool, index) => {
    const other = right[index]
    return other !== undefined && tool.name === other.name && tool.key === other.key && tool.tool === other.tool && tool.peerName === other.peerName
  })
}
