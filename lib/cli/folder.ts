import { sleep, SwarmError, systemClock } from 'mcp-swarm'

/**
 * Uses the peer that holds a data folder, or becomes it: whichever is possible first. Another process may take or leave
 * the folder at any moment, and holds it a little before its socket answers.
 *
 * @param attach returns undefined when nobody listens
 * @param become throws FOLDER_IN_USE when somebody holds the folder
 * @throws SwarmError FOLDER_IN_USE when whoever holds it has not answered for `boundMs`
 */
export async function useFolder<Result> (boundMs: number, signal: AbortSignal, attach: () => Promise<Result | undefined>, become: () => Promise<Result>): Promise<Result> {
  const end = systemClock.nowMs() + boundMs
  for (;;) {
    const attached = await attach()
    if (attached !== undefined) return attached
    try {
      return await become()
    } catch (error) {
      if (!(error instanceof SwarmError && error.code === 'FOLDER_IN_USE') || systemClock.nowMs() >= end) throw error
    }
    await sleep(systemClock, RETRY_MS, signal)
  }
}

/** How often the folder is tried, in milliseconds: takeover may not take longer than a person notices. */
const RETRY_MS = 20
