import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { MCPAgent } from '../../lib/mcp/agent.ts'
import { isBuiltin } from '../../lib/mcp/builtin.ts'
import { FAN_OUT_MAX, type Coordination, type CoordinationTarget } from '../../lib/mcp/coordinate.ts'
import type { CallToolResult } from '../../lib/mcp/host.ts'
import { OPERATIONS_MAX, ROWS_MAX } from '../../lib/mcp/process.ts'
import { clock, failureOf, rejectsWith, textOf, toldCall, toolCall, within } from './parts.ts'

async function running (role: string, coordination?: Coordination): Promise<MCPAgent> {
  const agent = new MCPAgent('preset', { role })
  agent.hostedBy({ clock, coordination })
  await agent.start()
  return agent
}

const ROWS = [
  { name: 'Ada', city: { name: 'London' }, age: 36, tags: ['math'] },
  { name: 'Grace', city: { name: 'New York' }, age: 85, tags: ['navy', 'math'] },
  { name: 'Alan', city: { name: 'London' }, age: 41 },
  { name: 'Nobody', age: null }
]

async function processed (operations: readonly JsonObject[], data: unknown = ROWS): Promise<CallToolResult> {
  return await (await running('processor')).callTool(toolCall('process_data', { data, operations } as unknown as JsonObject))
}

for (const [role, tools] of [['processor', ['process_data']], ['coordinator', ['coordinate_task']], ['reader', []]] as const) {
  test(`role ${role} brings ${tools.join() || 'nothing'}`, () => {
    assert.equal(new MCPAgent('a', { role }).catalogue.tools.filter(tool => !isBuiltin(tool)).map(({ name }) => name), tools)
  })
}

for (const [what, operations, rows] of [
  ['filters by equality inside', [{ op: 'filter', field: 'city.name', is: 'equal', value: 'London' }, { op: 'pick', fields: ['name'] }], [{ name: 'Ada' }, { name: 'Alan' }]],
  ['filters by order, of like kinds only', [{ op: 'filter', field: 'age', is: 'atLeast', value: 41 }, { op: 'pick', fields: ['name'] }], [{ name: 'Grace' }, { name: 'Alan' }]],
  ['filters by what a text or list holds', [{ op: 'filter', field: 'tags', is: 'contains', value: 'math' }, { op: 'count' }], [{ count: 2 }]],
  ['filters by absence, null included', [{ op: 'filter', field: 'age', is: 'absent' }, { op: 'pick', fields: ['name', 'age'] }], [{ name: 'Nobody', age: null }]],
  ['sorts, rows without the member last', [{ op: 'sort', field: 'age', descending: true }, { op: 'pick', fields: ['name'] }], [{ name: 'Grace' }, { name: 'Alan' }, { name: 'Ada' }, { name: 'Nobody' }]],
  ['limits', [{ op: 'sort', field: 'name' }, { op: 'limit', count: 1 }, { op: 'pick', fields: ['name'] }], [{ name: 'Ada' }]],
  ['keeps the first of equals', [{ op: 'distinct', field: 'city' }, { op: 'pick', fields: ['name'] }], [{ name: 'Ada' }, { name: 'Grace' }, { name: 'Nobody' }]],
  ['sums', [{ op: 'sum', field: 'age' }], [{ sum: 162, count: 3, min: 36, max: 85, mean: 54 }]],
  ['sums nothing', [{ op: 'sum', field: 'height' }], [{ sum: 0, count: 0, min: null, max: null, mean: null }]],
  ['groups', [{ op: 'group', by: 'city.name', sum: 'age' }], [{ key: 'London', count: 2, sum: 77 }, { key: 'New York', count: 1, sum: 85 }, { key: null, count: 1, sum: 0 }]]
] as readonly [string, JsonObject[], unknown[]][]) {
  test(`process_data ${what}`, async () => {
    assert.equal((await processed(operations)).structuredContent, { rows, count: rows.length })
  })
}

test('process_data does not reach members that a row does not own', async () => {
  assert.equal((await processed([{ op: 'pick', fields: ['constructor', 'name.length'] }], [{ name: 'x' }])).structuredContent, { rows: [{}], count: 1 })
})

