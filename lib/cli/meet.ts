import { sleep, systemClock, type Swarm } from 'mcp-swarm'

/** How long the peers of this machine are waited for, in milliseconds from the moment of joining. */
export const MEET_MS_MAX = 3_000

/**
 * How long a gateway waits for those that do not answer and whose tools are known from before, in milliseconds: they are asleep
 * or dead, mostly. Their tools are listed in any case, and marked; one that answers later is told of.
 */
export const ANSWER_MS_MAX = 75

const POLL_MS = 5

/**
 * Waits until every peer known to be on this machine has been met, with what it offers, and what this one shares itself has
 * started; not longer than the bounds for those that are slow. Without it the first look would find an empty swarm.
 *
 * @param answerMs the bound for those that do not answer and are known from before
 */
export async function meet (swarm: Swarm, signal: AbortSignal, { boundMs = () => MEET_MS_MAX, answerMs = Infinity }: { boundMs?: () => number, answerMs?: number } = {}): Promise<void> {
  const joinedMs = systemClock.nowMs() - swarm.status().peer.uptimeMs
  for (;;) {
    const sinceMs = systemClock.nowMs() - joinedMs
    if (isMet(swarm, sinceMs < answerMs) || sinceMs >= boundMs()) return
    await sleep(systemClock, POLL_MS, signal)
  }
}

function isMet (swarm: Swarm, awaitsAll: boolean): boolean {
  return !(awaitsAll ? swarm.isLooking : swarm.isLookingForNews) &&
    swarm.peers().every(({ agents }) => agents.every(({ tools, reason }) => tools !== null || reason !== undefined)) &&
    swarm.status().agents.every(({ available, reason }) => available || reason !== STARTING)
}

/** The reason of a server that has not started yet. */
export const STARTING = 'starting'
