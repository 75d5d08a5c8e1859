/** What a gateway's clients do and hear, whichever SDK and revision they are of, over a pipe or HTTP; and a swarm behind it. */
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { InMemoryTransport as MemoryV1 } from '@modelcontextprotocol/sdk/inMemory.js'
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema, ResultSchema
} from '@modelcontextprotocol/sdk/types.js'
import { Client as ClientV2, InMemoryTransport, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client'
import { systemClock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { isObject, type JsonObject } from '../../lib/base/json.ts'
import { serveGateway } from '../../lib/mcp/gateway.ts'
import { serveGatewayHttp, type HttpGateway } from '../../lib/mcp/http.node.ts'
import { inOrder } from '../../lib/mcp/order.ts'
import { META } from '../../lib/mcp/revision.ts'
import { AS_IT_CAME } from '../../lib/mcp/session-lists.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import type { ServerSource } from '../../lib/mcp/share.ts'
import type { ShareOptions } from '../../lib/swarm/sharing.ts'
import { Lab } from '../../lib/testing.ts'
import { TOKEN } from './http-parts.ts'
import { within } from './parts.ts'

export const KINDS = ['SDK v1 of 2025', 'SDK v2 of 2025', 'SDK v2 of 2026'] as const
export type Kind = typeof KINDS[number]
export type Way = 'a pipe' | 'HTTP'

/** What a client answers to what it is asked; one without an answer says that it cannot be asked. */
export interface Answers {
  readonly elicitation?: (params: JsonObject) => JsonObject | Promise<JsonObject>
  readonly sampling?: (params: JsonObject) => JsonObject | Promise<JsonObject>
  readonly roots?: () => JsonObject
}

export interface CallHow {
  readonly signal?: AbortSignal
  readonly onprogress?: (told: { progress: number, total?: number | undefined, message?: string | undefined }) => void
  readonly logLevel?: string
}

/** Its tools' results, resources and the rest are as they came: not what a schema has left of them. */
export class Through {
  readonly kind: Kind
  /** Every request that the client was sent. */
  readonly asked: { readonly method: string, readonly params: JsonObject }[] = []
  readonly logs: JsonObject[] = []
  readonly #client: ClientV1 | ClientV2
  #wake = (): void => {}

  constructor (kind: Kind, answers: Answers, name: string) {
    this.kind = kind
    const capabilities = {
      ...answers.elicitation !== undefined && { elicitation: { form: {}, url: {} } },
      ...answers.sampling !== undefined && { sampling: {} },
      ...answers.roots !== undefined && { roots: { listChanged: true } }
    }
    const answer = async (method: string, params: unknown, give: (params: JsonObject) => JsonObject | Promise<JsonObject>): Promise<never> => {
      const known = isObject(params) ? params : {}
      this.asked.push({ method, params: known })
      this.#wake()
      return await give(known) as never
    }
    const logged = (params: unknown): void => {
      this.logs.push(params as JsonObject)
      this.#wake()
    }
    const { elicitation, roots, sampling } = answers
    if (kind === 'SDK v1 of 2025') {
      const client = new ClientV1({ name, version: '1' }, { capabilities })
      if (elicitation !== undefined) client.setRequestHandler(ElicitRequestSchema, async ({ method, params }) => await answer(method, params, elicitation))
      if (sampling !== undefined) client.setRequestHandler(CreateMessageRequestSchema, async ({ method, params }) => await answer(method, params, sampling))
      if (roots !== undefined) client.setRequestHandler(ListRootsRequestSchema, async ({ method, params }) => await answer(method, params, roots))
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => { logged(params) })
      this.#client = client
      return
    }
    const client = new ClientV2({ name, version: '1' }, { capabilities, versionNegotiation: { mode: kind === 'SDK v2 of 2026' ? { pin: '2026-07-28' } : 'legacy' } })
    if (elicitation !== undefined) client.setRequestHandler('elicitation/create', async ({ method, params }) => await answer(method, params, elicitation))
    if (sampling !== undefined) client.setRequestHandler('sampling/createMessage', async ({ method, params }) => await answer(method, params, sampling))
    if (roots !== undefined) client.setRequestHandler('roots/list', async ({ method, params }) => await answer(method, params, roots))
    client.setNotificationHandler('notifications/message', ({ params }) => { logged(params) })
    this.#client = client
  }

  get isModern (): boolean {
    return this.kind === 'SDK v2 of 2026'
  }

  async connect (transport: Transport): Promise<void> {
    await within(this.#client.connect(transport as never), 'connect')
  }

  /** @throws what the SDK throws for an answer that is an error */
  async request (method: string, params: JsonObject = {}, { logLevel, ...how }: CallHow = {}): Promise<JsonObject> {
    const whole = { ...params, ...logLevel !== undefined && { _meta: { ...isObject(params['_meta']) && params['_meta'], [META.logLevel]: logLevel } } }
    const asking = this.#client instanceof ClientV1
      ? this.#client.request({ method, params: whole }, ResultSchema, how)
      : this.#client.request({ method, params: whole }, AS_IT_CAME, how)
    return await within(asking as Promise<JsonObject>, `${this.kind}: ${method}`)
  }

  async call (name: string, args: JsonObject = {}, how: CallHow = {}): Promise<JsonObject & { content: { type: string, text?: string }[], isError?: boolean, structuredContent?: JsonObject }> {
    return await this.request('tools/call', { name, arguments: args }, how) as never
  }

  async text (name: string, args: JsonObject = {}, how: CallHow = {}): Promise<string> {
    const result = await this.call(name, args, how)
    return `${result.isError === true ? 'FAILED: ' : ''}${result.content.map(({ text = '' }) => text).join('\n')}`
  }

  async list (method: string, member: string): Promise<JsonObject[]> {
    return (await this.request(method))[member] as JsonObject[]
  }

  /** Wants logs from this level on: of 2026-07-28 each request says so for itself. */
  async logFrom (level: string): Promise<void> {
    await this.request('logging/setLevel', { level })
  }

  /** Subscribes to a resource. Returns the way to stop. */
  async hear (uri: string, heard: (uri: string) => void): Promise<() => Promise<void>> {
    if (this.#client instanceof ClientV1) {
      this.#client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => { heard(params.uri) })
    } else {
      this.#client.setNotificationHandler('notifications/resources/updated', ({ params }) => { heard(params.uri) })
      if (this.isModern) {
        const subscription = await within(this.#client.listen({ resourceSubscriptions: [uri] }), 'a subscription')
        return async () => { await subscription.close() }
      }
    }
    await this.request('resources/subscribe', { uri })
    return async () => { await this.request('resources/unsubscribe', { uri }) }
  }

  async notify (method: string): Promise<void> {
    await this.#client.notification({ method })
  }

  /** Resolves when it holds, looked at again whenever the client is asked or hears a log. */
  async until (claim: () => boolean, what: string): Promise<void> {
    while (!claim()) await within(new Promise<void>(resolve => { this.#wake = resolve }), `${this.kind}: ${what}`)
  }

  async close (): Promise<void> {
    await this.#client.close()
  }
}

/** A swarm of two: `alice` has the gateway, `bob` is another peer. */
export class Scene {
  readonly alice: Swarm
  readonly bob: Swarm
  readonly reported: Error[] = []
  readonly #lab: Lab
  readonly #clients: Through[] = []
  #http: Promise<HttpGateway> | undefined

  constructor (lab: Lab, alice: Swarm, bob: Swarm) {
    this.#lab = lab
    this.alice = alice
    this.bob = bob
  }

  /** Shares a server, and waits until the gateway's peer knows its tools. */
  async share (at: 'alice' | 'bob', source: ServerSource, options: ShareOptions): Promise<void> {
    const server = await within(this[at].share(source, options), `${options.name} to start`)
    const [tool] = server.catalogue.tools
    await within(this.alice.offered({ tool: tool?.name, agent: options.name }), `${options.name} at alice`)
  }

  /** A client of alice's gateway. */
  async client (kind: Kind, { answers = {}, way = 'a pipe', name = 'test' }: { answers?: Answers, way?: Way, name?: string } = {}): Promise<Through> {
    const client = new Through(kind, answers, name)
    this.#clients.push(client)
    if (way === 'HTTP') {
      const { url } = await this.http()
      const options = { requestInit: { headers: { authorization: `Bearer ${TOKEN}` } } }
      await client.connect(kind === 'SDK v1 of 2025' ? new HttpV1(new URL(url), options) : new StreamableHTTPClientTransport(new URL(url), options))
      return client
    }
    const [ours, theirs] = (kind === 'SDK v1 of 2025' ? MemoryV1 : InMemoryTransport).createLinkedPair()
    serveGateway(gatewayView(this.alice), theirs, { clock: systemClock, tools: 'all', report: error => { this.reported.push(error) } })
    await client.connect(inOrder(ours as Transport))
    return client
  }

  async http (): Promise<HttpGateway> {
    return await (this.#http ??= serveGatewayHttp(gatewayView(this.alice), { port: 0, token: TOKEN, clock: systemClock, tools: 'all', report: error => { this.reported.push(error) } }))
  }

  async close (): Promise<void> {
    await within(Promise.all(this.#clients.map(async client => { await client.close() })), 'the clients to close')
    await within((async () => { await (await this.#http)?.close() })(), 'the gateway to close')
    await within(this.#lab.close(), 'the swarms to close')
  }
}

export async function openScene (): Promise<Scene> {
  const lab = new Lab()
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await within(Promise.all([alice.joined(), bob.joined()]), 'the peers to meet')
  return new Scene(lab, alice, bob)
}

/** uvu takes `details` of an error for its own, and prints nothing at all where they are no text. */
export function readable (error: unknown): unknown {
  return error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error.cause }) : error
}

/** Runs a test on a swarm of its own. */
export function inScene (run: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    const scene = await openScene()
    try {
      await run(scene)
    } catch (error) {
      throw readable(error)
    } finally {
      await scene.close()
    }
  }
}

/** What a promise was refused with, as far as the protocol tells. */
export async function refusal (promise: Promise<unknown>): Promise<Error & { code?: unknown, data?: unknown }> {
  const outcome = await promise.then(value => ({ value }), (error: unknown) => ({ error }))
  if ('error' in outcome && outcome.error instanceof Error) return outcome.error
  throw new Error(`expected a refusal, got ${JSON.stringify(outcome)}`)
}

/** A value as words: what JSON holds where a text is expected. */
export function words (value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? ''
}
