import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { InMemoryTransport as MemoryV1 } from '@modelcontextprotocol/sdk/inMemory.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { Client, InMemoryTransport, type Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { systemClock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { MCPAgent } from '../../lib/mcp/agent.ts'
import { serveGateway, type Gateway } from '../../lib/mcp/gateway.ts'
import type { GatewayView } from '../../lib/mcp/view.ts'
import type { CallToolResult, HostedAgent } from '../../lib/mcp/host.ts'
import { inOrder } from '../../lib/mcp/order.ts'
import { shareServer } from '../../lib/mcp/share.ts'
import { serverCommand } from '../support/servers.ts'
import { programArgs } from '../support/source.ts'
import { textOf, within } from './parts.ts'
import { viewOf } from './view.ts'

/** What the tests ask of a client, whichever SDK it is of. */
interface AnyClient {
  list (): Promise<{ name: string, [member: string]: unknown }[]>
  call (name: string, args?: Record<string, unknown>, options?: { signal?: AbortSignal, onprogress?: (told: { progress: number }) => void }): Promise<CallToolResult>
  onChange (listener: () => void): Promise<void>
  instructions (): string | undefined
  close (): Promise<void>
}

const open: (() => Promise<void>)[] = []
test.after.each(async () => {
  await within(Promise.all(open.splice(0).map(close => close())), 'close')
})

type Kind = 'SDK v1' | 'SDK v2 of 2025' | 'SDK v2 of 2026'
const KINDS: readonly Kind[] = ['SDK v1', 'SDK v2 of 2025', 'SDK v2 of 2026']

/** Without the gateway's own tools. */
function ofAgents<Tool extends { name: string }> (tools: Tool[]): Tool[] {
  return tools.filter(({ name }) => !name.startsWith('swarm_'))
}

async function connectOver (kind: Kind, transport: Transport): Promise<AnyClient> {
  if (kind === 'SDK v1') {
    const client = new ClientV1({ name: 'test', version: '1' })
    await within(client.connect(transport as never), 'connect')
    open.push(() => client.close())
    return {
      list: async () => ofAgents((await client.listTools()).tools),
      call: async (name, args, options) => await client.callTool({ name, arguments: args }, undefined, options) as CallToolResult,
      onChange: async listener => { client.setNotificationHandler(ToolListChangedNotificationSchema, listener) },
      instructions: () => client.getInstructions(),
      close: () => client.close()
    }
  }
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: kind === 'SDK v2 of 2026' ? { pin: '2026-07-28' } : 'legacy' } })
  await within(client.connect(transport), 'connect')
  assert.is(client.getProtocolEra(), kind === 'SDK v2 of 2026' ? 'modern' : 'legacy')
  open.push(() => client.close())
  return {
    list: async () => ofAgents((await client.listTools(undefined, { cacheMode: 'bypass' })).tools),
    call: async (name, args, options) => await client.callTool({ name, arguments: args }, options),
    onChange: async listener => {
      client.setNotificationHandler('notifications/tools/list_changed', listener)
      if (kind === 'SDK v2 of 2026') await client.listen({ toolsListChanged: true })
    },
    instructions: () => client.getInstructions(),
    close: () => client.close()
  }
}

async function connect (kind: Kind, view: GatewayView, options: { instructions?: string, report?: (error: Error) => void } = {}): Promise<{ client: AnyClient, gateway: Gateway }> {
  const [ours, theirs] = (kind === 'SDK v1' ? MemoryV1 : InMemoryTransport).createLinkedPair()
  const gateway = serveGateway(view, theirs, { clock: systemClock, ...options })
  return { client: await connectOver(kind, inOrder(ours as Transport)), gateway }
}

async function running (name: string, build: (agent: MCPAgent) => void, pool?: string): Promise<MCPAgent> {
  const agent = new MCPAgent(name, { pool })
  build(agent)
  await agent.start()
  return agent
}

async function expectProtocolError (promise: Promise<unknown>, code: number): Promise<Error & { data?: unknown }> {
  const error = await within(promise.then(() => undefined, (thrown: unknown) => thrown), 'the refusal') as Error & { code?: unknown, data?: unknown }
  assert.instance(error, Error)
  assert.is(error.code, code, String(error))
  return error
}

const failure = (result: CallToolResult): Record<string, unknown> => result._meta?.['mcp-swarm/error'] as Record<string, unknown>

