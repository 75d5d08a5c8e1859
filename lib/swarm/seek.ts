import { sleep, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Peer } from './peer.ts'
import type { Whom } from './requesting.ts'

/** How long after joining a call waits for what is known from before and has not been met, in milliseconds. */
export const SEEK_MS_MAX = 3_000

const LOOK_MS = 10

/** Whether a peer that is known to be there has not been met yet. @param counts of those that are sought */
export function isLooking ({ isListening, listing: { directory }, neighbours }: Peer, counts: (peerId: string) => boolean): boolean {
  return isListening && neighbours.isLooking(peerId => directory.isLiving(peerId), counts)
}

/**
 * Waits until one of those that may be asked is there, or none of them can be expected any more.
 *
 * @param untilMs on the clock
 * @throws SwarmError ABORTED
 */
export async function seek ({ listing: { directory }, neighbours }: Peer, whom: Whom, untilMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  while (clock.nowMs() < untilMs) {
    const known = directory.agents({ all: true }).filter(agent => whom.pool === undefined ? agent.peerId === whom.peerId && agent.name === whom.agent : agent.pool === whom.pool)
    if (known.some(({ available }) => available) || !known.some(({ peerId }) => neighbours.isSought(peerId))) return
    await sleep(clock, LOOK_MS, signal).catch((cause: unknown) => { throw new SwarmError('ABORTED', 'the call was given up', { cause, details: { sent: false } }) })
  }
}
