import type { Role } from '../access/grant.ts'
import { VERSION } from '../base/version.ts'
import type { AgentView, PeerView } from '../directory/directory.ts'
import type { DocumentsStatus } from '../documents/status.ts'
import type { Links } from '../mesh/links.ts'
import type { Hosted, HostedKind } from './hosting.ts'
import type { Belonging } from './membership.ts'
import type { Refusal } from './neighbours.ts'
import type { SwarmKind } from './reach.ts'
import type { Trouble } from './troubles.ts'

/** How a peer is, as plain JSON: what the CLI shows is read from here alone. */
export interface Status {
  readonly version: string
  readonly swarm: SwarmFacts
  readonly peer: PeerFacts
  /** Whether another peer is known and living. */
  readonly joined: boolean
  /** The other living peers. */
  readonly peers: readonly PeerStatus[]
  /** What this peer offers itself. */
  readonly agents: readonly AgentStatus[]
  readonly calls: { readonly made: number, readonly failed: number, readonly inFlight: number, readonly served: number }
  /** Who could not be met, or was not let in; newest last. */
  readonly refusals: readonly Refusal[]
  /** What went wrong that no call could tell; newest last. */
  readonly troubles: readonly Trouble[]
  /** The shared documents that are open here; null where none was ever asked for. */
  readonly documents: DocumentsStatus | null
}

export interface SwarmFacts {
  readonly id: string
  /** local: this user's own. made: one that people are let into. */
  readonly kind: SwarmKind
  /** What this peer is in it. */
  readonly role: Role
  /** To compare aloud, in a swarm that was made. */
  readonly words: string | null
  /** When this peer's grant ends unless it is renewed, in milliseconds since 1970 UTC; null: never. */
  readonly memberUntilMs: number | null
}

export interface PeerFacts {
  readonly peerId: string
  readonly name: string
  readonly pid: number
  readonly addresses: readonly string[]
  /** The data folder; null: memory only. */
  readonly dir: string | null
  readonly uptimeMs: number
}

export interface PeerStatus {
  readonly peerId: string
  readonly name: string
  readonly connected: boolean
  /** The address at the other end of the serving connection. */
  readonly address: string | null
  readonly agents: readonly AgentView[]
}

export interface AgentStatus {
  readonly name: string
  readonly kind: HostedKind
  readonly pool: string | null
  readonly available: boolean
  readonly reason: string | null
  readonly tools: number
}

export function describe (facts: {
  swarm: Belonging
  peer: PeerFacts
  peers: readonly PeerView[]
  links: Links
  hosted: readonly Hosted[]
  calls: Status['calls']
  refusals: readonly Refusal[]
  troubles: readonly Trouble[]
  documents: DocumentsStatus | null
}): Status {
  const { calls, documents, hosted, links, peer, peers, refusals, swarm, troubles } = facts
  return {
    version: VERSION,
    swarm: { id: swarm.swarmId, kind: swarm.kind, role: swarm.role, words: swarm.words, memberUntilMs: swarm.terms.memberUntilMs },
    peer: { ...peer, uptimeMs: Math.round(peer.uptimeMs) },
    joined: peers.length > 0,
    peers: peers.map(({ peerId, name, agents }) => {
      const connection = links.get(peerId)
      return { peerId, name, connected: connection !== undefined, address: connection?.address ?? null, agents }
    }),
    agents: hosted.map(({ agent, kind }) => ({
      name: agent.name,
      kind,
      pool: agent.pool ?? null,
      available: agent.availability.available,
      reason: agent.availability.available ? null : [agent.availability.reason, agent.availability.said].filter(Boolean).join(': '),
      tools: agent.catalogue.tools.length
    })),
    calls,
    refusals,
    troubles,
    documents
  }
}
