import type { Coordination } from '../mcp/presets.ts'
import type { Swarm } from './swarm.ts'

/** What an agent that hands work to others may ask of the swarm it is in. */
export function coordinationOf (swarm: Pick<Swarm, 'call' | 'find'>): Coordination {
  return {
    find: ({ role, ...query }) => swarm.find(query)
      .filter(({ agent }) => role === undefined || agent.role === role)
      .map(({ peerId, peerName, agent }) => ({ peerId, peerName, agent: agent.name }))
      .sort((left, right) => `${left.peerId}/${left.agent}` < `${right.peerId}/${right.agent}` ? -1 : 1),
    call: async ({ peerId, agent }, tool, args, options) => await swarm.call(tool, args, { ...options, peer: peerId, agent })
  }
}
