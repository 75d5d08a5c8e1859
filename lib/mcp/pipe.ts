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
import { assert, messageOf, SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import { LINE_BYTES_MAX, LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import type { CallToolResult, ClientSide, Outcome, Progress } from './host.ts'
import { CALL_MS_DEFAULT, sent, unsent, type CallOptions, type Listener, type Pending } from './pipe-call.ts'
import { callLine, readAnswer, readResult, requestLine } from './pipe-line.ts'
import { readSaid, type Said } from './pipe-said.ts'
import { Bounds } from './wire-bounds.ts'
import { Outlet } from './wire-outlet.ts'
import { CALLS_IN_FLIGHT_MAX, endSoon, LEFT, openingLine, readRpcError } from './wire.ts'

export interface PipeOptions {
  readonly agent: string
  /** Which of our clients the stream is for. Default none. */
  readonly session?: string
  readonly clock: Clock
  readonly callsInFlightMax?: number
  readonly lineBytesMax?: number
  /** Called once, when the stream takes no more calls. */
  readonly closed?: () => void
}

export class Pipe {
  readonly #agent: string
  readonly #clock: Clock
  readonly #lines: LineStream
  readonly #outlet: Outlet
  readonly #callsInFlightMax: number
  readonly #pending = new Map<number, Pending>()
  readonly #bounds: Bounds<number>
  /** Open subscriptions. */
  readonly #listeners = new Map<number, Listener>()
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
    this.#lines.send(openingLine(options.agent, undefined, options.session))
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

  /** Subscriptions that are open. */
  get listening (): number {
    return this.#listeners.size
  }

  /**
   * Calls a tool.
   *
   * @param args the arguments as JSON text of an object
   * @throws SwarmError as the opening of this file lists
   */
  call (name: string, args: string, options?: CallOptions & { readonly client?: undefined }): Promise<CallToolResult>
  call (name: string, args: string, options: CallOptions): Promise<Outcome>
  call (name: string, args: string, options: CallOptions = {}): Promise<Outcome> {
    return this.#ask(name, readResult, options, (id, line) => callLine(id, name, args, line)) as Promise<Outcome>
  }

  /** Asks for anything else that an agent answers. @throws SwarmError as `call` */
  request (method: string, params: JsonObject, options: CallOptions = {}): Promise<JsonObject> {
    return this.#ask(method, readAnswer, options, (id, line) => requestLine(id, method, params, line)) as Promise<JsonObject>
  }

  /**
   * Subscribes, until the returned function is called or the listener is told of the end.
   *
   * @param notifications of a `subscriptions/listen`
   * @throws SwarmError UNREACHABLE, OVERLOADED, TOO_LARGE: nothing was sent
   */
  listen (notifications: JsonObject, listener: Listener, client?: ClientSide): () => void {
    if (this.#isClosed) throw unsent('UNREACHABLE', `the stream to agent ${this.#agent} has closed`)
    const id = this.#nextId++
    const method = 'subscriptions/listen'
    this.#outlet.send(requestLine(id, method, { notifications }, { timeoutMs: CALL_MS_DEFAULT, hasProgress: false, meta: undefined, client }), id)
    this.#listeners.set(id, listener)
    return () => {
      if (!this.#listeners.delete(id) || this.#isClosed) return
      if (!this.#outlet.withdraw(id)) this.#tellCancelled(id, 'given up')
    }
  }

  #ask (what: string, read: Pending['read'], options: CallOptions, write: (id: number, line: Parameters<typeof callLine>[3]) => string): Promise<object> {
    const { client, meta, progress, signal, timeoutMs = CALL_MS_DEFAULT } = options
    assert(timeoutMs > 0, 'a call has time')
    if (this.#isClosed) return Promise.reject(unsent('UNREACHABLE', `the stream to agent ${this.#agent} has closed`))
    if (signal?.aborted === true) return Promise.reject(unsent('ABORTED', `call ${what} was given up`, signal.reason))
    if (this.#pending.size >= this.#callsInFlightMax) {
      return Promise.reject(unsent('OVERLOADED', `${this.#pending.size} calls in flight to agent ${this.#agent}; limit ${this.#callsInFlightMax}`))
    }
    const id = this.#nextId++
    try {
      this.#outlet.send(write(id, { timeoutMs, hasProgress: progress !== undefined, meta, client }), id)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return Promise.reject(unsent(error.code === 'CLOSED' ? 'UNREACHABLE' : error.code, `call ${what}: ${error.message}`, error))
    }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { tool: what, read, resolve, reject, progress, signal, client })
      this.#bounds.set(id, timeoutMs, signal)
    })
  }

  /** Says that the client whose stream this is has gone for good. */
  tellLeft (): void {
    if (!this.#isClosed) this.#tell(LEFT)
  }

  /** Ends the stream; calls in flight end as INDETERMINATE. A second call does nothing. */
  close (): void {
    this.#end(new SwarmError('CLOSED', 'closed at this end'))
  }

  #line (text: string): void {
    let said: Said | undefined
    try {
      said = readSaid(text, this.#agent)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return this.#lines.abort(error)
    }
    if (said === undefined) return
    switch (said.kind) {
      case 'answer': return this.#answer(said)
      case 'progress': return this.#progress(said.id, said.progress)
      case 'notice': return this.#listeners.get(said.id)?.heard(said.method, said.params)
      case 'log': return this.#pending.get(said.id)?.client?.log?.(said.params)
      case 'refusal': return this.#refused(said.refusal)
    }
  }

  /** An answer to a call that was given up may still come, and is dropped. */
  #answer ({ id, result, error }: Said & { readonly kind: 'answer' }): void {
    const listener = this.#listeners.get(id)
    if (listener !== undefined) {
      this.#listeners.delete(id)
      return listener.ended(result === undefined ? readRpcError(error) : undefined)
    }
    const call = this.#take(id)
    if (call === undefined) return
    if (result === undefined) return call.reject(readRpcError(error))
    const read = call.read(result, call.client !== undefined)
    if (read instanceof SwarmError) call.reject(read)
    else call.resolve(read)
  }

  #progress (id: number, progress: Progress): void {
    try {
      this.#pending.get(id)?.progress?.(progress)
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
    this.#tell('notifications/cancelled', { requestId, reason })
  }

  #tell (method: string, params?: JsonObject): void {
    try {
      this.#outlet.send(JSON.stringify({ jsonrpc: '2.0', method, params }))
    } catch (error) {
      // No room to say even this: the provider does not read, and will see the stream end.
      this.#lines.abort(error instanceof Error ? error : new Error(messageOf(error)))
    }
  }

  #refused (refusal: SwarmError): void {
    this.#shut()
    this.#endListeners(refusal)
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
    this.#endListeners(unsent('UNREACHABLE', `the stream to agent ${this.#agent} broke`, cause))
    for (const id of [...this.#pending.keys()]) {
      const isHeld = this.#outlet.withdraw(id)
      const call = this.#take(id)
      if (call === undefined) continue
      if (isHeld) call.reject(unsent('UNREACHABLE', `call ${call.tool}: the stream to agent ${this.#agent} broke before it was sent`, cause))
      else call.reject(sent('INDETERMINATE', `call ${call.tool}: the stream to agent ${this.#agent} broke, it may or may not have run`, cause))
    }
  }

  #endListeners (error: SwarmError): void {
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    for (const listener of listeners) listener.ended(error)
  }

  #shut (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#bounds.clear()
    this.#whenClosed?.()
  }
}
