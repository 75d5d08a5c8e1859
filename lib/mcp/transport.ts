/**
 * An SDK transport over one stream to or from an agent: `client.connect(new StreamTransport(stream, { agent: 'notes' }))`.
 * Of the shape that both majors of the SDK ask for, clients and servers alike; browser-safe.
 *
 * Two traps are taken care of here:
 *
 * - The SDK hands notifications on in a microtask but answers at once, so that a progress message right before its answer is
 *   dropped (typescript-sdk #2580). After each notification some microtasks pass before the next message is delivered. All
 *   run before the next bytes are read, so nothing piles up.
 * - A refused first line is not JSON-RPC. Each request is then answered with the refusal as its error, so that `connect`
 *   fails with the reason, rather than with "connection closed".
 */
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import { systemClock, type Clock } from '../base/clock.ts'
import { messageOf, SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { LINE_BYTES_MAX, LineStream, type LineReader } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import { STATELESS_REVISION, type Revision } from './revision.ts'
import { endSoon, isRpcId, openingLine, readRefusal, rpcError, type RpcId } from './wire.ts'

/** Microtasks let pass after a notification; the SDKs' chains take fewer (test/mcp/transport.test.ts holds that). */
const MICROTASKS = 8

/** Messages kept that come before `start`. */
export const EARLY_MESSAGES_MAX = 1_024

export interface StreamTransportOptions {
  /** The agent to ask for, at the calling end. At the answering end, where the first line has been read, leave it out. */
  readonly agent?: string
  /** Newest revision the caller speaks. Default the newest there is. */
  readonly revision?: Revision
  readonly session?: string | null
  /** Longest message either way, in bytes. Default LINE_BYTES_MAX. */
  readonly lineBytesMax?: number
  readonly clock?: Clock
}

export class StreamTransport implements Transport {
  onmessage?: Transport['onmessage']
  onclose?: () => void
  onerror?: (error: Error) => void
  sessionId?: string
  readonly #lines: LineStream
  readonly #reader: LineReader
  readonly #isFresh: boolean
  readonly #options: StreamTransportOptions
  #inbox: JsonObject[] = []
  #isStarted = false
  #isDelivering = false
  #hasEnded = false
  #error: Error | undefined
  #isClosed = false
  /** Requests sent before the first answer, at the calling end: whom a refusal is told. */
  #unanswered: RpcId[] | undefined
  #refusal: SwarmError | undefined

  /** @param stream a fresh stream, or the lines of one whose first line has been read; the transport's from here on */
  constructor (stream: ByteStream | LineStream, options: StreamTransportOptions = {}) {
    const isCaller = options.agent !== undefined
    this.#options = options
    this.#unanswered = isCaller ? [] : undefined
    this.#reader = {
      line: text => { this.#line(text) },
      closed: error => {
        this.#hasEnded = true
        this.#error = error
        if (!this.#isDelivering) this.#ended()
      }
    }
    this.#isFresh = !(stream instanceof LineStream)
    // An answering end may hold its reading while its answers are unread; a calling end must not.
    this.#lines = stream instanceof LineStream ? stream : new LineStream(stream, { lineBytesMax: options.lineBytesMax ?? LINE_BYTES_MAX, holdWhenFull: !isCaller })
    if (!this.#isFresh) this.#lines.handOver(this.#reader)
  }

  /** Why the other end refused the stream, where it did; an SDK client that pins its revision keeps that to itself. */
  get refusal (): SwarmError | undefined {
    return this.#refusal
  }

  /** Sends the first line, at the calling end, and delivers what comes. The SDK calls it. */
  async start (): Promise<void> {
    if (this.#isStarted) throw new SwarmError('INVALID_OPTION', 'a transport is started once, by connect()')
    this.#isStarted = true
    const { agent, revision = STATELESS_REVISION, session = null } = this.#options
    if (this.#isFresh) this.#lines.read(this.#reader)
    if (agent !== undefined && !this.#hasEnded) this.#lines.send(openingLine(agent, revision, session))
    await this.#deliver()
  }

  /** Resolves when the stream takes more. @throws SwarmError CLOSED, TOO_LARGE */
  async send (message: JSONRPCMessage): Promise<void> {
    if (this.#refusal !== undefined) return this.#refuse(message)
    if (this.#isClosed || this.#hasEnded) throw new SwarmError('CLOSED', 'the transport has closed')
    const text = JSON.stringify(message)
    if ('id' in message && 'method' in message && isRpcId(message.id)) this.#unanswered?.push(message.id)
    if (!this.#lines.send(text)) await this.#lines.drained()
  }

  /** Ends the stream, after what was sent. A second call does nothing. */
  async close (): Promise<void> {
    if (this.#isClosed) return
    endSoon(this.#lines, this.#options.clock ?? systemClock)
    this.#inbox = []
    this.#finish()
  }

  #line (text: string): void {
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch (cause) {
      return this.#lines.abort(new SwarmError('MALFORMED', 'a line is not JSON', { cause }))
    }
    if (!isObject(message)) return this.#lines.abort(new SwarmError('MALFORMED', 'a line is no message'))
    const refusal = this.#unanswered === undefined ? undefined : readRefusal(message)
    if (refusal !== undefined) return this.#refused(refusal, this.#unanswered ?? [])
    this.#unanswered = undefined
    if (!this.#isStarted && this.#inbox.length >= EARLY_MESSAGES_MAX) {
      return this.#lines.abort(new SwarmError('OVERLOADED', `over ${EARLY_MESSAGES_MAX} messages before the transport was started`))
    }
    this.#inbox.push(message)
    if (this.#isStarted) void this.#deliver()
  }

  /** Runs through without a pause where no notification comes; what comes meanwhile waits its turn in the inbox. */
  async #deliver (): Promise<void> {
    if (this.#isDelivering) return
    this.#isDelivering = true
    for (let message = this.#inbox.shift(); message !== undefined; message = this.#inbox.shift()) {
      this.#tell(message)
      if (!('id' in message)) for (let count = 0; count < MICROTASKS; count++) await Promise.resolve()
    }
    this.#isDelivering = false
    if (this.#hasEnded) this.#ended()
  }

  #tell (message: JsonObject): void {
    try {
      // The SDK checks each message itself.
      this.onmessage?.(message as unknown as JSONRPCMessage)
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(messageOf(error)))
    }
  }

  /** Stays open towards the SDK, whose next request is refused too, until the SDK closes it: it then knows the reason. */
  #refused (refusal: SwarmError, requests: readonly RpcId[]): void {
    this.#refusal = refusal
    this.onerror?.(refusal)
    for (const id of requests) this.#tell(refusalOf(id, refusal))
  }

  #refuse (message: JSONRPCMessage): void {
    if (!('id' in message && 'method' in message && isRpcId(message.id)) || this.#refusal === undefined) return
    this.#inbox.push(refusalOf(message.id, this.#refusal))
    queueMicrotask(() => { void this.#deliver() })
  }

  #ended (): void {
    if (this.#refusal !== undefined || this.#isClosed) return
    if (this.#error !== undefined) this.onerror?.(this.#error)
    this.#finish()
  }

  #finish (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onclose?.()
  }
}

function refusalOf (id: RpcId, refusal: SwarmError): JsonObject {
  return { jsonrpc: '2.0', id, error: JSON.parse(rpcError(refusal)) as JsonObject }
}
