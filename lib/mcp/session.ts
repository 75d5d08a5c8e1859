/**
 * One connection to a server that already exists: what it offers, read and read again when it says so, and calls, passed
 * on unchanged in both directions.
 *
 * The SDK's Client speaks for us, in whichever revision the server has. Two of its habits are kept out: results are not
 * parsed by its schemas (they would drop members it does not know), and its time limit is out of reach (deadlines belong
 * to the caller of the swarm).
 */
import { Client, SdkError, SdkErrorCode, type Transport } from '@modelcontextprotocol/client'
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import type { Asking } from './host.ts'
import { asItCame, inOrder, NO_ANSWER } from './order.ts'
import { pause } from './pause.ts'
import { META, withoutHop } from './revision.ts'
import { AS_IT_CAME, NO_LIMIT_MS, readCatalogue } from './session-lists.ts'

/** How long a server on a pipe may leave `server/discover` unanswered before it is taken for one of 2025, in milliseconds. */
export const PROBE_MS_MAX = 5_000

/** How long a server may take to agree to a subscription before its lists are read without one, in milliseconds. */
export const LISTEN_MS_MAX = 2_000

/** The wait before a subscription that has ended is asked for again, in milliseconds. */
export const LISTEN_AGAIN_MS = 5_000

/** Which revision a server speaks: 2026-07-28 (`modern`) or one of 2025 (`legacy`). */
export type Era = 'modern' | 'legacy'

export interface SessionEvents {
  /** The server offers something new. */
  changed (catalogue: Catalogue): void
  /** Something went wrong that no call can tell of. */
  trouble (error: Error): void
  /** A resource that was subscribed to has changed, or one below it. */
  updated? (uri: string): void
  /** A server of 2025 logs; of which call, it does not say. */
  logged? (params: JsonObject): void
  /** A server of 2025 turns to its client. @throws ProtocolError for an answer that is an error */
  ask? (method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject>
}

export interface SessionOptions {
  readonly clock: Clock
  /** What the server is known to speak; without it both are tried. */
  readonly era?: Era
  /** Bounds the start. */
  readonly signal: AbortSignal
  /** What a server of 2025 may ask of its client: to be answered by `ask`. Default nothing. */
  readonly capabilities?: JsonObject
  /** Whether to read what the server offers, and to hear of changes. Default true. */
  readonly lists?: boolean
  /** Goes into the catalogue. */
  readonly session?: 'caller'
}

export class ServerSession {
  readonly #client: Client
  readonly #events: SessionEvents
  readonly #options: SessionOptions
  readonly #clock: Clock
  readonly #ended = new AbortController()
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>
  #catalogue: Catalogue = { tools: [] }
  #isServing = false
  #reading = false
  #readAgain = false
  #logLevel: string | undefined
  /** Subscriptions of 2026-07-28 to resources, with the way to end each. */
  readonly #heard = new Map<string, AbortController>()

