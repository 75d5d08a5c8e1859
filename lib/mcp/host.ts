/**
 * The seam between what is offered and how it is reached: an embedded agent, a shared command, an SDK server instance and
 * a remote URL all stand behind `HostedAgent`, and whoever serves a stream or a gateway sees only this.
 *
 * What may not be called is not decided here: `allow` is enforced by whoever serves (serve.ts), before `callTool`.
 */
import type { CallToolResult } from '@modelcontextprotocol/server'
import type { Role } from '../access/grant.ts'
import type { JsonObject } from '../base/json.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import type { Link } from './link.ts'
import type { Stop } from './stop.ts'

export type { CallToolResult }

/** What a peer offers under one name. */
export interface HostedAgent {
  readonly name: string
  readonly role?: string
  readonly pool?: string
  readonly description?: string
  readonly version?: string
  /** What it offers now; a new object whenever that changes, so that identity tells of a change. */
  readonly catalogue: Catalogue
  readonly availability: Availability
  /** Tells that the catalogue or the availability has changed. Returns the way to stop. */
  onChange (listener: () => void): () => void
  /**
   * Runs a tool. A tool that ran and failed is a result with `isError`, not a rejection.
   *
   * @throws SwarmError UNKNOWN_TOOL, INVALID_ARGUMENTS, UNAVAILABLE and OVERLOADED (nothing ran),
   *   ABORTED and TOOL_FAILED (it may have run)
   */
  callTool (call: ToolCall & { readonly client?: undefined }): Promise<CallToolResult>
  callTool (call: ToolCall): Promise<Outcome>
  /** When a call of this tool becomes a task. Without it: `auto`. */
  taskMode? (tool: string): TaskMode
  /**
   * Passes another request on, unchanged: one of AGENT_METHODS. Absent where an agent has tools alone.
   *
   * @throws SwarmError as `callTool`
   */
  request? (request: AgentRequest): Promise<JsonObject>
  /**
   * Hears of updates of a resource until the returned function is called; also of those after a restart of its server.
   *
   * @param asking whose server is to tell, where each client has one
   * @throws SwarmError UNAVAILABLE, TOOL_FAILED with the server's own error
   */
  subscribe? (uri: string, updated: (uri: string) => void, asking?: Pick<Asking, 'caller' | 'client'>): Promise<() => void>
  /** A client of a peer may call from now on, until the returned function is called: what is kept for it may go then. */
  enter? (caller: Caller, session: string): () => void
  /** A client of a peer has gone for good: what waits for its answers may go too. */
  left? (caller: Caller, session: string): void
  /**
   * Starts a server for one client's session alone, where the catalogue says `session: 'caller'`.
   *
   * @throws SwarmError OVERLOADED, UNAVAILABLE
   */
  openSession? (caller: Caller): Promise<Link>
  /** Ends what it holds; calls in flight end with ABORTED. A second call does nothing. */
  close (): Promise<void>
}

export type Availability = { readonly available: true } | {
  readonly available: false
  /** Every peer may see it. */
  readonly reason: string
  /** What it said last: for its owner alone. */
  readonly said?: string
}

/**
 * When a tool's call becomes a task, for clients that can handle one.
 *
 * - `required`: at once; other clients are refused
 * - `always`: at once; other clients wait for the result
 * - `auto`: when the tool says so, or the call has run for a while (TASK_AFTER_MS)
 * - `never`
 */
export type TaskMode = 'required' | 'always' | 'auto' | 'never'

/** Requests besides `tools/call` that pass through the swarm to a server. */
export const AGENT_METHODS: readonly string[] = ['completion/complete', 'prompts/get', 'resources/read']

/** A result, or an answer that is none yet: more is asked for, or a task has begun. */
export type Outcome = CallToolResult | Pending

/** Source: MCP 2026-07-28, multi round-trip requests; extension `io.modelcontextprotocol/tasks`. */
export interface Pending {
  readonly resultType: 'input_required' | 'task'
  readonly [key: string]: unknown
}

export function isPending (outcome: object): outcome is Pending {
  return 'resultType' in outcome && (outcome.resultType === 'input_required' || outcome.resultType === 'task')
}

/** The client behind a call, as far as a server may know of it or turn to it. */
export interface ClientSide {
  /** What it can be asked for: its `clientCapabilities`. */
  readonly capabilities: JsonObject
  /** Its answers to an earlier `input_required`. */
  readonly inputResponses?: JsonObject
  /** What that one bade it return. */
  readonly requestState?: string
  /** Names it among the caller's clients, for agents that have a server for each. */
  readonly session?: string
  /** It wants to hear what the server logs meanwhile, from this level on. */
  readonly logLevel?: string
  readonly log?: (params: JsonObject) => void
}

export interface ToolCall extends Asking {
  readonly name: string
  readonly arguments: JsonObject
  /** Answers the caller with a task now, if it can handle one; the tool goes on. Absent where that cannot be. */
  readonly asTask?: () => void
}

export interface AgentRequest extends Asking {
  readonly method: string
  readonly params: JsonObject
}

/** What every request brings along. */
export interface Asking {
  readonly caller: Caller
  /** Absent where nobody can be asked. */
  readonly client?: ClientSide
  /** Fires when the caller gives up or is gone: stop working, nobody reads the result. */
  readonly signal: AbortSignal
  /** What fires `signal`, where it is known: cheaper to listen to than the signal. */
  readonly stop?: Stop
  /** Present when the caller listens. Calls after the result do nothing. */
  readonly progress?: (progress: Progress) => void
  /** The request's `_meta` as it came, for trace context and what a shared server may want to see. */
  readonly meta?: JsonObject
}

/** How far a call is; `progress` must grow from one to the next. Source: MCP 2026-07-28, progress. */
export interface Progress {
  readonly progress: number
  readonly total?: number
  readonly message?: string
}

/** Who calls, as proven by the connection and its grant. */
export interface Caller {
  readonly peerId: string
  readonly role: Role
}
