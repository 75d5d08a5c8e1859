/** Tasks as the hosting peer keeps them, on the virtual clock and without a transport. */
import { ProtocolError } from '@modelcontextprotocol/server'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { MCPAgent } from '../../lib/mcp/agent.ts'
import type { Outcome, Pending, ToolCall } from '../../lib/mcp/host.ts'
import { META } from '../../lib/mcp/revision.ts'
import { MISSING_CAPABILITY, TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { parseTaskId } from '../../lib/mcp/task-id.ts'
import { Stop } from '../../lib/mcp/stop.ts'
import { POLL_MS, STATUS_CHARS_MAX } from '../../lib/mcp/task-run.ts'
import { TASK_TTL_MS } from '../../lib/mcp/task.ts'
import { TASK_AFTER_MS } from '../../lib/mcp/tasks.ts'
import { settle } from '../support/clock.ts'
import { CALLER, rejection, toolCall } from './parts.ts'
import { PEER, ABLE, type Tool, fake, held, rig, idOf, begun, rpcOf, asks, ELICIT } from './task-parts.ts'
import { text } from './wire-parts.ts'

// when a call becomes a task

test('a call that ends in time is no task', async () => {
  const { call, clock } = rig()
  assert.equal(await call(fake(() => text('done'))), text('done'))
  assert.is(clock.pending, 0)
})

test('a call that runs on is answered with a task, and goes on', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(tool)
  const calling = it.call(agent)
  await it.clock.advance(TASK_AFTER_MS - 1)
  assert.is(await Promise.race([calling, Promise.resolve('waits')]), 'waits')
  await it.clock.advance(1)
  const task = await calling
  const { taskId, ...rest } = task as unknown as JsonObject
  assert.equal(rest, {
    resultType: 'task', status: 'working', pollIntervalMs: POLL_MS, ttlMs: TASK_TTL_MS, createdAt: '2026-01-01T00:00:05.000Z', lastUpdatedAt: '2026-01-01T00:00:00.000Z'
  })
  assert.equal(parseTaskId(taskId), { peerId: PEER, agent: 'notes' })
  await it.clock.advance(1_000)
  const working = await it.get(agent, task)
  assert.equal([working.resultType, working.status, working.taskId, working.ttlMs], ['complete', 'working', taskId, TASK_TTL_MS + 1_000])
  end({ ...text('done'), isError: true })
  await settle()
  const { status, result, lastUpdatedAt } = await it.get(agent, task)
  assert.equal([status, result, lastUpdatedAt], ['completed', { ...text('done'), isError: true }, '2026-01-01T00:00:06.000Z'])
  assert.is(agent.calls.length, 1)
})

test('a caller that waits no longer than that gets its task in half its time', async () => {
  const { call, clock } = rig()
  const calling = call(fake(held().tool), { meta: { [META.timeoutMs]: 2_000 } })
  await clock.advance(1_000)
  idOf(await calling)
})

test('a tool is not told how long its caller waits', async () => {
  const { call } = rig()
  const agent = fake(() => text('done'))
  await call(agent, { meta: { [META.timeoutMs]: 2_000, traceparent: '00-x' } })
  assert.equal(agent.calls[0]?.meta, { traceparent: '00-x' })
})

for (const [mode, answer] of [['always', 'task'], ['required', 'task'], ['auto', undefined], ['never', undefined]] as const) {
  test(`mode ${mode}: a call that ends at once is ${answer ?? 'no task'}`, async () => {
    const { call } = rig()
    assert.is((await call(fake(() => text('done'), { mode })) as Pending).resultType, answer)
  })
}

test('mode never: a call that runs on stays a call', async () => {
  const { call, clock } = rig()
  const { tool, end } = held()
  const calling = call(fake(tool, { mode: 'never' }))
  await clock.advance(10 * TASK_AFTER_MS)
  end(text('done'))
  assert.equal(await calling, text('done'))
})

