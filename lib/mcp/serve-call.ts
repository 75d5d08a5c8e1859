import type { JsonObject } from '../base/json.ts'
import type { Caller, Progress, ToolCall } from './host.ts'
import { Stop } from './stop.ts'

/** A call on its way through an agent. Its signal is made when first asked for: most tools never ask. */
export class RunningCall implements ToolCall {
  readonly name: string
  readonly arguments: JsonObject
  readonly caller: Caller
  readonly meta: JsonObject | undefined
  readonly progress?: (progress: Progress) => void
  /** Whether somebody waits for the answer. */
  isAwaited = true
  readonly stop = new Stop()

  constructor (name: string, args: JsonObject, caller: Caller, meta: JsonObject | undefined, tell: ((progress: Progress) => void) | undefined) {
    this.name = name
    this.arguments = args
    this.caller = caller
    this.meta = meta
    if (tell !== undefined) this.progress = progress => { if (this.isAwaited) tell(progress) }
  }

  get signal (): AbortSignal {
    return this.stop.signal
  }

  /** Nobody waits any more: no progress and no answer leave after this. */
  abort (reason: Error): void {
    if (!this.isAwaited) return
    this.isAwaited = false
    this.stop.abort(reason)
  }
}
