/**
 * The calling end of one stream to one agent: many calls at once, answered in any order.
 *
 * A call ends in exactly one of these ways, and `details` says what is known:
 *
 * - its result;
 * - the provider's own error, with its code; `executed: false` where it says that the tool has not run;
 * - TIMEOUT, ABORTED, OVERLOADED, TOO_LARGE, UNREACHABLE with `sent: false`: provably never sent;
 * - INDETERMINATE or ABORTED with `sent: true`: the time was up, the stream broke or the caller gave up after it was sent,
 *   so the tool may or may not have run. The provider has been told to stop where it could be;
 * - MALFORMED with `sent: true`: the provider answered nonsense. Costs this call only, where the call can be told.
 *
 * "Sent" means handed to the stream: bytes may still have been lost on the way, which nobody here can know.
 */
import type { Clock } from '../base/clock.ts'
import { assert, messageOf, SwarmError, type ErrorCode } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { LINE_BYTES_MAX, LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import type { CallToolResult, Progress } from './host.ts'
import { META, STATELESS_REVISION } from './revision.ts'
import { Bounds } from './wire-bounds.ts'
import { Outlet } from './wire-outlet.ts'
import { brief, CALLS_IN_FLIGHT_MAX, endSoon, isShallow, openingLine, readRefusal, readRpcError } from './wire.ts'

/** How long a call may take if nothing else is said, in milliseconds. */
export const CALL_MS_DEFAULT = 60_000

export interface CallOptions {
  readonly signal?: AbortSignal
  /** More than 0. Default CALL_MS_DEFAULT. */
  readonly timeoutMs?: number
  readonly progress?: (progress: Progress) => void
  /** More members of `_meta`, such as trace context; they win over ours. */
  readonly meta?: JsonObject
}

export interface PipeOptions {
  readonly agent: string
  readonly clock: Clock
  readonly callsInFlightMax?: number
  readonly lineBytesMax?: number
  /** Called once, when the stream takes no more calls. */
  readonly closed?: () => void
}

interface Pending {
  readonly tool: string
  readonly resolve: (result: CallToolResult) => void
  readonly reject: (error: SwarmError) => void
  readonly progress: ((progress: Progress) => void) | undefined
  readonly signal: AbortSignal | undefined
}

export class Pipe {
  readonly #agent: string
  readonly #clock: Clock
  readonly #lines: LineStream
  readonly #outlet: Outlet
  readonly #callsInFlightMax: number
  readonly #pending = new Map<number, Pending>()
  readonly #bounds: Bounds<number>
  readonly #whenClosed: (() => void) | undefined
  #nextId = 1
  #isClosed = false
  #lastUsedMs: number

  /** @param stream fresh: the pipe sends its first line and owns it from here on */
  constructor (stream: ByteStream, options: PipeOptions) {
    const lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX
    this.#agent = options.agent
    this.#clock = options.clock
    this.#callsInFlightMax = options.callsInFlightMax ?? CALLS_IN_FLIGHT_MAX
    this.#whenClosed = options.closed
    this.#lastUsedMs = options.clock.nowMs()
    this.#lines = new LineStream(stream, { lineBytesMax })
    this.#outlet = new Outlet(this.#lines, lineBytesMax)
    this.#bounds = new Bounds(options.clock, (id, ending) => {
      if (ending === 'late') this.#expire(id)
      else this.#abort(id)
    })
    this.#lines.read({
      line: text => { this.#line(text) },
      ended: () => { this.#end(new SwarmError('CLOSED', 'the provider ended the stream')) },
      closed: error => { this.#fail(error ?? new SwarmError('CLOSED', 'the stream has ended')) }
    })
    this.#lines.send(openingLine(options.agent))
  }

  get isClosed (): boolean {
    return this.#isClosed
  }

  /** Calls that wait for their answer. */
  get inFlight (): number {
    return this.#pending.size
  }

  /** When the last call ended, on the clock; meaningful while none is in flight. */
  get lastUsedMs (): number {
    return this.#lastUsedMs
  }

  /**
   * Calls a tool.
   *
   * @param args the arguments as JSON text of an object
   * @throws SwarmError as the opening of this file lists
   */
  call (name: string, args: string, options: CallOptions = {}): Promise<CallToolResult> {
    const { signal, timeoutMs = CALL_MS_DEFAULT, progress } = options
    assert(timeoutMs > 0, 'a call has time')
    if (this.#isClosed) return Promise.reject(unsent('UNREACHABLE', `the stream to agent ${this.#agent} has closed`))
    if (signal?.aborted === true) return Promise.reject(unsent('ABORTED', `call ${name} was given up`, signal.reason))
    if (this.#pending.size >= this.#callsInFlightMax) {
      return Promise.reject(unsent('OVERLOADED', `${this.#pending.size} calls in flight to agent ${this.#agent}; limit ${this.#callsInFlightMax}`))
    }
    const id = this.#nextId++
    try {
      this.#outlet.send(requestLine(id, name, args, timeoutMs, progress !== undefined, options.meta), id)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return Promise.reject(unsent(error.code === 'CLOSED' ? 'UNREACHABLE' : error.code, `call ${name}: ${error.message}`, error))
    }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { tool: name, resolve, reject, progress, signal })
      this.#bounds.set(id, timeoutMs, signal)
    })
  }

  /** Ends the stream; calls in flight end as INDETERMINATE. A second call does nothing. */
  close (): void {
    this.#end(new SwarmError('CLOSED', 'closed at this end'))
  }

  #line (text: string): void {
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch (cause) {
      return this.#lines.abort(new SwarmError('MALFORMED', `agent ${this.#agent} sent a line that is not JSON`, { cause }))
    }
    if (!isObject(message)) return this.#lines.abort(new SwarmError('MALFORMED', `agent ${this.#agent} sent a line that is no message`))
    const { id, method } = message
    if (typeof id === 'number' && method === undefined) return this.#answer(id, message)
    if (method === 'notifications/progress') return this.#progress(message.params)
    const refusal = readRefusal(message)
    if (refusal !== undefined) return this.#refused(refusal)
    // Other notifications, and errors about no call in particular, are of no use to this end.
    if (id === undefined || id === null) return
    this.#lines.abort(new SwarmError('MALFORMED', `agent ${this.#agent} sent a request or an answer to none of ours`))
  }

  /** An answer to a call that was given up may still come, and is dropped. */
  #answer (id: number, message: JsonObject): void {
    const call = this.#take(id)
    if (call === undefined) return
    const { result } = message
    if (result === undefined) return call.reject(readRpcError(message.error))
    const read = readResult(result)
    if (read instanceof SwarmError) call.reject(read)
    else call.resolve(read)
  }

  #progress (params: unknown): void {
    if (!isObject(params) || typeof params.progressToken !== 'number' || typeof params.progress !== 'number') return
    const { progress, total, message } = params
    const listener = this.#pending.get(params.progressToken)?.progress
    if (listener === undefined) return
    try {
      listener({ progress, ...(typeof total === 'number' ? { total } : {}), ...(typeof message === 'string' ? { message } : {}) })
    } catch (error) {
      // A bug in the listener: it surfaces by itself and costs no other call.
      queueMicrotask(() => { throw error })
    }
  }

  /** Takes a call out of the books; whoever takes it ends it. */
  #take (id: number): Pending | undefined {
    const call = this.#pending.get(id)
    if (call === undefined) return undefined
    this.#pending.delete(id)
    this.#bounds.delete(id)
    if (this.#pending.size === 0) this.#lastUsedMs = this.#clock.nowMs()
    return call
  }

  #expire (id: number): void {
    const call = this.#take(id)
    if (call === undefined) return
    if (this.#outlet.withdraw(id)) return call.reject(unsent('TIMEOUT', `call ${call.tool}: agent ${this.#agent} reads too slowly, it was not sent in time`))
    this.#tellCancelled(id, 'deadline')
    call.reject(sent('INDETERMINATE', `call ${call.tool}: no answer from agent ${this.#agent} in time, it may or may not have run`))
  }

  #abort (id: number): void {
    const call = this.#take(id)
    if (call === undefined) return
    if (this.#outlet.withdraw(id)) return call.reject(unsent('ABORTED', `call ${call.tool} was given up`, call.signal?.reason))
    this.#tellCancelled(id, 'given up')
    call.reject(sent('ABORTED', `call ${call.tool} was given up after it was sent`, call.signal?.reason))
  }

  #tellCancelled (requestId: number, reason: string): void {
    try {
      this.#outlet.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason } }))
    } catch (error) {
      // No room to say even this: the provider does not read, and will see the stream end.
      this.#lines.abort(error instanceof Error ? error : new Error(messageOf(error)))
    }
  }

  #refused (refusal: SwarmError): void {
    this.#shut()
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(refusal)
    endSoon(this.#lines, this.#clock)
  }

  #end (cause: Error): void {
    if (this.#isClosed) return
    this.#fail(cause)
    endSoon(this.#lines, this.#clock)
  }

  /** Ends every call: what is still held here has provably not been sent. */
  #fail (cause: Error): void {
    this.#shut()
    for (const id of [...this.#pending.keys()]) {
      const isHeld = this.#outlet.withdraw(id)
      const call = this.#take(id)
      if (call === undefined) continue
      if (isHeld) call.reject(unsent('UNREACHABLE', `call ${call.tool}: the stream to agent ${this.#agent} broke before it was sent`, cause))
      else call.reject(sent('INDETERMINATE', `call ${call.tool}: the stream to agent ${this.#agent} broke, it may or may not have run`, cause))
    }
  }

  #shut (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#bounds.clear()
    this.#whenClosed?.()
  }
}

