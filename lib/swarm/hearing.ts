/** Keeps a subscription at an agent: of this peer, or over a stream that is opened again whenever it has broken. */
import { sleep, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Random } from '../base/random.ts'
import type { Caller, ClientSide, HostedAgent } from '../mcp/host.ts'
import type { Pipes } from '../mcp/pipe-pool.ts'
import type { Tasks } from '../mcp/tasks.ts'
import type { Clients } from './clients.ts'
import type { Hosting } from './hosting.ts'

/** The first pause before another attempt, in milliseconds; each that hears nothing doubles it, PAUSES_MAX times at most. */
const PAUSE_MS = 1_000
const PAUSES_MAX = 5

/** How agents are reached, this peer's own and others. */
export interface Reach {
  readonly hosting: Hosting
  readonly tasks: Tasks
  readonly clients: Clients
  readonly pipes: Pipes
  readonly clock: Clock
  readonly random: Random
  readonly self: Caller
  /** Fires when the swarm closes. */
  readonly closing: AbortSignal
}

export interface Place {
  readonly peerId: string
  readonly agent: string
}

export type Heard = (method: string, params: JsonObject) => void

interface Wanted {
  /** `resourceSubscriptions` or `taskIds`. */
  readonly wishes: JsonObject
  readonly heard: Heard
  readonly client: ClientSide | undefined
}

/** Returns the way to stop. */
export function listen (reach: Reach, place: Place, wanted: Wanted): () => void {
  const ending = new AbortController()
  const stop = (): void => { ending.abort() }
  reach.closing.addEventListener('abort', stop, { once: true })
  void keep(reach, place, wanted, ending.signal).finally(() => { reach.closing.removeEventListener('abort', stop) })
  return stop
}

/** @throws SwarmError UNKNOWN_AGENT */
export function ownAgent ({ hosting }: Reach, name: string): HostedAgent {
  const agent = hosting.get(name)?.agent
  if (agent === undefined) throw new SwarmError('UNKNOWN_AGENT', `this peer hosts no agent ${name}`, { details: { sent: false } })
  return agent
}

async function keep (reach: Reach, place: Place, wanted: Wanted, signal: AbortSignal): Promise<void> {
  const { clock, random } = reach
  const { heard, wishes: { resourceSubscriptions: uris = [] } } = wanted
  let isFirst = true
  const begun = (): void => {
    if (!isFirst) for (const uri of uris as readonly string[]) heard('notifications/resources/updated', { uri })
  }
  for (let failures = 0; !signal.aborted; failures = Math.min(failures + 1, PAUSES_MAX)) {
    // What it fails of is shown where the agent is listed; here it is tried again.
    const hasHeard = await once(reach, place, wanted, begun, signal).catch(() => false)
    isFirst = false
    if (hasHeard) failures = 0
    await sleep(clock, PAUSE_MS * 2 ** failures * (0.5 + random.next()), signal).catch(() => undefined) // the loop sees that it is over
  }
}

/**
 * Listens until that ends.
 *
 * @param begun called when the agent has agreed: what changed before that, since the last time, nobody told
 * @returns whether anything was heard of
 */
async function once (reach: Reach, { agent, peerId }: Place, { client, heard, wishes }: Wanted, begun: () => void, signal: AbortSignal): Promise<boolean> {
  let hasHeard = false
  const tell: Heard = (method, params) => {
    hasHeard = true
    if (signal.aborted) return
    if (method === 'notifications/subscriptions/acknowledged') begun()
    else heard(method, params)
  }
  let end = (): void => {}
  const ended = new Promise<void>(resolve => { end = resolve })
  const stop = peerId === reach.self.peerId
    ? await listenHere(reach, agent, wishes, tell, client, signal)
    : await reach.pipes.listen(peerId, agent, wishes, { heard: tell, ended: end }, client)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  await ended
  signal.removeEventListener('abort', end)
  stop()
  return hasHeard
}

async function listenHere (reach: Reach, name: string, wishes: JsonObject, heard: Heard, client: ClientSide | undefined, signal: AbortSignal): Promise<() => void> {
  const agent = ownAgent(reach, name)
  const { resourceSubscriptions: uris = [], taskIds } = wishes
  const asking = { caller: reach.self, ...client !== undefined && { client } }
  reach.clients.enter(agent, client?.session)
  const stops = await Promise.all((uris as readonly string[]).map(async uri => await agent.subscribe?.(uri, updated => { heard('notifications/resources/updated', { uri: updated }) }, asking)))
  if (taskIds !== undefined) stops.push(reach.tasks.subscribe(agent, taskIds, { caller: reach.self, client, signal }, task => { heard('notifications/tasks', task) }).stop)
  heard('notifications/subscriptions/acknowledged', {})
  return () => { for (const stop of stops) stop?.() }
}
