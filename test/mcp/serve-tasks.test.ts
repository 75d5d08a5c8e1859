/** Tasks on agents' streams: what goes over the wire, and in which order. */
import { Server } from '@modelcontextprotocol/server'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import type { HostedAgent } from '../../lib/mcp/host.ts'
import { META } from '../../lib/mcp/revision.ts'
import { SUBSCRIPTIONS_MAX } from '../../lib/mcp/serve-listen.ts'
import { shareServer } from '../../lib/mcp/share.ts'
import { TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { LISTENED_TASKS_MAX, Tasks } from '../../lib/mcp/tasks.ts'
import { settle } from '../support/clock.ts'
import { clock, within } from './parts.ts'
import { ABLE, asks, ELICIT, fake, held, PEER, type Tool } from './task-parts.ts'
import { HandWriter, ScriptedAgent, serving, text } from './wire-parts.ts'

const ABLE_META = { [META.clientCapabilities]: ABLE.capabilities }

function served (agent: HostedAgent): { writer: () => HandWriter, bugs: unknown[], tasks: Tasks } {
  const bugs: unknown[] = []
  const tasks = new Tasks({ peerId: PEER, clock, random: seededRandom(1), report: error => { bugs.push(error) } })
  const { open } = serving(agent, { tasks, report: error => { bugs.push(error) } })
  return { bugs, tasks, writer: () => new HandWriter(open()) }
}

function servedTool (tool: Tool): ReturnType<typeof served> {
  return served(fake(tool, { mode: 'always' }))
}

function askAble (writer: HandWriter, id: string | number, method: string, params: JsonObject = {}): void {
  writer.ask(id, method, { ...params, _meta: ABLE_META })
}

async function resultFor (writer: HandWriter, id: string | number, method: string, params?: JsonObject): Promise<JsonObject> {
  askAble(writer, id, method, params)
  const message = await writer.next()
  assert.is(message.id, id, JSON.stringify(message))
  return (message.result ?? { error: message.error }) as JsonObject
}

test('the extension is declared where tasks are kept, and in the stateless revision alone', async () => {
  const { writer } = servedTool(() => text('done'))
  const stream = writer()
  const { capabilities } = await resultFor(stream, 1, 'server/discover') as { capabilities: JsonObject }
  assert.equal(capabilities.extensions, { [TASKS_EXTENSION]: {} })
  assert.is(capabilities.tasks, undefined)
  stream.send({ jsonrpc: '2.0', id: 2, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: ABLE.capabilities, clientInfo: { name: 'x', version: '1' } } })
  assert.equal(((await stream.next()).result as { capabilities: JsonObject }).capabilities.extensions, undefined)
  stream.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  stream.send({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'work' } })
  assert.equal((await stream.next()).result, text('done'))
  stream.send({ jsonrpc: '2.0', id: 4, method: 'tasks/get', params: { taskId: 'x' } })
  assert.is(((await stream.next()).error as JsonObject).code, -32601)
})

test('without a keeper of tasks there are none', async () => {
  const { open } = serving(new ScriptedAgent({ work: () => text('done') }))
  const writer = new HandWriter(open())
  assert.is((await resultFor(writer, 1, 'server/discover') as { capabilities: JsonObject }).capabilities.extensions, undefined)
  assert.equal(await resultFor(writer, 2, 'tools/call', { name: 'work' }), { resultType: 'complete', ...text('done') })
  assert.is((await resultFor(writer, 3, 'tasks/get', { taskId: 'x' }) as { error: JsonObject }).error.code, -32601)
})

test('a task is begun on one stream, answered on another, and read on a third', async () => {
  const { writer, bugs } = servedTool(({ client }) => client?.inputResponses === undefined ? asks({ sure: ELICIT }, 'state') : text(JSON.stringify(client.inputResponses)))
  const first = writer()
  const { taskId, resultType } = await resultFor(first, 1, 'tools/call', { name: 'work' })
  assert.is(resultType, 'task')
  void first.lines.end()
  await first.closed()
  const second = writer()
  assert.equal((await resultFor(second, 1, 'tasks/get', { taskId })).inputRequests, { sure: ELICIT })
  assert.equal(await resultFor(second, 2, 'tasks/update', { taskId, inputResponses: { sure: { action: 'accept' } } }), { resultType: 'complete' })
  const { status, result, resultType: kind } = await resultFor(writer(), 1, 'tasks/get', { taskId })
  assert.equal([status, result, kind], ['completed', text('{"sure":{"action":"accept"}}'), 'complete'])
  assert.equal(await resultFor(second, 3, 'tasks/cancel', { taskId }), { resultType: 'complete' })
  assert.equal(bugs, [])
})

