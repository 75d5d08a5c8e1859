/** What a simulation is asked, and what it answers. */
import type { Alarm } from '../../crdt/alarm.ts'
import type { Bug } from './bug.ts'

/**
 * - ordinary: everything that happens to honest peers
 * - gossip: nothing gets lost, only late and twice, and nobody exchanges anything: gossip alone must do
 * - mute: all gossip gets lost
 * - liar: one more member says two things at one clock
 * - forger: one more member forges
 * - lying: one or two disks lie: what they said is flushed is missing after a crash; never drawn
 * - restored: the same, and the machine runs on meanwhile, as if a folder were put back from an old copy: never drawn
 * - parted: nothing gets lost, but for PARTED_MS the network is in two parts, each with PARTED_EDITS edits; never drawn
 */
export const KINDS = ['ordinary', 'gossip', 'mute', 'liar', 'forger', 'lying', 'restored', 'parted'] as const
export type Kind = typeof KINDS[number]

export interface SimulateOptions {
  /** Any whole number from 0 to 2^32 - 1. */
  readonly seed: number
  /** Default 5. */
  readonly replicas?: number
  /** Probability that a message gets lost, while things go wrong. Default 0.3. */
  readonly loss?: number
  /** A mistake to put into every peer. */
  readonly bug?: Bug
  /** Drawn from the seed by default. */
  readonly kind?: Kind
  /** Keep what happened, line by line; the last 400. */
  readonly keepsTrace?: boolean
}

export interface Outcome {
  readonly seed: number
  readonly kind: Kind
  /** What went wrong; undefined if nothing did. */
  readonly failure: string | undefined
  /** Equal on replay. */
  readonly trace: string
  /** With `keepsTrace`. */
  readonly lines: readonly string[]
  readonly virtualMs: number
  /** From mending to equal documents. */
  readonly healMs: number
  readonly events: number
  readonly edits: number
  readonly acknowledged: number
  readonly crashes: number
  /** Crashes that have shown that a disk had lied. */
  readonly lies: number
  readonly sent: number
  readonly lost: number
  /** The most that one peer sent after everything was mended. */
  readonly pulls: number
  readonly alarms: readonly Alarm[]
}
