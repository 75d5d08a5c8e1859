/**
 * The tasks of the agents that this peer hosts: MCP's extension `io.modelcontextprotocol/tasks`, of any transport.
 *
 * A task lives where its tool runs, in memory: it outlives the stream and the gateway that began it, and is polled through
 * any gateway of the swarm. It ends with its agent; after a restart of this peer its id is unknown, and that is said.
 *
 * A call becomes a task only if its client says on that request that it can handle one. What then decides is the tool's
 * TaskMode; a server's own tasks pass through under ids of ours. Where a store is full, calls simply stay calls.
 */
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Random } from '../base/random.ts'
import type { AgentRequest, Asking, HostedAgent, Outcome, Pending, ToolCall } from './host.ts'
import { isPending } from './host.ts'
import { META } from './revision.ts'
import { Stop } from './stop.ts'
import { declaresTasks, expectTasks, refusal, unknownTask } from './task-error.ts'
import { makeTaskId, parseTaskId } from './task-id.ts'
import { PassedTask } from './task-pass.ts'
import { sizeOf, TaskRun, type Keeper } from './task-run.ts'
import { Task, type TaskListener } from './task.ts'
import { hasNotRun, isShallow, RPC } from './wire.ts'

/** How long a call may run before it is answered with a task, in milliseconds; at most half of what its caller still waits. */
export const TASK_AFTER_MS = 5_000

/** Tasks kept for one agent, running and ended. */
export const TASKS_MAX = 1_000

/** What the tasks of one agent may hold together, in UTF-16 units of JSON: arguments, questions, answers, results. */
export const TASK_BYTES_MAX = 64 * 2 ** 20

/** Tasks one subscription may ask for. */
export const LISTENED_TASKS_MAX = 256

/** The extension's requests. */
export const TASK_METHODS: readonly string[] = ['tasks/get', 'tasks/update', 'tasks/cancel']

export interface TasksOptions {
  /** Of this peer: part of every id. */
  readonly peerId: string
  readonly clock: Clock
  readonly random: Random
  /** Hears of bugs: what a task threw that is no SwarmError. */
  readonly report: (error: unknown) => void
  /** Defaults: TASK_AFTER_MS, TASKS_MAX, TASK_BYTES_MAX. */
  readonly afterMs?: number
  readonly tasksMax?: number
  readonly bytesMax?: number
}

interface Shelf { readonly tasks: Set<Task>, bytes: number }

const ACK: JsonObject = { resultType: 'complete' }

export class Tasks {
  readonly #options: TasksOptions
  readonly #tasks = new Map<string, Task>()
  readonly #shelves = new Map<string, Shelf>()

  constructor (options: TasksOptions) {
    this.#options = options
  }

