/** A task that the server behind an agent has made by itself: everything about it is asked there, under the server's own id. */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Asking, HostedAgent, Pending } from './host.ts'
import { isShallow } from './wire.ts'

/** Longest task id of a server, in UTF-16 units: it is kept for as long as the task. */
export const SERVER_TASK_ID_MAX = 4_096

const STATUSES: readonly unknown[] = ['working', 'input_required', 'completed', 'failed', 'cancelled']

export class PassedTask {
  readonly #agent: HostedAgent
  readonly #taskId: string

  /** @param created what the server answered the call with @throws SwarmError MALFORMED if it is no task */
  constructor (agent: HostedAgent, created: Pending) {
    const { taskId } = created
    if (typeof taskId !== 'string' || taskId === '' || taskId.length > SERVER_TASK_ID_MAX || !isTask(created)) {
      throw new SwarmError('MALFORMED', `server ${agent.name} answered with a task that is none`, { details: { executed: true } })
    }
    this.#agent = agent
    this.#taskId = taskId
  }

  /** @throws SwarmError as `HostedAgent.request`; MALFORMED if the server answers with no task */
  async get (asking: Asking): Promise<JsonObject> {
    const task = await this.#ask('tasks/get', {}, asking)
    if (!isTask(task)) throw new SwarmError('MALFORMED', `server ${this.#agent.name} answered tasks/get with no task`, { details: { executed: false } })
    return task
  }

  async update (inputResponses: JsonObject, asking: Asking): Promise<void> {
    await this.#ask('tasks/update', { inputResponses }, asking)
  }

  async cancel (asking: Asking): Promise<void> {
    await this.#ask('tasks/cancel', {}, asking)
  }

  async #ask (method: string, params: JsonObject, asking: Asking): Promise<JsonObject> {
    if (this.#agent.request === undefined) throw new SwarmError('UNAVAILABLE', `agent ${this.#agent.name} takes no ${method}`, { details: { executed: false } })
    const { caller, client, signal, stop, meta } = asking
    return await this.#agent.request({ method, params: { taskId: this.#taskId, ...params }, caller, client, signal, stop, meta })
  }
}

function isTask (value: unknown): boolean {
  return isObject(value) && isShallow(value) && STATUSES.includes(value.status)
}
