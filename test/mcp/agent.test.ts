import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { SwarmError } from '../../lib/base/error.ts'
import { AGENT_TOOLS_MAX, MCPAgent } from '../../lib/mcp/agent.ts'
import { isBuiltin } from '../../lib/mcp/builtin.ts'
import { ISSUES_MAX } from '../../lib/mcp/schema.ts'
import { DESCRIPTION_MAX } from '../../lib/mcp/tool.ts'
import { failureOf, rejectsWith, textOf, toldCall, toolCall, until, within } from './parts.ts'

async function running (agent: MCPAgent): Promise<MCPAgent> {
  await agent.start()
  return agent
}

test('goes through its statuses, and refuses steps that are none', async () => {
  const agent = new MCPAgent('analyst')
  const seen: string[] = []
  agent.on('status', status => { seen.push(status) })
  assert.is(agent.status, 'created')
  await rejectsWith(agent.stop(), 'AGENT_STATUS')
  await agent.start()
  await rejectsWith(agent.start(), 'AGENT_STATUS')
  await Promise.all([agent.stop(), agent.stop()])
  await rejectsWith(agent.stop(), 'AGENT_STATUS')
  await agent.start()
  await agent.close()
  await agent.close()
  assert.equal(seen, ['starting', 'running', 'stopping', 'stopped', 'starting', 'running', 'stopping', 'stopped'])
})

test('a subclass opens and closes what it needs; a failure to start is an error it can recover from', async () => {
  const steps: string[] = []
  class Reader extends MCPAgent {
    broken = true
    protected override async onStart (): Promise<void> {
      if (this.broken) throw new Error('no disk')
      steps.push('open')
    }

    protected override async onStop (): Promise<void> { steps.push('close') }
  }
  const agent = new Reader('reader')
  await agent.start().then(() => assert.unreachable(), (error: Error) => assert.is(error.message, 'no disk'))
  assert.is(agent.status, 'error')
  assert.equal(agent.availability, { available: false, reason: 'agent reader is error' })
  agent.broken = false
  await agent.start()
  await agent.stop()
  assert.equal(steps, ['open', 'close'])
})

test('types and checks arguments by a Standard Schema, fills defaults, and returns structured content', async () => {
  const agent = await running(new MCPAgent('analyst').tool('repeat', {
    title: 'Repeat',
    description: 'Says it again',
    input: z.object({ text: z.string(), times: z.int().min(1).default(2) }),
    output: z.object({ said: z.string() }),
    annotations: { readOnlyHint: true }
  }, ({ text, times }) => ({ said: text.repeat(times) })))
  const definition = agent.catalogue.tools.find(({ name }) => name === 'repeat')
  assert.is(definition?.inputSchema['type'], 'object')
  assert.equal(definition?.inputSchema['required'], ['text'])
  assert.equal((definition?.outputSchema?.['properties']), { said: { type: 'string' } })
  assert.equal(await agent.callTool(toolCall('repeat', { text: 'ab' })), {
    content: [{ type: 'text', text: '{"said":"abab"}' }], structuredContent: { said: 'abab' }
  })
  const refused = await agent.callTool(toolCall('repeat', { text: 7, times: 0 }))
  assert.is(failureOf(refused), 'INVALID_ARGUMENTS')
  assert.match(textOf(refused), /- text: .*string/)
  assert.match(textOf(refused), /- times: /)
})

test('checks arguments by plain JSON Schema, and names each path', async () => {
  const agent = await running(new MCPAgent('analyst').tool('store', {
    input: { type: 'object', properties: { at: { type: 'object', properties: { line: { type: 'integer' } } }, text: { type: 'string' } }, required: ['text'] }
  }, args => args['text'] as string))
  assert.is(textOf(await agent.callTool(toolCall('store', { text: 'ok', at: { line: 3 } }))), 'ok')
  const refused = await agent.callTool(toolCall('store', { at: { line: 'x' } }))
  assert.is(failureOf(refused), 'INVALID_ARGUMENTS')
  assert.equal((refused._meta?.['mcp-swarm/error'] as { issues: unknown }).issues, [
    { path: '', problem: "must have required property 'text'" }, { path: 'at.line', problem: 'must be integer' }
  ])
})

