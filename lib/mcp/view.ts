/**
 * The swarm as a gateway sees it. Lists hold what is known, also of agents that cannot be reached now: those are marked.
 */
import type { Transport } from '@modelcontextprotocol/client'
import type { JsonObject } from '../base/json.ts'
import type { ClientSide, Outcome, Progress } from './host.ts'
import type { GatewayTool } from './names.ts'

/** Whose a thing is, and how to speak with it. */
export interface Target {
  readonly agent: string
  readonly peerId: string
  readonly peerName: string
  /** Present where several agents of a pool stand in for each other. */
  readonly pool?: string
  /** Whether any provider can serve now. */
  readonly available: boolean
  readonly reason?: string
  /** Since when it cannot, in milliseconds since the epoch, where that is known. */
  readonly sinceMs?: number
  /** What the server has declared of itself: `completions`, `logging`, `resources: { subscribe }` and the like. */
  readonly capabilities: JsonObject
  /** `caller`: each session of a client has a server of its own behind it. */
  readonly session: 'shared' | 'caller'
}

/** A resource as a gateway shows it. */
export interface GatewayResource extends Target {
  /** In the gateway: the agent's own URI, or that with a prefix where two agents have the same. */
  readonly uri: string
  /** As the agent defines it, with its own URI. */
  readonly resource: JsonObject
}

export interface GatewayTemplate extends Target {
  readonly uriTemplate: string
  readonly template: JsonObject
}

export interface GatewayPrompt extends Target {
  readonly name: string
  readonly prompt: JsonObject
}

/** What a resource URI stands for: the agent to ask, and the URI to ask it for. */
export interface Located {
  readonly target: Target
  readonly uri: string
}

export interface GatewayView {
  /** Every tool on show, in order of name; the same array while nothing has changed. */
  tools (): readonly GatewayTool[]
  /** Every resource on show, in order of URI; the same array while nothing has changed. */
  resources (): readonly GatewayResource[]
  resourceTemplates (): readonly GatewayTemplate[]
  prompts (): readonly GatewayPrompt[]
  /** Whose a URI is: listed, fitting a template, or one that only a single agent with resources could know. */
  locate (uri: string): Located | undefined
  /** Tools that fit the words, the best first. */
  search (query: string, limit: number): Promise<readonly GatewayTool[]>
  /** Facts for `swarm_status`: peers, agents, what cannot be reached and since when. */
  status (): JsonObject
  /** Tells that one of the lists has changed. Returns the way to stop. */
  onChange (listener: () => void): () => void
  /** @throws SwarmError as `swarm.call` */
  call (tool: GatewayTool, args: JsonObject, options: GatewayCall): Promise<Outcome>
  /**
   * Passes another request on: `resources/read`, `prompts/get`, `completion/complete`, `tasks/…`.
   *
   * @param params without `_meta`, in the agent's own names
   * @throws SwarmError as `swarm.call`
   */
  request (target: Target, method: string, params: JsonObject, options: GatewayCall): Promise<JsonObject>
  /**
   * Subscribes at an agent, from now until the returned function is called; across broken connections.
   *
   * @param wishes `resourceSubscriptions` or `taskIds` of a `subscriptions/listen`, in the agent's own names
   */
  listen (place: Pick<Target, 'agent' | 'peerId'>, wishes: JsonObject, heard: (method: string, params: JsonObject) => void, client?: ClientSide): () => void
  /** Opens a session of 2025-11-25 with an agent in mode `caller`, not started. @throws SwarmError UNREACHABLE, UNAVAILABLE, OVERLOADED, … */
  openSession (target: Target, session: string, signal: AbortSignal): Promise<Transport>
  /** A client has gone. @param mayReturn it lived for one request, and may come back with answers */
  endSession (session: string, mayReturn: boolean): void
}

export interface GatewayCall {
  readonly signal: AbortSignal
  /** Present when the client listens. */
  readonly progress?: (progress: Progress) => void
  /** The request's `_meta`, without what belongs to the client's own connection. */
  readonly meta: JsonObject
  /** Who asks, and what it can be asked for. */
  readonly client?: ClientSide
}