test('a tool may say that its call shall be a task', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(async call => {
    call.asTask?.()
    return await tool(call)
  })
  const task = await it.call(agent)
  end(text('done'))
  await settle()
  assert.is((await it.get(agent, task)).status, 'completed')
})

for (const [name, client] of [
  ['nobody', undefined],
  ['a client that declares nothing', { capabilities: {} }],
  ['a client that declares it wrongly', { capabilities: { extensions: { [TASKS_EXTENSION]: true } } }],
  ['a client that declares the tasks of 2025', { capabilities: { tasks: { requests: {} } } }]
] as const) {
  test(`${name} never gets a task`, async () => {
    const { call, clock, tasks } = rig()
    const { tool, end } = held()
    const calling = call(fake(tool, { mode: 'always' }), { client })
    await clock.advance(10 * TASK_AFTER_MS)
    end(text('done'))
    assert.equal(await calling, text('done'))
    const { code, data } = await rpcOf(call(fake(() => text('done'), { mode: 'required' }), { client }))
    assert.equal([code, data], [MISSING_CAPABILITY, { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } }])
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const asking = { caller: CALLER, client, signal: new AbortController().signal, method, params: { taskId: 'gate', inputResponses: {} } }
      assert.is((await rpcOf(tasks.request(fake(() => text('')), asking))).code, MISSING_CAPABILITY)
    }
    assert.throws(() => tasks.subscribe(fake(() => text('')), [], { caller: CALLER, client, signal: new AbortController().signal }, () => {}), /declares/)
  })
}

test('what is refused at once has not run, and makes no task', async () => {
  const { call } = rig()
  const refused = async (error: Error): Promise<Outcome> => await call(fake(() => { throw error }, { mode: 'always' }))
  assert.is((await rejection(refused(new SwarmError('OVERLOADED', 'full', { details: { sent: false } })))).code, 'OVERLOADED')
  idOf(await refused(new SwarmError('TOOL_FAILED', 'boom')))
})

test('a call that its caller gives up is aborted, and makes no task', async () => {
  const { call, clock } = rig()
  const caller = new AbortController()
  const agent = fake(async ({ signal }) => await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(new SwarmError('ABORTED', 'given up')) }) }))
  const calling = call(agent, { signal: caller.signal })
  caller.abort()
  assert.is((await rejection(calling)).code, 'ABORTED')
  assert.is(clock.pending, 0)
})

for (const [name, more, abort] of callers()) {
  test(`once it is a task, its caller's end does not end it: ${name}`, async () => {
    const it = rig()
    const { tool, end } = held()
    const agent = fake(tool)
    const calling = it.call(agent, more)
    await it.clock.advance(TASK_AFTER_MS)
    const task = await calling
    abort()
    assert.not(agent.calls[0]?.signal.aborted)
    end(text('done'))
    await settle()
    assert.is((await it.get(agent, task)).status, 'completed')
  })
}

function callers (): [string, Partial<ToolCall>, () => void][] {
  const controller = new AbortController()
  const stop = new Stop()
  return [['a signal', { signal: controller.signal }, () => { controller.abort() }], ['a stop', { stop }, () => { stop.abort(new Error('gone')) }]]
}

test('a tool that ignores that its caller has gone becomes no task', async () => {
  const { call, clock } = rig()
  const { tool, end } = held()
  const caller = new AbortController()
  const calling = call(fake(tool), { signal: caller.signal })
  caller.abort()
  await clock.advance(2 * TASK_AFTER_MS)
  end(text('done'))
  assert.equal(await calling, text('done'))
})

// statuses

test('progress goes to the caller, and from the task on into its message', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const told: unknown[] = []
  const calling = it.call(agent, { progress: progress => { told.push(progress) } })
  agent.calls[0]?.progress?.({ progress: 1 })
  await it.clock.advance(TASK_AFTER_MS)
  const task = await calling
  const messages: unknown[] = []
  for (const progress of [{ progress: 2 }, { progress: 3, total: 9 }, { progress: 4, message: 'x'.repeat(2 * STATUS_CHARS_MAX) }]) {
    agent.calls[0]?.progress?.(progress)
    messages.push((await it.get(agent, task)).statusMessage)
  }
  assert.equal(told, [{ progress: 1 }])
  assert.equal(messages, ['2', '3 of 9', `${'x'.repeat(STATUS_CHARS_MAX)}…`])
})