test('a schema that replaces one with the same $id is the one that checks', async () => {
  const schema = (type: string) => ({ $id: 'https://example.test/s', type: 'object', properties: { value: { type } } })
  const agent = await running(new MCPAgent('analyst').tool('take', { input: schema('string') }, () => 'text'))
  agent.tool('take', { input: schema('number') }, () => 'number')
  assert.is(textOf(await agent.callTool(toolCall('take', { value: 1 }))), 'number')
})

test('names at most a bounded number of problems', async () => {
  const agent = await running(new MCPAgent('analyst').tool('sum', { input: z.object({ all: z.array(z.number()) }) }, () => ''))
  const refused = await agent.callTool(toolCall('sum', { all: Array.from({ length: ISSUES_MAX + 5 }, () => 'x') }))
  assert.is(textOf(refused).split('\n').length, 1 + ISSUES_MAX + 1)
  assert.match(textOf(refused), /and 5 more$/)
})

test('output that its own schema refuses is the provider’s failure', async () => {
  const agent = await running(new MCPAgent('analyst').tool('age', { output: { type: 'object', properties: { years: { type: 'number' } }, required: ['years'] } },
    () => ({ years: 'many' })))
  const result = await agent.callTool(toolCall('age'))
  assert.is(failureOf(result), 'TOOL_FAILED')
  assert.match(textOf(result), /- years: must be number/)
})

for (const [what, returned, content] of [
  ['text', 'plain', [{ type: 'text', text: 'plain' }]],
  ['an object without an output schema', { a: 1 }, [{ type: 'text', text: '{"a":1}' }]],
  ['nothing', undefined, []],
  ['a whole result', { content: [{ type: 'text', text: 'x' }], _meta: { kept: true } }, [{ type: 'text', text: 'x' }]]
] as const) {
  test(`a handler may return ${what}`, async () => {
    const agent = await running(new MCPAgent('analyst').tool('do', {}, () => returned as string))
    const result = await agent.callTool(toolCall('do'))
    assert.equal(result.content, content)
    assert.is(result.isError, undefined)
  })
}

test('what a handler throws is told without its stack, with its code if it has one', async () => {
  const agent = await running(new MCPAgent('analyst')
    .tool('fail', {}, () => { throw new Error('disk full') })
    .tool('refuse', {}, () => { throw new SwarmError('FORBIDDEN', 'not yours') }))
  const failed = await agent.callTool(toolCall('fail'))
  assert.is(textOf(failed), 'disk full')
  assert.is(failureOf(failed), 'TOOL_FAILED')
  assert.is(failureOf(await agent.callTool(toolCall('refuse'))), 'FORBIDDEN')
})

test('tells progress as it grows, and who calls', async () => {
  const agent = await running(new MCPAgent('analyst').tool('walk', {}, (_args, { progress, caller }) => {
    progress(1, 3, 'one')
    progress(1)
    progress(0.5)
    progress(NaN)
    progress(3)
    return caller.peerId
  }))
  const { call, told } = toldCall('walk')
  assert.is(textOf(await agent.callTool(call)), call.caller.peerId)
  assert.equal(told, [{ progress: 1, total: 3, message: 'one' }, { progress: 3 }])
})

test('a call ends with its signal, whether the handler listens or not', async () => {
  const agent = await running(new MCPAgent('analyst').tool('hang', {}, () => new Promise<string>(() => {})))
  const controller = new AbortController()
  const call = agent.callTool(toolCall('hang', {}, { signal: controller.signal }))
  controller.abort()
  await rejectsWith(within(call, 'the call'), 'ABORTED')
  await rejectsWith(agent.callTool(toolCall('hang', {}, { signal: AbortSignal.abort() })), 'ABORTED')
})

test('refuses calls unless running, of unknown tools, and over its limit', async () => {
  const agent = new MCPAgent('analyst', { callsInFlightMax: 1, stopMsMax: 0 }).tool('hang', {}, () => new Promise<string>(() => {}))
  await rejectsWith(agent.callTool(toolCall('ping')), 'AGENT_NOT_RUNNING')
  await agent.start()
  await rejectsWith(agent.callTool(toolCall('pong')), 'UNKNOWN_TOOL')
  const held = agent.callTool(toolCall('hang'))
  await rejectsWith(agent.callTool(toolCall('ping')), 'OVERLOADED')
  await Promise.all([rejectsWith(held, 'ABORTED'), within(agent.stop(), 'stop')])
  await rejectsWith(agent.callTool(toolCall('ping')), 'AGENT_NOT_RUNNING')
})

