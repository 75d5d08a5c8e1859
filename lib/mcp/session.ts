/**
 * One connection to a server that already exists: what it offers, read and read again when it says so, and calls, passed
 * on unchanged in both directions.
 *
 * The SDK's Client speaks for us, in whichever revision the server has. Two of its habits are kept out: results are not
 * parsed by its schemas (they would drop members it does not know), and its time limit is out of reach (deadlines belong
 * to the caller of the swarm).
 */
import { Client, SdkError, SdkErrorCode, type StandardSchemaV1, type Transport } from '@modelcontextprotocol/client'
import type { CallToolResult } from '@modelcontextprotocol/server'
import { afterTurn } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import { sealCatalogue, TOOLS_MAX, type Catalogue, type ToolDefinition } from '../directory/catalogue.ts'
import type { ToolCall } from './host.ts'
import { inOrder } from './order.ts'

/** Most pages of one list that are read: a cursor that never ends is a broken server. */
export const LIST_PAGES_MAX = 256

/** How long a server on a pipe may leave `server/discover` unanswered before it is taken for one of 2025, in milliseconds. */
export const PROBE_MS_MAX = 5_000

/** As far as a timer reaches, in milliseconds: no limit of ours. */
const NO_LIMIT_MS = 2 ** 31 - 1

/** Members of `_meta` that belong to one hop and are set anew on the next. */
const HOP_META = new Set(['progressToken', 'io.modelcontextprotocol/protocolVersion', 'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/clientCapabilities', 'io.modelcontextprotocol/logLevel'])

const AS_IT_CAME: StandardSchemaV1<unknown, JsonObject> = {
  '~standard': { version: 1, vendor: 'mcp-swarm', validate: value => isObject(value) ? { value } : { issues: [{ message: 'the result is not an object' }] } }
}

/** Which revision a server speaks: 2026-07-28 (`modern`) or one of 2025 (`legacy`). */
export type Era = 'modern' | 'legacy'

export interface SessionEvents {
  /** The server offers something new. */
  changed (catalogue: Catalogue): void
  /** Something went wrong that no call can tell of. */
  trouble (error: Error): void
}

export class ServerSession {
  readonly #client: Client
  readonly #events: SessionEvents
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>
  #catalogue: Catalogue = { tools: [] }
  #isClosed = false
  #reading = false
  #readAgain = false

