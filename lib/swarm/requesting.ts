/**
 * What is asked of an agent besides its tools: resources, prompts, completions, tasks; updates of resources; and sessions of
 * 2025 with a server of their own. Over the pair's stream, or directly where the agent is this peer's own.
 */
import { deadline } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ByteStream } from '../base/network.ts'
import type { AgentView, Directory } from '../directory/directory.ts'
import type { AgentRequest, ClientSide, Progress } from '../mcp/host.ts'
import type { Transport } from '../mcp/link.ts'
import { TASK_METHODS } from '../mcp/tasks.ts'
import { StreamTransport } from '../mcp/transport.ts'
import { hasNotRun } from '../mcp/wire.ts'
import { CALL_MS, checkTimeout } from './calling.ts'
import { isKnown, type Seek } from './finding.ts'
import { memberGone, memberOf, withMember, type Member } from './states.ts'
import { listen, ownAgent, type Heard, type Place, type Reach } from './hearing.ts'

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

interface Parts extends Reach {
  readonly directory: Directory
  /** Opens a fresh stream of agents to a peer. */
  readonly open: (peerId: string, signal: AbortSignal) => Promise<ByteStream>
  /** Brings peers into reach that the directory does not know; absent where there is no such means. */
  readonly seekFurther?: Seek | undefined
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
    const continued = whom.pool === undefined ? undefined : memberOf(options.client?.requestState)
    const asked = continued === undefined ? options : { ...options, client: { ...options.client as ClientSide, requestState: continued.requestState } }
    await this.#seek(whom, options.signal)
    let failure: unknown
    for (const agent of this.#candidates(whom, method, continued?.member)) {
      try {
        const answer = await this.#ask(agent, method, params, asked, Math.max(1, deadlineMs - clock.nowMs()))
        return whom.pool === undefined ? answer : withMember(answer, { peerId: agent.peerId, agent: agent.name })
      } catch (error) {
        if (!hasNotRun(error) || options.signal?.aborted === true || clock.nowMs() >= deadlineMs) throw error
        failure = error
      }
    }
    throw failure
  }

  /**
   * Subscribes at an agent until the returned function is called: also after a connection has broken, and come back.
   *
   * @param wishes `resourceSubscriptions` or `taskIds` of a `subscriptions/listen`
   */
  listen (place: Place, wishes: JsonObject, heard: Heard, client?: ClientSide): () => void {
    return listen(this.#parts, place, { wishes, heard, client })
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
    const own = ownAgent(this.#parts, agent)
    if (own.openSession === undefined) throw new SwarmError('UNAVAILABLE', `agent ${agent} keeps no sessions`, { details: { sent: false } })
    const { close, transport } = await own.openSession(self)
    if (close !== undefined) transport.close = close
    return transport
  }

  async #seek (whom: Whom, signal = new AbortController().signal): Promise<void> {
    const { directory, seekFurther } = this.#parts
    const sought = whom.pool === undefined ? { peer: whom.peerId, agent: whom.agent } : whom
    if (seekFurther !== undefined && !isKnown(directory, sought, { all: true })) await seekFurther(sought, signal)
  }

  /** Those to ask; of a pool where one has asked for more, that one. @throws SwarmError UNKNOWN_AGENT, UNAVAILABLE */
  #candidates (whom: Whom, method: string, member: Member | undefined): AgentView[] {
    const { directory } = this.#parts
    const fits = (agent: AgentView): boolean => whom.pool === undefined ? agent.peerId === whom.peerId && agent.name === whom.agent : agent.pool === whom.pool
    const all = directory.agents({ all: true }).filter(fits)
    const known = member === undefined ? all : all.filter(({ name, peerId }) => name === member.agent && peerId === member.peerId)
    if (member !== undefined && all.length > 0 && known.length === 0) throw memberGone(method, member)
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
    const { clients, clock, pipes, self, tasks } = this.#parts
    if (peerId !== self.peerId) return await pipes.request(peerId, name, method, params, { ...options, timeoutMs })
    const agent = ownAgent(this.#parts, name)
    const isTask = TASK_METHODS.includes(method)
    if (agent.request === undefined && !isTask) throw new SwarmError('UNAVAILABLE', `agent ${name} has tools alone`, { details: { sent: false } })
    const { client, meta, progress } = options
    clients.enter(agent, client?.session)
    const bound = deadline(clock, timeoutMs, options.signal)
    try {
      const request: AgentRequest = { method, params, caller: self, client, meta, progress, signal: bound.signal }
      return isTask ? await tasks.request(agent, request) : await agent.request?.(request) as JsonObject
    } finally {
      bound.done()
    }
  }
}
