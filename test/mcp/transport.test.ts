import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { Client as ClientV2, type VersionNegotiationOptions } from '@modelcontextprotocol/client'
import { Server as ServerV2 } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { LineStream, UNSENT_BYTES_HIGH } from '../../lib/base/line.ts'
import type { ByteStream } from '../../lib/base/network.ts'
import { MCPAgent } from '../../lib/mcp/agent.ts'
import { SESSION_REVISION, STATELESS_REVISION } from '../../lib/mcp/revision.ts'
import { EARLY_MESSAGES_MAX, StreamTransport } from '../../lib/mcp/transport.ts'
import { readOpening, type Opening } from '../../lib/mcp/wire.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { settle } from '../support/clock.ts'
import { linkedStreams } from '../support/pair.ts'
import { within } from './parts.ts'
import { hanging, ScriptedAgent, serving, text } from './wire-parts.ts'

const INFO = { name: 'test', version: '1' }

interface Told { progress: number }

/** What the tests ask of a client of either major. */
interface AnyClient {
  connect (transport: StreamTransport): Promise<void>
  listTools (): Promise<{ tools: { name: string }[] }>
  callTool (params: { name: string, arguments?: Record<string, unknown> }, options?: { onprogress?: (told: Told) => void, signal?: AbortSignal }): Promise<unknown>
  close (): Promise<void>
}

function v1 (): AnyClient {
  const client = new ClientV1(INFO)
  return {
    connect: async transport => { await client.connect(transport) },
    listTools: async () => await client.listTools(),
    callTool: async (params, options) => await client.callTool(params, undefined, options),
    close: async () => { await client.close() }
  }
}

function v2 (versionNegotiation?: VersionNegotiationOptions): AnyClient & { version: () => string | undefined } {
  const client = new ClientV2(INFO, { versionNegotiation })
  return {
    connect: async transport => { await client.connect(transport) },
    listTools: async () => await client.listTools(),
    callTool: async (params, options) => await client.callTool(params, options),
    close: async () => { await client.close() },
    version: () => client.getNegotiatedProtocolVersion()
  }
}

const CLIENTS: readonly (readonly [string, () => AnyClient, string])[] = [
  ['SDK v1', v1, SESSION_REVISION],
  ['SDK v2', v2, SESSION_REVISION],
  ['SDK v2, auto', () => v2({ mode: 'auto' }), STATELESS_REVISION],
  ['SDK v2, pinned', () => v2({ mode: { pin: STATELESS_REVISION } }), STATELESS_REVISION]
]

/** One agent of ours, as any client meets it. */
async function embedded (): Promise<MCPAgent> {
  const agent = new MCPAgent('notes')
  agent.tool('add', { description: 'adds' }, async ({ a, b }) => ({ content: [{ type: 'text', text: String(Number(a) + Number(b)) }] }))
  agent.tool('steps', { description: 'tells of each step' }, async (_input, { progress }) => {
    for (const step of [0, 50, 100]) progress(step, 100)
    return { content: [] }
  })
  await agent.start()
  return agent
}

