/**
 * What is asked of an agent besides its tools: resources, prompts, completions, tasks; updates of resources; and sessions of
 * 2025 with a server of their own. Over the pair's stream, or directly where the agent is this peer's own.
 */
import { deadline, sleep, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ByteStream } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { AgentView, Directory } from '../directory/directory.ts'
import type { AgentRequest, Caller, ClientSide, HostedAgent, Progress } from '../mcp/host.ts'
import type { Transport } from '../mcp/link.ts'
import type { Pipes } from '../mcp/pipe-pool.ts'
import { TASK_METHODS, type Tasks } from '../mcp/tasks.ts'
import { StreamTransport } from '../mcp/transport.ts'
import { hasNotRun } from '../mcp/wire.ts'
import { CALL_MS, checkTimeout } from './calling.ts'
import type { Hosting } from './hosting.ts'

/** Pauses between attempts to hear of a resource again, in milliseconds: some chance is added. */
const AGAIN_MS = 1_000

/** Whom to ask: an agent of one peer, or any of a pool. */
export type Whom = { readonly peerId: string, readonly agent: string, readonly pool?: undefined } | { readonly pool: string }

export interface RequestOptions {
  /** Milliseconds, 1 to CALL_MS_MAX. Default CALL_MS. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly progress?: (progress: Progress) => void
  readonly meta?: JsonObject
  readonly client?: ClientSide
}

interface Parts {
  readonly directory: Directory
  readonly hosting: Hosting
  readonly tasks: Tasks
  readonly pipes: Pipes
  readonly clock: Clock
  readonly random: Random
  readonly self: Caller
  /** Opens a fresh stream of agents to a peer. */
  readonly open: (peerId: string, signal: AbortSignal) => Promise<ByteStream>
  /** Fires when the swarm closes. */
  readonly closing: AbortSignal
}

export class Requesting {
  readonly #parts: Parts

  constructor (parts: Parts) {
    this.#parts = parts
  }

  /**
   * In a pool the next one is asked where one has provably not been.
   *
   * @throws SwarmError as `swarm.call`
   */
  async request (whom: Whom, method: string, params: JsonObject, options: RequestOptions = {}): Promise<JsonObject> {
    const { clock } = this.#parts
    const { timeoutMs = CALL_MS } = options
    checkTimeout(timeoutMs)
    const deadlineMs = clock.nowMs() + timeoutMs
    let failure: unknown
    for (const agent of this.#candidates(whom)) {
      try {
        return await this.#ask(agent, method, params, options, Math.max(1, deadlineMs - clock.nowMs()))
      } catch (error) {
        if (!hasNotRun(error) || options.signal?.aborted === true || clock.nowMs() >= deadlineMs) throw error
        failure = error
      }
    }
    throw failure
  }

  /** Hears of updates of a resource until the returned function is called: also after a connection has broken, and come back. */
  listen ({ agent, peerId }: { agent: string, peerId: string }, uri: string, updated: (uri: string) => void): () => void {
    const ending = new AbortController()
    const { closing } = this.#parts
    const stop = (): void => { ending.abort() }
    closing.addEventListener('abort', stop, { once: true })
    void this.#keepListening(peerId, agent, uri, updated, ending.signal).finally(() => { closing.removeEventListener('abort', stop) })
    return stop
  }

  /**
   * A session of 2025-11-25 with a server that is started for it. The caller starts, and closes, the transport.
   *
   * @param session names the client among ours
   * @throws SwarmError UNREACHABLE, UNKNOWN_AGENT, UNAVAILABLE, OVERLOADED, ABORTED
   */
  async openSession ({ agent, peerId }: { agent: string, peerId: string }, session: string, signal: AbortSignal): Promise<Transport> {
    const { clock, open, self } = this.#parts
    if (peerId !== self.peerId) return new StreamTransport(await open(peerId, signal), { agent, session, revision: '2025-11-25', clock })
    const own = this.#own(agent)
    if (own.openSession === undefined) throw new SwarmError('UNAVAILABLE', `agent ${agent} keeps no sessions`, { details: { sent: false } })
    const { close, transport } = await own.openSession(self)
    if (close !== undefined) transport.close = close
    return transport
  }

