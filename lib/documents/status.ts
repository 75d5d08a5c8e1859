/** How documents are, as plain JSON. */
import type { SwarmError } from '../base/error.ts'
import type { Durability } from '../../crdt/committer.ts'
import type { Damage } from '../../crdt/damage.ts'

export interface DocumentStatus {
  readonly name: string
  /** What stands for the name on disk and on the wire. */
  readonly key: string
  readonly durability: Durability
  /** On disk: the snapshot and the log after it. */
  readonly bytes: number
  readonly snapshotBytes: number
  readonly log: { readonly records: number, readonly bytes: number }
  /** Changes taken into the log so far, and of these on disk. */
  readonly sequence: number
  readonly durable: number
  /** Updates that came too early, or that a damaged log left without what they need. */
  readonly gaps: { readonly count: number, readonly bytes: number }
  /** Linked peers that have the document, each with how many of our changes it has not confirmed to have on its disk. */
  readonly peers: readonly { readonly peerId: string, readonly lag: number }[]
  /** What is damaged on disk and has not come back from another peer yet. */
  readonly damage: readonly Damage[]
  readonly lastRepair: Repair | null
  /** Why nothing is written now. */
  readonly failure: Failure | null
}

export interface Repair {
  /** Milliseconds since 1970 UTC. */
  readonly atMs: number
  /** The peer that had the rest. */
  readonly from: string
  readonly damage: readonly Damage[]
}

export interface Failure { readonly code: string, readonly message: string }

export function failureOf (failure: SwarmError | undefined): Failure | null {
  return failure === undefined ? null : { code: failure.code, message: failure.message }
}

/** A document that is on disk here, or open. */
export interface DocumentEntry {
  /** Undefined where the name on disk is damaged: whoever knows it can still open the document. */
  readonly name: string | undefined
  readonly key: string
  /** Undefined for one that is not open. */
  readonly status: DocumentStatus | undefined
}

/** All documents of a peer, for `swarm.status()`. */
export interface DocumentsStatus {
  readonly durability: Durability
  readonly open: readonly DocumentStatus[]
  /** Bytes that are not safe on disk yet. */
  readonly unsafeBytes: number
  readonly failure: Failure | null
}