for (const [name, make, revision] of CLIENTS) {
  test(`${name}: lists and calls the tools of an embedded agent`, async () => {
    const agent = await embedded()
    const client = make()
    await within(client.connect(new StreamTransport(serving(agent).open(), { agent: 'notes' })), 'connect')
    if ('version' in client) assert.is((client as ReturnType<typeof v2>).version(), revision)
    const { tools } = await within(client.listTools(), 'list')
    assert.ok(tools.some(tool => tool.name === 'add'))
    const result = await within(client.callTool({ name: 'add', arguments: { a: 1, b: 2 } }), 'call') as { content: unknown }
    assert.equal(result.content, [{ type: 'text', text: '3' }])
    await client.close()
    await agent.stop()
  })

  // typescript-sdk #2580
  test(`${name}: the progress right before its result is not lost`, async () => {
    const agent = await embedded()
    const client = make()
    await within(client.connect(new StreamTransport(serving(agent).open(), { agent: 'notes' })), 'connect')
    for (let round = 0; round < 20; round++) {
      const told: number[] = []
      await within(client.callTool({ name: 'steps' }, { onprogress: ({ progress }) => { told.push(progress) } }), 'call')
      assert.equal(told, [0, 50, 100])
    }
    await client.close()
    await agent.stop()
  })

  test(`${name}: cancelling a call stops it where it runs`, async () => {
    const stopped: string[] = []
    const agent = new ScriptedAgent({ hang: hanging(call => { stopped.push(call.name) }), echo: () => text('still here') })
    const client = make()
    await within(client.connect(new StreamTransport(serving(agent).open(), { agent: 'notes' })), 'connect')
    const controller = new AbortController()
    const call = client.callTool({ name: 'hang' }, { signal: controller.signal }).then(() => 'ended', () => 'given up')
    await settle()
    controller.abort()
    assert.is(await within(call, 'the end of the call'), 'given up')
    await settle()
    assert.equal(stopped, ['hang'])
    assert.equal((await within(client.callTool({ name: 'echo' }), 'another call') as { content: unknown }).content, text('still here').content)
    await client.close()
  })

  test(`${name}: a refused first line fails connect with the reason`, async () => {
    const client = make()
    const transport = new StreamTransport(serving(new ScriptedAgent({})).open(), { agent: 'other' })
    const error = await within(client.connect(transport).then(() => undefined, (reason: unknown) => reason as Error), 'connect')
    assert.is(transport.refusal?.code, 'UNKNOWN_AGENT')
    assert.match(error?.message ?? 'connected', name === 'SDK v2, pinned' ? 'Version negotiation failed' : 'no agent other is offered here')
  })

  test(`${name}: closing the client aborts what runs for it`, async () => {
    const agent = new ScriptedAgent({ hang: hanging() })
    const client = make()
    await within(client.connect(new StreamTransport(serving(agent).open(), { agent: 'notes' })), 'connect')
    const call = client.callTool({ name: 'hang' }).then(() => 'ended', () => 'failed')
    await settle()
    await client.close()
    assert.is(await within(call, 'the end of the call'), 'failed')
    await settle()
    assert.is(agent.calls[0]?.signal.aborted, true)
    assert.is(agent.listeners, 0)
  })
}

/** Answers a stream with an SDK server: what a peer does for a session that needs a server of its own. */
function answerWith (stream: ByteStream, serve: (transport: StreamTransport, opening: Opening) => Promise<void>): void {
  const lines = new LineStream(stream, { holdWhenFull: true })
  lines.read({ line: line => { void serve(new StreamTransport(lines), readOpening(line)) }, closed: () => {} })
}

const TOOL = { name: 'add', inputSchema: { type: 'object' as const } }
const SUM = { content: [{ type: 'text' as const, text: '3' }] }

function serverV1 (): ServerV1 {
  const server = new ServerV1(INFO, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [TOOL] }))
  server.setRequestHandler(CallToolRequestSchema, async (request, { sendNotification }) => {
    const progressToken = request.params._meta?.progressToken
    if (progressToken !== undefined) await sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 100 } })
    return SUM
  })
  return server
}

function serverV2 (): ServerV2 {
  const server = new ServerV2(INFO, { capabilities: { tools: {} } })
  server.setRequestHandler('tools/list', () => ({ tools: [TOOL] }))
  server.setRequestHandler('tools/call', async (request, { mcpReq }) => {
    const progressToken = request.params._meta?.progressToken
    if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 100 } })
    return SUM
  })
  return server
}

const SERVERS: readonly (readonly [string, (transport: StreamTransport) => Promise<void>, readonly string[]])[] = [
  ['SDK v1', async transport => { await serverV1().connect(transport) }, ['SDK v1', 'SDK v2', 'SDK v2, auto']],
  ['SDK v2', async transport => { await serverV2().connect(transport) }, ['SDK v1', 'SDK v2', 'SDK v2, auto']],
  ['SDK v2, both revisions', async transport => { serveStdio(() => serverV2(), { transport }) }, CLIENTS.map(([name]) => name)]
]

