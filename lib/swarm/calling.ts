/**
 * Calls a tool wherever it is: finds its providers in the directory, chooses one, and asks it over the pair's stream, or
 * directly where the agent is this peer's own.
 */
import type { Clock } from '../base/clock.ts'
import { deadline } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Random } from '../base/random.ts'
import type { Directory, Provider } from '../directory/directory.ts'
import { isBuiltin } from '../mcp/builtin.ts'
import type { Caller, ClientSide, Outcome, Progress } from '../mcp/host.ts'
import type { Pipes } from '../mcp/pipe-pool.ts'
import type { Tasks } from '../mcp/tasks.ts'
import { Breaker } from '../mesh/breaker.ts'
import { choose, providerKey, type Choice } from '../mesh/choice.ts'
import { route } from '../mesh/route.ts'
import type { Clients } from './clients.ts'
import { isKnown, type Seek } from './finding.ts'
import type { Hosting } from './hosting.ts'
import { memberGone, memberOf, withMember, type Member } from './states.ts'

/** How long a call may take unless told otherwise, in milliseconds: what MCP clients wait by default. */
export const CALL_MS = 60_000

/** Longest time-out a call may ask for, in milliseconds: a day. */
export const CALL_MS_MAX = 24 * 3_600_000

export interface CallOptions {
  /** The name of the agent to ask, where several offer the tool. */
  readonly agent?: string
  /** The id or name of the peer to ask. */
  readonly peer?: string
  /** Only agents of this pool. */
  readonly pool?: string
  /** Only tools with this definition hash: a definition that has changed meanwhile is not called. */
  readonly definition?: string
  /** Milliseconds, 1 to 86,400,000 (a day), for all attempts together. Default 60,000. */
  readonly timeoutMs?: number
  /** Gives the call up: the provider is told to stop. */
  readonly signal?: AbortSignal
  /** Hears how far the call is. */
  readonly progress?: (progress: Progress) => void
  /** Goes along as the request's `_meta`: trace context, say. */
  readonly meta?: JsonObject
  /** The client on whose behalf: with it, the answer may be `input_required` or a task. */
  readonly client?: ClientSide
}

/** @throws SwarmError INVALID_OPTION */
export function checkTimeout (timeoutMs: number): void {
  if (timeoutMs >= 1 && timeoutMs <= CALL_MS_MAX) return
  throw new SwarmError('INVALID_OPTION', `timeoutMs takes 1 to ${CALL_MS_MAX} milliseconds, not ${timeoutMs}`)
}

export interface CallCounts {
  readonly made: number
  readonly failed: number
  readonly inFlight: number
}

export class Calling {
  readonly #directory: Directory
  readonly #hosting: Hosting
  readonly #tasks: Tasks
  readonly #clients: Clients
  readonly #pipes: Pipes
  readonly #clock: Clock
  readonly #random: Random
  readonly #self: Caller
  readonly #seekFurther: Seek | undefined
  readonly #breaker = new Breaker()
  /** Calls in flight by provider; an entry goes with its last call. */
  readonly #loads = new Map<string, number>()
  #made = 0
  #failed = 0
  #inFlight = 0

  /** @param parts.seekFurther brings peers into reach that the directory does not know; absent where there is no such means */
  constructor (parts: { directory: Directory, hosting: Hosting, tasks: Tasks, clients: Clients, pipes: Pipes, clock: Clock, random: Random, self: Caller, seekFurther?: Seek | undefined }) {
    this.#directory = parts.directory
    this.#hosting = parts.hosting
    this.#tasks = parts.tasks
    this.#clients = parts.clients
    this.#pipes = parts.pipes
    this.#clock = parts.clock
    this.#random = parts.random
    this.#self = parts.self
    this.#seekFurther = parts.seekFurther
  }