test('stop lets a running call end', async () => {
  let finish = (_text: string): void => {}
  const agent = await running(new MCPAgent('analyst').tool('slow', {}, () => new Promise<string>(resolve => { finish = resolve })))
  const call = agent.callTool(toolCall('slow'))
  await Promise.resolve()
  const stopped = agent.stop()
  assert.is(agent.status, 'stopping')
  finish('done')
  assert.is(textOf(await call), 'done')
  await stopped
})

test('tools come and go while it runs; one change is told for a turn, and the catalogue is a new object', async () => {
  const agent = await running(new MCPAgent('analyst'))
  const first = agent.catalogue
  assert.is(agent.catalogue, first)
  await until(agent, () => agent.status === 'running', 'running')
  let changes = 0
  const told = new Promise<void>(resolve => agent.onChange(() => { changes++; setImmediate(resolve) }))
  agent.tool('a', {}, () => '').tool('b', {}, () => '')
  assert.is(agent.removeTool('a'), true)
  assert.is(agent.removeTool('a'), false)
  await within(told, 'the change')
  assert.ok(changes <= 2, `${changes} changes`) // the start may still be told of
  assert.equal(agent.catalogue.tools.filter(tool => !isBuiltin(tool)).map(({ name }) => name), ['b'])
  assert.is.not(agent.catalogue, first)
})

test('answers ping, echo and get_status, marked as built in; a tool of its own takes the name over', async () => {
  const agent = await running(new MCPAgent('analyst', { role: 'reader' }))
  assert.equal(agent.catalogue.tools.filter(isBuiltin).map(({ name }) => name), ['ping', 'echo', 'get_status'])
  assert.is(textOf(await agent.callTool(toolCall('ping'))), 'pong')
  assert.is(textOf(await agent.callTool(toolCall('echo', { message: 'hi' }))), 'hi')
  assert.is(failureOf(await agent.callTool(toolCall('echo'))), 'INVALID_ARGUMENTS')
  const { structuredContent } = await agent.callTool(toolCall('get_status'))
  const { uptimeMs, ...rest } = structuredContent as { uptimeMs: number }
  assert.ok(uptimeMs >= 0)
  assert.equal(rest, { name: 'analyst', role: 'reader', status: 'running', calls: 4, errors: 1, inFlight: 0, tools: 0 })
  agent.tool('ping', {}, () => 'mine')
  assert.is(textOf(await agent.callTool(toolCall('ping'))), 'mine')
  assert.equal(agent.catalogue.tools.filter(isBuiltin).map(({ name }) => name), ['echo', 'get_status'])
})

for (const [what, make] of [
  ['a name with a space', () => new MCPAgent('an agent')],
  ['a description too long', () => new MCPAgent('a', { description: 'x'.repeat(DESCRIPTION_MAX + 1) })],
  ['a tool name too long', () => new MCPAgent('a').tool('x'.repeat(129), {}, () => '')],
  ['a schema that is no object', () => new MCPAgent('a').tool('x', { input: z.string() }, () => '')],
  ['a schema that cannot be shown', () => new MCPAgent('a').tool('x', { input: { '~standard': { version: 1, vendor: 'old', validate: (value: unknown) => ({ value }) } } as never }, () => '')],
  ['no version', () => new MCPAgent('a', { version: '' })],
  ['a version too long', () => new MCPAgent('a', { version: 'v'.repeat(65) })],
  ['a limit below one', () => new MCPAgent('a', { callsInFlightMax: 0 })]
] as const) {
  test(`refuses ${what}`, () => {
    assert.throws(make, (error: unknown) => error instanceof SwarmError && error.code === 'INVALID_OPTION')
  })
}

test('refuses one tool too many', () => {
  const agent = new MCPAgent('a')
  for (let index = 0; index < AGENT_TOOLS_MAX; index++) agent.tool(`t${index}`, {}, () => '')
  agent.tool('t0', {}, () => 'again')
  assert.throws(() => agent.tool('more', {}, () => ''), (error: unknown) => error instanceof SwarmError && error.code === 'TOO_LARGE')
})

test.run()