for (const kind of KINDS) {
  test(`${kind}: lists what agents offer, without what is built in, and calls it`, async () => {
    const adder = await running('adder', agent => agent.tool('add', { description: 'Adds', input: z.object({ a: z.number(), b: z.number() }), output: z.object({ sum: z.number() }) }, ({ a, b }) => ({ sum: a + b })))
    const { client } = await connect(kind, viewOf([{ agent: adder }]), { instructions: 'Mind the gap.' })
    assert.is(client.instructions(), 'Mind the gap.')
    const tools = await client.list()
    assert.equal(tools.map(({ name }) => name), ['add'])
    assert.is(tools[0]?.['description'], 'Adds')
    assert.equal((tools[0]?.['_meta'] as Record<string, unknown>)['mcp-swarm/provider'], { agent: 'adder', peer: 'alice', peerId: 'id-alice' })
    assert.equal((await client.call('add', { a: 2, b: 3 })).structuredContent, { sum: 5 })
    const refused = await client.call('add', { a: 'x', b: 1 })
    assert.is(failure(refused)['code'], 'INVALID_ARGUMENTS')
  })

  test(`${kind}: calls the one that is named, where two offer a tool`, async () => {
    const tell = (name: string) => (agent: MCPAgent) => { agent.tool('who', {}, () => name) }
    const placed = [{ agent: await running('notes', tell('a')), peer: 'alice' }, { agent: await running('notes', tell('b')), peer: 'bob' }]
    const { client } = await connect(kind, viewOf(placed))
    assert.equal((await client.list()).map(({ name }) => name), ['alice__notes__who', 'bob__notes__who'])
    assert.is(textOf(await client.call('bob__notes__who')), 'b')
    assert.is(textOf(await client.call('alice__notes__who')), 'a')
  })

  test(`${kind}: progress comes, to the last`, async () => {
    const agent = await running('worker', worker => worker.tool('steps', {}, (_args, { progress }) => {
      for (let step = 1; step <= 5; step++) progress(step, 5)
      return 'done'
    }))
    const { client } = await connect(kind, viewOf([{ agent }]))
    const told: number[] = []
    assert.is(textOf(await client.call('steps', {}, { onprogress: ({ progress }) => { told.push(progress) } })), 'done')
    assert.equal(told, [1, 2, 3, 4, 5])
  })

  test(`${kind}: giving a call up reaches the tool`, async () => {
    let aborted = (): void => {}
    const stopped = new Promise<void>(resolve => { aborted = resolve })
    const agent = await running('worker', worker => worker.tool('wait', {}, async (_args, { signal, progress }) => {
      progress(1)
      await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }) })
      aborted()
      return ''
    }))
    const { client } = await connect(kind, viewOf([{ agent }]))
    const controller = new AbortController()
    const call = client.call('wait', {}, { signal: controller.signal, onprogress: () => { controller.abort() } }).then(() => 'answered', () => 'refused')
    assert.is(await within(call, 'the call'), 'refused')
    await within(stopped, 'the tool')
  })

  test(`${kind}: hears that the tools have changed, seldom in a rush, and never while they have not`, async () => {
    const agent = await running('worker', worker => worker.tool('one', {}, () => ''))
    const { client } = await connect(kind, viewOf([{ agent }]))
    let times = 0
    let heard = (): void => {}
    await client.onChange(() => {
      times++
      heard()
    })
    await client.list()
    for (let index = 0; index < 5; index++) {
      agent.tool(`more${index}`, {}, () => '')
      await new Promise(resolve => setImmediate(resolve))
    }
    const all = new Promise<void>(resolve => { heard = () => { void client.list().then(tools => { if (tools.length === 6) resolve() }) } })
    heard()
    await within(all, 'six tools')
    assert.ok(times >= 1 && times <= 3, `told ${times} times of 5 changes`)
  })

  test(`${kind}: an unknown tool is a protocol error that names the nearest`, async () => {
    const agent = await running('worker', worker => worker.tool('summarize', {}, () => ''))
    const { client } = await connect(kind, viewOf([{ agent }]))
    const error = await expectProtocolError(client.call('sumarize'), -32602)
    assert.match(error.message, 'nearest: "summarize"')
    assert.equal(error.data, { code: 'UNKNOWN_TOOL', nearest: ['summarize'] })
  })

  test(`${kind}: a failure explains itself`, async () => {
    const sinceMs = Date.UTC(2026, 0, 2, 3, 4, 5)
    const down = failing(new SwarmError('UNAVAILABLE', 'server notes is down: exited with code 1', { details: { sent: false, sinceMs } }))
    const { client } = await connect(kind, viewOf([{ agent: down, peer: 'bob' }]))
    const result = await client.call('act')
    assert.is(result.isError, true)
    assert.is(textOf(result), 'server notes is down: exited with code 1. It is a tool of agent "notes" of peer "bob" (id-bob), so since 2026-01-02T03:04:05.000Z. ' +
      'Nothing has run. It is started again by itself; try later, or look at its log there.')
    assert.equal(failure(result), { sent: false, sinceMs, tool: 'act', agent: 'notes', peer: 'bob', peerId: 'id-bob', code: 'UNAVAILABLE' })
  })

  test(`${kind}: a protocol error of the server behind passes as one`, async () => {
    const refusing = failing(new SwarmError('TOOL_FAILED', 'not now', { details: { rpc: { code: -31234, data: { retry: 'later' } } } }))
    const { client } = await connect(kind, viewOf([{ agent: refusing }]))
    const error = await expectProtocolError(client.call('act'), -31234)
    assert.match(error.message, 'not now')
    assert.equal(error.data, { retry: 'later' })
  })

  test(`${kind}: a provider that answers garbage, and a bug, cost their own call only`, async () => {
    const garbage = { ...failing(new Error()), callTool: async () => ({ content: 'none' }) as unknown as CallToolResult }
    const buggy = { ...failing(new Error('x is undefined')), name: 'buggy' }
    const reported: Error[] = []
    const { client } = await connect(kind, viewOf([{ agent: garbage }, { agent: buggy }]), { report: error => { reported.push(error) } })
    assert.is(failure(await client.call('notes__act'))['code'], 'MALFORMED')
    await expectProtocolError(client.call('buggy__act'), -32603)
    assert.ok(reported.some(({ message }) => message === 'x is undefined'))
    assert.is((await client.list()).length, 2)
  })

  test(`${kind}: results pass with members that no schema knows`, async () => {
    const agent = await running('worker', worker => worker.tool('strange', {}, () => ({ content: [{ type: 'text', text: 'x', 'x-block': 1 }], 'x-result': { deep: [1, null] } })))
    const view = viewOf([{ agent }])
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    const seen: unknown[] = []
    const send = theirs.send.bind(theirs)
    theirs.send = async (...message) => {
      seen.push(message[0])
      await send(...message)
    }
    serveGateway(view, theirs, { clock: systemClock })
    const client = await connectOver(kind, inOrder(ours))
    await client.call('strange')
    const { result } = seen.at(-1) as { result: Record<string, unknown> }
    assert.equal(result['content'], [{ type: 'text', text: 'x', 'x-block': 1 }])
    assert.equal(result['x-result'], { deep: [1, null] })
  })

  test(`${kind}: a command of SDK v1 and one of v2 behind the gateway`, async () => {
    const shared = await Promise.all(['v1', 'v2'].map(async version => {
      const server = shareServer(version, serverCommand(version), { clock: systemClock, random: seededRandom(1) })
      open.push(() => server.close())
      await within(server.ready(), 'ready')
      return server
    }))
    const { client } = await connect(kind, viewOf(shared.map(agent => ({ agent }))))
    for (const version of ['v1', 'v2']) {
      assert.equal((await client.call(`${version}__add`, { a: 1, b: 2 })).structuredContent, { sum: 3 })
      const told: number[] = []
      await client.call(`${version}__steps`, { count: 3 }, { onprogress: ({ progress }) => { told.push(progress) } })
      assert.equal(told, [1, 2, 3])
    }
    assert.equal(failure(await within(client.call('v1__die'), 'the call'))['code'], 'INDETERMINATE')
    assert.equal((await client.call('v2__add', { a: 1, b: 2 })).structuredContent, { sum: 3 })
  })

  test(`${kind}: over real pipes, progress to the last and a tool that comes later`, async () => {
    const parameters = { command: process.execPath, args: programArgs(new URL('../fixtures/servers/gateway.ts', import.meta.url)) }
    const transport = kind === 'SDK v1' ? new StdioV1(parameters) : new StdioClientTransport(parameters)
    const client = await connectOver(kind, transport)
    let heard = (): void => {}
    const changed = new Promise<void>(resolve => { heard = resolve })
    await client.onChange(() => { heard() })
    let told: number[] = []
    // A client that reads more than PROGRESS_LEAD_MS late has its SDK drop what it reads together with the answer.
    for (let tries = 0; tries < 20 && told.length < 5; tries++) {
      told = []
      assert.is(textOf(await client.call('steps', {}, { onprogress: ({ progress }) => { told.push(progress) } })), 'done')
    }
    assert.equal(told, [1, 2, 3, 4, 5])
    assert.is(textOf(await client.call('grow')), 'grown')
    await within(changed, 'the change')
    assert.is(textOf(await client.call('grown')), 'here')
  })
}

