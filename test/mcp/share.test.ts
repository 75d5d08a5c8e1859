// bound: 120 s
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { McpServer as McpServerV2, Server as ServerV2 } from '@modelcontextprotocol/server'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { systemClock, type Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { SERVER_LINE_BYTES_MAX, STDERR_LINES_MAX } from '../../lib/mcp/command.node.ts'
import { LIST_PAGES_MAX } from '../../lib/mcp/session-lists.ts'
import { HEALTHY_MS, RESTART_MS, shareServer, type ServerSource, type SharedServer, type ShareOptions } from '../../lib/mcp/share.ts'
import { serverCommand } from '../support/servers.ts'
import { until as eventually } from '../support/within.ts'
import { rejection, rejectsWith, textOf, toldCall, toolCall, until, within } from './parts.ts'

const shared = new Set<SharedServer>()

function share (source: ServerSource, options: Partial<ShareOptions> = {}): SharedServer {
  const server = shareServer('notes', source, { clock: systemClock, random: seededRandom(1), ...options })
  shared.add(server)
  return server
}

async function serving (source: ServerSource, options: Partial<ShareOptions> = {}): Promise<SharedServer> {
  const server = share(source, options)
  await within(server.ready(), 'ready')
  return server
}

const names = (server: SharedServer): string[] => server.catalogue.tools.map(({ name }) => name)

test.after.each(async () => {
  await within(Promise.all([...shared].map(server => server.close())), 'close')
  shared.clear()
})

for (const version of ['v1', 'v2']) {
  test(`a command on SDK ${version}: lists, calls, structured content, unknown members, failures`, async () => {
    const server = await serving(serverCommand(version))
    assert.equal(names(server), ['add', 'steps', 'wait', 'cancelled', 'meta', 'strange', 'fail', 'die', 'grow'])
    assert.is(server.catalogue.instructions, 'Ask gently.')
    assert.equal(server.availability, { available: true })
    assert.equal((await server.callTool(toolCall('add', { a: 2, b: 3 }))).structuredContent, { sum: 5 })
    const strange = await server.callTool(toolCall('strange')) as Record<string, unknown>
    assert.equal(strange['content'], [{ type: 'text', text: 'x' }]) // the SDK's own server drops what it does not know in a block
    assert.equal(strange['x-result'], { deep: [1, null] })
    assert.is((strange['_meta'] as Record<string, unknown>)['x.test/kept'], true)
    assert.is((await server.callTool(toolCall('fail'))).isError, true)
    assert.is((await server.callTool(toolCall('add', { a: 'x' }))).isError, true)
    await rejectsWith(server.callTool(toolCall('no-such')), 'UNKNOWN_TOOL')
  })

  test(`a command on SDK ${version}: no progress is lost, not even the last`, async () => {
    const server = await serving(serverCommand(version))
    const { call, told } = toldCall('steps', { count: 5 })
    assert.is(textOf(await within(server.callTool(call), 'the call')), 'done')
    assert.equal(told, [1, 2, 3, 4, 5].map(progress => ({ progress, total: 5 })))
  })

  test(`a command on SDK ${version}: hears that a call was given up`, async () => {
    const server = await serving(serverCommand(version))
    const controller = new AbortController()
    let begin = (): void => {}
    const begun = new Promise<void>(resolve => { begin = resolve })
    const call = rejection(server.callTool(toolCall('wait', {}, { signal: controller.signal, progress: () => { begin() } })))
    await within(begun, 'the first progress')
    controller.abort()
    assert.is((await within(call, 'the end of the call')).code, 'ABORTED')
    assert.is(textOf(await server.callTool(toolCall('cancelled'))), '1')
  })

  test(`a command on SDK ${version}: a tool that comes later is offered`, async () => {
    const server = await serving(serverCommand(version))
    const before = server.catalogue
    await server.callTool(toolCall('grow'))
    await until(server, () => names(server).includes('grown'), 'the new tool')
    assert.is.not(server.catalogue, before)
    assert.is(textOf(await server.callTool(toolCall('grown'))), 'here')
  })

  test(`a command on SDK ${version}: passes a call's _meta, except what belongs to one hop`, async () => {
    const server = await serving(serverCommand(version))
    const meta = { traceparent: '00-1-2-01', 'x.test/a': 1, progressToken: 'theirs', 'io.modelcontextprotocol/protocolVersion': '1999-01-01' }
    const seen = JSON.parse(textOf(await server.callTool(toolCall('meta', {}, { meta })))) as Record<string, unknown>
    assert.is(seen['traceparent'], '00-1-2-01')
    assert.is(seen['x.test/a'], 1)
    assert.is(seen['progressToken'], undefined)
    assert.is.not(seen['io.modelcontextprotocol/protocolVersion'], '1999-01-01')
  })
}

test('a server that dies in a call: that call is indeterminate, later ones wait for its restart, and its catalogue stays', async () => {
  const server = await serving(serverCommand('v1'), { random: { next: () => 0.99, bytes: () => new Uint8Array() } })
  const { catalogue } = server
  const lost = await rejectsWith(within(server.callTool(toolCall('die')), 'the call'), 'INDETERMINATE')
  assert.is(lost.details['sent'], true)
  const { availability } = server
  assert.ok(!availability.available)
  assert.is(availability.reason, 'exited with code 7')
  assert.is(availability.said, 'fatal: out of ideas')
  assert.ok(Math.abs((availability.sinceMs ?? 0) - Date.now()) < 60_000)
  const refused = await rejectsWith(server.callTool(toolCall('add', { a: 1, b: 1 })), 'UNAVAILABLE')
  assert.is(refused.details['sent'], false)
  assert.is(refused.message, 'server notes is down: exited with code 7', 'what a dying server prints may be secret, and is for its owner alone')
  await until(server, () => server.availability.available, 'the restart')
  assert.is(server.catalogue, catalogue)
  assert.equal((await server.callTool(toolCall('add', { a: 1, b: 1 }))).structuredContent, { sum: 2 })
})

test('a command that does not exist', async () => {
  const error = await rejectsWith(within(share({ command: 'no-such-command-anywhere' }).ready(), 'ready'), 'SERVER_FAILED')
  assert.match(error.message, 'server notes failed to start: command "no-such-command-anywhere" does not exist')
  assert.match(error.message, 'PATH')
  assert.is(error.details['errorCode'], 'ENOENT')
})

test('a folder that does not exist is told apart from the command', async () => {
  const error = await rejectsWith(within(share({ ...serverCommand('v1'), cwd: '/no/such/folder' }).ready(), 'ready'), 'SERVER_FAILED')
  assert.match(error.message, 'its folder /no/such/folder does not exist; check "cwd"')
})

test('a command that ends at start: its code, and what it said without colours', async () => {
  const server = share(serverCommand('dies-at-start'))
  const error = await rejectsWith(within(server.ready(), 'ready'), 'SERVER_FAILED')
  assert.is(error.message, 'server notes failed to start: exited with code 3: fatal: API_URL is not set')
  assert.equal(error.details['stderr'], ['starting', 'fatal: API_URL is not set'])
  assert.ok(!server.availability.available && server.availability.reason.startsWith('exited with code 3'))
})

test('keeps the last lines of what a server says, and no more', async () => {
  const talk = `for (let i = 0; i < ${STDERR_LINES_MAX + 5}; i++) console.error('line ' + i); process.exit(2)`
  const error = await rejectsWith(within(share({ command: process.execPath, args: ['-e', talk] }).ready(), 'ready'), 'SERVER_FAILED')
  const said = error.details['stderr'] as string[]
  assert.is(said.length, STDERR_LINES_MAX)
  assert.is(said.at(-1), `line ${STDERR_LINES_MAX + 4}`)
})

test('a server that failed its first start is tried again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'share-'))
  // exits at the first start, which the second try in the older revision would hide: so it dies twice
  const source = { command: process.execPath, args: ['-e', `
    const { existsSync, writeFileSync } = require('fs')
    const mark = ['1', '2'].map(n => ${JSON.stringify(folder)} + '/' + n).find(path => !existsSync(path))
    if (mark !== undefined) { writeFileSync(mark, ''); process.exit(1) }
    import(${JSON.stringify(new URL('../fixtures/servers/v1.mjs', import.meta.url).href)})`] }
  const server = share(source)
  await rejectsWith(within(server.ready(), 'ready'), 'SERVER_FAILED')
  await until(server, () => server.availability.available, 'the second start')
  assert.ok(names(server).includes('add'))
  await rm(folder, { recursive: true })
})

