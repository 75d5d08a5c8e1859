/** What clients of 2026-07-28 hear of: lists, resources, tasks. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { LIST_CHANGED_MS_MIN } from '../../lib/mcp/gateway-changes.ts'
import { isListen, RESOURCES_HEARD_MAX, Subscriptions, SUBSCRIPTIONS_MAX, TASKS_HEARD_MAX } from '../../lib/mcp/gateway-subscriptions.ts'
import { META, STATELESS_REVISION } from '../../lib/mcp/revision.ts'
import { TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { makeTaskId } from '../../lib/mcp/task-id.ts'
import type { GatewayView } from '../../lib/mcp/view.ts'
import { VirtualClock } from '../support/clock.ts'
import { viewOf } from './view.ts'
import { ScriptedAgent, text } from './wire-parts.ts'

const PEER = '12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5'
const TASKS = { extensions: { [TASKS_EXTENSION]: {} } }

interface Listened { readonly wishes: JsonObject, readonly heard: (method: string, params: JsonObject) => void, stopped: boolean }

interface Scene {
  readonly agent: ScriptedAgent
  readonly clock: VirtualClock
  readonly listened: Listened[]
  readonly subscriptions: Subscriptions
  /** Opens one; what it is told. */
  readonly open: (id: number, notifications: JsonObject, capabilities?: JsonObject) => { told: JsonObject[], opened: ReturnType<Subscriptions['open']> }
}

function scene (): Scene {
  const agent = new ScriptedAgent({ one: () => text('') })
  const clock = new VirtualClock()
  const listened: Listened[] = []
  const view: GatewayView = {
    ...viewOf([{ agent }]),
    locate: uri => uri.startsWith('a://') ? { uri, target: { agent: 'notes', peerId: PEER, peerName: 'alice', available: true, capabilities: {}, session: 'shared' } } : undefined,
    listen (_place, wishes, heard) {
      const entry = { wishes, heard, stopped: false }
      listened.push(entry)
      return () => { entry.stopped = true }
    }
  }
  const subscriptions = new Subscriptions(view, clock)
  return {
    agent, clock, listened, subscriptions,
    open (id, notifications, capabilities = {}) {
      const told: JsonObject[] = []
      const message = { jsonrpc: '2.0', id, method: 'subscriptions/listen', params: { notifications, _meta: { [META.protocolVersion]: STATELESS_REVISION, [META.clientCapabilities]: capabilities } } }
      assert.ok(isListen(message))
      return { told, opened: subscriptions.open(message, one => { told.push(one) }) }
    }
  }
}

const ack = (id: number, notifications: JsonObject): JsonObject =>
  ({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications, _meta: { [META.subscriptionId]: id } } })

test('grants what it can tell of, and tells each what it asked for', async () => {
  const { agent, clock, listened, open } = scene()
  const both = open(1, { toolsListChanged: true, resourceSubscriptions: ['a://x', 'b://unknown', 7, 'a://x'] })
  const lists = open(2, { toolsListChanged: true, promptsListChanged: false })
  assert.equal(both.told, [ack(1, { toolsListChanged: true, resourceSubscriptions: ['a://x'] })])
  assert.equal(lists.told, [ack(2, { toolsListChanged: true })])
  agent.add('two', () => text(''))
  listened[0]?.heard('notifications/resources/updated', { uri: 'a://x' })
  await clock.advance(LIST_CHANGED_MS_MIN)
  assert.equal(both.told.slice(1).map(({ method, params }) => [method, (params as JsonObject)['uri'], ((params as JsonObject)['_meta'] as JsonObject)[META.subscriptionId]]), [
    ['notifications/tools/list_changed', undefined, 1], ['notifications/resources/updated', 'a://x', 1]
  ])
  assert.equal(lists.told.slice(1).map(({ method }) => method), ['notifications/tools/list_changed'])
})

test('what has changed since the connection began is told to the first who asks', () => {
  const { agent, open } = scene()
  agent.add('two', () => text(''))
  assert.equal(open(1, { toolsListChanged: true }).told.map(({ method }) => method), ['notifications/subscriptions/acknowledged', 'notifications/tools/list_changed'])
  assert.equal(open(2, { toolsListChanged: true }).told.length, 1)
})

