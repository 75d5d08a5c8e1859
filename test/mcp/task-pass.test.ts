/** Notifications of tasks, and tasks that the server behind an agent made by itself. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { SERVER_TASK_ID_MAX } from '../../lib/mcp/task-pass.ts'
import { POLL_MS } from '../../lib/mcp/task-run.ts'
import { FOLLOW_MS_MAX, TASK_TTL_MS } from '../../lib/mcp/task.ts'
import { LISTENED_TASKS_MAX } from '../../lib/mcp/tasks.ts'
import { settle } from '../support/clock.ts'
import { rejection } from './parts.ts'
import { fake, held, rig, idOf, begun, rpcOf, ELICIT, hear } from './task-parts.ts'
import { text } from './wire-parts.ts'

test('a subscriber hears how a task stands, then of every change, whole', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(tool)
  const task = await begun(agent, it)
  const { taskIds, told } = hear(it, agent, ['rubbish', idOf(task), idOf(task)])
  assert.equal(taskIds, [idOf(task)])
  assert.equal(told, [])
  await settle()
  end(text('done'))
  await settle()
  assert.equal(told.map(({ status }) => status), ['working', 'completed'])
  assert.equal({ ...told[1], resultType: 'complete' }, await it.get(agent, task))
})

test('progress is told at most once a poll interval; one that stopped hears nothing', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const task = await begun(agent, it)
  const { told, stop } = hear(it, agent, [idOf(task)])
  await settle()
  const progress = (done: number): void => { agent.calls[0]?.progress?.({ progress: done }) }
  for (let done = 1; done <= 1_000; done++) progress(done)
  await it.clock.advance(POLL_MS)
  progress(1_001)
  progress(1_002)
  assert.equal(told.map(({ statusMessage }) => statusMessage), [undefined, '1', '1001'])
  stop()
  await it.ask(agent, 'tasks/cancel', { taskId: idOf(task) })
  assert.is(told.length, 3)
})

test('one that stops at once hears nothing; a task that is listened to is kept', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const task = await begun(agent, it)
  const gone = hear(it, agent, [idOf(task)])
  gone.stop()
  await settle()
  assert.equal(gone.told, [])
  const { stop } = hear(it, agent, [idOf(task)])
  await it.clock.advance(5 * TASK_TTL_MS)
  assert.is((await it.get(agent, task)).status, 'working')
  stop()
  await it.clock.advance(2 * TASK_TTL_MS)
  assert.is((await rpcOf(it.get(agent, task))).code, -32602)
})

test('what is no list of ids is refused, as is one too long', () => {
  const it = rig()
  const agent = fake(() => text(''))
  for (const ids of [undefined, {}, 'x', [7], [null], Array.from({ length: LISTENED_TASKS_MAX + 1 }, () => 'x')]) {
    assert.throws(() => hear(it, agent, ids), /taskIds must be a list/)
  }
  assert.equal(hear(it, agent, Array.from({ length: LISTENED_TASKS_MAX }, () => 'x')).taskIds, [])
})

const THEIRS = { resultType: 'task', taskId: 'theirs', status: 'working', createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z', ttlMs: null, pollIntervalMs: 3_000 } as const

test('a server\'s own task passes through under an id of ours', async () => {
  const it = rig()
  const agent = fake(() => THEIRS, {
    answer: ({ method }) => method === 'tasks/get' ? { ...THEIRS, resultType: 'complete', status: 'input_required', inputRequests: { a: ELICIT }, more: 1 } : { resultType: 'complete', _meta: {} }
  })
  const task = await it.call(agent)
  const taskId = idOf(task)
  assert.equal(task, { ...THEIRS, taskId, ttlMs: TASK_TTL_MS })
  assert.equal(await it.get(agent, task), { ...THEIRS, resultType: 'complete', taskId, ttlMs: TASK_TTL_MS, status: 'input_required', inputRequests: { a: ELICIT }, more: 1 })
  assert.equal(await it.ask(agent, 'tasks/update', { taskId, inputResponses: { a: {} } }), { resultType: 'complete' })
  assert.equal(await it.ask(agent, 'tasks/cancel', { taskId }), { resultType: 'complete' })
  assert.equal(agent.requests.map(({ method, params }) => [method, params]), [
    ['tasks/get', { taskId: 'theirs' }], ['tasks/update', { taskId: 'theirs', inputResponses: { a: {} } }], ['tasks/cancel', { taskId: 'theirs' }]
  ])
})

test('a server that makes a task late makes ours its own', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(tool, { answer: () => ({ ...THEIRS, resultType: 'complete', status: 'completed', result: { content: [] } }) })
  const task = await begun(agent, it)
  const { told } = hear(it, agent, [idOf(task)])
  await settle()
  end(THEIRS)
  await settle()
  assert.equal((await it.get(agent, task)).result, { content: [] })
  assert.equal(told.map(({ status }) => status), ['working', 'completed'])
})

test('a server\'s own task is looked at while somebody listens, as often as it says, and until its end', async () => {
  const it = rig()
  let state: JsonObject = { ...THEIRS, resultType: 'complete' }
  const agent = fake(() => THEIRS, { answer: () => state })
  const task = await it.call(agent)
  const { told, stop } = hear(it, agent, [idOf(task)])
  await it.clock.advance(9_000)
  assert.equal([told.length, agent.requests.length], [1, 4])
  state = { ...state, status: 'completed', result: { content: [] } }
  await it.clock.advance(FOLLOW_MS_MAX)
  assert.equal([told.length, agent.requests.length], [2, 5])
  assert.equal([told[1]?.taskId, told[1]?.resultType], [idOf(task), undefined])
  const late = hear(it, agent, [idOf(task)])
  await settle()
  assert.is(late.told[0]?.status, 'completed')
  stop()
  late.stop()
})

test('a server that cannot be asked now is asked again later', async () => {
  const it = rig()
  let isDown = true
  const agent = fake(() => THEIRS, {
    answer: () => {
      if (isDown) throw new SwarmError('UNAVAILABLE', 'down')
      return { ...THEIRS, resultType: 'complete' }
    }
  })
  const task = await it.call(agent)
  assert.is((await rejection(it.get(agent, task))).code, 'UNAVAILABLE')
  const { told, stop } = hear(it, agent, [idOf(task)])
  await it.clock.advance(FOLLOW_MS_MAX - 1)
  assert.is(told.length, 0)
  isDown = false
  await it.clock.advance(1)
  assert.is(told.length, 1)
  stop()
  await it.clock.advance(TASK_TTL_MS)
  assert.is(it.clock.pending, 0)
})

for (const [name, created] of [
  ['no id', { ...THEIRS, taskId: undefined }], ['an endless id', { ...THEIRS, taskId: 'x'.repeat(SERVER_TASK_ID_MAX + 1) }], ['no status that there is', { ...THEIRS, status: 'asleep' }]
] as const) {
  test(`a server's own task with ${name} is none`, async () => {
    const { call } = rig()
    assert.is((await rejection(call(fake(() => created)))).code, 'MALFORMED')
  })
}

test('a server\'s own task that there is no room for is cancelled there; one for a client that cannot handle it is none', async () => {
  const it = rig({ tasksMax: 0 })
  const agent = fake(() => THEIRS, { answer: () => ({ resultType: 'complete' }) })
  assert.is((await rejection(it.call(agent))).code, 'OVERLOADED')
  assert.equal(agent.requests.map(({ method }) => method), ['tasks/cancel'])
  assert.is((await rejection(it.call(agent, { client: { capabilities: {} } }))).code, 'MALFORMED')
})

test.run()
