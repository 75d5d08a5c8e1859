import { joinSwarm, SwarmError, systemClock, type Swarm } from 'mcp-swarm'
import { answer, isKnown } from './answer.ts'
import { serveControl } from './control.ts'
import type { HttpOptions, HttpServing } from './http.ts'
import { meet, MEET_MS_MAX } from './meet.ts'
import type { AskOptions, Question } from './request.ts'
import { readConfig, type Place } from './settings.ts'
import { followConfig } from './watch.ts'

/** How long a command waits for a peer that offers the tool it wants to call, while there are peers still to be met. */
export const SEEK_MS_MAX = 5_000

export interface PeerOptions {
  readonly name?: string
  readonly ticket?: string
  readonly listen?: readonly string[]
  readonly announce?: readonly string[]
}

export interface HolderOptions extends PeerOptions {
  /** Where nobody is there to be met, leave it to `swarm.listen()`: see joinSwarm. */
  readonly listensLate?: boolean
  /** Serve the gateway over HTTP too. */
  readonly http?: HttpOptions
}

/** A peer of this process, and its control socket. */
export interface Holder {
  readonly swarm: Swarm
  /** How long joining took, in milliseconds. */
  readonly readyMs: number
  readonly gateway: HttpServing | undefined
  /** Leaves in order: the socket first, so that those attached look for another holder. A second call does nothing. */
  close (): Promise<void>
}

/** Holds the data folder, joins, and shares what the config lists, as it changes. @throws SwarmError FOLDER_IN_USE, CONFIG_INVALID, … */
export async function becomeHolder (place: Place, { http, ...options }: HolderOptions): Promise<Holder> {
  const config = await readConfig(place.configPath)
  const startMs = systemClock.nowMs()
  const swarm = await joinSwarm({ dir: place.dir, config, ...options })
  const readyMs = systemClock.nowMs() - startMs
  let gateway: HttpServing | undefined
  const leave = async (): Promise<void> => {
    try {
      await gateway?.close()
    } finally {
      await swarm.close()
    }
  }
  try {
    if (http !== undefined) gateway = await (await import('./http.ts')).serveHttp(swarm, place.dir, http)
    const stop = await serveControl(place.dir, swarm, gateway?.url)
    keepDocuments(swarm)
    const unfollow = place.configPath === undefined ? () => {} : followConfig(place.configPath, swarm)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      unfollow()
      await stop().finally(leave)
    }
    return { swarm, readyMs, gateway, close: () => closing ??= close() }
  } catch (error) {
    await leave()
    throw error
  }
}

/** Joins for a moment, sharing nothing, meets who is there, and answers. */
export async function visit (place: Place, question: Question, options: AskOptions): Promise<unknown> {
  const config = await readConfig(place.configPath)
  const swarm = await joinSwarm({ dir: place.dir, config: config && { ...config, servers: {}, swarm: { ...config.swarm, share: [] } } })
  try {
    await meet(swarm, options.signal, { boundMs: () => question.do === 'call' && !isKnown(swarm, question) ? SEEK_MS_MAX : MEET_MS_MAX })
    // Whoever watches stays: other commands find it here.
    const stop = question.do === 'doc-watch' ? await serveControl(place.dir, swarm) : undefined
    return await answer(swarm, question, options).finally(stop)
  } finally {
    await swarm.close()
  }
}

/** Opens the documents that lie in the folder, beside everything else: others may look for them here. */
function keepDocuments (swarm: Swarm): void {
  void import('./document.ts').then(async ({ keepAll }) => { await keepAll(swarm) }).catch((error: unknown) => {
    if (!(error instanceof SwarmError)) throw error // one that cannot be opened says so to whoever asks for it
  })
}
