import { processId } from '#platform'
import type { Role } from '../access/grant.ts'
import type { ErrorCode, SwarmError } from '../base/error.ts'
import type { Connection } from '../base/network.ts'
import { VERSION } from '../base/version.ts'
import type { AgentView, PeerView } from '../directory/directory.ts'
import type { DocumentsStatus } from '../documents/status.ts'
import type { Progress } from '../mesh/dialler.ts'
import type { Hosted, HostedKind } from './hosting.ts'
import type { Belonging } from './membership.ts'
import type { Neighbours } from './neighbours.ts'
import type { Refusal } from './refusals.ts'
import type { Means } from './options.ts'
import type { Peer } from './peer.ts'
import type { SwarmKind } from './reach.ts'
import type { Sighting } from './sightings.ts'
import type { Trouble } from './troubles.ts'

/** Peers that are being looked for which `status` shows. */
export const SOUGHT_SHOWN_MAX = 64

/** How a peer is, as plain JSON: what the CLI shows is read from here alone. */
export interface Status {
  readonly version: string
  readonly swarm: SwarmFacts
  readonly peer: PeerFacts
  /** Whether another peer is known and living. */
  readonly joined: boolean
  /** By what means this peer looks for others, and is found. */
  readonly discovery: Means
  /** The other living peers. */
  readonly peers: readonly PeerStatus[]
  /** Peers that were told of and are being looked for, none of them living as far as is known; at most SOUGHT_SHOWN_MAX. */
  readonly sought: readonly SoughtStatus[]
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
  /** Whether that connection is direct, or another peer passes on what it cannot read; null without one. */
  readonly path: Connection['path'] | null
  /** When it was connected, in milliseconds since 1970 UTC; null where it is not. */
  readonly linkedAtMs: number | null
  /** Who tells where it is, the likeliest first. */
  readonly found: readonly Sighting[]
  /** What is being done to connect it; null where it is connected, or nothing is. */
  readonly trying: Trying | null
  readonly agents: readonly AgentView[]
}

/** A peer that is known by its address alone, or from before. */
export interface SoughtStatus {
  readonly peerId: string
  /** As it was called when it was last heard; null: never. */
  readonly name: string | null
  readonly found: readonly Sighting[]
  readonly trying: Trying
}

export interface Trying {
  readonly addresses: readonly string[]
  /** Since the last connection that lasted. */
  readonly attempts: number
  /** Why the last attempt failed; null: none has ended yet. */
  readonly code: ErrorCode | null
  readonly message: string | null
}

export interface AgentStatus {
  readonly name: string
  readonly kind: HostedKind
  readonly pool: string | null
  readonly available: boolean
  readonly reason: string | null
  readonly tools: number
}

/** @param facts what the peer does not know of itself */
export function statusOf (peer: Peer, swarm: Belonging, facts: Omit<PeerFacts, 'pid'>): Status {
  const { calling, documents, hosting, listing: { directory }, neighbours, reach, served, troubles } = peer
  return describe({
    swarm,
    peer: { ...facts, pid: processId },
    peers: directory.peers().filter(({ self }) => !self),
    neighbours,
    discovery: reach.means,
    nameOf: peerId => directory.record(peerId)?.record.name ?? null,
    hosted: hosting.all(),
    calls: { ...calling.counts, served },
    troubles: troubles.all,
    documents: documents.opened?.status() ?? null
  })
}

export function describe (facts: {
  swarm: Belonging
  peer: PeerFacts
  peers: readonly PeerView[]
  neighbours: Pick<Neighbours, 'approach' | 'links' | 'refusals' | 'sought'>
  discovery: Means
  nameOf: (peerId: string) => string | null
  hosted: readonly Hosted[]
  calls: Status['calls']
  troubles: readonly Trouble[]
  documents: DocumentsStatus | null
}): Status {
  const { calls, discovery, documents, hosted, nameOf, neighbours, peer, peers, swarm, troubles } = facts
  const living = new Set(peers.map(({ peerId }) => peerId))
  return {
    version: VERSION,
    swarm: { id: swarm.swarmId, kind: swarm.kind, role: swarm.role, words: swarm.words, memberUntilMs: swarm.terms.memberUntilMs },
    peer: { ...peer, uptimeMs: Math.round(peer.uptimeMs) },
    joined: peers.length > 0,
    discovery,
    peers: peers.map(({ peerId, name, agents }) => {
      const connection = neighbours.links.get(peerId)
      const { linkedAtMs, progress, sightings } = neighbours.approach(peerId)
      return {
        peerId, name, connected: connection !== undefined, address: connection?.address ?? null, path: connection?.path ?? null,
        linkedAtMs, found: sightings, trying: progress === undefined ? null : tryingOf(progress), agents
      }
    }),
    sought: neighbours.sought.filter(peerId => !living.has(peerId)).flatMap(peerId => {
      const { progress, sightings } = neighbours.approach(peerId)
      return progress === undefined ? [] : [{ peerId, name: nameOf(peerId), found: sightings, trying: tryingOf(progress) }]
    }).slice(0, SOUGHT_SHOWN_MAX),
    agents: hosted.map(({ agent, kind }) => ({
      name: agent.name,
      kind,
      pool: agent.pool ?? null,
      available: agent.availability.available,
      reason: agent.availability.available ? null : [agent.availability.reason, agent.availability.said].filter(Boolean).join(': '),
      tools: agent.catalogue.tools.length
    })),
    calls,
    refusals: neighbours.refusals.all,
    troubles,
    documents
  }
}

function tryingOf ({ addresses, attempts, failure }: Progress): Trying {
  return { addresses, attempts, code: failure?.code ?? null, message: failure === undefined ? null : reasonOf(failure) }
}

/** What a dial says of each address is in its cause. */
function reasonOf ({ cause, message }: SwarmError): string {
  return cause instanceof Error ? cause.message : message
}
