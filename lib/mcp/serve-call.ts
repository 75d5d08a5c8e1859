import type { JsonObject } from '../base/json.ts'
import type { AgentRequest, Asking, Caller, ClientSide, Progress, ToolCall } from './host.ts'
import { Stop } from './stop.ts'

/** A request on its way through an agent. Its signal is made when first asked for: most tools never ask. */
class Running implements Asking {
  readonly caller: Caller
  readonly client: ClientSide | undefined
  readonly meta: JsonObject | undefined
  readonly progress?: (progress: Progress) => void
  /** Whether somebody waits for the answer. */
  isAwaited = true
  readonly stop = new Stop()

  constructor (caller: Caller, meta: JsonObject | undefined, client: ClientSide | undefined, tell: ((progress: Progress) => void) | undefined) {
    this.caller = caller
    this.meta = meta
    if (client?.log === undefined) this.client = client
    else {
      const { log } = client
      this.client = { ...client, log: params => { if (this.isAwaited) log(params) } }
    }
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

export class RunningCall extends Running implements ToolCall {
  readonly name: string
  readonly arguments: JsonObject

  constructor (name: string, args: JsonObject, ...asking: ConstructorParameters<typeof Running>) {
    super(...asking)
    this.name = name
    this.arguments = args
  }
}

export class RunningRequest extends Running implements AgentRequest {
  readonly method: string
  readonly params: JsonObject

  constructor (method: string, params: JsonObject, ...asking: ConstructorParameters<typeof Running>) {
    super(...asking)
    this.method = method
    this.params = params
  }
}
