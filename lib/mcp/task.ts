/**
 * One task that clients know of: its name, how long it is kept, and who hears of its changes. What runs behind it is a call
 * of ours (task-run.ts) or a task of the server behind the agent (task-pass.ts).
 *
 * A task that has not ended is kept TASK_TTL_MS from the last time anybody asked for it or it changed, and while somebody
 * listens; after its end TASK_TTL_MS, asked for or not. So `ttlMs`, which counts from its creation, only ever grows.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Asking, HostedAgent } from './host.ts'
import { PassedTask } from './task-pass.ts'
import { POLL_MS, type TaskRun } from './task-run.ts'
import { rpcError } from './wire.ts'

/** How long a task that ended, or that nobody asks for, is kept, in milliseconds. */
export const TASK_TTL_MS = 15 * 60_000

/** Longest wait between two looks at a server's own task that somebody listens to, in milliseconds. */
export const FOLLOW_MS_MAX = 60_000

export type TaskListener = (task: JsonObject) => void

export interface TaskOptions {
  readonly id: string
  readonly agent: HostedAgent
  readonly clock: Clock
  /** Hears of bugs. */
  readonly report: (error: unknown) => void
  /** It is to be forgotten. */
  readonly expired: () => void
}

export class Task {
  readonly id: string
  readonly agent: HostedAgent
  readonly #clock: Clock
  readonly #report: (error: unknown) => void
  readonly #createdMs: number
  readonly #createdAt: string
  readonly #listeners = new Map<TaskListener, Asking>()
  #body: TaskRun | PassedTask
  #expiresMs: number
  #cancelExpiry: () => void = () => {}
  #cancelFollow: (() => void) | undefined
  #toldMs = -Infinity
  #isOver = false
  /** Bytes it holds: the store's to set. */
  bytes = 0

  constructor (body: TaskRun | PassedTask, { id, agent, clock, report, expired }: TaskOptions) {
    this.id = id
    this.agent = agent
    this.#clock = clock
    this.#report = report
    this.#body = body
    this.#createdMs = clock.nowMs()
    this.#createdAt = new Date(clock.wallMs()).toISOString()
    this.#expiresMs = this.#createdMs + TASK_TTL_MS
    this.#watch(expired)
  }

  get isExpired (): boolean {
    return this.#isOver || this.#clock.nowMs() >= this.#expiresMs
  }

  /** What answers the call that became this task. @param seed what the server behind said, if the task is its own */
  created (seed?: JsonObject): JsonObject {
    const { result: _, error: __, inputRequests: ___, requestState: ____, ...task } = seed ?? (this.#body as TaskRun).describe()
    return { ...this.#framed(task), resultType: 'task' }
  }

  /** @throws SwarmError where the task is a server's own, and that cannot be asked */
  async get (asking: Asking): Promise<JsonObject> {
    const task = this.#body instanceof PassedTask ? await this.#body.get(asking) : this.#body.describe()
    this.#touch()
    return this.#framed(task)
  }

  /** @throws SwarmError as task-run.ts and task-pass.ts say */
  async update (responses: JsonObject, asking: Asking): Promise<void> {
    this.#touch()
    await this.#body.update(responses, asking)
  }

  async cancel (asking: Asking): Promise<void> {
    await this.#body.cancel(asking)
  }

  /** The server behind goes on with a task of its own. */
  pass (body: PassedTask): void {
    this.#body = body
    this.#follow()
  }

  /** Tells whoever listens. @param isSmall only the message is new: told at most every POLL_MS */
  changed (isSmall: boolean): void {
    if (this.#isOver || this.#body instanceof PassedTask) return
    this.#extend()
    if (isSmall && this.#clock.nowMs() < this.#toldMs + POLL_MS) return
    this.#tell(this.#body.describe())
  }

  /** Hears of every change from now on, and first how it stands. */
  listen (listener: TaskListener, asking: Asking): () => void {
    this.#listeners.set(listener, asking)
    this.#unfollow()
    if (this.#body instanceof PassedTask) this.#follow()
    else listener(this.#framed(this.#body.describe()))
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#unfollow()
    }
  }

  /** Ends it, and tells so. */
  close (error: SwarmError): void {
    if (this.#isOver) return
    if (!(this.#body instanceof PassedTask)) this.#body.fail(error)
    else this.#tell({ status: 'failed', statusMessage: error.message, lastUpdatedAt: new Date(this.#clock.wallMs()).toISOString(), error: JSON.parse(rpcError(error)) as JsonObject })
    this.#isOver = true
    this.#cancelExpiry()
    this.#unfollow()
    this.#listeners.clear()
  }

  get #hasEnded (): boolean {
    return !(this.#body instanceof PassedTask) && this.#body.isEnded
  }

  #touch (): void {
    if (!this.#hasEnded) this.#extend()
  }

  #extend (): void {
    this.#expiresMs = this.#clock.nowMs() + TASK_TTL_MS
  }

  #watch (expired: () => void): void {
    this.#cancelExpiry = this.#clock.after(this.#expiresMs - this.#clock.nowMs(), () => {
      if (this.#listeners.size > 0 && !this.#hasEnded && !(this.#body instanceof PassedTask)) this.#extend()
      if (this.#clock.nowMs() >= this.#expiresMs) expired()
      else this.#watch(expired)
    })
  }

  #framed (task: JsonObject): JsonObject {
    const ttlMs = Math.max(1, Math.round(this.#expiresMs - this.#createdMs))
    return {
      pollIntervalMs: POLL_MS, createdAt: this.#createdAt, ...task, taskId: this.id,
      ttlMs: typeof task.ttlMs === 'number' ? Math.min(task.ttlMs, ttlMs) : ttlMs
    }
  }

  #tell (task: JsonObject): void {
    this.#toldMs = this.#clock.nowMs()
    const framed = this.#framed(task)
    for (const listener of [...this.#listeners.keys()]) listener(framed)
  }

  /** A server's own task is polled while somebody listens: its subscription would be one of the server's few. */
  #follow (last = ''): void {
    const asking = [...this.#listeners.values()][0]
    if (this.#cancelFollow !== undefined || asking === undefined || this.#isOver || !(this.#body instanceof PassedTask)) return
    let isWanted = true
    this.#cancelFollow = () => { isWanted = false }
    const again = (ms: number, seen: string): void => {
      if (!isWanted) return
      this.#cancelFollow = this.#clock.after(ms, () => {
        this.#cancelFollow = undefined
        this.#follow(seen)
      })
    }
    this.#body.get(asking).then(({ resultType: _, ...task }) => {
      if (!isWanted) return
      this.#extend()
      const text = JSON.stringify(task)
      if (text !== last) this.#tell(task)
      if (task.status === 'working' || task.status === 'input_required') again(pollMsOf(task), text)
    }).catch((error: unknown) => {
      if (!(error instanceof SwarmError)) this.#report(error)
      again(FOLLOW_MS_MAX, last)
    })
  }

  #unfollow (): void {
    this.#cancelFollow?.()
    this.#cancelFollow = undefined
  }
}

function pollMsOf ({ pollIntervalMs }: JsonObject): number {
  return typeof pollIntervalMs === 'number' ? Math.min(Math.max(pollIntervalMs, POLL_MS), FOLLOW_MS_MAX) : POLL_MS
}