  get counts (): CallCounts {
    return { made: this.#made, failed: this.#failed, inFlight: this.#inFlight }
  }

  /** @throws SwarmError: see docs/ERRORS.md, `call` */
  async call (tool: string, args: JsonObject, options: CallOptions): Promise<Outcome> {
    const { timeoutMs = CALL_MS, signal } = options
    checkTimeout(timeoutMs)
    this.#made++
    this.#inFlight++
    try {
      const deadlineMs = this.#clock.nowMs() + timeoutMs
      const continued = memberOf(options.client?.requestState)
      await this.#seek(tool, options, timeoutMs)
      const choice = this.#choose(tool, options, continued?.member)
      const left = continued === undefined || choice.pool === undefined ? options : { ...options, client: { ...options.client as ClientSide, requestState: continued.requestState } }
      return await route(choice, async provider => await this.#ask(provider, args, left, deadlineMs), { clock: this.#clock, deadlineMs, signal, breaker: this.#breaker })
    } catch (error) {
      this.#failed++
      throw error
    } finally {
      this.#inFlight--
    }
  }

  /** Looks further for what nobody here is known to have. @throws SwarmError ABORTED */
  async #seek (tool: string, { agent, peer, pool, signal }: CallOptions, timeoutMs: number): Promise<void> {
    const sought = { tool, agent, peer, pool }
    if (this.#seekFurther === undefined || isKnown(this.#directory, sought, { all: true })) return
    const bound = deadline(this.#clock, timeoutMs, signal)
    try {
      await this.#seekFurther(sought, bound.signal)
    } catch (error) {
      if (signal?.aborted === true || !bound.signal.aborted) throw error // out of time: the call says what is missing
    } finally {
      bound.done()
    }
  }

  /** @param member has asked, and alone can go on */
  #choose (tool: string, { agent, peer, pool, definition }: CallOptions, member: Member | undefined): Choice {
    const directory = this.#directory
    const all = directory.find({ tool, pool, all: true }).filter(({ toolHash }) => definition === undefined || toolHash === definition)
    // What every agent answers is meant only where an agent or peer is named, or where there is nothing else of that name.
    const own = agent === undefined && peer === undefined ? all.filter(provider => !isBuiltin(provider.tool)) : all
    const known = onlyMember(own.length > 0 ? own : all, tool, member)
    const living = known.filter(provider => directory.isLiving(provider.peerId))
    return choose(living.length > 0 ? living : known.map(asUnavailable), { tool, agent, peer }, {
      nowMs: this.#clock.nowMs(),
      random: this.#random,
      loads: provider => this.#loads.get(providerKey(provider)) ?? 0,
      breaker: this.#breaker,
      living: {
        tools: () => directory.toolNames(),
        peers: () => directory.peers().map(view => ({ peerId: view.peerId, name: view.name, agents: view.agents.map(entry => entry.name) }))
      }
    })
  }

  async #ask (provider: Provider, args: JsonObject, options: CallOptions, deadlineMs: number): Promise<Outcome> {
    const key = providerKey(provider)
    this.#loads.set(key, (this.#loads.get(key) ?? 0) + 1)
    try {
      const outcome = provider.peerId === this.#self.peerId
        ? await this.#askOwn(provider, args, options, deadlineMs)
        : await this.#pipes.call(provider.peerId, provider.agent.name, provider.tool.name, args, { ...options, timeoutMs: Math.max(1, deadlineMs - this.#clock.nowMs()) })
      return provider.agent.pool === undefined ? outcome : withMember(outcome, { peerId: provider.peerId, agent: provider.agent.name })
    } finally {
      const left = (this.#loads.get(key) ?? 1) - 1
      if (left === 0) this.#loads.delete(key)
      else this.#loads.set(key, left)
    }
  }

  async #askOwn (provider: Provider, args: JsonObject, { client, signal, progress, meta }: CallOptions, deadlineMs: number): Promise<Outcome> {
    const agent = this.#hosting.get(provider.agent.name)?.agent
    if (agent === undefined) throw new SwarmError('UNKNOWN_AGENT', `this peer hosts no agent ${provider.agent.name}`, { details: { sent: false } })
    this.#clients.enter(agent, client?.session)
    const bound = deadline(this.#clock, Math.max(0, deadlineMs - this.#clock.nowMs()), signal)
    try {
      return await this.#tasks.call(agent, { name: provider.tool.name, arguments: args, caller: this.#self, client, signal: bound.signal, progress, meta })
    } finally {
      bound.done()
    }
  }
}

/** A provider whose peer is known from disk, or has gone, as one that cannot serve now: so that the error says why. */
function asUnavailable (provider: Provider): Provider {
  return provider.available ? provider : { ...provider, agent: { ...provider.agent, available: false, reason: provider.reason } }
}

/** Of a pool, the one that the retry is for. @throws SwarmError UNAVAILABLE */
function onlyMember (known: readonly Provider[], tool: string, member: Member | undefined): readonly Provider[] {
  if (member === undefined || !known.some(({ agent }) => agent.pool !== undefined)) return known
  const asked = known.filter(({ agent, peerId }) => agent.pool !== undefined && agent.name === member.agent && peerId === member.peerId)
  if (asked.length === 0) throw memberGone(tool, member)
  return asked
}
