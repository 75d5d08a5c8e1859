/** What the tests of agents' streams share: an agent whose tools do what such a test needs, and streams to it. */
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { Catalogue } from '../../lib/directory/catalogue.ts'
import type { Availability, CallToolResult, HostedAgent, ToolCall } from '../../lib/mcp/host.ts'
import { META, STATELESS_REVISION } from '../../lib/mcp/revision.ts'
import { serveAgent, type Offer, type ServeOptions } from '../../lib/mcp/serve.ts'
import { linkedStreams, type PairedStream } from '../support/pair.ts'
import { CALLER, clock as systemClock, within } from './parts.ts'

export type Handler = (call: ToolCall) => CallToolResult | Promise<CallToolResult>

/** A hosted agent laid bare: the test decides what each tool does, and when it ends. */
export class ScriptedAgent implements HostedAgent {
  readonly name = 'notes'
  readonly version = '1.2.3'
  availability: Availability = { available: true }
  catalogue: Catalogue
  readonly calls: ToolCall[] = []
  readonly #handlers = new Map<string, Handler>()
  readonly #listeners = new Set<() => void>()

  constructor (handlers: Readonly<Record<string, Handler>> = {}) {
    for (const [name, handler] of Object.entries(handlers)) this.#handlers.set(name, handler)
    this.catalogue = catalogueOf([...this.#handlers.keys()])
  }

  /** Offers one more tool and tells of it. */
  add (name: string, handler: Handler): void {
    this.#handlers.set(name, handler)
    this.offer(catalogueOf([...this.#handlers.keys()]))
  }

  offer (catalogue: Catalogue): void {
    this.catalogue = catalogue
    for (const listener of this.#listeners) listener()
  }

  get listeners (): number {
    return this.#listeners.size
  }

  onChange (listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  async callTool (call: ToolCall): Promise<CallToolResult> {
    this.calls.push(call)
    const handler = this.#handlers.get(call.name)
    if (handler === undefined) throw new SwarmError('UNKNOWN_TOOL', `no tool ${call.name}`, { details: { tool: call.name } })
    return await handler(call)
  }

  async close (): Promise<void> {}
}

export function catalogueOf (names: readonly string[]): Catalogue {
  return { tools: names.map(name => ({ name, description: `does ${name}`, inputSchema: { type: 'object' } })), instructions: 'be kind' }
}

export function text (words: string): CallToolResult {
  return { content: [{ type: 'text', text: words }] }
}

/** Ends when the signal of its call fires, and tells `aborted` so. */
export function hanging (aborted: (call: ToolCall) => void = () => {}): Handler {
  return async call => await new Promise<CallToolResult>((_resolve, reject) => {
    call.signal.addEventListener('abort', () => {
      aborted(call)
      reject(call.signal.reason as Error)
    }, { once: true })
  })
}

export interface Serving {
  readonly bugs: unknown[]
  /** A fresh stream to the serving end. */
  readonly open: () => PairedStream
  /** The offer; a test may change it at any time. */
  offer: Offer | undefined
}

export function serving (agent: HostedAgent, more: Partial<ServeOptions> & { clock?: Clock } = {}): Serving {
  const bugs: unknown[] = []
  const state: Serving = {
    bugs,
    offer: { agent, rules: [{ kind: 'all' }] },
    open: () => {
      const [near, far] = linkedStreams('/mcp-swarm/test/mcp/1.0.0')
      serveAgent(far, CALLER, name => name === agent.name ? state.offer : undefined, { clock: systemClock, report: error => { bugs.push(error) }, ...more })
      return near
    }
  }
  return state
}

/** A caller that writes its lines by hand, and may write anything. */
export class HandWriter {
  readonly lines: LineStream
  readonly got: JsonObject[] = []
  closedWith: Error | undefined
  isClosed = false
  #taken = 0
  #wake: () => void = () => {}

  constructor (stream: PairedStream, opening: string | null = JSON.stringify({ agent: 'notes', revision: STATELESS_REVISION, session: null })) {
    this.lines = new LineStream(stream)
    this.lines.read({
      line: line => {
        this.got.push(JSON.parse(line) as JsonObject)
        this.#wake()
      },
      closed: error => {
        this.isClosed = true
        this.closedWith = error
        this.#wake()
      }
    })
    if (opening !== null) this.lines.send(opening)
  }

  send (message: unknown): void {
    this.lines.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** A request of the stateless revision. */
  ask (id: unknown, method: string, params: JsonObject = {}): void {
    this.send({ jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...ENVELOPE, ...params._meta as JsonObject } } })
  }

  /** The next message, in the order of their coming. */
  async next (): Promise<JsonObject> {
    await this.#until(() => this.got.length > this.#taken, 'a message')
    return this.got[this.#taken++] as JsonObject
  }

  async closed (): Promise<Error | undefined> {
    await this.#until(() => this.isClosed, 'the end of the stream')
    return this.closedWith
  }

  async #until (claim: () => boolean, what: string): Promise<void> {
    while (!claim()) await within(new Promise<void>(resolve => { this.#wake = resolve }), what, 5_000)
  }
}

export const ENVELOPE = { [META.protocolVersion]: STATELESS_REVISION, [META.clientCapabilities]: {} }
