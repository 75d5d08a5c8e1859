/** What the tests of tasks share: a store on the virtual clock, and agents of which the test decides everything. */
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { AgentRequest, HostedAgent, Outcome, Pending, TaskMode, ToolCall } from '../../lib/mcp/host.ts'
import { TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { TASK_AFTER_MS, Tasks, type TasksOptions } from '../../lib/mcp/tasks.ts'
import { VirtualClock } from '../support/clock.ts'
import { CALLER, rejection, toolCall } from './parts.ts'

export const PEER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
export const ABLE = { capabilities: { elicitation: {}, extensions: { [TASKS_EXTENSION]: {} } } } as const

export type Tool = (call: ToolCall) => Outcome | Promise<Outcome>

export interface Fake extends HostedAgent {
  readonly calls: ToolCall[]
  readonly requests: AgentRequest[]
}

/** An agent of which the test decides everything: what its tools do, when they become tasks, what its own tasks say. */
export function fake (tool: Tool, more: { mode?: TaskMode, answer?: (request: AgentRequest) => JsonObject | Promise<JsonObject>, name?: string } = {}): Fake {
  const calls: ToolCall[] = []
  const requests: AgentRequest[] = []
  const agent = {
    name: more.name ?? 'notes',
    catalogue: { tools: [] },
    availability: { available: true },
    calls,
    requests,
    onChange: () => () => {},
    taskMode: () => more.mode ?? 'auto',
    async callTool (call: ToolCall) {
      calls.push(call)
      return await tool(call)
    },
    async close () {},
    ...more.answer !== undefined && {
      async request (request: AgentRequest) {
        requests.push(request)
        return (more.answer as (request: AgentRequest) => JsonObject)(request)
      }
    }
  }
  return agent as unknown as Fake
}

/** A tool whose end the test decides. */
export function held (): { tool: Tool, end: (outcome: Outcome) => void, fail: (error: unknown) => void } {
  let [end, fail] = [(_outcome: Outcome): void => {}, (_error: unknown): void => {}]
  const outcome = new Promise<Outcome>((resolve, reject) => { [end, fail] = [resolve, reject] })
  return { tool: async () => await outcome, end: outcome => { end(outcome) }, fail: error => { fail(error) } }
}

export interface Rig {
  readonly clock: VirtualClock
  readonly tasks: Tasks
  readonly bugs: unknown[]
  readonly call: (agent: HostedAgent, more?: Partial<ToolCall>) => Promise<Outcome>
  readonly ask: (agent: HostedAgent, method: string, params: JsonObject) => Promise<JsonObject>
  readonly get: (agent: HostedAgent, task: Outcome | string) => Promise<JsonObject>
}

export function rig (more: Partial<TasksOptions> = {}): Rig {
  const clock = new VirtualClock()
  const bugs: unknown[] = []
  const tasks = new Tasks({ peerId: PEER, clock, random: seededRandom(7), report: error => { bugs.push(error) }, ...more })
  const asking = { caller: CALLER, client: ABLE, signal: new AbortController().signal }
  const ask: Rig['ask'] = async (agent, method, params) => await tasks.request(agent, { ...asking, method, params })
  return {
    clock,
    tasks,
    bugs,
    ask,
    call: async (agent, options) => await tasks.call(agent, { ...toolCall('work', { a: 1 }), client: ABLE, ...options }),
    get: async (agent, task) => await ask(agent, 'tasks/get', { taskId: typeof task === 'string' ? task : idOf(task) })
  }
}

export function idOf (task: Outcome): string {
  assert.is((task as Pending).resultType, 'task')
  return (task as unknown as { taskId: string }).taskId
}

/** Begins a task: the call has run for as long as a call may. */
export async function begun (agent: HostedAgent, { call, clock }: Rig): Promise<Outcome> {
  const calling = call(agent)
  await clock.advance(TASK_AFTER_MS)
  return await calling
}

export async function rpcOf (promise: Promise<unknown>): Promise<{ code: number, data?: JsonObject }> {
  const { details } = await rejection(promise)
  assert.is(details.executed, false)
  return details.rpc as { code: number }
}

export const asks = (inputRequests: JsonObject, requestState?: string): Outcome => ({ resultType: 'input_required', inputRequests, ...requestState !== undefined && { requestState } })
export const ELICIT = { method: 'elicitation/create', params: { mode: 'form', message: 'sure?', requestedSchema: { type: 'object', properties: {} } } }

export function hear (it: Rig, agent: HostedAgent, ids: unknown): { taskIds: string[], told: JsonObject[], stop: () => void } {
  const told: JsonObject[] = []
  const heard = it.tasks.subscribe(agent, ids, { caller: CALLER, client: ABLE, signal: new AbortController().signal }, task => { told.push(task) })
  return { ...heard, told }
}
