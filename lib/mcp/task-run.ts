/**
 * One call as a task: its state, from the first run of the tool to its end.
 *
 *   working ⇄ input_required, and from either to completed, failed or cancelled, for good
 *
 * A tool that wants input has answered, and is called again once every question of the round is answered: between rounds
 * nothing of it runs. Before `show` nobody knows of the task, and the call goes on as any other; from there on progress is
 * its status message and its outcome is kept here.
 *
 * Invariants: what comes after the end (a late result, a second cancel, another answer) changes nothing; `failed` is for
 * protocol errors alone, a result with `isError` is `completed`.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { isPending, type ClientSide, type HostedAgent, type Outcome, type Pending, type Progress, type ToolCall } from './host.ts'
import { META } from './revision.ts'
import { Stop } from './stop.ts'
import { Inputs } from './task-input.ts'
import { RPC, rpcError } from './wire.ts'

/** How often a client is asked to poll, in milliseconds; also the wait before a tool that asks for nothing is called again. */
export const POLL_MS = 1_000

/** Longest status message, in characters: it is read by people and models. */
export const STATUS_CHARS_MAX = 1_000

type State =
  | { readonly status: 'working' | 'input_required' | 'cancelled' }
  | { readonly status: 'completed', readonly result: JsonObject }
  | { readonly status: 'failed', readonly error: JsonObject }

/** What a run needs of whoever keeps its task. */
export interface Keeper {
  /** It has changed; `isSmall`: only in its message. */
  readonly changed: (isSmall: boolean) => void
  /** It now holds this many bytes. Returns whether there is room for them. */
  readonly hold: (bytes: number) => boolean
  /** The server behind has made a task of its own: from here on that one counts. */
  readonly passed: (task: Pending) => void
}

export class TaskRun {
  readonly #agent: HostedAgent
  readonly #call: ToolCall
  readonly #clock: Clock
  readonly #report: (error: unknown) => void
  readonly #asTask: () => void
  readonly #inputs = new Inputs()
  readonly #stop = new Stop()
  readonly #callBytes: number
  #keeper: Keeper | undefined
  #state: State = { status: 'working' }
  #message: string | undefined
  #updatedMs: number
  #requestState: string | undefined
  #askedBytes = 0

  /** @param asTask called when the tool wants to be answered for with a task */
  constructor (agent: HostedAgent, call: ToolCall, options: { readonly clock: Clock, readonly report: (error: unknown) => void, readonly asTask: () => void }) {
    this.#agent = agent
    this.#call = call
    this.#clock = options.clock
    this.#report = options.report
    this.#asTask = options.asTask
    this.#callBytes = sizeOf(call.arguments)
    this.#updatedMs = options.clock.wallMs()
  }

  get isEnded (): boolean {
    return this.#state.status !== 'working' && this.#state.status !== 'input_required'
  }

  get isAborted (): boolean {
    return this.#stop.isAborted
  }

  /** What it holds before its end. */
  get bytes (): number {
    return this.#callBytes + this.#askedBytes
  }

  /** Runs the tool for the first time. */
  async start (): Promise<Outcome> {
    return await this.#attempt(this.#call.client)
  }

  /** Ends the tool while nobody knows of the task. */
  abort (reason: unknown): void {
    this.#stop.abort(reason)
  }

  /** From here on it is a task. @param running what `start` gave */
  show (running: Promise<Outcome>, keeper: Keeper): void {
    this.#keeper = keeper
    this.#follow(running)
  }