test('refusals have the specification\'s numbers and data', async () => {
  const { writer } = servedTool(() => text('done'))
  const stream = writer()
  for (const [method, params] of [['tasks/get', { taskId: 'gate' }], ['tasks/update', { taskId: 'gate' }], ['tasks/cancel', { taskId: 'gate' }],
    ['subscriptions/listen', { notifications: { taskIds: ['gate'] } }]] as const) {
    stream.ask(method, method, params)
    const { code, data } = (await stream.next()).error as { code: number, data: JsonObject }
    assert.equal([code, data.executed, data.data], [-32021, false, { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } }], method)
  }
  for (const taskId of ['gate', undefined, 7]) {
    assert.is((await resultFor(stream, 1, 'tasks/get', { taskId }) as { error: JsonObject }).error.code, -32602)
  }
  for (const method of ['tasks/list', 'tasks/result']) assert.is((await resultFor(stream, 1, method) as { error: JsonObject }).error.code, -32601)
})

test('a subscription acknowledges the tasks that are here, then tells of each, under its id, until it is cancelled', async () => {
  const { tool, end } = held()
  const { writer } = servedTool(tool)
  const stream = writer()
  const { taskId } = await resultFor(stream, 1, 'tools/call', { name: 'work' })
  askAble(stream, 'sub', 'subscriptions/listen', { notifications: { taskIds: [taskId ?? '', 'another'] } })
  const _meta = { [META.subscriptionId]: 'sub' }
  assert.equal(await stream.next(), { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: { taskIds: [taskId ?? ''] }, _meta } })
  const working = await stream.next()
  assert.equal([working.method, (working.params as JsonObject).status, (working.params as JsonObject)._meta], ['notifications/tasks', 'working', _meta])
  end(text('done'))
  const { _meta: _, ...told } = (await stream.next()).params as JsonObject
  assert.equal({ resultType: 'complete', ...told }, await resultFor(stream, 2, 'tasks/get', { taskId }))
  stream.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'sub' } })
  await settle()
  askAble(stream, 'sub', 'subscriptions/listen', { notifications: { taskIds: ['another'] } })
  assert.equal((await stream.next()).params, { notifications: {}, _meta })
  assert.is((await stream.next()).id, 'sub')
})

test('a cancelled subscription hears nothing; a refused one keeps no place', async () => {
  const { tool, end } = held()
  const { writer } = servedTool(tool)
  const stream = writer()
  const { taskId } = await resultFor(stream, 1, 'tools/call', { name: 'work' })
  for (let turn = 0; turn <= 2 * SUBSCRIPTIONS_MAX; turn++) {
    const refused = await resultFor(stream, 'sub', 'subscriptions/listen', { notifications: { taskIds: Array.from({ length: LISTENED_TASKS_MAX + 1 }, () => 'x') } })
    assert.is((refused as { error: JsonObject }).error.code, -32602)
  }
  askAble(stream, 'sub', 'subscriptions/listen', { notifications: { taskIds: [taskId ?? ''] } })
  await stream.next()
  await stream.next()
  stream.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'sub' } })
  await settle()
  end(text('done'))
  await settle()
  assert.is((await resultFor(stream, 2, 'tasks/get', { taskId })).status, 'completed')
})

test('an SDK server that makes tasks itself has them passed through', async () => {
  const theirs = { taskId: 'theirs', status: 'working', createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z', ttlMs: 60_000, pollIntervalMs: 500 }
  const asked: JsonObject[] = []
  const server = new class extends Server {
    protected override _wrapHandler (_method: string, handler: never): never { return handler }
  }({ name: 'tasked', version: '1' }, { capabilities: { tools: {}, extensions: { [TASKS_EXTENSION]: {} } } })
  const on = (method: string, answer: JsonObject): void => {
    const handle = (params: JsonObject): JsonObject => {
      asked.push({ method, taskId: params.taskId })
      return answer
    }
    server.setRequestHandler(method as never, { params: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } } as never, handle as never)
  }
  server.setRequestHandler('tools/list', () => ({ tools: [{ name: 'work', inputSchema: { type: 'object' as const } }] }))
  server.setRequestHandler('tools/call', () => ({ resultType: 'task', ...theirs }) as never)
  on('tasks/get', { resultType: 'complete', ...theirs, status: 'completed', result: text('theirs') as unknown as JsonObject })
  on('tasks/cancel', { resultType: 'complete' })
  const shared = shareServer('notes', server, { clock, random: systemRandom })
  await within(shared.ready(), 'the server')
  const { writer, bugs } = served(shared)
  const stream = writer()
  const { _meta: _, ...created } = await resultFor(stream, 1, 'tools/call', { name: 'work' })
  assert.equal({ ...created, taskId: '' }, { resultType: 'task', ...theirs, taskId: '' })
  assert.not.equal(created.taskId, 'theirs')
  const { taskId } = created
  const { _meta: __, ...got } = await resultFor(stream, 2, 'tasks/get', { taskId })
  assert.equal(got, { resultType: 'complete', ...theirs, taskId, status: 'completed', result: text('theirs') })
  assert.equal(await resultFor(stream, 3, 'tasks/cancel', { taskId }), { resultType: 'complete' })
  assert.equal(asked.map(({ method, taskId: id }) => [method, id]), [['tasks/get', 'theirs'], ['tasks/cancel', 'theirs']])
  assert.equal(bugs, [])
  await shared.close()
})

test.run()