test('a protocol error is a failed task, with the error that the call would have had', async () => {
  const it = rig()
  const { tool, fail } = held()
  const agent = fake(tool)
  const task = await begun(agent, it)
  fail(new SwarmError('TOOL_FAILED', 'it broke', { details: { rpc: { code: -32050, data: { why: 'so' } } } }))
  await settle()
  const { status, statusMessage, error, result } = await it.get(agent, task)
  assert.equal([status, statusMessage, result], ['failed', 'it broke', undefined])
  assert.equal([(error as JsonObject).code, (error as JsonObject).message, ((error as JsonObject).data as JsonObject).data], [-32050, 'it broke', { why: 'so' }])
  assert.equal(it.bugs, [])
})

test('a bug is a failed task that says no more, and is reported', async () => {
  const it = rig()
  const { tool, fail } = held()
  const agent = fake(tool)
  const task = await begun(agent, it)
  fail(new TypeError('secret'))
  await settle()
  const told = await it.get(agent, task)
  assert.is((told.error as JsonObject).code, -32603)
  assert.not(JSON.stringify(told).includes('secret'))
  assert.is((it.bugs[0] as Error).message, 'secret')
})

test('cancel: aborts the tool and is a state for good, whatever comes after', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(tool)
  const task = await begun(agent, it)
  assert.equal(await it.ask(agent, 'tasks/cancel', { taskId: idOf(task) }), { resultType: 'complete' })
  assert.ok(agent.calls[0]?.signal.aborted)
  end(text('too late'))
  await settle()
  const { status, result } = await it.get(agent, task)
  assert.equal([status, result], ['cancelled', undefined])
  assert.equal(await it.ask(agent, 'tasks/cancel', { taskId: idOf(task) }), { resultType: 'complete' })
})

test('cancel while it finishes: whichever was first stays', async () => {
  const it = rig()
  const { tool, end } = held()
  const agent = fake(tool)
  const task = await begun(agent, it)
  end(text('done'))
  const cancelling = it.ask(agent, 'tasks/cancel', { taskId: idOf(task) }) // before the result has reached the task
  await cancelling
  assert.is((await it.get(agent, task)).status, 'cancelled')
  const other = held()
  const second = await begun(fake(other.tool), it)
  other.end(text('done'))
  await settle()
  await it.ask(agent, 'tasks/cancel', { taskId: idOf(second) })
  assert.is((await it.get(agent, second)).status, 'completed')
})

// bounds and ends

test('a full store makes no more tasks: calls stay calls, and tools that require tasks are refused', async () => {
  const it = rig({ tasksMax: 2 })
  const tools = [held(), held(), held()]
  await Promise.all([begun(fake((tools[0] as { tool: Tool }).tool), it), begun(fake((tools[1] as { tool: Tool }).tool), it)])
  const third = it.call(fake((tools[2] as { tool: Tool }).tool, { mode: 'always' }))
  await it.clock.advance(2 * TASK_AFTER_MS)
  assert.equal((await rejection(it.call(fake(() => text(''), { mode: 'required' })))).code, 'OVERLOADED')
  idOf(await it.call(fake(() => text(''), { mode: 'required', name: 'another' })))
  tools[2]?.end(text('done'))
  assert.equal(await third, text('done'))
  tools[0]?.end(text('done'))
  tools[1]?.end(text('done'))
  await it.clock.advance(TASK_TTL_MS)
  idOf(await it.call(fake(() => text(''), { mode: 'required' })))
})