/** A failure before sending: safe to try elsewhere. */
export function unsent (code: ErrorCode, message: string, cause?: unknown): SwarmError {
  const details = cause instanceof SwarmError ? cause.details : {}
  return new SwarmError(code, message, { ...(cause === undefined ? {} : { cause }), details: { ...details, sent: false } })
}

function sent (code: ErrorCode, message: string, cause?: unknown): SwarmError {
  return new SwarmError(code, message, { ...(cause === undefined ? {} : { cause }), details: { sent: true } })
}

const ENVELOPE = `"${META.protocolVersion}":"${STATELESS_REVISION}","${META.clientCapabilities}":{}`

function requestLine (id: number, name: string, args: string, timeoutMs: number, hasProgress: boolean, meta: JsonObject | undefined): string {
  const token = hasProgress ? `,"progressToken":${id}` : ''
  const head = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${JSON.stringify(name)},"arguments":${args},"_meta":`
  const leftMs = Math.min(Math.ceil(timeoutMs), Number.MAX_SAFE_INTEGER)
  if (meta === undefined) return `${head}{${ENVELOPE},"${META.timeoutMs}":${leftMs}${token}}}}`
  const whole = { [META.protocolVersion]: STATELESS_REVISION, [META.clientCapabilities]: {}, [META.timeoutMs]: leftMs, ...meta, ...(hasProgress ? { progressToken: id } : {}) }
  return `${head}${JSON.stringify(whole)}}}`
}

/** Checks what a provider calls a result. The wire's `resultType` is taken off; content is always there. */
function readResult (result: unknown): CallToolResult | SwarmError {
  if (!isObject(result) || !isShallow(result)) return sent('MALFORMED', 'the provider answered with no result, or one nested too deep')
  const { resultType, ...rest } = result
  if (resultType !== undefined && resultType !== 'complete') return sent('MALFORMED', `the provider answered with a result of the kind ${brief(resultType)}, which was not asked for`)
  const { content, structuredContent } = rest
  if (content === undefined && structuredContent !== undefined) return { ...rest, content: [] }
  if (!Array.isArray(content) || !content.every(isBlock)) return sent('MALFORMED', 'the provider answered with a result without content')
  if (rest.isError !== undefined && typeof rest.isError !== 'boolean') return sent('MALFORMED', 'the provider answered with an isError that is no boolean')
  return rest as unknown as CallToolResult
}

function isBlock (block: unknown): boolean {
  return isObject(block) && typeof block.type === 'string'
}
