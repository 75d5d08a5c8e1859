/** What a peer makes of its disk when it starts: the document of its log, under the incarnation that this log allows. */
import type { Signer, Verify } from '../../crdt/envelope.ts'
import { incarnationOn } from '../../crdt/incarnation.ts'
import { Replica, type ReplicaOptions } from '../../crdt/replica.ts'
import { documentOf, emptyDocument, hasPending } from '../../crdt/state.ts'
import type { Bug } from './bug.ts'
import type { Chance } from './chance.ts'
import type { SimulatedDisk } from './disk.ts'

export interface WakeOptions {
  readonly signer: Signer
  readonly verify: Verify
  readonly document: string
  readonly swarmId: string
  readonly disk: SimulatedDisk
  readonly chance: Chance
  readonly bug: Bug
  readonly earlyMax: number
  /** See `ReplicaOptions`. */
  readonly mergeHereBytes: number | undefined
  readonly onFailure: (what: string) => void
}

/** @param boot the start of the machine that this is, as the peer can tell */
export function wake ({ signer, verify, document, swarmId, disk, chance, bug, earlyMax, mergeHereBytes, onFailure }: WakeOptions, boot: string): Replica {
  const { kept, isDamaged, isWitnessed, habits: { durability } } = disk
  const incarnation = incarnationOn(kept, { durability, boot: bug.ignoresBoot === true ? kept?.boot : boot, isDamaged, isWitnessed })
  if (isDamaged && !disk.isLiar) onFailure('a log is taken for damaged, on a disk that is honest')
  const doc = documentOf(emptyDocument, undefined, disk.records)
  if (hasPending(doc)) onFailure('the log has gaps')
  const options: ReplicaOptions = {
    document, swarmId, signer, verify, doc, makeDoc: emptyDocument, random: chance.random, sequence: disk.sequence,
    incarnation: bug.reusesClient === true ? kept?.incarnation : incarnation, earlyLimits: { updatesMax: earlyMax }, mergeHereBytes
  }
  return bug.replica?.(options) ?? new Replica(options)
}