for (const [serverName, serve, clientNames] of SERVERS) {
  for (const [clientName, make] of CLIENTS.filter(([name]) => clientNames.includes(name))) {
    test(`a server of ${serverName} and a client of ${clientName} meet over a stream`, async () => {
      const [near, far] = linkedStreams('/test/1.0.0')
      const openings: Opening[] = []
      answerWith(far, async (transport, opening) => {
        openings.push(opening)
        await serve(transport)
      })
      const client = make()
      await within(client.connect(new StreamTransport(near, { agent: 'notes', revision: SESSION_REVISION, session: 's1' })), 'connect')
      assert.equal(openings, [{ agent: 'notes', revision: SESSION_REVISION, session: 's1' }])
      assert.equal((await within(client.listTools(), 'list')).tools.map(tool => tool.name), ['add'])
      const told: number[] = []
      const result = await within(client.callTool({ name: 'add' }, { onprogress: ({ progress }) => { told.push(progress) } }), 'call') as { content: unknown }
      assert.equal(result.content, SUM.content)
      assert.equal(told, [100])
      await client.close()
    })
  }
}

test('a sender waits while the other end does not read', async () => {
  const stream = new ScriptedStream()
  stream.full = true
  const transport = new StreamTransport(stream, { agent: 'notes' })
  await transport.start()
  let isSent = false
  const sending = transport.send({ jsonrpc: '2.0', id: 1, method: 'x', params: { a: 'x'.repeat(UNSENT_BYTES_HIGH) } }).then(() => { isSent = true })
  await settle()
  assert.is(isSent, false)
  stream.drain()
  await within(sending, 'the send')
})

test('a message over the limit is refused and costs nothing else', async () => {
  const stream = new ScriptedStream()
  const transport = new StreamTransport(stream, { agent: 'notes', lineBytesMax: 1_000 })
  await transport.start()
  const error = await transport.send({ jsonrpc: '2.0', id: 1, method: 'x'.repeat(1_000) }).then(() => undefined, (reason: unknown) => reason)
  assert.is(error instanceof SwarmError && error.code, 'TOO_LARGE')
  await transport.send({ jsonrpc: '2.0', id: 2, method: 'x' })
  await settle()
  assert.match(stream.text, '"id":2')
})

for (const [name, bytes, code] of [
  ['a line over the limit', 'x'.repeat(1_001), 'TOO_LARGE'],
  ['a line that is not JSON', 'hello\n', 'MALFORMED'],
  ['a line that is no object', '7\n', 'MALFORMED']
] as const) {
  test(`${name} ends the stream, and the SDK hears why`, async () => {
    const stream = new ScriptedStream()
    const transport = new StreamTransport(stream, { agent: 'notes', lineBytesMax: 1_000 })
    const heard: unknown[] = []
    transport.onerror = error => { heard.push((error as SwarmError).code) }
    transport.onclose = () => { heard.push('closed') }
    await transport.start()
    stream.reader?.data(Buffer.from(bytes))
    await settle()
    assert.equal(heard, [code, 'closed'])
  })
}

test('messages before start are kept, up to a bound', async () => {
  const [near, far] = linkedStreams('/test/1.0.0')
  const lines = new LineStream(far)
  const got = new Promise<StreamTransport>(resolve => {
    lines.read({ line: () => { resolve(new StreamTransport(lines)) }, closed: () => {} })
  })
  near.send(Buffer.from('{"agent":"notes","revision":"2026-07-28"}\n{"jsonrpc":"2.0","id":1,"method":"early"}\n'))
  const transport = await within(got, 'the first line')
  await settle()
  const methods: unknown[] = []
  transport.onmessage = message => { methods.push((message as { method?: unknown }).method) }
  await transport.start()
  assert.equal(methods, ['early'])

  const [busy, idle] = linkedStreams('/test/1.0.0')
  const idleLines = new LineStream(idle)
  idleLines.read({ line: () => { new StreamTransport(idleLines) }, closed: () => {} })
  busy.send(Buffer.from('{"agent":"notes","revision":"2026-07-28"}\n' + '{"jsonrpc":"2.0","method":"early"}\n'.repeat(EARLY_MESSAGES_MAX + 1)))
  await settle()
  assert.is((idle.aborted as SwarmError).code, 'OVERLOADED')
})

test('a transport is started once', async () => {
  const transport = new StreamTransport(new ScriptedStream(), { agent: 'notes' })
  await transport.start()
  const error = await transport.start().then(() => undefined, (reason: unknown) => reason)
  assert.is(error instanceof SwarmError && error.code, 'INVALID_OPTION')
})

test.run()