test('a result that there is no room for fails its task, and says that the tool has run', async () => {
  const it = rig({ bytesMax: 1_000 })
  const agent = fake(({ arguments: { units } }) => text('x'.repeat(units as number)), { mode: 'always' })
  const sized = async (units: number): Promise<JsonObject> => {
    const task = await it.tasks.call(agent, { ...toolCall('work', { units }), client: ABLE })
    await settle()
    return await it.get(agent, task)
  }
  assert.is((await sized(500)).status, 'completed')
  const { status, error } = await sized(500)
  assert.equal([status, (error as { data: JsonObject }).data.code, (error as { data: JsonObject }).data.executed], ['failed', 'TOO_LARGE', true])
  assert.is((await sized(200)).status, 'completed')
  const { tool } = held() // one that stays, so that what the others held has to be given back one by one
  const stays = await begun(fake(tool), it)
  await it.clock.advance(TASK_TTL_MS - 1)
  await it.get(agent, stays)
  await it.clock.advance(TASK_TTL_MS - 1)
  assert.is((await sized(800)).status, 'completed')
})

test('answers that there is no room for are refused', async () => {
  const it = rig({ bytesMax: 1_000 })
  const agent = fake(() => asks({ a: ELICIT }), { mode: 'always' })
  const taskId = idOf(await it.call(agent))
  await settle()
  const refused = await rejection(it.ask(agent, 'tasks/update', { taskId, inputResponses: { a: { content: 'x'.repeat(1_000) } } }))
  assert.is(refused.code, 'TOO_LARGE')
  assert.is((await it.get(agent, taskId)).status, 'input_required')
})

test('an ended task is kept for its time, asked for or not; its id is unknown afterwards', async () => {
  const it = rig()
  const agent = fake(() => text('done'), { mode: 'always' })
  const task = await it.call(agent)
  await it.clock.advance(TASK_TTL_MS - 1)
  assert.is((await it.get(agent, task)).ttlMs, TASK_TTL_MS)
  await it.clock.advance(1)
  assert.is((await rpcOf(it.get(agent, task))).code, -32602)
  assert.is(it.clock.pending, 0)
  const { tool, end } = held()
  const later = await begun(fake(tool), it)
  await it.clock.advance(TASK_TTL_MS / 2)
  end(text('done'))
  await it.clock.advance(TASK_TTL_MS - 1)
  assert.is((await it.get(agent, later)).ttlMs, 1.5 * TASK_TTL_MS)
  await it.clock.advance(1)
  assert.is((await rpcOf(it.get(agent, later))).code, -32602)
  assert.match((await rejection(it.get(agent, task))).message, /expired, or the peer that ran it has restarted/)
  assert.is(it.clock.pending, 0)
})

test('a task that runs is kept while somebody asks; else it is ended', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const task = await begun(agent, it)
  for (let turn = 0; turn < 5; turn++) {
    await it.clock.advance(TASK_TTL_MS - 1)
    assert.is((await it.get(agent, task)).status, 'working')
  }
  await it.clock.advance(TASK_TTL_MS)
  assert.ok(agent.calls[0]?.signal.aborted)
  assert.is((await rpcOf(it.get(agent, task))).code, -32602)
})

test('a machine that slept gives no expired task', async () => {
  const it = rig()
  const agent = fake(() => text('done'), { mode: 'always' })
  const task = await it.call(agent)
  await settle()
  const stalled = it.clock.stall(2 * TASK_TTL_MS)
  while (it.clock.nowMs() === 0) await settle(1)
  assert.is(it.clock.pending, 1) // its timer is late, and has not fired
  assert.is((await rpcOf(it.get(agent, task))).code, -32602)
  await stalled
})

test('an agent that ends takes its tasks along, and says so', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const task = await begun(agent, it)
  const told: JsonObject[] = []
  it.tasks.subscribe(agent, [idOf(task)], { caller: CALLER, client: ABLE, signal: new AbortController().signal }, state => { told.push(state) })
  await settle()
  it.tasks.closeAgent('notes')
  assert.ok(agent.calls[0]?.signal.aborted)
  assert.equal(told.map(({ status }) => status), ['working', 'failed'])
  assert.match(told[1]?.statusMessage as string, /agent notes has ended/)
  assert.is((await rpcOf(it.get(agent, task))).code, -32602)
  assert.is(it.clock.pending, 0)
})