test('a server that never answers fails in bounded time', async () => {
  const error = await rejectsWith(within(share(serverCommand('raw', 'silent'), { startMsMax: 700 }).ready(), 'ready'), 'SERVER_FAILED')
  assert.match(error.message, 'it did not answer in 700 ms')
})

test('a server that exits at a question it does not know is asked in the older way', async () => {
  const server = await serving(serverCommand('raw', 'probe-exit'))
  assert.equal(names(server), ['act', 'act.later/on'])
  assert.equal(server.catalogue.tools[1]?.['x-kept'], { yes: true })
})

test('a server that ignores a question it does not know is asked in the older way', async () => {
  assert.equal(names(await serving(serverCommand('raw', 'strict'))), ['act', 'act.later/on'])
})

test('members of a result that no schema knows come through', async () => {
  const result = await (await serving(serverCommand('raw', 'plain'))).callTool(toolCall('act'))
  assert.is((result.content[0] as Record<string, unknown>)['x-block'], 1)
  assert.is((result as Record<string, unknown>)['x-result'], true)
})

test('a protocol error comes through with its code, words and data', async () => {
  const server = await serving(serverCommand('raw', 'plain'))
  const error = await rejectsWith(server.callTool(toolCall('act.later/on')), 'TOOL_FAILED')
  assert.is(error.message, 'not now')
  assert.equal(error.details['rpc'], { code: -32042, data: { retry: 'later' } })
})