  private constructor (events: SessionEvents) {
    this.#events = events
    this.#client = new Client({ name: 'mcp-swarm', version: VERSION }, {
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: PROBE_MS_MAX } },
      inputRequired: { autoFulfill: false }
    })
    this.#client.onerror = error => { events.trouble(error) }
    this.closed = new Promise(resolve => {
      this.#client.onclose = () => {
        this.#isClosed = true
        resolve()
      }
    })
  }

  /**
   * Connects, agrees on a revision and reads what the server offers. On failure the transport is closed.
   *
   * @param era what the server is known to speak; without it both are tried
   * @param signal bounds the whole
   * @throws what the SDK or the transport throws; SwarmError TOO_LARGE, MALFORMED for lists that no peer would take
   */
  static async open (transport: Transport, events: SessionEvents, options: { readonly era?: Era, readonly signal: AbortSignal }): Promise<ServerSession> {
    const session = new ServerSession(events)
    const client = session.#client
    const giveUp = (): void => { void transport.close() }
    options.signal.addEventListener('abort', giveUp, { once: true })
    try {
      options.signal.throwIfAborted()
      await client.connect(inOrder(transport), { timeout: NO_LIMIT_MS, ...options.era === 'legacy' && { prior: { kind: 'legacy' } } })
      session.#catalogue = await session.#readCatalogue()
      await session.#listen()
      options.signal.throwIfAborted()
      return session
    } catch (error) {
      await transport.close()
      throw options.signal.aborted ? options.signal.reason : error
    } finally {
      options.signal.removeEventListener('abort', giveUp)
    }
  }

  get catalogue (): Catalogue {
    return this.#catalogue
  }

  get era (): Era | undefined {
    return this.#client.getProtocolEra()
  }

  /**
   * Calls a tool.
   *
   * @throws SwarmError ABORTED when the signal fired, INDETERMINATE when the connection ended first,
   *   TOOL_FAILED when the server answered with a protocol error (its code and data in `details`)
   */
  async call (call: ToolCall): Promise<CallToolResult> {
    const meta = Object.fromEntries(Object.entries(call.meta ?? {}).filter(([name]) => !HOP_META.has(name)))
    const params = { name: call.name, arguments: call.arguments, ...Object.keys(meta).length > 0 && { _meta: meta } }
    const { progress } = call
    try {
      const result = await this.#client.request({ method: 'tools/call', params }, AS_IT_CAME, {
        signal: call.signal,
        timeout: NO_LIMIT_MS,
        ...progress !== undefined && { onprogress: told => { progress(told) } }
      })
      return result as unknown as CallToolResult
    } catch (error) {
      throw failureOf(call, error)
    }
  }

  async close (): Promise<void> {
    await this.#client.close()
  }

  async #readCatalogue (): Promise<Catalogue> {
    const has = this.#client.getServerCapabilities() ?? {}
    const [tools, resources, resourceTemplates, prompts] = await Promise.all([
      has.tools === undefined ? [] : this.#list('tools/list', 'tools'),
      has.resources === undefined ? undefined : this.#list('resources/list', 'resources'),
      has.resources === undefined ? undefined : this.#list('resources/templates/list', 'resourceTemplates', true),
      has.prompts === undefined ? undefined : this.#list('prompts/list', 'prompts')
    ])
    const instructions = this.#client.getInstructions()
    return sealCatalogue({
      tools: (tools ?? []) as unknown as readonly ToolDefinition[],
      ...resources !== undefined && { resources },
      ...resourceTemplates !== undefined && { resourceTemplates },
      ...prompts !== undefined && { prompts },
      ...instructions !== undefined && { instructions }
    }).catalogue
  }

  /** @param optional whether a server may have resources and yet not know this method */
  async #list (method: string, member: string, optional = false): Promise<JsonObject[] | undefined> {
    const entries: JsonObject[] = []
    let cursor: unknown
    for (let page = 0; page < LIST_PAGES_MAX; page++) {
      let result: JsonObject
      try {
        result = await this.#client.request({ method, params: typeof cursor === 'string' ? { cursor } : {} }, AS_IT_CAME, { timeout: NO_LIMIT_MS })
      } catch (error) {
        if (optional && (error as { code?: unknown }).code === METHOD_NOT_FOUND) return undefined
        throw error
      }
      const some = result[member]
      if (!Array.isArray(some) || !some.every(isObject)) throw new SwarmError('MALFORMED', `the server answered ${method} without a list of ${member}`)
      entries.push(...some)
      if (entries.length > TOOLS_MAX) throw new SwarmError('TOO_LARGE', `the server lists over ${TOOLS_MAX} ${member}`)
      cursor = result['nextCursor']
      if (typeof cursor !== 'string') return entries
    }
    throw new SwarmError('TOO_LARGE', `the server lists its ${member} on over ${LIST_PAGES_MAX} pages`)
  }

  /** Hears of changed lists: unasked in 2025, on a subscription since 2026-07-28. */
  async #listen (): Promise<void> {
    const has = this.#client.getServerCapabilities() ?? {}
    const filter = {
      ...has.tools?.listChanged === true && { toolsListChanged: true },
      ...has.resources?.listChanged === true && { resourcesListChanged: true },
      ...has.prompts?.listChanged === true && { promptsListChanged: true }
    }
    if (Object.keys(filter).length === 0) return
    for (const list of ['tools', 'resources', 'prompts'] as const) {
      this.#client.setNotificationHandler(`notifications/${list}/list_changed`, () => { this.#refresh() })
    }
    if (this.era === 'modern') await this.#client.listen(filter, { timeout: PROBE_MS_MAX })
  }

  /** Reads the lists again; what is announced meanwhile leads to one more reading. */
  #refresh (): void {
    this.#readAgain = true
    if (this.#reading) return
    this.#reading = true
    afterTurn(() => { void this.#refreshAll() })
  }

  async #refreshAll (): Promise<void> {
    try {
      while (this.#readAgain && !this.#isClosed) {
        this.#readAgain = false
        this.#catalogue = await this.#readCatalogue()
        this.#events.changed(this.#catalogue)
      }
    } catch (error) {
      if (!this.#isClosed) this.#events.trouble(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      this.#reading = false
    }
  }
}

/** JSON-RPC's code for a method that is not there. */
const METHOD_NOT_FOUND = -32601

/** An answer that never came, told as an error response by a transport that knows of it (url.ts). */
export const ANSWER_LOST = { code: -32000, message: 'the answer was lost', data: { 'mcp-swarm/lost': true } }

function failureOf (call: ToolCall, error: unknown): SwarmError {
  const tool = call.name
  if (error instanceof SwarmError) return error
  if (call.signal.aborted) return new SwarmError('ABORTED', `call of ${tool} was given up`, { cause: error })
  if (error instanceof SdkError && error.code !== SdkErrorCode.ConnectionClosed && error.code !== SdkErrorCode.NotConnected) {
    return new SwarmError('TOOL_FAILED', `the server's answer to ${tool} cannot be used: ${error.message}`, { cause: error, details: { tool } })
  }
  const { code, data } = error as { code?: unknown, data?: unknown }
  if (typeof code === 'number' && !(isObject(data) && 'mcp-swarm/lost' in data)) {
    return new SwarmError('TOOL_FAILED', messageOf(error), { cause: error, details: { tool, rpc: { code, ...data !== undefined && { data } } } })
  }
  return new SwarmError('INDETERMINATE', `the server ended before it answered the call of ${tool}: it may or may not have run`, { cause: error, details: { tool, sent: true } })
}
