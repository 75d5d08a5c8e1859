import { sleep, systemClock, type Swarm } from 'mcp-swarm'

/** How long the peers of this machine are waited for, in milliseconds from the moment of joining. */
export const MEET_MS_MAX = 3_000

const POLL_MS = 5

/**
 * Waits until every peer known to be on this machine has been met, with what it offers, and what this one shares itself has
 * started; not longer than the bound for those that are slow. Without it the first look would find an empty swarm.
 */
export async function meet (swarm: Swarm, signal: AbortSignal, boundMs = (): number => MEET_MS_MAX): Promise<void> {
  while (!isMet(swarm) && swarm.status().peer.uptimeMs < boundMs()) await sleep(systemClock, POLL_MS, signal)
}

function isMet (swarm: Swarm): boolean {
  return !swarm.isLooking &&
    swarm.peers().every(({ agents }) => agents.every(({ tools, reason }) => tools !== null || reason !== undefined)) &&
    swarm.status().agents.every(({ available, reason }) => available || reason !== STARTING)
}

/** The reason of a server that has not started yet. */
const STARTING = 'starting'