test('an answer that is no result is a failure', async () => {
  await rejectsWith((await serving(serverCommand('raw', 'garbage'))).callTool(toolCall('act')), 'MALFORMED')
})

test('a list without end is refused', async () => {
  const error = await rejectsWith(within(share(serverCommand('raw', 'forever')).ready(), 'ready'), 'SERVER_FAILED')
  assert.match(error.message, `on over ${LIST_PAGES_MAX} pages`)
})

test('a message over the limit ends the server, not us', async () => {
  const server = await serving(serverCommand('raw', 'flood', String(SERVER_LINE_BYTES_MAX + 1)))
  await rejectsWith(within(server.callTool(toolCall('act')), 'the call'), 'INDETERMINATE')
  assert.ok(!server.availability.available)
  assert.match(server.availability.reason, `limit of ${SERVER_LINE_BYTES_MAX} bytes`)
})

test('closing ends a grandchild that ignores SIGTERM', async () => {
  const server = await serving(serverCommand('raw', 'helper'))
  const pid = Number(textOf(await server.callTool(toolCall('act'))))
  process.kill(pid, 0)
  await within(server.close(), 'close')
  await eventually('the end of the grandchild', () => !isRunning(pid))
})

test('closing ends a server that has stopped reading, with a message for it under way', async () => {
  const server = await serving(serverCommand('raw', 'plain'))
  const pid = Number(textOf(await server.callTool(toolCall('act'))))
  process.kill(pid, 'SIGSTOP')
  const lost = rejectsWith(server.callTool(toolCall('act', { text: 'x'.repeat(2_000_000) })), 'INDETERMINATE')
  await within(server.close(), 'close')
  await within(lost, 'the call')
  await eventually('the end of the server', () => !isRunning(pid))
})

function isRunning (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('a command gets no variables of ours but the usual few, and those it is given', async () => {
  process.env['SHARE_TEST_SECRET'] = 'ours'
  const server = await serving({ ...serverCommand('everything'), env: { GIVEN: 'yes' } })
  const seen = textOf(await server.callTool(toolCall('get-env')))
  assert.match(seen, 'GIVEN')
  assert.not.match(seen, 'SHARE_TEST_SECRET')
  assert.match(seen, 'PATH')
  delete process.env['SHARE_TEST_SECRET']
})

test('published servers: everything has resources, templates and prompts, and tells progress', async () => {
  const server = await serving(serverCommand('everything'))
  assert.ok((server.catalogue.resources?.length ?? 0) > 0)
  assert.ok((server.catalogue.resourceTemplates?.length ?? 0) > 0)
  assert.ok((server.catalogue.prompts?.length ?? 0) > 0)
  const { call, told } = toldCall('trigger-long-running-operation', { duration: 0.2, steps: 4 })
  await within(server.callTool(call), 'the call')
  assert.equal(told.map(({ progress }) => progress), [1, 2, 3, 4])
})

test('published servers: filesystem and memory do their work', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'share-'))
  const files = await serving({ command: process.execPath, args: [createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js'), folder] })
  await files.callTool(toolCall('write_file', { path: join(folder, 'a.txt'), content: 'kept' }))
  assert.match(textOf(await files.callTool(toolCall('read_text_file', { path: join(folder, 'a.txt') }))), 'kept')
  const memory = await serving({ ...serverCommand('memory'), env: { MEMORY_FILE_PATH: join(folder, 'memory.json') } })
  await memory.callTool(toolCall('create_entities', { entities: [{ name: 'Ada', entityType: 'person', observations: ['counts'] }] }))
  assert.match(textOf(await memory.callTool(toolCall('read_graph'))), 'Ada')
  await rm(folder, { recursive: true })
})

const instances: readonly [string, () => ServerSource][] = [
  ['v1 McpServer', () => {
    const server = new McpServerV1({ name: 'a', version: '1' })
    server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }))
    return server
  }],
  ['v1 Server', () => {
    const server = new ServerV1({ name: 'a', version: '1' }, { capabilities: { tools: {} } })
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [{ name: 'add', inputSchema: { type: 'object' } }] }))
    server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({ content: [{ type: 'text', text: String(Number(params.arguments?.['a']) + Number(params.arguments?.['b'])) }] }))
    return server
  }],
  ['v2 McpServer', () => {
    const server = new McpServerV2({ name: 'a', version: '1' })
    server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }))
    return server
  }],
  ['v2 Server', () => {
    const server = new ServerV2({ name: 'a', version: '1' }, { capabilities: { tools: {} } })
    server.setRequestHandler('tools/list', () => ({ tools: [{ name: 'add', inputSchema: { type: 'object' } }] }))
    server.setRequestHandler('tools/call', ({ params }) => ({ content: [{ type: 'text', text: String(Number(params.arguments?.['a']) + Number(params.arguments?.['b'])) }] }))
    return server
  }]
]
for (const [what, make] of instances) {
  test(`an instance: ${what}`, async () => {
    const server = await serving(make())
    assert.equal(names(server), ['add'])
    assert.is(textOf(await server.callTool(toolCall('add', { a: 2, b: 3 }))), '5')
  })
}

