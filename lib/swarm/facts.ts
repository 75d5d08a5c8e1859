import type { JsonObject } from '../base/json.ts'
import type { Offered } from '../mcp/entries.ts'
import type { Lists } from './showing.ts'
import type { Status } from './status.ts'

/** Agents told of at most: an answer that a model reads. Those that cannot be reached come first. */
export const AGENTS_TOLD_MAX = 100

/** Troubles told of at most, the newest last. */
export const TROUBLES_TOLD_MAX = 5

/** How the swarm is, for a model or a person: who is there, what cannot be reached and since when, what went wrong. */
export function factsOf ({ peer, peers, troubles }: Status, { agents, tools, resources, resourceTemplates, prompts }: Lists): JsonObject {
  const ordered = [...agents.filter(({ available }) => !available), ...agents.filter(({ available }) => available)]
  return {
    peer: { name: peer.name, peerId: peer.peerId },
    peersPresent: peers.map(({ name }) => name),
    shown: {
      tools: tools.length,
      toolsUnavailable: tools.filter(({ available }) => !available).length,
      resources: resources.length,
      resourceTemplates: resourceTemplates.length,
      prompts: prompts.length
    },
    agents: ordered.slice(0, AGENTS_TOLD_MAX).map(factsOfAgent),
    ...ordered.length > AGENTS_TOLD_MAX && { agentsLeftOut: ordered.length - AGENTS_TOLD_MAX },
    ...troubles.length > 0 && { troubles: troubles.slice(-TROUBLES_TOLD_MAX).map(({ code, message, atMs }) => ({ code, message, at: new Date(atMs).toISOString() })) }
  }
}

function factsOfAgent ({ agent, available, catalogue, peerName, reason, sinceMs }: Offered): JsonObject {
  return {
    agent: agent.name,
    peer: peerName,
    ...agent.pool !== undefined && { pool: agent.pool },
    available,
    ...reason !== undefined && { reason },
    ...sinceMs !== undefined && { since: new Date(sinceMs).toISOString() },
    tools: catalogue?.tools.length ?? null
  }
}
