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
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import { sealCatalogue, TOOLS_MAX, type Catalogue, type ToolDefinition } from '../directory/catalogue.ts'
import type { ToolCall } from './host.ts'
import { inOrder } from './order.ts'
import { pause } from './pause.ts'

/** Most pages of one list that are read: a cursor that never ends is a broken server. */
export const LIST_PAGES_MAX = 256

/** How long a server on a pipe may leave `server/discover` unanswered before it is taken for one of 2025, in milliseconds. */
export const PROBE_MS_MAX = 5_000

/** How long a server may take to agree to a subscription before its lists are read without one, in milliseconds. */
export const LISTEN_MS_MAX = 2_000

/** The wait before a subscription that has ended is asked for again, in milliseconds. */
export const LISTEN_AGAIN_MS = 5_000

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
  readonly #clock: Clock
  readonly #ended = new AbortController()
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>
  #catalogue: Catalogue = { tools: [] }
  #isServing = false
  #reading = false
  #readAgain = false

  private constructor (events: SessionEvents, clock: Clock) {
    this.#events = events
    this.#clock = clock
    this.#client = new Client({ name: 'mcp-swarm', version: VERSION }, {
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: PROBE_MS_MAX } },
      inputRequired: { autoFulfill: false }
    })
    this.#client.onerror = error => { events.trouble(error) }
    this.closed = new Promise(resolve => {
      this.#client.onclose = () => {
        this.#ended.abort()
        resolve()
      }
    })
  }

  /**
   * Connects, agrees on a revision and reads what the server offers. On failure the transport is closed.
   *
   * @param options `era`: what the server is known to speak, without it both are tried; `signal` bounds the whole
   * @throws what the SDK or the transport throws; SwarmError TOO_LARGE, MALFORMED for lists that no peer would take
   */
  static async open (
    transport: Transport, events: SessionEvents, options: { readonly clock: Clock, readonly era?: Era, readonly signal: AbortSignal }
  ): Promise<ServerSession> {
    const { clock, era, signal } = options
    const session = new ServerSession(events, clock)
    let giveUp = (): void => {}
    const givenUp = new Promise<never>((_resolve, reject) => { giveUp = () => { reject(reasonOf(signal)) } })
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      if (signal.aborted) throw reasonOf(signal)
      await Promise.race([session.#start(inOrder(transport), era), givenUp])
      return session
    } catch (error) {
      await transport.close()
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
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

  async #start (transport: Transport, era: Era | undefined): Promise<void> {
    await this.#client.connect(transport, { timeout: NO_LIMIT_MS, ...era === 'legacy' && { prior: { kind: 'legacy' } } })
    await this.#hearOfChanges()
    this.#catalogue = await this.#readCatalogue()
    this.#isServing = true
    if (this.#readAgain) this.#refresh()
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

  /** Lists that change are told of unasked in 2025, and on a subscription since 2026-07-28. */
  async #hearOfChanges (): Promise<void> {
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
    if (this.era !== 'modern') return
    await new Promise<void>(resolve => {
      const cancel = this.#clock.after(LISTEN_MS_MAX, resolve)
      void this.#subscribe(filter, () => {
        cancel()
        resolve()
      })
    })
  }

  /** Keeps a subscription for as long as the session lives; what changed while there was none is read afterwards. */
  async #subscribe (filter: Parameters<Client['listen']>[0], onFirst: () => void): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      try {
        const subscription = await this.#client.listen(filter, { timeout: NO_LIMIT_MS })
        if (this.#isServing) this.#refresh()
        onFirst()
        await subscription.closed
      } catch (error) {
        onFirst()
        if (!signal.aborted) this.#events.trouble(new Error(`cannot hear of changed lists: ${messageOf(error)}`))
      }
      await pause(this.#clock, LISTEN_AGAIN_MS, signal)
    }
  }

  /** Reads the lists again; what is announced meanwhile leads to one more reading. */
  #refresh (): void {
    this.#readAgain = true
    if (this.#reading || !this.#isServing) return
    this.#reading = true
    afterTurn(() => { void this.#refreshAll() })
  }

  async #refreshAll (): Promise<void> {
    try {
      while (this.#readAgain && !this.#ended.signal.aborted) {
        this.#readAgain = false
        this.#catalogue = await this.#readCatalogue()
        this.#events.changed(this.#catalogue)
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#events.trouble(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      this.#reading = false
    }
  }
}

/** JSON-RPC's code for a method that is not there. */
const METHOD_NOT_FOUND = -32601

/** An answer that never came, told as an error response by a transport that knows of it (url.ts). */
export const ANSWER_LOST = { code: -32000, message: 'the answer was lost', data: { 'mcp-swarm/lost': true } }

function reasonOf (signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new SwarmError('ABORTED', 'the start was given up', { cause: signal.reason })
}

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