test('an instance that adds a tool later, and one that is closed by its owner', async () => {
  const instance = new McpServerV2({ name: 'a', version: '1' })
  instance.registerTool('one', {}, async () => ({ content: [] }))
  const server = await serving(instance)
  instance.registerTool('two', {}, async () => ({ content: [] }))
  await until(server, () => names(server).includes('two'), 'the new tool')
  await instance.close()
  await until(server, () => !server.availability.available, 'its end')
  await rejectsWith(server.callTool(toolCall('one')), 'UNAVAILABLE')
})

test('an instance that is connected already', async () => {
  const instance = new McpServerV2({ name: 'a', version: '1' })
  instance.registerTool('one', {}, async () => ({ content: [] }))
  await serving(instance)
  await rejectsWith(within(share(instance).ready(), 'ready'), 'SERVER_FAILED')
})

test('failures before a time of health no longer count', async () => {
  const waits: number[] = []
  let laterMs = 0
  const clock: Clock = {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + laterMs,
    after (delayMs, callback) {
      if (![30, 60, 120].includes(delayMs)) return systemClock.after(delayMs, callback)
      waits.push(delayMs)
      return systemClock.after(0, callback)
    }
  }
  const server = await serving(serverCommand('v1'), { clock, random: { next: () => 0.3, bytes: () => new Uint8Array() } })
  for (const healthyMs of [0, 0, HEALTHY_MS]) {
    laterMs += healthyMs
    await rejectsWith(within(server.callTool(toolCall('die')), 'the call'), 'INDETERMINATE')
    await until(server, () => server.availability.available, 'the restart')
  }
  assert.equal(waits, [RESTART_MS.first * 0.3, RESTART_MS.first * 2 * 0.3, RESTART_MS.first * 0.3])
})

test('refuses one call too many', async () => {
  const server = await serving(serverCommand('v1'), { callsInFlightMax: 1 })
  const controller = new AbortController()
  const held = rejection(server.callTool(toolCall('wait', {}, { signal: controller.signal })))
  await rejectsWith(server.callTool(toolCall('cancelled')), 'OVERLOADED')
  controller.abort()
  assert.is((await held).code, 'ABORTED')
})

for (const [what, source] of [
  ['nothing', {}], ['an empty command', { command: '' }], ['a url of another kind', { url: 'ftp://x.test/' }]
] as const) {
  test(`refuses ${what} as a source`, async () => {
    const error = await within((async () => await share(source as ServerSource).ready())().then(() => undefined, (thrown: unknown) => thrown), 'the refusal')
    assert.ok(error instanceof SwarmError && (error.code === 'INVALID_OPTION' || error.code === 'SERVER_FAILED'), String(error))
  })
}

test('closing while it starts ends the start', async () => {
  const server = share(serverCommand('raw', 'silent'))
  const ready = rejection(server.ready())
  await within(server.close(), 'close')
  await ready
})

test.run()
