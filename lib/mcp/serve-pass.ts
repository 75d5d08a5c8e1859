/**
 * A session of 2025 with a server of its own: what the client and the server say passes unchanged, both ways. Who may use the
 * agent is asked again at each request of the client, so that a change of the rules counts at once.
 */
import type { JSONRPCMessage } from '@modelcontextprotocol/client'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { LineReader, LineStream } from '../base/line.ts'
import type { HostedAgent } from './host.ts'
import type { Link } from './link.ts'
import type { SessionOptions } from './serve-session.ts'
import { Outlet } from './wire-outlet.ts'
import { endSoon, isRpcId, isShallow, refusalLine, RPC, rpcError, type RpcId } from './wire.ts'

/** Lines that may come before the server has been opened. */
export const EARLY_MAX = 64

/** Serves the rest of a stream whose first line named such a session. Starts the server. */
export function passSession (lines: LineStream, agent: HostedAgent, options: SessionOptions): void {
  lines.handOver(new Passage(lines, agent, options))
}

class Passage implements LineReader {
  readonly #lines: LineStream
  readonly #outlet: Outlet
  readonly #options: SessionOptions
  /** Requests of the client that are not answered. */
  readonly #asked = new Set<RpcId>()
  #link: Link | undefined
  #early: string[] = []
  /** The client's `initialize`: what the server answers has to be known to some transports. */
  #initializing: RpcId | undefined
  #isOver = false

  constructor (lines: LineStream, agent: HostedAgent, options: SessionOptions) {
    this.#lines = lines
    this.#outlet = new Outlet(lines, options.lineBytesMax)
    this.#options = options
    this.#open(agent).catch((error: unknown) => {
      if (!(error instanceof SwarmError)) options.report(error)
      if (!lines.isClosed) lines.send(refusalLine(error instanceof SwarmError ? error : new SwarmError('SERVER_FAILED', `the server for this session does not start: ${messageOf(error)}`)))
      this.#end()
    })
  }

  line (text: string): void {
    if (this.#isOver) return
    if (this.#link === undefined) {
      if (this.#early.length >= EARLY_MAX) return this.#lines.abort(new SwarmError('OVERLOADED', `over ${EARLY_MAX} lines before the server has started`))
      this.#early.push(text)
      return
    }
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      return this.#broken('a line is not JSON')
    }
    if (!isObject(message) || message.jsonrpc !== '2.0' || !isShallow(message)) return this.#broken('not a JSON-RPC 2.0 message, or one nested too deep')
    if (typeof message.method === 'string' && message.id !== undefined) {
      if (!isRpcId(message.id)) return this.#broken('an id must be an integer or a short text')
      if (!this.#admits(message.id, message.method)) return
    }
    if (message.method === 'notifications/cancelled' && isObject(message.params)) this.#asked.delete(message.params.requestId as RpcId) // it need not be answered
    this.#link.transport.send(message as unknown as JSONRPCMessage).catch((error: unknown) => { this.#lost(error) })
  }

  ended (): void {
    this.#end()
  }

  closed (): void {
    this.#isOver = true
    const { close, transport } = this.#link ?? {}
    ;(close?.() ?? transport?.close())?.catch(this.#options.report)
  }

  async #open (agent: HostedAgent): Promise<void> {
    if (agent.openSession === undefined) throw new SwarmError('UNAVAILABLE', `agent ${agent.name} keeps no sessions`)
    const link = await agent.openSession(this.#options.caller)
    const { transport } = link
    transport.onmessage = message => { this.#take(message as unknown as JsonObject) }
    transport.onclose = () => {
      if (!this.#isOver) this.#lost(new SwarmError('UNAVAILABLE', link.trouble()?.reason ?? 'it closed the connection'))
    }
    this.#link = link
    if (this.#isOver) return this.closed() // the client has gone meanwhile
    await transport.start()
    for (const text of this.#early.splice(0)) this.line(text)
  }

  /** Whether a request may go on to the server. */
  #admits (id: RpcId, method: string): boolean {
    try {
      this.#options.find()
      if (this.#asked.has(id)) throw new SwarmError('MALFORMED', 'the id is in use')
      if (this.#asked.size >= this.#options.callsInFlightMax) throw new SwarmError('OVERLOADED', `${this.#asked.size} requests in flight on this stream; that is the limit`)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${rpcError(error)}}`)
      return false
    }
    this.#asked.add(id)
    if (method === 'initialize') this.#initializing = id
    if (method === 'tools/call') this.#options.onCall?.()
    return true
  }

  #take (message: JsonObject): void {
    if (message.method === undefined && isRpcId(message.id)) {
      this.#asked.delete(message.id)
      if (message.id === this.#initializing && isObject(message.result) && typeof message.result.protocolVersion === 'string') {
        this.#link?.transport.setProtocolVersion?.(message.result.protocolVersion)
      }
    }
    this.#send(JSON.stringify(message))
  }

  /** What is not answered by now never will be: the client is told, then the stream ends. */
  #lost (error: unknown): void {
    if (this.#isOver) return
    const why = new SwarmError('INDETERMINATE', `the server of this session has ended: ${messageOf(error)}`, { cause: error, details: { sent: true } })
    for (const id of this.#asked) this.#send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${rpcError(why)}}`)
    this.#asked.clear()
    this.#end()
  }

  #broken (why: string): void {
    this.#send(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: RPC.parse, message: why, data: { code: 'MALFORMED', executed: false } } }))
    this.#end()
  }

  #end (): void {
    if (this.#isOver) return
    endSoon(this.#lines, this.#options.clock)
    this.closed()
  }

  #send (line: string): void {
    if (this.#isOver) return
    try {
      this.#outlet.send(line)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#lines.abort(error)
    }
  }
}
