/** A gateway's session with an agent for one client of 2025: the agent's server takes the gateway for that very client. */
import { Client, type Implementation, type Transport } from '@modelcontextprotocol/client'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import type { Progress } from './host.ts'
import { inOrder } from './order.ts'
import { failureOf } from './session.ts'
import { AS_IT_CAME, NO_LIMIT_MS } from './session-lists.ts'

/** How long an agent may take to begin a session, in milliseconds: its server has to start. */
export const BEGIN_MS_MAX = 30_000

/** What goes back to the client as it comes: what is not listed concerns the agent's lists, which the directory tells of. */
const TOLD = new Set(['notifications/message', 'notifications/resources/updated', 'notifications/elicitation/complete'])

interface UpstreamOptions {
  readonly info: Implementation | undefined
  readonly capabilities: JsonObject
  ask (method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject>
  told (method: string, params: JsonObject): void
}

export class Upstream {
  readonly #client: Client
  readonly #never = new AbortController().signal
  readonly closed: Promise<void>

  private constructor (options: UpstreamOptions) {
    const { capabilities, info } = options
    this.#client = new Client(info ?? { name: 'mcp-swarm', version: VERSION }, { capabilities: capabilities })
    this.#client.fallbackRequestHandler = async ({ method, params }, { mcpReq }) => await options.ask(method, (params ?? {}) as JsonObject, mcpReq.signal)
    this.#client.fallbackNotificationHandler = async ({ method, params }) => {
      if (TOLD.has(method)) options.told(method, (params ?? {}) as JsonObject)
    }
    this.closed = new Promise(resolve => { this.#client.onclose = resolve })
  }

  /**
   * @param transport not started
   * @returns undefined where the server refuses to begin a session: it speaks no revision of 2025
   * @throws SwarmError the agent's refusal; INDETERMINATE, ABORTED
   */
  static async open (transport: Transport, options: UpstreamOptions, signal: AbortSignal): Promise<Upstream | undefined> {
    const upstream = new Upstream(options)
    try {
      await upstream.#client.connect(inOrder(transport), { timeout: BEGIN_MS_MAX, signal })
      return upstream
    } catch (error) {
      await transport.close()
      const failure = failureOf('initialize', signal, error)
      const { rpc } = failure.details
      if (failure.code === 'TOOL_FAILED' && rpc !== undefined) return undefined
      throw new SwarmError(failure.code === 'INDETERMINATE' ? 'UNAVAILABLE' : failure.code, failure.message, { cause: error, details: { ...failure.details, sent: false } })
    }
  }

  /** @throws SwarmError as `ServerSession.request` */
  async request (method: string, params: JsonObject, { progress, signal = this.#never }: { signal?: AbortSignal, progress?: (progress: Progress) => void }): Promise<JsonObject> {
    try {
      return await this.#client.request({ method, params }, AS_IT_CAME, {
        signal, timeout: NO_LIMIT_MS, ...progress !== undefined && { onprogress: told => { progress(told) } }
      })
    } catch (error) {
      throw failureOf(typeof params['name'] === 'string' ? params['name'] : method, signal, error)
    }
  }

  async notify (method: string): Promise<void> {
    await this.#client.notification({ method })
  }

  async close (): Promise<void> {
    await this.#client.close()
  }
}
