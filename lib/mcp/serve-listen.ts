/**
 * The subscriptions of one stream (`subscriptions/listen` of 2026-07-28): changes of an agent's lists, updates of its
 * resources, and of its tasks. Each is told with the id of the request that asked for it, until that is cancelled or the stream ends.
 */
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import type { Asking, HostedAgent } from './host.ts'
import { META } from './revision.ts'
import type { Tasks } from './tasks.ts'
import type { RpcId } from './wire.ts'

/** `subscriptions/listen` requests one stream may hold open. */
export const SUBSCRIPTIONS_MAX = 16

/** Resources one of them may name. */
export const RESOURCES_HEARD_MAX = 1_000

/** Kinds of lists, by the name a subscription has for them. */
const KINDS = { toolsListChanged: 'tools', resourcesListChanged: 'resources', promptsListChanged: 'prompts' } as const
type Wish = keyof typeof KINDS
export type Kind = typeof KINDS[Wish]

interface Subscription {
  readonly kinds: ReadonlySet<Kind>
  readonly asking: Asking
  uris: readonly string[]
  stops: (() => void)[]
  /** Tasks stay those of the agent that they began with. */
  stopTasks: () => void
}

export class Listening {
  readonly #send: (message: JsonObject) => void
  readonly #tasks: Tasks | undefined
  readonly #open = new Map<RpcId, Subscription>()

  constructor (send: (message: JsonObject) => void, tasks?: Tasks) {
    this.#send = send
    this.#tasks = tasks
  }

  has (id: RpcId): boolean {
    return this.#open.has(id)
  }

  /**
   * Opens a subscription to what the agent can tell of; says which of the wishes that is.
   *
   * @returns false where there is nothing to listen to: the request is over
   * @throws SwarmError OVERLOADED, INVALID_ARGUMENTS, as `Tasks.subscribe`
   */
  async listen (id: RpcId, wishes: JsonObject, agent: HostedAgent, asking: Asking): Promise<boolean> {
    if (this.#open.size >= SUBSCRIPTIONS_MAX) throw new SwarmError('OVERLOADED', `over ${SUBSCRIPTIONS_MAX} subscriptions on a stream`)
    const granted = (Object.keys(KINDS) as Wish[]).filter(wish => wishes[wish] === true && agent.catalogue[KINDS[wish]] !== undefined)
    const subscription: Subscription = { kinds: new Set(granted.map(wish => KINDS[wish])), asking, uris: [], stops: [], stopTasks: () => {} }
    this.#open.set(id, subscription)
    subscription.uris = this.#urisOf(id, wishes.resourceSubscriptions)
    const heard = subscription.uris.length === 0 ? [] : await this.#hear(id, agent, subscription)
    if (this.#open.get(id) !== subscription) return true // cancelled meanwhile
    const taskIds = this.#hearTasks(id, wishes.taskIds, agent, asking, subscription)
    const notifications = {
      ...Object.fromEntries(granted.map(wish => [wish, true])),
      ...heard.length > 0 && { resourceSubscriptions: heard },
      ...taskIds.length > 0 && { taskIds }
    }
    this.#tell(id, 'notifications/subscriptions/acknowledged', { notifications })
    const isEmpty = granted.length === 0 && heard.length === 0 && taskIds.length === 0
    if (isEmpty) this.#open.delete(id)
    return !isEmpty
  }

  cancel (id: RpcId): void {
    const subscription = this.#open.get(id)
    this.#open.delete(id)
    for (const stop of subscription?.stops ?? []) stop()
    subscription?.stopTasks()
  }

  changed (kinds: ReadonlySet<Kind>): void {
    for (const [id, subscription] of this.#open) {
      for (const kind of subscription.kinds) if (kinds.has(kind)) this.#tell(id, `notifications/${kind}/list_changed`)
    }
  }

  close (): void {
    for (const id of [...this.#open.keys()]) this.cancel(id)
  }

  /** Another agent has taken the name: what was asked for is heard from that one. */
  async moveTo (agent: HostedAgent): Promise<void> {
    await Promise.all([...this.#open].map(async ([id, subscription]) => {
      for (const stop of subscription.stops.splice(0)) stop()
      await this.#hear(id, agent, subscription)
    }))
  }

  #urisOf (id: RpcId, uris: unknown = []): readonly string[] {
    if (Array.isArray(uris) && uris.length <= RESOURCES_HEARD_MAX && uris.every(uri => typeof uri === 'string')) return uris
    this.#open.delete(id)
    throw new SwarmError('INVALID_ARGUMENTS', `resourceSubscriptions must be a list of at most ${RESOURCES_HEARD_MAX} URIs`)
  }

  /** The first notification comes a turn later, so after the acknowledgement. */
  #hearTasks (id: RpcId, taskIds: unknown, agent: HostedAgent, asking: Asking, subscription: Subscription): readonly string[] {
    if (taskIds === undefined || this.#tasks === undefined) return []
    try {
      const heard = this.#tasks.subscribe(agent, taskIds, asking, task => { this.#tell(id, 'notifications/tasks', task) })
      subscription.stopTasks = heard.stop
      return heard.taskIds
    } catch (error) {
      this.cancel(id)
      throw error
    }
  }

  /** One resource that cannot be heard of costs only itself. */
  async #hear (id: RpcId, agent: HostedAgent, { asking, stops, uris }: Subscription): Promise<string[]> {
    const heard = await Promise.all(uris.map(async uri => {
      try {
        const stop = await agent.subscribe?.(uri, updated => { this.#tell(id, 'notifications/resources/updated', { uri: updated }) }, asking)
        if (stop === undefined) return undefined
        if (this.#open.has(id)) stops.push(stop)
        else stop() // cancelled meanwhile
        return uri
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
        return undefined // what is not acknowledged is not heard: the caller sees that
      }
    }))
    return heard.filter(uri => uri !== undefined)
  }

  #tell (id: RpcId, method: string, params: JsonObject = {}): void {
    this.#send({ jsonrpc: '2.0', method, params: { ...params, _meta: { [META.subscriptionId]: id } } })
  }
}

/** Which lists of two catalogues differ. */
export function kindsChanged (before: Catalogue, after: Catalogue): Set<Kind> {
  const differs = (...members: (keyof Catalogue)[]): boolean =>
    members.some(member => before[member] !== after[member] && JSON.stringify(before[member]) !== JSON.stringify(after[member]))
  const kinds = new Set<Kind>()
  if (differs('tools')) kinds.add('tools')
  if (differs('resources', 'resourceTemplates')) kinds.add('resources')
  if (differs('prompts')) kinds.add('prompts')
  return kinds
}
