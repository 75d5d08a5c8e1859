import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import type { Outcome } from '../../lib/mcp/host.ts'
import { INPUTS_MAX, ROUNDS_MAX } from '../../lib/mcp/task-input.ts'
import { POLL_MS } from '../../lib/mcp/task-run.ts'
import { settle } from '../support/clock.ts'
import { rejection } from './parts.ts'
import { ABLE, fake, rig, idOf, rpcOf, asks, ELICIT } from './task-parts.ts'
import { text } from './wire-parts.ts'

test('what is asked before it is a task, the caller is asked', async () => {
  const { call } = rig()
  const asked = asks({ name: ELICIT }, 'state')
  assert.equal(await call(fake(() => asked)), asked)
})

test('a task asks, takes answers one by one, and calls the tool again with all of them', async () => {
  const it = rig()
  const agent = fake(({ client }) => client?.inputResponses === undefined ? asks({ a: ELICIT, b: ELICIT }, 'round 1') : text('done'), { mode: 'always' })
  const task = await it.call(agent)
  const taskId = idOf(task)
  for (const member of ['inputRequests', 'requestState', 'result', 'error']) assert.not(member in task, member)
  await settle()
  const asked = await it.get(agent, task)
  assert.equal([asked.status, asked.inputRequests, asked.requestState], ['input_required', { a: ELICIT, b: ELICIT }, undefined])
  const update = async (inputResponses: JsonObject): Promise<JsonObject> => await it.ask(agent, 'tasks/update', { taskId, inputResponses })
  assert.equal(await update({ a: { action: 'accept' }, unknown: 7 }), { resultType: 'complete' })
  const partly = await it.get(agent, task)
  assert.equal([partly.status, partly.inputRequests], ['input_required', { b: ELICIT }])
  assert.equal(await update({ a: { action: 'decline' } }), { resultType: 'complete' })
  assert.is(agent.calls.length, 1)
  assert.equal(await update({ b: { action: 'cancel' } }), { resultType: 'complete' })
  assert.equal(await update({ b: { action: 'accept' } }), { resultType: 'complete' })
  await settle()
  assert.is((await it.get(agent, task)).status, 'completed')
  assert.is(agent.calls.length, 2)
  assert.equal(agent.calls[1]?.client, { ...ABLE, inputResponses: { a: { action: 'accept' }, b: { action: 'cancel' } }, requestState: 'round 1' })
})

test('a key stands for one question for as long as the task lives', async () => {
  const it = rig()
  const agent = fake(({ client }) => client?.requestState === 'second' ? text('done') : asks({ ['__proto__']: ELICIT, name: ELICIT }, client?.requestState === undefined ? 'first' : 'second'), { mode: 'always' })
  const task = await it.call(agent)
  const keys: string[][] = []
  for (let round = 0; round < 2; round++) {
    await settle()
    const { inputRequests } = await it.get(agent, task)
    keys.push(Object.keys(inputRequests as JsonObject))
    await it.ask(agent, 'tasks/update', { taskId: idOf(task), inputResponses: Object.fromEntries((keys[round] as string[]).map(key => [key, { round }])) })
  }
  await settle()
  assert.equal(keys, [['__proto__', 'name'], ['__proto__-2', 'name-2']].map(some => some.filter(key => keys.flat().includes(key))))
  assert.ok(keys[0]?.includes('name') && keys[1]?.includes('name-2'))
  assert.equal(agent.calls[2]?.client?.inputResponses?.name, { round: 1 })
  assert.is((await it.get(agent, task)).status, 'completed')
})

test('a tool that only wants to be called again is, after a while', async () => {
  const it = rig()
  const agent = fake(({ client }) => client?.requestState === undefined ? { resultType: 'input_required', requestState: 'later' } : text('done'), { mode: 'always' })
  const task = await it.call(agent)
  await it.clock.advance(POLL_MS - 1)
  assert.equal([(await it.get(agent, task)).status, agent.calls.length], ['working', 1])
  await it.clock.advance(1)
  assert.equal([(await it.get(agent, task)).status, agent.calls.length], ['completed', 2])
})

for (const [name, asked, round] of [
  ['too many questions at once', asks(Object.fromEntries(Array.from({ length: INPUTS_MAX + 1 }, (_, n) => [`q${n}`, ELICIT]))), 1],
  ['questions that are no object', { resultType: 'input_required', inputRequests: [ELICIT] } as Outcome, 1],
  ['a question that is no request', asks({ a: { params: {} } }), 1],
  ['more rounds than there may be', { resultType: 'input_required', requestState: 'again' } as Outcome, ROUNDS_MAX]
] as const) {
  test(`${name} fail the task`, async () => {
    const it = rig()
    const agent = fake(() => asked, { mode: 'always' })
    const task = await it.call(agent)
    await it.clock.advance((round - 1) * POLL_MS)
    assert.is(agent.calls.length, round)
    await it.clock.advance(POLL_MS)
    const { status, error } = await it.get(agent, task)
    assert.is(status, 'failed')
    assert.type((error as JsonObject).code, 'number')
  })
}

test('answers that are none are refused, and the question stays', async () => {
  const it = rig()
  const agent = fake(() => asks({ a: ELICIT }), { mode: 'always' })
  const taskId = idOf(await it.call(agent))
  await settle()
  let deep: JsonObject = {}
  for (let depth = 0; depth < 100; depth++) deep = { deep }
  for (const inputResponses of [undefined, null, [], 'a', deep]) {
    assert.is((await rpcOf(it.ask(agent, 'tasks/update', { taskId, inputResponses: inputResponses }))).code, -32602)
  }
  assert.is((await rejection(it.ask(agent, 'tasks/update', { taskId, inputResponses: { a: 'yes' } }))).code, 'MALFORMED')
  assert.equal((await it.get(agent, taskId)).inputRequests, { a: ELICIT })
})

test.run()
