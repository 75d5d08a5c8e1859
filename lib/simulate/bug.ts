/** A mistake put into a peer on purpose, to see that the simulation notices. A bug without members is none. */
import type { Replica, ReplicaOptions } from '../../crdt/replica.ts'
import type { Action } from '../../crdt/sync.ts'

export interface Bug {
  readonly replica?: (options: ReplicaOptions) => Replica
  /** What the driver makes of the core's actions. */
  readonly actions?: (actions: readonly Action[]) => readonly Action[]
  /** Whether a parcel is dropped on arrival; `seen` is the peer's own. */
  readonly ignores?: (kind: 'gossip' | 'stream', bytes: Uint8Array, seen: Set<string>) => boolean
  /** Writes on under its last clientID, though its log lost an end that counted. */
  readonly reusesClient?: boolean
  /** Writes on under its last clientID, though the machine was started anew and nobody knows what its disk has lost. */
  readonly ignoresBoot?: boolean
  /** Publishes and sends before the log has it on disk. */
  readonly showsEarly?: boolean
  /** Says that an edit is flushed as soon as it is made. */
  readonly acknowledgesEarly?: boolean
  /** Says that a batch is on disk when the witness has claimed it, whether the batch itself is or not. */
  readonly acknowledgesClaims?: boolean
  /** Takes what the witness only claimed for sure. */
  readonly trustsClaims?: boolean
  /** Meets nobody, and begins no rounds. */
  readonly hasNoRounds?: boolean
}