test('nothing is told after the end; a resource is heard of once, until the last has gone', () => {
  const { agent, listened, open } = scene()
  const [first, second] = [open(1, { resourceSubscriptions: ['a://x'], toolsListChanged: true }), open(2, { resourceSubscriptions: ['a://x'] })]
  assert.is(listened.length, 1)
  first.opened?.stop()
  agent.add('two', () => text(''))
  listened[0]?.heard('notifications/resources/updated', { uri: 'a://x' })
  assert.is(first.told.length, 1)
  assert.is(second.told.length, 2)
  assert.is(listened[0]?.stopped, false)
  second.opened?.finish()
  assert.equal(second.told[2], { jsonrpc: '2.0', id: 2, result: { resultType: 'complete', _meta: { [META.subscriptionId]: 2 } } })
  assert.is(listened[0]?.stopped, true)
  second.opened?.finish()
  assert.is(second.told.length, 3, 'it ends once')
})

test('one that is granted nothing is over at once', () => {
  const { open } = scene()
  const { opened, told } = open(1, { resourceSubscriptions: ['b://unknown'], taskIds: [] })
  assert.is(opened, undefined)
  assert.equal(told, [ack(1, {}), { jsonrpc: '2.0', id: 1, result: { resultType: 'complete', _meta: { [META.subscriptionId]: 1 } } }])
})

test('tasks are heard of where they run, by a client that can handle them', () => {
  const { listened, open } = scene()
  const taskId = makeTaskId({ peerId: PEER, agent: 'notes' }, seededRandom(3))
  const refused = open(1, { taskIds: [taskId] })
  assert.is((refused.told[0]?.['error'] as JsonObject)['code'], -32021)
  const { told, opened } = open(2, { taskIds: [taskId, 'rubbish'] }, TASKS)
  assert.equal(told, [ack(2, { taskIds: [taskId] })])
  assert.equal(listened.map(({ wishes }) => wishes), [{ taskIds: [taskId] }])
  listened[0]?.heard('notifications/tasks', { taskId, status: 'working' })
  listened[0]?.heard('notifications/other', {})
  assert.equal(told.slice(1), [{ jsonrpc: '2.0', method: 'notifications/tasks', params: { taskId, status: 'working', _meta: { [META.subscriptionId]: 2 } } }])
  opened?.stop()
  assert.is(listened[0]?.stopped, true)
})

test('so many subscriptions, resources and tasks, and no more', () => {
  const { listened, open } = scene()
  const uris = Array.from({ length: RESOURCES_HEARD_MAX + 1 }, (_, index) => `a://${index}`)
  const { told } = open(0, { resourceSubscriptions: uris })
  assert.equal(told, [ack(0, { resourceSubscriptions: uris.slice(0, RESOURCES_HEARD_MAX) })])
  assert.is(listened.length, RESOURCES_HEARD_MAX)
  const ids = Array.from({ length: TASKS_HEARD_MAX + 1 }, (_, index) => makeTaskId({ peerId: PEER, agent: 'notes' }, seededRandom(index)))
  assert.match(JSON.stringify(open(1, { taskIds: ids }, TASKS).told), 'TOO_LARGE')
  for (let id = 1; id < SUBSCRIPTIONS_MAX; id++) assert.is(open(id, { toolsListChanged: true }).told.length, 1)
  assert.match(JSON.stringify(open(99, { toolsListChanged: true }).told), 'OVERLOADED')
})

for (const [name, message] of [
  ['no object', 7], ['another method', { id: 1, method: 'tools/list', params: {} }], ['no id', { method: 'subscriptions/listen', params: {} }],
  ['no notifications', { id: 1, method: 'subscriptions/listen', params: { _meta: { [META.protocolVersion]: STATELESS_REVISION, [META.clientCapabilities]: {} } } }],
  ['another revision', { id: 1, method: 'subscriptions/listen', params: { notifications: {}, _meta: { [META.protocolVersion]: '2025-11-25', [META.clientCapabilities]: {} } } }],
  ['no capabilities', { id: 1, method: 'subscriptions/listen', params: { notifications: {}, _meta: { [META.protocolVersion]: STATELESS_REVISION } } }]
] as const) {
  test(`is left to the SDK to refuse: ${name}`, () => { assert.is(isListen(message), false) })
}

test.run()
