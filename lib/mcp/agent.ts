/**
 * An agent made here: tools with handlers, and a life of its own.
 *
 *   created → starting → running → stopping → stopped, and error from starting or stopping; start again from stopped or error
 *
 * Invariants: calls run only while `running`; `stopping` lets running calls end, up to a bound, then aborts them; the
 * catalogue is a new object whenever what is offered changed, and a turn's changes are told of once.
 */
import type { CallToolResult } from '@modelcontextprotocol/server'
import { afterTurn, systemClock, type Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError } from '../base/error.ts'
import { isPlainText, type Catalogue } from '../directory/catalogue.ts'
import { LABEL_CHARS_MAX } from '../directory/record.ts'
import { builtinTools } from './builtin.ts'
import type { Availability, HostedAgent, Outcome, TaskMode, ToolCall } from './host.ts'
import { presetTools, type Coordination } from './presets.ts'
import type { Schema } from './schema.ts'
import { Stop } from './stop.ts'
import { checkDescription, makeTool, type Tool, type ToolHandler, type ToolOptions } from './tool.ts'

/** What an agent's name, role or pool may be: 1 to 64 of `A-Z a-z 0-9 _ . -`. */
export const AGENT_NAME = /^[A-Za-z0-9_.-]{1,64}$/

/** Most tools one agent offers. */
export const AGENT_TOOLS_MAX = 1_000

/** Calls one agent runs at once unless told otherwise. */
export const CALLS_IN_FLIGHT_MAX = 1_000

/** How long `stop` waits for running calls unless told otherwise, in milliseconds. */
export const STOP_MS_MAX = 5_000

export type AgentStatus = 'created' | 'starting' | 'running' | 'stopping' | 'stopped' | 'error'

export interface AgentOptions {
  /** What it is for: 1 to 64 of `A-Z a-z 0-9 _ . -`. `processor` and `coordinator` bring a tool each. */
  readonly role?: string
  /** For people and models: at most 8,000 characters, of which others see at most the first 512. */
  readonly description?: string
  /** Agents of one pool declare themselves interchangeable where their tools are equal. Named as a role is. */
  readonly pool?: string
  /** For people: 1 to 64 printable characters. */
  readonly version?: string
  /** Calls it runs at once, 1 or more; a further one is refused as OVERLOADED. Default 1,000. */
  readonly callsInFlightMax?: number
  /** How long `stop` waits for running calls before it aborts them, in milliseconds. Default 5,000. */
  readonly stopMsMax?: number
}

/** What the peer that hosts an agent lends it. */
export interface AgentHost {
  readonly clock: Clock
  /** The swarm's other agents, for tools that call them. */
  readonly coordination?: Coordination
}

export class MCPAgent implements HostedAgent {
  readonly name: string
  readonly role: string | undefined
  readonly description: string | undefined
  readonly pool: string | undefined
  readonly version: string | undefined
  readonly #callsInFlightMax: number
  readonly #stopMsMax: number
  readonly #events = new Emitter<{ change: undefined, status: AgentStatus }>()
  readonly #builtin: ReadonlyMap<string, Tool>
  readonly #tools = new Map<string, Tool>()
  readonly #running = new Map<Stop, Promise<unknown>>()
  #host: AgentHost = { clock: systemClock }
  #status: AgentStatus = 'created'
  #catalogue: Catalogue | undefined
  #telling = false
  #stopping: Promise<void> | undefined
  #startedAtMs = 0
  #calls = 0
  #errors = 0