for (const [what, operations, data] of [
  ['what cannot be summed', [{ op: 'sum', field: 'name' }], ROWS],
  ['an unknown operation', [{ op: 'eval' }], ROWS],
  ['no operation', [], ROWS],
  ['one operation too many', Array.from({ length: OPERATIONS_MAX + 1 }, () => ({ op: 'count' })), ROWS],
  ['data that is no list', [{ op: 'count' }], {}],
  ['one row too many', [{ op: 'count' }], Array.from({ length: ROWS_MAX + 1 }, () => 0)]
] as readonly [string, JsonObject[], unknown][]) {
  test(`process_data refuses ${what}`, async () => {
    assert.is(failureOf(await processed(operations, data)), 'INVALID_ARGUMENTS')
  })
}

const target = (index: number): CoordinationTarget => ({ peerId: `id-${index}`, peerName: `peer-${index}`, agent: 'reader' })

test('coordinate_task asks every agent, few at once, and gathers answers and failures', async () => {
  let [atWork, most] = [0, 0]
  const asked: unknown[] = []
  const agent = await running('coordinator', {
    find: query => {
      asked.push(query)
      return [0, 1, 2, 3, 4, 5].map(target)
    },
    call: async ({ peerId }, tool, args, { timeoutMs }) => {
      asked.push([tool, args, timeoutMs])
      most = Math.max(most, ++atWork)
      await new Promise(resolve => setImmediate(resolve))
      atWork--
      if (peerId === 'id-1') throw new SwarmError('UNREACHABLE', 'asleep')
      if (peerId === 'id-2') return { content: [{ type: 'text', text: 'no such book' }], isError: true }
      return { content: [{ type: 'text', text: `read by ${peerId}` }], structuredContent: { pages: 3 } }
    }
  })
  const { call, told } = toldCall('coordinate_task', { capability: 'read', arguments: { book: 'x' }, role: 'reader', concurrency: 2, timeoutMs: 500 })
  const result = await within(agent.callTool(call), 'the task')
  const { answers, ...counts } = result.structuredContent as { answers: Record<string, unknown>[] }
  assert.equal(counts, { agents: 6, succeeded: 4, failed: 2 })
  assert.equal(answers[0], { agent: 'reader', peer: 'peer-0', ok: true, text: 'read by id-0', structured: { pages: 3 } })
  assert.equal(answers[1], { agent: 'reader', peer: 'peer-1', ok: false, error: { code: 'UNREACHABLE', message: 'asleep' } })
  assert.equal(answers[2], { agent: 'reader', peer: 'peer-2', ok: false, error: { code: 'TOOL_FAILED', message: 'no such book' } })
  assert.is(most, 2)
  assert.equal(asked[0], { tool: 'read', role: 'reader' })
  assert.equal(asked[1], ['read', { book: 'x' }, 500])
  assert.equal(told.map(({ progress }) => progress), [1, 2, 3, 4, 5, 6])
})

test('coordinate_task stops with its caller, and asks nobody further', async () => {
  let calls = 0
  const controller = new AbortController()
  const agent = await running('coordinator', {
    find: () => [0, 1, 2].map(target),
    call: async (_target, _tool, _args, { signal }) => {
      calls++
      controller.abort()
      return await new Promise((_resolve, reject) => { reject(signal.reason as Error) })
    }
  })
  await rejectsWith(within(agent.callTool(toolCall('coordinate_task', { capability: 'read', concurrency: 1 }, { signal: controller.signal })), 'the task'), 'ABORTED')
  await new Promise(resolve => setImmediate(resolve))
  assert.is(calls, 1)
})

for (const [what, found, args, code] of [
  ['nobody offers it', 0, { capability: 'read' }, 'UNKNOWN_TOOL'],
  ['too many offer it', FAN_OUT_MAX + 1, { capability: 'read' }, 'TOO_LARGE'],
  ['it would coordinate coordinators', 1, { capability: 'coordinate_task' }, 'INVALID_ARGUMENTS'],
  ['its arguments do not fit', 1, { capability: 'read', concurrency: 0 }, 'INVALID_ARGUMENTS']
] as const) {
  test(`coordinate_task fails where ${what}`, async () => {
    const agent = await running('coordinator', { find: () => Array.from({ length: found }, (_, index) => target(index)), call: async () => ({ content: [] }) })
    assert.is(failureOf(await agent.callTool(toolCall('coordinate_task', args))), code)
  })
}

test('coordinate_task says so when its agent is hosted by no swarm', async () => {
  const result = await (await running('coordinator')).callTool(toolCall('coordinate_task', { capability: 'read' }))
  assert.is(failureOf(result), 'AGENT_NOT_RUNNING')
  assert.match(textOf(result), 'hosted by no swarm')
})

test.run()
