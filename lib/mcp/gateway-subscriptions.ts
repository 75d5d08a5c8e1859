/**
 * The subscriptions of a gateway's clients of 2026-07-28 (`subscriptions/listen`), on any transport: changes of its lists,
 * updates of resources, and tasks, wherever in the swarm those are. The SDK's own cannot tell of tasks, and keeps to itself
 * which resources are asked for.
 *
 *   open → acknowledged → told … → over: cancelled, or ended by the gateway with an empty result
 *
 * Invariants: nothing is told before the acknowledgement, nor after the end; a resource is heard of once, however many ask.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { announceChanges } from './gateway-changes.ts'
import { META, STATELESS_REVISION } from './revision.ts'
import type { Kind } from './serve-listen.ts'
import { declaresTasks, expectTasks } from './task-error.ts'
import { parseTaskId, type TaskPlace } from './task-id.ts'
import { isRpcId, rpcError, type RpcId } from './wire.ts'
import type { GatewayView } from './view.ts'

/** Subscriptions open at once, for one connection or all of a port. */
export const SUBSCRIPTIONS_MAX = 64

/** Resources heard of at once by all of them; of further ones nothing is told. */
export const RESOURCES_HEARD_MAX = 256

/** Tasks one of them may name. */
export const TASKS_HEARD_MAX = 64

const LISTS: Readonly<Record<string, Kind>> = { toolsListChanged: 'tools', resourcesListChanged: 'resources', promptsListChanged: 'prompts' }

type Send = (message: JsonObject) => void

interface Open {
  readonly send: Send
  readonly kinds: ReadonlySet<Kind>
  readonly stops: (() => void)[]
}

export interface Listen {
  readonly id: RpcId
  readonly params: { readonly _meta: JsonObject, readonly notifications: JsonObject }
}

/** A request of 2026-07-28 that is well formed; of any other the SDK says what is wrong. */
export function isListen (message: unknown): message is Listen {
  if (!isObject(message) || message.method !== 'subscriptions/listen' || !isRpcId(message.id) || !isObject(message.params)) return false
  const { _meta, notifications } = message.params
  return isObject(_meta) && _meta[META.protocolVersion] === STATELESS_REVISION && isObject(_meta[META.clientCapabilities]) && isObject(notifications)
}

export class Subscriptions {
  readonly #view: GatewayView
  readonly #session: string | undefined
  readonly #open = new Map<object, Open>()
  readonly #heard = new Map<string, { readonly listeners: Set<() => void>, readonly stop: () => void }>()
  readonly #changes: ReturnType<typeof announceChanges>

  /**
   * What has changed since this is told to the first that subscribes: it may have listed before.
   *
   * @param session names the client, where all subscriptions are one client's
   */
  constructor (view: GatewayView, clock: Clock, session?: string) {
    this.#view = view
    this.#session = session
    this.#changes = announceChanges(view, clock, () => this.#open.size > 0, kinds => { this.#changed(kinds) })
  }

  /**
   * Opens a subscription, and tells what is granted: what is not known here, or one too many, is not.
   *
   * @returns what ends it, without a further word; undefined where it is over already: an error was sent, or nothing granted
   */
  open ({ id, params: { _meta, notifications } }: Listen, send: Send): { readonly stop: () => void, readonly finish: () => void } | undefined {
    try {
      if (this.#open.size >= SUBSCRIPTIONS_MAX) throw new SwarmError('OVERLOADED', `${SUBSCRIPTIONS_MAX} subscriptions are open; that is the limit`)
      const capabilities = _meta[META.clientCapabilities] as JsonObject
      const wishes = Object.keys(LISTS).filter(wish => notifications[wish] === true)
      const places = taskPlaces(notifications.taskIds, capabilities)
      const key = {}
      const tell: Send = message => { if (this.#open.has(key)) send({ jsonrpc: '2.0', ...message, params: { ...message.params as JsonObject, _meta: { [META.subscriptionId]: id } } }) }
      const entry: Open = { send: tell, kinds: new Set(wishes.map(wish => LISTS[wish] as Kind)), stops: [] }
      this.#open.set(key, entry)
      const uris = textsIn(notifications.resourceSubscriptions).filter(uri => this.#hear(uri, entry, capabilities))
      const granted = {
        ...Object.fromEntries(wishes.map(wish => [wish, true])), ...uris.length > 0 && { resourceSubscriptions: uris }, ...places.size > 0 && { taskIds: [...places.keys()] }
      }
      tell({ method: 'notifications/subscriptions/acknowledged', params: { notifications: granted } })
      const stop = (): void => {
        if (this.#open.delete(key)) for (const end of entry.stops) end()
      }
      const finish = (): void => {
        if (this.#open.has(key)) send({ jsonrpc: '2.0', id, result: { resultType: 'complete', _meta: { [META.subscriptionId]: id } } })
        stop()
      }
      if (Object.keys(granted).length === 0) return void finish()
      for (const [taskId, place] of places) {
        entry.stops.push(this.#view.listen(place, { taskIds: [taskId] }, (method, params) => { if (method === 'notifications/tasks') tell({ method, params }) }, { capabilities }))
      }
      this.#changes.check()
      return { stop, finish }
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      send({ jsonrpc: '2.0', id, error: JSON.parse(rpcError(error)) as JsonObject })
      return undefined
    }
  }

  close (): void {
    this.#changes.stop()
  }

  #changed (kinds: ReadonlySet<Kind>): void {
    for (const { kinds: wanted, send } of this.#open.values()) {
      for (const kind of kinds) if (wanted.has(kind)) send({ method: `notifications/${kind}/list_changed` })
    }
  }

  #hear (uri: string, { send, stops }: Open, capabilities: JsonObject): boolean {
    const listener = (): void => { send({ method: 'notifications/resources/updated', params: { uri } }) }
    let heard = this.#heard.get(uri)
    if (heard === undefined) {
      const located = this.#view.locate(uri)
      if (located === undefined || this.#heard.size >= RESOURCES_HEARD_MAX) return false
      const listeners = new Set<() => void>()
      const { target, uri: own } = located
      const client = this.#session === undefined || target.session !== 'caller' ? undefined : { capabilities, session: this.#session }
      heard = { listeners, stop: this.#view.listen(target, { resourceSubscriptions: [own] }, () => { for (const each of listeners) each() }, client) }
      this.#heard.set(uri, heard)
    }
    const { listeners, stop } = heard
    listeners.add(listener)
    stops.push(() => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      this.#heard.delete(uri)
      stop()
    })
    return true
  }
}

function textsIn (value: unknown): string[] {
  return [...new Set(Array.isArray(value) ? value.filter(item => typeof item === 'string') : [])]
}

/** Where each task lives; those that are no tasks of a swarm are left out. @throws SwarmError TOO_LARGE; `-32021` unless the client declares the extension */
function taskPlaces (value: unknown, capabilities: JsonObject): Map<string, TaskPlace> {
  const ids = textsIn(value)
  if (ids.length > 0 && !declaresTasks(capabilities)) expectTasks(capabilities, 'a subscription to tasks')
  if (ids.length > TASKS_HEARD_MAX) throw new SwarmError('TOO_LARGE', `${ids.length} tasks; limit ${TASKS_HEARD_MAX}`)
  return new Map(ids.flatMap(taskId => {
    try {
      return [[taskId, parseTaskId(taskId)] as const]
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return [] // what is not granted is not told of: the client sees that
    }
  }))
}