  /** @throws SwarmError INVALID_OPTION naming what is wrong */
  constructor (name: string, options: AgentOptions = {}) {
    checkName('name of an agent', name)
    if (options.role !== undefined) checkName(`role of agent ${name}`, options.role)
    if (options.pool !== undefined) checkName(`pool of agent ${name}`, options.pool)
    checkDescription(`agent ${name}`, options.description)
    if (options.version !== undefined && !isPlainText(options.version, LABEL_CHARS_MAX)) {
      throw new SwarmError('INVALID_OPTION', `version of agent ${name}: takes 1 to ${LABEL_CHARS_MAX} printable characters (got ${JSON.stringify(options.version)})`)
    }
    this.name = name
    this.role = options.role
    this.description = options.description
    this.pool = options.pool
    this.version = options.version
    this.#callsInFlightMax = checkBound('callsInFlightMax', options.callsInFlightMax ?? CALLS_IN_FLIGHT_MAX, 1)
    this.#stopMsMax = checkBound('stopMsMax', options.stopMsMax ?? STOP_MS_MAX, 0)
    this.#builtin = byName(builtinTools(() => this.#report()))
    for (const tool of presetTools(options.role, () => this.#host.coordination)) this.#tools.set(tool.definition.name, tool)
  }

  get status (): AgentStatus {
    return this.#status
  }

  get availability (): Availability {
    return this.#status === 'running' ? { available: true } : { available: false, reason: `agent ${this.name} is ${this.#status}` }
  }

  get catalogue (): Catalogue {
    this.#catalogue ??= { tools: [...new Map([...this.#builtin, ...this.#tools]).values()].map(tool => tool.definition) }
    return this.#catalogue
  }

  /**
   * Offers a tool; at any time, also while running. A tool of that name that is there is replaced.
   *
   * @param name 1 to 128 of `A-Z a-z 0-9 _ - .`
   * @throws SwarmError INVALID_OPTION, TOO_LARGE over AGENT_TOOLS_MAX
   */
  tool<const Input extends Schema | undefined = undefined, const Output extends Schema | undefined = undefined> (
    name: string, options: ToolOptions<Input, Output>, handler: ToolHandler<Input, Output>
  ): this {
    const tool = makeTool(name, options, handler)
    if (this.#tools.size >= AGENT_TOOLS_MAX && !this.#tools.has(name)) {
      throw new SwarmError('TOO_LARGE', `agent ${this.name} offers ${AGENT_TOOLS_MAX} tools; that is the limit`)
    }
    this.#tools.set(name, tool)
    this.#offerChanged()
    return this
  }

  /** Takes a tool back; calls of it that run end as they will. Returns whether it was there. */
  removeTool (name: string): boolean {
    const there = this.#tools.delete(name)
    if (there) this.#offerChanged()
    return there
  }

  /** @throws SwarmError AGENT_STATUS unless created, stopped or in error; what `onStart` throws */
  async start (): Promise<void> {
    this.#expect('start', 'created', 'stopped', 'error')
    this.#enter('starting')
    try {
      await this.onStart()
    } catch (error) {
      this.#enter('error')
      throw error
    }
    this.#startedAtMs = this.#host.clock.nowMs()
    this.#enter('running')
  }

  /** Lets running calls end, then stops. While it is stopping a second call waits for the same end. @throws SwarmError AGENT_STATUS unless running; what `onStop` throws */
  async stop (): Promise<void> {
    if (this.#stopping === undefined) {
      this.#expect('stop', 'running')
      this.#stopping = this.#stop().finally(() => { this.#stopping = undefined })
    }
    await this.#stopping
  }

  on (event: 'status', listener: (status: AgentStatus) => void): () => void {
    return this.#events.on(event, listener)
  }

  onChange (listener: () => void): () => void {
    return this.#events.on('change', listener)
  }

  taskMode (tool: string): TaskMode {
    return (this.#tools.get(tool) ?? this.#builtin.get(tool))?.task ?? 'auto'
  }

  callTool (call: ToolCall & { readonly client?: undefined }): Promise<CallToolResult>
  callTool (call: ToolCall): Promise<Outcome>
  async callTool (call: ToolCall): Promise<Outcome> {
    if (this.#status !== 'running') {
      throw new SwarmError('AGENT_NOT_RUNNING', `agent ${this.name} is ${this.#status}`, { details: { agent: this.name, sent: false } })
    }
    const tool = this.#tools.get(call.name) ?? this.#builtin.get(call.name)
    if (tool === undefined) {
      throw new SwarmError('UNKNOWN_TOOL', `agent ${this.name} has no tool ${call.name}`, { details: { agent: this.name, tool: call.name } })
    }
    if (this.#running.size >= this.#callsInFlightMax) {
      throw new SwarmError('OVERLOADED', `agent ${this.name} runs ${this.#running.size} calls; that is its limit`, { details: { agent: this.name, sent: false } })
    }
    return await this.#run(tool, call)
  }

  /** Called by the peer that hosts it, before it starts. */
  hostedBy (host: AgentHost): void {
    this.#host = host
  }

  async close (): Promise<void> {
    if (this.#status === 'running' || this.#status === 'stopping') await this.stop()
  }

  /** For subclasses: opens what the agent needs. What it throws puts the agent in error. */
  protected async onStart (): Promise<void> {}

  /** For subclasses: closes what `onStart` opened, after the last call has ended. */
  protected async onStop (): Promise<void> {}

  async #run (tool: Tool, call: ToolCall): Promise<Outcome> {
    const { stop, letGo } = call.stop === undefined ? Stop.of(call.signal) : { stop: call.stop, letGo: undefined }
    if (stop.isAborted) throw new SwarmError('ABORTED', `call of ${call.name} was given up`, { cause: stop.reason })
    this.#calls++
    const running = tool.run(call, stop)
    this.#running.set(stop, running)
    const ended = (): void => { this.#running.delete(stop) } // a handler that ignores its signal keeps its place until it ends
    running.then(ended, ended)
    try {
      const result = await orAborted(running, stop, call.name)
      if ('isError' in result && result.isError === true) this.#errors++
      return result
    } catch (error) {
      this.#errors++
      throw error
    } finally {
      letGo?.()
    }
  }

  async #stop (): Promise<void> {
    this.#enter('stopping')
    try {
      await this.#settled()
      await this.onStop()
    } catch (error) {
      this.#enter('error')
      throw error
    }
    this.#enter('stopped')
  }

  async #settled (): Promise<void> {
    if (this.#running.size === 0) return
    const cancel = this.#host.clock.after(this.#stopMsMax, () => {
      for (const stop of this.#running.keys()) stop.abort(new SwarmError('ABORTED', `agent ${this.name} stops`))
    })
    await Promise.allSettled([...this.#running.entries()].map(async ([stop, running]) => await orAborted(running, stop, '')))
    cancel()
  }

  #report (): Record<string, unknown> {
    return {
      name: this.name,
      ...this.role !== undefined && { role: this.role },
      status: this.#status,
      uptimeMs: Math.max(0, Math.round(this.#host.clock.nowMs() - this.#startedAtMs)),
      calls: this.#calls,
      errors: this.#errors,
      inFlight: this.#running.size,
      tools: this.#tools.size
    }
  }

  #expect (verb: string, ...allowed: AgentStatus[]): void {
    if (allowed.includes(this.#status)) return
    throw new SwarmError('AGENT_STATUS', `cannot ${verb} agent ${this.name}: it is ${this.#status}`, { details: { agent: this.name, status: this.#status } })
  }

  #enter (status: AgentStatus): void {
    this.#status = status
    this.#events.emit('status', status)
    this.#events.emit('change', undefined) // at once: whoever awaited the status may rely on what follows from it
  }

  #offerChanged (): void {
    this.#catalogue = undefined
    this.#tell()
  }

  #tell (): void {
    if (this.#telling) return
    this.#telling = true
    afterTurn(() => {
      this.#telling = false
      this.#events.emit('change', undefined)
    })
  }
}

/** A handler that ignores its signal must not hold its caller: the wait ends with the signal, whatever the handler does. */
async function orAborted<Value> (running: Promise<Value>, stop: Stop, tool: string): Promise<Value> {
  return await new Promise((resolve, reject) => {
    const forget = stop.onAbort(reason => { reject(new SwarmError('ABORTED', `call of ${tool} was given up`, { cause: reason })) })
    running.then(resolve, reject).finally(forget)
  })
}

function byName (tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  return new Map(tools.map(tool => [tool.definition.name, tool]))
}

function checkName (what: string, name: unknown): void {
  if (typeof name === 'string' && AGENT_NAME.test(name)) return
  throw new SwarmError('INVALID_OPTION', `${what}: takes 1 to 64 of A-Z a-z 0-9 _ - . (got ${JSON.stringify(name)})`)
}

function checkBound (what: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new SwarmError('INVALID_OPTION', `${what} takes a whole number from ${least}`)
}