  private constructor (events: SessionEvents, options: SessionOptions) {
    this.#events = events
    this.#options = options
    this.#clock = options.clock
    this.#client = new Client({ name: 'mcp-swarm', version: VERSION }, {
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: PROBE_MS_MAX } },
      inputRequired: { autoFulfill: false },
      capabilities: (options.capabilities ?? {})
    })
    if (events.ask !== undefined) {
      this.#client.fallbackRequestHandler = async ({ method, params }, { mcpReq }) => await (events.ask as NonNullable<typeof events.ask>)(method, (params ?? {}) as JsonObject, mcpReq.signal)
    }
    this.#client.fallbackNotificationHandler = async ({ method, params }) => {
      if (method === 'notifications/resources/updated' && typeof params?.['uri'] === 'string') events.updated?.(params['uri'])
      if (method === 'notifications/message') events.logged?.((params ?? {}) as JsonObject)
    }
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
   * @throws what the SDK or the transport throws; SwarmError TOO_LARGE, MALFORMED for lists that no peer would take
   */
  static async open (transport: Transport, events: SessionEvents, options: SessionOptions): Promise<ServerSession> {
    const { era, signal } = options
    const session = new ServerSession(events, options)
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
   * Passes a request on. What a server of 2026-07-28 asks for comes back as its `input_required`, where there is a client.
   *
   * @throws SwarmError ABORTED when the signal fired, INDETERMINATE when the connection ended first,
   *   TOOL_FAILED when the server answered with a protocol error (its code and data in `details`), MALFORMED with neither a result nor an error
   */
  async request (method: string, params: JsonObject, { client, meta, progress, signal }: Asking): Promise<JsonObject> {
    const _meta = withoutHop(meta ?? {})
    const rest: Record<string, unknown> = {}
    if (this.era === 'modern') {
      _meta[META.clientCapabilities] = client?.capabilities ?? {}
      if (client?.logLevel !== undefined) _meta[META.logLevel] = client.logLevel
      if (client?.inputResponses !== undefined) rest.inputResponses = client.inputResponses
      if (client?.requestState !== undefined) rest.requestState = client.requestState
    }
    const whole = { ...params, ...rest, ...Object.keys(_meta).length > 0 && { _meta } }
    try {
      return asItCame(await this.#client.request({ method, params: whole }, AS_IT_CAME, {
        signal,
        timeout: NO_LIMIT_MS,
        allowInputRequired: client !== undefined,
        ...progress !== undefined && { onprogress: told => { progress(told) } }
      }))
    } catch (error) {
      throw failureOf(typeof params['name'] === 'string' ? params['name'] : method, signal, error)
    }
  }

  /** Has a server of 2025 log from this level on. */
  async setLogLevel (level: string): Promise<void> {
    if (this.#logLevel === level || this.#client.getServerCapabilities()?.logging === undefined) return
    this.#logLevel = level
    await this.#client.request({ method: 'logging/setLevel', params: { level } }, AS_IT_CAME, { timeout: NO_LIMIT_MS })
  }

  /** Asks for `updated` events of a resource. @throws SwarmError as `request` */
  async subscribe (uri: string): Promise<void> {
    try {
      if (this.era === 'modern') await this.#hear(uri)
      else await this.#client.request({ method: 'resources/subscribe', params: { uri } }, AS_IT_CAME, { timeout: NO_LIMIT_MS })
    } catch (error) {
      throw failureOf('resources/subscribe', this.#ended.signal, error)
    }
  }

  async #hear (uri: string): Promise<void> {
    const ending = new AbortController()
    this.#heard.set(uri, ending)
    const stop = (): void => { ending.abort() }
    this.#ended.signal.addEventListener('abort', stop, { once: true })
    await new Promise<void>((resolve, reject) => {
      void this.#listen({ resourceSubscriptions: [uri] }, ending.signal, error => {
        if (error === undefined) resolve()
        else {
          ending.abort()
          reject(error instanceof Error ? error : new Error(messageOf(error)))
        }
      }).finally(() => { this.#ended.signal.removeEventListener('abort', stop) })
    })
  }

  async unsubscribe (uri: string): Promise<void> {
    this.#heard.get(uri)?.abort()
    this.#heard.delete(uri)
    if (this.era !== 'modern') await this.#client.request({ method: 'resources/unsubscribe', params: { uri } }, AS_IT_CAME, { timeout: NO_LIMIT_MS })
  }

  async close (): Promise<void> {
    await this.#client.close()
  }

  async #start (transport: Transport, era: Era | undefined): Promise<void> {
    await this.#client.connect(transport, { timeout: NO_LIMIT_MS, ...era === 'legacy' && { prior: { kind: 'legacy' } } })
    if (this.#options.lists === false) return
    await this.#hearOfChanges()
    this.#catalogue = await readCatalogue(this.#client, this.#options)
    this.#isServing = true
    if (this.#readAgain) this.#refresh()
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
      void this.#listen(filter, this.#ended.signal, () => {
        if (this.#isServing) this.#refresh()
        cancel()
        resolve()
      })
    })
  }

  /**
   * Keeps a subscription of 2026-07-28 for as long as it is wanted.
   *
   * @param told how each attempt went: what changed while there was none has to be looked up after a good one
   */
  async #listen (filter: Parameters<Client['listen']>[0], signal: AbortSignal, told: (error?: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      try {
        const subscription = await this.#client.listen(filter, { timeout: NO_LIMIT_MS, signal })
        told()
        await subscription.closed
      } catch (error) {
        told(error)
        if (!signal.aborted) this.#events.trouble(new Error(`cannot hear of changes: ${messageOf(error)}`))
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
        this.#catalogue = await readCatalogue(this.#client, this.#options)
        this.#events.changed(this.#catalogue)
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#events.trouble(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      this.#reading = false
    }
  }
}

/** An answer that never came, told as an error response by a transport that knows of it (url.ts). */
export const ANSWER_LOST = { code: -32000, message: 'the answer was lost', data: { 'mcp-swarm/lost': true } }

function reasonOf (signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new SwarmError('ABORTED', 'the start was given up', { cause: signal.reason })
}

/** What a request to a server failed of. */
export function failureOf (tool: string, signal: AbortSignal, error: unknown): SwarmError {
  if (error instanceof SwarmError) return error
  if (signal.aborted) return new SwarmError('ABORTED', `call of ${tool} was given up`, { cause: error })
  const { code, data } = error as { code?: unknown, data?: unknown }
  const isGarbage = isObject(data) && Object.keys(NO_ANSWER.data).some(name => name in data)
  if (isGarbage || (error instanceof SdkError && error.code !== SdkErrorCode.ConnectionClosed && error.code !== SdkErrorCode.NotConnected)) {
    return new SwarmError(isGarbage ? 'MALFORMED' : 'TOOL_FAILED', `the server's answer to ${tool} cannot be used: ${messageOf(error)}`, { cause: error, details: { tool } })
  }
  if (typeof code === 'number' && !(isObject(data) && 'mcp-swarm/lost' in data)) {
    return new SwarmError('TOOL_FAILED', messageOf(error), { cause: error, details: { tool, rpc: { code, ...data !== undefined && { data } } } })
  }
  return new SwarmError('INDETERMINATE', `the server ended before it answered the call of ${tool}: it may or may not have run`, { cause: error, details: { tool, sent: true } })
}
