import { joinSwarm, systemClock, type Swarm } from 'mcp-swarm'
import { answer, isKnown } from './answer.ts'
import { serveControl } from './control.ts'
import { meet, MEET_MS_MAX } from './meet.ts'
import type { AskOptions, Question } from './request.ts'
import { readConfig, type Place } from './settings.ts'

/** How long a command waits for a peer that offers the tool it wants to call, while there are peers still to be met. */
export const SEEK_MS_MAX = 5_000

export interface PeerOptions {
  readonly name?: string
  readonly listen?: readonly string[]
}

/** A peer of this process, and its control socket. */
export interface Holder {
  readonly swarm: Swarm
  /** How long joining took, in milliseconds. */
  readonly readyMs: number
  /** Leaves in order: the socket first, so that those attached look for another holder. A second call does nothing. */
  close (): Promise<void>
}

/** Holds the data folder, joins, and shares what the config lists. @throws SwarmError FOLDER_IN_USE, CONFIG_INVALID, … */
export async function becomeHolder (place: Place, options: PeerOptions): Promise<Holder> {
  const config = await readConfig(place.configPath)
  const startMs = systemClock.nowMs()
  const swarm = await joinSwarm({ dir: place.dir, config, ...options })
  const readyMs = systemClock.nowMs() - startMs
  try {
    const stop = await serveControl(place.dir, swarm)
    let closing: Promise<void> | undefined
    return { swarm, readyMs, close: () => closing ??= stop().finally(() => swarm.close()) }
  } catch (error) {
    await swarm.close()
    throw error
  }
}

/** Joins for a moment, sharing nothing, meets who is there, and answers. */
export async function visit (place: Place, question: Question, options: AskOptions): Promise<unknown> {
  const config = await readConfig(place.configPath)
  const swarm = await joinSwarm({ dir: place.dir, config: config && { ...config, servers: {}, swarm: { ...config.swarm, share: [] } } })
  try {
    await meet(swarm, options.signal, () => question.do === 'call' && !isKnown(swarm, question) ? SEEK_MS_MAX : MEET_MS_MAX)
    return await answer(swarm, question, options)
  } finally {
    await swarm.close()
  }
}
