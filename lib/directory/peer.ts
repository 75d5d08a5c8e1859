/** A peer and its agents, as the directory knows them and as others get to see them. */
import type { ErrorCode } from '../base/error.ts'
import type { Catalogue } from './catalogue.ts'
import type { Volume } from './library.ts'
import type { AgentEntry, PeerRecord } from './record.ts'

/** Why a known peer does not count as living. */
export type Absence = 'stored' | 'expired' | 'unreachable' | 'left' | 'unproven'

const ABSENCES: Record<Absence, string> = {
  stored: 'not met since this peer started',
  expired: 'silent for longer than its lease',
  unreachable: 'does not answer',
  left: 'has left the swarm',
  unproven: 'has not shown that it is a member'
}

/** A peer as the directory knows it. */
export interface Peer {
  record: PeerRecord
  /** The signed record as it came. */
  wire: string
  /** Undefined while it lives. */
  absence: Absence | undefined
  /** Living: when the lease ends. Absent: since when. By this peer's own clock. */
  atMs: number
  /** A list, as they are few and the peers many. */
  offers: readonly Offer[]
}

/** One agent of one peer. */
export interface Offer {
  readonly peer: Peer
  entry: AgentEntry
  /** The catalogue to look tools up in: the one its entry names, or its last until that one is here. */
  volume: Volume | undefined
  /** The code with which the peer refused to show the catalogue. */
  refusal: ErrorCode | undefined
}

export interface PeerView {
  readonly peerId: string
  readonly name: string
  /** This very peer. */
  readonly self: boolean
  readonly living: boolean
  readonly absence: Absence | null
  readonly addresses: readonly string[]
  readonly incarnation: number
  readonly sequence: number
  readonly leaseMs: number
  /** By name. */
  readonly agents: readonly AgentView[]
}

export interface AgentView {
  readonly peerId: string
  readonly peerName: string
  readonly name: string
  readonly role?: string
  readonly pool?: string
  readonly description?: string
  readonly version?: string
  /** The hash of its catalogue. */
  readonly catalogue: string
  /** Its peer lives, and it can serve now. */
  readonly available: boolean
  readonly reason?: string
  /** How many tools it offers; null while its catalogue is not known here. */
  readonly tools: number | null
}

/** An agent of a known peer, with all that it offers: for those who list everything. */
export interface Offering {
  readonly peerId: string
  readonly peerName: string
  readonly agent: AgentEntry
  /** Undefined while it is not known here. */
  readonly catalogue: Catalogue | undefined
  readonly available: boolean
  /** Why it is not available. */
  readonly reason?: string
  /** When its peer was found to be absent, by this peer's own clock in milliseconds; not for one known from disk alone. */
  readonly absentMs?: number
}

/** Why an agent cannot serve now, or undefined when it can. */
export function reasonOf ({ peer, entry, refusal }: Offer): string | undefined {
  if (peer.absence !== undefined) return `peer ${peer.record.name} ${ABSENCES[peer.absence]}`
  if (refusal !== undefined) return `peer ${peer.record.name} answers ${refusal}`
  return entry.available ? undefined : entry.reason ?? 'not available'
}

export function viewAgent (offer: Offer): AgentView {
  const { peer: { record }, entry, volume } = offer
  const reason = reasonOf(offer)
  const { available, ...facts } = entry
  return {
    peerId: record.peerId,
    peerName: record.name,
    ...facts,
    available: reason === undefined && available,
    ...reason === undefined ? {} : { reason },
    tools: volume?.items.size ?? null
  }
}

export function viewOffering (offer: Offer): Offering {
  const { peer: { record, absence, atMs }, entry: agent, volume } = offer
  const reason = reasonOf(offer)
  return {
    peerId: record.peerId,
    peerName: record.name,
    agent,
    catalogue: volume?.catalogue,
    available: reason === undefined,
    ...reason !== undefined && { reason },
    ...absence !== undefined && absence !== 'stored' && { absentMs: atMs }
  }
}

export function viewPeer ({ record, absence, offers }: Peer, selfId: string): PeerView {
  return {
    peerId: record.peerId,
    name: record.name,
    self: record.peerId === selfId,
    living: absence === undefined,
    absence: absence ?? null,
    addresses: record.addresses,
    incarnation: record.incarnation,
    sequence: record.sequence,
    leaseMs: record.leaseMs,
    agents: offers.map(viewAgent).sort((left, right) => left.name < right.name ? -1 : 1)
  }
}