  /** Those to ask, the living first. @throws SwarmError UNKNOWN_AGENT */
  #candidates (whom: Whom): AgentView[] {
    const { directory } = this.#parts
    const fits = (agent: AgentView): boolean => whom.pool === undefined ? agent.peerId === whom.peerId && agent.name === whom.agent : agent.pool === whom.pool
    const known = directory.agents({ all: true }).filter(fits)
    if (known.length === 0) {
      const what = whom.pool === undefined ? `agent ${whom.agent} of peer ${whom.peerId}` : `pool ${whom.pool}`
      throw new SwarmError('UNKNOWN_AGENT', `${what} is not known here`, { details: { sent: false } })
    }
    const able = known.filter(({ available }) => available)
    const [first] = known
    if (able.length === 0) throw new SwarmError('UNAVAILABLE', `agent ${first?.name} of peer ${first?.peerName} cannot serve now: ${first?.reason ?? 'not available'}`, { details: { sent: false } })
    return able
  }

  async #ask ({ name, peerId }: AgentView, method: string, params: JsonObject, options: RequestOptions, timeoutMs: number): Promise<JsonObject> {
    const { clock, pipes, self, tasks } = this.#parts
    if (peerId !== self.peerId) return await pipes.request(peerId, name, method, params, { ...options, timeoutMs })
    const agent = this.#own(name)
    const isTask = TASK_METHODS.includes(method)
    if (agent.request === undefined && !isTask) throw new SwarmError('UNAVAILABLE', `agent ${name} has tools alone`, { details: { sent: false } })
    const bound = deadline(clock, timeoutMs, options.signal)
    const { client, meta, progress } = options
    try {
      const request: AgentRequest = { method, params, caller: self, client, meta, progress, signal: bound.signal }
      return isTask ? await tasks.request(agent, request) : await agent.request?.(request) as JsonObject
    } finally {
      bound.done()
    }
  }

  #own (name: string): HostedAgent {
    const agent = this.#parts.hosting.get(name)?.agent
    if (agent === undefined) throw new SwarmError('UNKNOWN_AGENT', `this peer hosts no agent ${name}`, { details: { sent: false } })
    return agent
  }

  async #keepListening (peerId: string, agent: string, uri: string, updated: (uri: string) => void, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts
    for (let failures = 0; !signal.aborted; failures = Math.min(failures + 1, 5)) {
      // What it fails of is shown where the agent is listed; here it is tried again.
      const heard = await this.#listenOnce(peerId, agent, uri, updated, signal).catch(() => false)
      if (heard) failures = 0
      await sleep(clock, AGAIN_MS * 2 ** failures * (0.5 + random.next()), signal).catch(() => undefined)
    }
  }

  /** Listens until that ends. @returns whether anything was heard of */
  async #listenOnce (peerId: string, agent: string, uri: string, updated: (uri: string) => void, signal: AbortSignal): Promise<boolean> {
    const { pipes, self } = this.#parts
    let heard = false
    const tell = (changed: string): void => {
      heard = true
      if (!signal.aborted) updated(changed)
    }
    let end = (): void => {}
    const ended = new Promise<void>(resolve => { end = resolve })
    const stop = peerId === self.peerId
      ? await this.#own(agent).subscribe?.(uri, tell)
      : await pipes.listen(peerId, agent, { resourceSubscriptions: [uri] }, {
        heard: (method, params) => {
          if (method === 'notifications/resources/updated' && typeof params['uri'] === 'string') tell(params['uri'])
        },
        ended: end
      })
    if (stop === undefined) return false
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    await ended
    signal.removeEventListener('abort', end)
    stop()
    return heard
  }
}