test('the end of a connection is told at both ends, and aborts what runs', async () => {
  let aborted = (): void => {}
  const stopped = new Promise<void>(resolve => { aborted = resolve })
  const agent = await running('worker', worker => worker.tool('wait', {}, async (_args, { signal, progress }) => {
    signal.addEventListener('abort', () => { aborted() })
    progress(1)
    return await new Promise<string>(() => {})
  }))
  const { client, gateway } = await connect('SDK v2 of 2026', viewOf([{ agent }]))
  let begin = (): void => {}
  const begun = new Promise<void>(resolve => { begin = resolve })
  const call = client.call('wait', {}, { onprogress: () => { begin() } }).then(() => 'answered', () => 'refused')
  await within(begun, 'the first progress')
  await client.close()
  assert.is(await call, 'refused')
  await within(gateway.closed, 'the end')
  await within(stopped, 'the tool')
  const second = await connect('SDK v1', viewOf([{ agent }]))
  await within(second.gateway.close(), 'close')
  await within(second.gateway.closed, 'the end')
})

/** An agent of one tool whose every call fails in one way. */
function failing (error: Error): HostedAgent {
  return {
    name: 'notes',
    catalogue: { tools: [{ name: 'act', inputSchema: { type: 'object' } }] },
    availability: { available: true },
    onChange: () => () => {},
    callTool: async () => { throw error },
    close: async () => {}
  }
}

test.run()