  /**
   * Calls a tool, and answers with a task where one is made.
   *
   * @throws SwarmError as `HostedAgent.callTool`; TOOL_FAILED with `-32021` where the tool requires tasks and the client
   *   declares none; OVERLOADED where it requires tasks and there is no room for one more
   */
  async call (agent: HostedAgent, call: ToolCall): Promise<Outcome> {
    const mode = agent.taskMode?.(call.name) ?? 'auto'
    const isAble = declaresTasks(call.client?.capabilities)
    if (mode === 'required') expectTasks(call.client?.capabilities, `tool ${call.name}`)
    if (!isAble || mode === 'never') return expectNoTask(agent, await agent.callTool(call))
    if (mode === 'required' && !this.#hasRoom(agent, sizeOf(call.arguments))) {
      throw new SwarmError('OVERLOADED', `agent ${agent.name} keeps as many tasks as it may`, { details: { agent: agent.name, executed: false } })
    }
    let asTask = (): void => {}
    const due = new Promise<undefined>(resolve => { asTask = () => { resolve(undefined) } })
    const { clock, report } = this.#options
    const run = new TaskRun(agent, call, { clock, report, asTask })
    const { stop, letGo = () => {} } = call.stop === undefined ? Stop.of(call.signal) : { stop: call.stop }
    const forget = stop.onAbort(reason => { run.abort(reason) })
    const isLater = mode === 'auto'
    const cancel = isLater ? clock.after(this.#afterMs(call), asTask) : afterTurn(asTask)
    const running = run.start()
    try {
      // What is refused at once has not run, and makes no task; so a turn passes before one is made.
      const early = await Promise.race([running.then(outcome => ({ outcome }), (error: unknown) => ({ error })), due])
      const isDone = early !== undefined && (isLater || ('error' in early && hasNotRun(early.error)))
      const task = isDone ? undefined : this.#keepRun(agent, run, running)
      return task === undefined ? this.#answer(agent, call, await running) : task.created() as unknown as Pending
    } finally {
      cancel?.()
      forget()
      letGo()
    }
  }

  /**
   * Answers one of TASK_METHODS about a task of this agent.
   *
   * @throws SwarmError TOOL_FAILED with `details.rpc`: `-32021` if the client does not declare the extension, `-32602` for
   *   an id that is none, or is unknown here; what the server behind answered, where the task is its own
   */
  async request (agent: HostedAgent, asking: AgentRequest): Promise<JsonObject> {
    const { method, params } = asking
    expectTasks(asking.client?.capabilities, method)
    const task = this.#find(agent, params.taskId)
    switch (method) {
      case 'tasks/get': return { ...await task.get(asking), resultType: 'complete' }
      case 'tasks/cancel':
        await task.cancel(asking)
        return ACK
      case 'tasks/update': {
        const { inputResponses } = params
        if (!isObject(inputResponses) || !isShallow(inputResponses)) throw refusal(RPC.params, 'inputResponses must be an object, and not nested too deep')
        await task.update(inputResponses, asking)
        return ACK
      }
      default: throw refusal(RPC.method, `no method ${method}`)
    }
  }

  /**
   * Hears of changes of tasks: each is told whole, as the parameters of `notifications/tasks`, first as it stands.
   *
   * @param taskIds as the client gave them: what is no task here is left out
   * @param listener never called before this returns
   * @returns the ids that are heard of, and the way to stop
   * @throws SwarmError TOOL_FAILED with `-32021`, or `-32602` for what is no list of at most LISTENED_TASKS_MAX texts
   */
  subscribe (agent: HostedAgent, taskIds: unknown, asking: Asking, listener: TaskListener): { taskIds: string[], stop: () => void } {
    expectTasks(asking.client?.capabilities, 'hearing of tasks')
    if (!Array.isArray(taskIds) || taskIds.length > LISTENED_TASKS_MAX || !taskIds.every(id => typeof id === 'string')) {
      throw refusal(RPC.params, `taskIds must be a list of at most ${LISTENED_TASKS_MAX} texts`)
    }
    const found = [...new Set(taskIds)].map(id => this.#tasks.get(id)).filter(task => task !== undefined && isOf(task, agent)) as Task[]
    const stops: (() => void)[] = []
    let isStopped = false
    afterTurn(() => { if (!isStopped) for (const task of found) stops.push(task.listen(told => { listener(told) }, asking)) })
    return {
      taskIds: found.map(({ id }) => id),
      stop () {
        isStopped = true
        for (const stop of stops) stop()
      }
    }
  }

  /** The agent of that name is gone: its tasks end, and are forgotten. */
  closeAgent (name: string): void {
    for (const task of [...this.#shelves.get(name)?.tasks ?? []]) {
      task.close(new SwarmError('CLOSED', `agent ${name} has ended, and its tasks with it`, { details: { agent: name } }))
      this.#forget(task)
    }
  }

  close (): void {
    for (const name of [...this.#shelves.keys()]) this.closeAgent(name)
  }

  #find (agent: HostedAgent, taskId: unknown): Task {
    const place = parseTaskId(taskId)
    if (place.peerId !== this.#options.peerId) throw unknownTask(`it runs at peer ${place.peerId}, not here`)
    const task = this.#tasks.get(taskId as string)
    if (task === undefined || !isOf(task, agent)) throw unknownTask()
    return task
  }

  #answer (agent: HostedAgent, call: ToolCall, outcome: Outcome): Outcome {
    if (!isPending(outcome) || outcome.resultType !== 'task') return outcome
    const passed = new PassedTask(agent, outcome)
    const task = this.#keep(agent, passed, sizeOf(outcome))
    if (task !== undefined) return task.created(outcome as unknown as JsonObject) as unknown as Pending
    passed.cancel(call).catch((error: unknown) => { if (!(error instanceof SwarmError)) this.#options.report(error) })
    throw new SwarmError('OVERLOADED', `agent ${agent.name} keeps as many tasks as it may; the one just begun is cancelled`, { details: { agent: agent.name, executed: true } })
  }

  #keepRun (agent: HostedAgent, run: TaskRun, running: Promise<Outcome>): Task | undefined {
    const task = run.isAborted ? undefined : this.#keep(agent, run, run.bytes)
    if (task === undefined) return undefined
    const keeper: Keeper = {
      changed: isSmall => { task.changed(isSmall) },
      hold: bytes => this.#hold(task, bytes),
      passed: created => { task.pass(new PassedTask(agent, created)) }
    }
    run.show(running, keeper)
    return task
  }

  #keep (agent: HostedAgent, body: TaskRun | PassedTask, bytes: number): Task | undefined {
    const { clock, random, peerId, report } = this.#options
    if (!this.#hasRoom(agent, bytes)) return undefined
    const id = makeTaskId({ peerId, agent: agent.name }, random)
    const task = new Task(body, {
      id,
      agent,
      clock,
      report,
      expired: () => {
        task.close(new SwarmError('TIMEOUT', 'the task has expired: nobody asked for it', { details: { executed: true } }))
        this.#forget(task)
      }
    })
    const shelf = this.#shelves.get(agent.name) ?? { tasks: new Set(), bytes: 0 }
    this.#shelves.set(agent.name, shelf)
    shelf.tasks.add(task)
    this.#tasks.set(id, task)
    this.#hold(task, bytes)
    return task
  }

  #forget (task: Task): void {
    const shelf = this.#shelves.get(task.agent.name)
    if (shelf === undefined || !this.#tasks.delete(task.id)) return
    shelf.tasks.delete(task)
    shelf.bytes -= task.bytes
    if (shelf.tasks.size === 0) this.#shelves.delete(task.agent.name)
  }

  #hold (task: Task, bytes: number): boolean {
    const shelf = this.#shelves.get(task.agent.name)
    if (shelf === undefined || !shelf.tasks.has(task)) return false
    const sum = shelf.bytes - task.bytes + bytes
    if (sum > (this.#options.bytesMax ?? TASK_BYTES_MAX) && bytes > task.bytes) return false
    shelf.bytes = sum
    task.bytes = bytes
    return true
  }

  #hasRoom (agent: HostedAgent, bytes: number): boolean {
    const shelf = this.#shelves.get(agent.name)
    return (shelf?.tasks.size ?? 0) < (this.#options.tasksMax ?? TASKS_MAX) && (shelf?.bytes ?? 0) + bytes <= (this.#options.bytesMax ?? TASK_BYTES_MAX)
  }

  #afterMs ({ meta }: ToolCall): number {
    const afterMs = this.#options.afterMs ?? TASK_AFTER_MS
    const leftMs = meta?.[META.timeoutMs]
    return typeof leftMs === 'number' && leftMs > 0 ? Math.min(afterMs, leftMs / 2) : afterMs
  }
}

/** A server that makes a task for a client that cannot handle one breaks the extension's first rule. */
function expectNoTask (agent: HostedAgent, outcome: Outcome): Outcome {
  if (!isPending(outcome) || outcome.resultType !== 'task') return outcome
  throw new SwarmError('MALFORMED', `agent ${agent.name} answered with a task, and the client cannot handle one`, { details: { executed: true } })
}

function isOf (task: Task, agent: HostedAgent): boolean {
  return task.agent.name === agent.name && !task.isExpired
}