test('after a restart of this peer its ids are unknown', async () => {
  const it = rig()
  const agent = fake(held().tool)
  const task = await begun(agent, it)
  assert.is((await rpcOf(rig().get(agent, task))).code, -32602)
})

test('an id of another agent is unknown', async () => {
  const it = rig()
  const task = await begun(fake(held().tool), it)
  assert.is((await rpcOf(it.get(fake(() => text(''), { name: 'other' }), task))).code, -32602)
})

// agents made here

test('an agent\'s tools say when they are tasks, ask for input, and fail by protocol', async () => {
  const it = rig()
  const agent = new MCPAgent('notes')
  agent.tool('plain', {}, () => 'plain')
  agent.tool('confirm', { task: 'always' }, (_args, { input, capabilities }) => input === undefined
    ? { resultType: 'input_required', inputRequests: { sure: ELICIT }, requestState: 'asked' }
    : `${JSON.stringify(input)} ${Object.keys(capabilities ?? {}).join()}`)
  agent.tool('broken', { task: 'required' }, () => { throw new ProtocolError(-32603, 'panic', { at: 1 }) })
  agent.tool('gather', {}, (_args, { input, asTask }) => {
    if (input === undefined) return { resultType: 'input_required', inputRequests: { name: ELICIT } }
    asTask()
    return new Promise<string>(resolve => { it.clock.after(100, () => { resolve(`Hello, ${(input.responses.name as { content: { name: string } }).content.name}`) }) })
  })
  await agent.start()
  const run = async (name: string, client: ToolCall['client'] = ABLE): Promise<Outcome> => await it.tasks.call(agent, { ...toolCall(name), client })
  assert.equal(await run('plain'), text('plain'))

  const confirm = await run('confirm')
  await settle()
  assert.equal((await it.get(agent, confirm)).inputRequests, { sure: ELICIT })
  await it.ask(agent, 'tasks/update', { taskId: idOf(confirm), inputResponses: { sure: { action: 'accept' } } })
  await settle()
  assert.equal((await it.get(agent, confirm)).result, text('{"responses":{"sure":{"action":"accept"}},"state":"asked"} elicitation,extensions'))
  const alone = await it.tasks.call(agent, toolCall('confirm')) as { isError?: boolean }
  assert.is(alone.isError, true)

  const broken = await run('broken')
  await settle()
  const { status, error } = await it.get(agent, broken)
  assert.equal([status, (error as JsonObject).code, (error as JsonObject).message], ['failed', -32603, 'panic'])
  assert.is((await rpcOf(run('broken', { capabilities: {} }))).code, MISSING_CAPABILITY)

  assert.is((await run('gather') as Pending).resultType, 'input_required')
  const gather = await run('gather', { ...ABLE, inputResponses: { name: { content: { name: 'Alice' } } } })
  idOf(gather)
  await it.clock.advance(100)
  assert.equal((await it.get(agent, gather)).result, text('Hello, Alice'))
  await agent.close()
  assert.throws(() => agent.tool('wrong', { task: 'sometimes' as never }, () => ''), /task of tool wrong/)
})

test('an agent that stops fails its tasks, with the reason', async () => {
  const it = rig()
  const agent = new MCPAgent('notes', { stopMsMax: 0 })
  agent.hostedBy({ clock: it.clock })
  agent.tool('work', {}, async () => await new Promise<string>(() => {}))
  await agent.start()
  const task = await begun(agent, it)
  const stopping = agent.stop()
  await it.clock.advance(0)
  await stopping
  const { status, statusMessage } = await it.get(agent, task)
  assert.is(status, 'failed')
  assert.match(statusMessage as string, /agent notes stops/)
})

test.run()
