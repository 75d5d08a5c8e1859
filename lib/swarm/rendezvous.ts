import type { Clock } from '../base/clock.ts'
import type { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'

/** A peer of this machine, as its own file in the rendezvous folder names it: a hint, proven only by dialling. */
export interface Neighbour {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly processId: number
}

export interface RendezvousOptions {
  readonly swarmId: string
  readonly peerId: string
  readonly clock: Clock
  readonly random: Random
  /** Called for each peer that was there before, for each that comes, and again when its file changes. */
  readonly onFound: (neighbour: Neighbour) => void
  /** Called when a peer has taken its file away. */
  readonly onGone: (peerId: string) => void
  /**
   * Peers cannot be found for now, nor find this one; it goes on trying. Called once for each time that this begins, and without an
   * error when it is over.
   */
  readonly onTrouble?: (error: SwarmError | undefined) => void
}

export interface Rendezvous {
  /** Lets the others find this peer at these addresses from now on, in place of those before. @throws SwarmError FOLDER_UNUSABLE */
  announce (addresses: readonly string[]): Promise<void>
  /** A peer could not be dialled: takes its file away if its process has ended. */
  check (peerId: string): Promise<void>
  /** Takes this peer's own file away; a second call does nothing. */
  close (): Promise<void>
}
