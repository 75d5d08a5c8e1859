import type { JsonObject } from '../base/json.ts'
import type { Caller, Progress, ToolCall } from './host.ts'

/** A call on its way through an agent. Its signal is made when first asked for: most tools never ask. */
export class RunningCall implements ToolCall {
  readonly name: string
  readonly arguments: JsonObject
  readonly caller: Caller
  readonly meta: JsonObject | undefined
  readonly progress?: (progress: Progress) => void
  /** Whether somebody waits for the answer. */
  isAwaited = true
  #controller: AbortController | undefined
  #reason: unknown

  constructor (name: string, args: JsonObject, caller: Caller, meta: JsonObject | undefined, tell: ((progress: Progress) => void) | undefined) {
    this.name = name
    this.arguments = args
    this.caller = caller
    this.meta = meta
    if (tell !== undefined) this.progress = progress => { if (this.isAwaited) tell(progress) }
  }

  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Nobody waits any more: no progress and no answer leave after this. */
  abort (reason: Error): void {
    if (!this.isAwaited) return
    this.isAwaited = false
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}