  /** Its members as `tasks/get` tells them, without those that whoever keeps it knows. */
  describe (): JsonObject {
    const { status, ...rest } = this.#state
    return {
      status,
      ...this.#message !== undefined && { statusMessage: this.#message },
      lastUpdatedAt: new Date(this.#updatedMs).toISOString(),
      ...status === 'input_required' && { inputRequests: this.#inputs.requests },
      ...rest
    }
  }

  /** @throws SwarmError MALFORMED for an answer that is no object, TOO_LARGE where there is no room for the answers */
  update (responses: JsonObject): void {
    if (this.#state.status !== 'input_required') return
    const bytes = sizeOf(responses)
    if (this.#keeper?.hold(this.bytes + bytes) === false) throw new SwarmError('TOO_LARGE', `no room for ${bytes} bytes of answers`, { details: { executed: false } })
    if (!this.#inputs.answer(responses)) {
      this.#keeper?.hold(this.bytes)
      return
    }
    this.#askedBytes += bytes
    if (this.#inputs.isAnswered) this.#goOn()
    else this.#enter(this.#state)
  }

  cancel (): void {
    if (this.isEnded) return
    this.#end({ status: 'cancelled' }, 'cancelled by the client')
    this.#stop.abort(new SwarmError('ABORTED', `the task of ${this.#call.name} was cancelled`))
  }

  /** Ends it with a protocol error, wherever it stands. */
  fail (error: unknown): void {
    if (this.isEnded) return
    const known = error instanceof SwarmError
    if (!known) this.#report(error)
    const told = known ? error : new SwarmError('TOOL_FAILED', 'internal error', { details: { rpc: { code: RPC.internal } } })
    const { cause } = told
    const why = told.code === 'ABORTED' && cause instanceof SwarmError ? `${told.message}: ${cause.message}` : told.message
    this.#end({ status: 'failed', error: JSON.parse(rpcError(told)) as JsonObject }, why)
    this.#stop.abort(told)
  }

  #follow (running: Promise<Outcome>): void {
    running.then(outcome => { this.#settle(outcome) }).catch((error: unknown) => { this.fail(error) })
  }

  #settle (outcome: Outcome): void {
    if (this.isEnded) return
    if (!isPending(outcome)) return this.#complete(outcome as unknown as JsonObject)
    if (outcome.resultType === 'task') return this.#keeper?.passed(outcome)
    this.#inputs.ask(outcome.inputRequests)
    this.#requestState = typeof outcome.requestState === 'string' ? outcome.requestState : undefined
    this.#askedBytes = sizeOf(outcome)
    if (this.#keeper?.hold(this.bytes) === false) throw new SwarmError('TOO_LARGE', `no room for ${this.#askedBytes} bytes of questions`)
    if (!this.#inputs.isAnswered) return this.#enter({ status: 'input_required' })
    this.#clock.after(POLL_MS, () => { if (!this.isEnded) this.#goOn() })
  }

  #complete (result: JsonObject): void {
    const bytes = sizeOf(result)
    if (this.#keeper?.hold(bytes) === false) throw new SwarmError('TOO_LARGE', `the tool has run, but there is no room to keep its result of ${bytes} bytes`, { details: { executed: true } })
    this.#end({ status: 'completed', result })
  }

  /** The next round: the tool is called again, with what it asked for. */
  #goOn (): void {
    const { client = { capabilities: {} } } = this.#call
    this.#enter({ status: 'working' })
    this.#follow(this.#attempt({ ...client, inputResponses: this.#inputs.take(), requestState: this.#requestState }))
  }

  async #attempt (client: ClientSide | undefined): Promise<Outcome> {
    const { name, arguments: args, caller, meta } = this.#call
    const stop = this.#stop
    const log = client?.log
    // What the caller still waits is no limit any more.
    const { [META.timeoutMs]: _, ...rest } = meta ?? {}
    const attempt: ToolCall = {
      name,
      arguments: args,
      caller,
      meta: rest,
      client: client === undefined ? undefined : { ...client, ...log !== undefined && { log: params => { if (this.#keeper === undefined) log(params) } } },
      stop,
      get signal () { return stop.signal },
      progress: progress => { this.#progress(progress) },
      asTask: this.#asTask
    }
    return await this.#agent.callTool(attempt)
  }

  #progress (progress: Progress): void {
    if (this.#keeper === undefined) return this.#call.progress?.(progress)
    if (this.#state.status !== 'working') return
    const { progress: done, total, message } = progress
    this.#say(message ?? (total === undefined ? `${done}` : `${done} of ${total}`))
    this.#touch(true)
  }

  #end (state: State, message?: string): void {
    this.#enter(state, message)
    if (state.status !== 'completed') this.#keeper?.hold(0)
  }

  #enter (state: State, message?: string): void {
    this.#state = state
    this.#say(message)
    this.#touch(false)
  }

  #say (message: string | undefined): void {
    this.#message = message !== undefined && message.length > STATUS_CHARS_MAX ? `${message.slice(0, STATUS_CHARS_MAX)}…` : message
  }

  #touch (isSmall: boolean): void {
    this.#updatedMs = Math.max(this.#updatedMs, this.#clock.wallMs())
    this.#keeper?.changed(isSmall)
  }
}

/** Of what came as JSON: UTF-16 units of its text, which bound the memory it takes well enough. */
export function sizeOf (value: object): number {
  return isObject(value) ? JSON.stringify(value).length : 0
}
