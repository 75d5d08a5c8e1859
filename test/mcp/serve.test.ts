import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { LINE_BYTES_MAX, UNSENT_BYTES_HIGH } from '../../lib/base/line.ts'
import { META, STATELESS_REVISION } from '../../lib/mcp/revision.ts'
import { PAGE_UNITS } from '../../lib/mcp/serve-list.ts'
import { SUBSCRIPTIONS_MAX } from '../../lib/mcp/serve-listen.ts'
import { OPENING_MS_MAX, serveAgent } from '../../lib/mcp/serve.ts'
import { HELD_BYTES_MAX } from '../../lib/mcp/wire-outlet.ts'
import { CALLS_IN_FLIGHT_MAX, LINGER_MS } from '../../lib/mcp/wire.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { settle, VirtualClock } from '../support/clock.ts'
import { CALLER, clock } from './parts.ts'
import { catalogueOf, ENVELOPE, HandWriter, hanging, ScriptedAgent, serving, text, type Handler } from './wire-parts.ts'

function writerTo (handlers: Readonly<Record<string, Handler>>, opening?: string): { writer: HandWriter, agent: ScriptedAgent, bugs: unknown[] } {
  const agent = new ScriptedAgent(handlers)
  const { open, bugs } = serving(agent)
  return { agent, bugs, writer: new HandWriter(open(), opening) }
}

const INITIALIZE = { jsonrpc: '2.0', id: 'init', method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } } }

async function begunSession (writer: HandWriter): Promise<JsonObject> {
  writer.send(INITIALIZE)
  const answer = await writer.next()
  writer.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return answer.result as JsonObject
}

function errorOf (message: JsonObject): { code: number, message: string, data: JsonObject } {
  return message.error as never
}

// 2026-07-28

test('stateless: says what it speaks, what it is and what it can', async () => {
  const { writer } = writerTo({ echo: () => text('ok') })
  writer.ask(1, 'server/discover')
  const { id, result } = await writer.next()
  assert.is(id, 1)
  const { resultType, supportedVersions, capabilities, instructions, ttlMs, cacheScope, _meta } = result as JsonObject
  assert.equal([resultType, supportedVersions, capabilities, instructions, cacheScope], ['complete', [STATELESS_REVISION], { tools: { listChanged: true } }, 'be kind', 'private'])
  assert.ok((ttlMs as number) >= 0)
  assert.equal(_meta, { [META.serverInfo]: { name: 'notes', version: '1.2.3' } })
})

test('stateless: lists the tools in the catalogue\'s order, with how long that holds', async () => {
  const { writer, agent } = writerTo({ zeta: () => text(''), alpha: () => text('') })
  writer.ask('list', 'tools/list')
  const { id, result } = await writer.next()
  assert.is(id, 'list')
  const { tools, resultType, ttlMs, cacheScope, nextCursor } = result as JsonObject
  assert.equal(tools, agent.catalogue.tools)
  assert.equal([resultType, cacheScope, nextCursor], ['complete', 'private', undefined])
  assert.type(ttlMs, 'number')
})

test('a list over a page comes in pages; a cursor to no page is refused', async () => {
  const { writer, agent } = writerTo({})
  const names = Array.from({ length: 5 }, (_, n) => `tool${n}`)
  agent.catalogue = { tools: catalogueOf(names).tools.map(tool => ({ ...tool, description: 'x'.repeat(PAGE_UNITS / 2) })) }
  const seen: string[] = []
  for (let cursor: unknown, page = 0; page < 10; page++) {
    writer.ask(page, 'tools/list', cursor === undefined ? {} : { cursor: cursor as string })
    const result = (await writer.next()).result as { tools: { name: string }[], nextCursor?: string }
    seen.push(...result.tools.map(tool => tool.name))
    cursor = result.nextCursor
    if (cursor === undefined) break
    assert.ok(result.tools.length < names.length)
  }
  assert.equal(seen, names)
  for (const cursor of ['99', '-1', 'x', 0.5, null]) {
    writer.ask('bad', 'tools/list', { cursor })
    assert.is(errorOf(await writer.next()).code, -32602, String(cursor))
  }
})

test('stateless: calls a tool, and names the kind of the result', async () => {
  const { writer, agent } = writerTo({ echo: () => text('ok') })
  writer.ask(7, 'tools/call', { name: 'echo', arguments: { a: 1 }, _meta: { traceparent: '00-x' } })
  assert.equal(await writer.next(), { jsonrpc: '2.0', id: 7, result: { resultType: 'complete', ...text('ok') } })
  assert.is(agent.calls[0]?.meta?.traceparent, '00-x')
  assert.equal(agent.calls[0]?.caller, CALLER)
})

for (const [name, meta, code, data] of [
  ['an unknown protocol version', { ...ENVELOPE, [META.protocolVersion]: '2031-01-01' }, -32022, { supported: [STATELESS_REVISION], requested: '2031-01-01' }],
  ['a version that is no text', { ...ENVELOPE, [META.protocolVersion]: 7 }, -32022, { supported: [STATELESS_REVISION], requested: '(number)' }],
  ['a version that cannot be shown', { ...ENVELOPE, [META.protocolVersion]: { toString: 7 } }, -32022, { supported: [STATELESS_REVISION], requested: '(object)' }],
  ['no client capabilities', { [META.protocolVersion]: STATELESS_REVISION }, -32602, {}],
  ['neither a version nor a session', {}, -32600, {}]
] as const) {
  test(`${name} is refused, and the stream goes on`, async () => {
    const { writer, agent } = writerTo({ echo: () => text('ok') })
    writer.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', _meta: meta } })
    const error = errorOf(await writer.next())
    assert.is(error.code, code)
    for (const [key, value] of Object.entries(data)) assert.equal(error.data[key], value)
    assert.is(error.data.executed, false)
    writer.ask(2, 'tools/call', { name: 'echo' })
    assert.is((await writer.next()).id, 2)
    assert.is(agent.calls.length, 1)
  })
}

for (const method of ['ping', 'resources/list', 'logging/setLevel', '__proto__', 'initialize']) {
  test(`stateless: ${method} is no method`, async () => {
    const { writer } = writerTo({})
    writer.ask(1, method)
    assert.is(errorOf(await writer.next()).code, -32601)
  })
}

test('a subscription hears of changed tools, under its id, until it is cancelled', async () => {
  const { writer, agent } = writerTo({ echo: () => text('ok') })
  writer.ask('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true, promptsListChanged: true } })
  assert.equal(await writer.next(), {
    jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: { toolsListChanged: true }, _meta: { [META.subscriptionId]: 'sub' } }
  })
  agent.add('one', () => text(''))
  agent.add('two', () => text(''))
  assert.equal(await writer.next(), { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: { [META.subscriptionId]: 'sub' } } })
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'sub' } })
  await settle()
  agent.add('three', () => text(''))
  await settle()
  writer.ask(1, 'server/discover')
  assert.is((await writer.next()).id, 1)
  assert.is(writer.got.length, 3)
})

test('availability alone is no change of the list', async () => {
  const { writer, agent } = writerTo({ echo: () => text('ok') })
  writer.ask('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true } })
  await writer.next()
  agent.offer(agent.catalogue)
  await settle()
  assert.is(writer.got.length, 1)
})

test('a subscription to what there is not ends at once; one too many is refused', async () => {
  const { writer } = writerTo({})
  writer.ask('none', 'subscriptions/listen', { notifications: { resourcesListChanged: true } })
  assert.equal((await writer.next()).params, { notifications: {}, _meta: { [META.subscriptionId]: 'none' } })
  assert.is((await writer.next()).id, 'none')
  for (let id = 0; id <= SUBSCRIPTIONS_MAX; id++) writer.ask(id, 'subscriptions/listen', { notifications: { toolsListChanged: true } })
  for (let id = 0; id < SUBSCRIPTIONS_MAX; id++) assert.is((await writer.next()).method, 'notifications/subscriptions/acknowledged')
  const refused = await writer.next()
  assert.equal([refused.id, errorOf(refused).data.code], [SUBSCRIPTIONS_MAX, 'OVERLOADED'])
  writer.ask('bad', 'subscriptions/listen')
  assert.is(errorOf(await writer.next()).code, -32602)
})

// 2025-11-25

test('a session begins, lists, calls, pings, and hears of changed tools', async () => {
  const { writer, agent } = writerTo({ echo: () => text('ok') })
  assert.equal(await begunSession(writer), {
    protocolVersion: '2025-11-25', capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'notes', version: '1.2.3' }, instructions: 'be kind'
  })
  writer.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  assert.equal((await writer.next()).result, { tools: agent.catalogue.tools })
  writer.send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'echo', arguments: {} } })
  assert.equal(await writer.next(), { jsonrpc: '2.0', id: 2, result: text('ok') })
  writer.send({ jsonrpc: '2.0', id: 3, method: 'ping' })
  assert.equal(await writer.next(), { jsonrpc: '2.0', id: 3, result: {} })
  agent.add('one', () => text(''))
  agent.add('two', () => text(''))
  assert.equal(await writer.next(), { jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
  await settle()
  assert.is(writer.got.length, 5)
})

test('a session is offered the revision spoken here, whichever was asked for', async () => {
  const { writer } = writerTo({})
  writer.send({ ...INITIALIZE, params: { ...INITIALIZE.params, protocolVersion: '2099-01-01' } })
  assert.is(((await writer.next()).result as JsonObject).protocolVersion, '2025-11-25')
  writer.send({ ...INITIALIZE, params: {} })
  assert.is(errorOf(await writer.next()).code, -32602)
})

test('a session is spared what its revision cannot hold', async () => {
  const { writer, agent } = writerTo({ list: () => ({ ...text('[1]'), structuredContent: [1] as never }) })
  agent.catalogue = { tools: [{ name: 'list', inputSchema: { type: 'object' }, outputSchema: { type: 'array' } }] }
  await begunSession(writer)
  writer.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  assert.equal((await writer.next()).result, { tools: [{ name: 'list', inputSchema: { type: 'object' } }] })
  writer.send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'list' } })
  assert.equal((await writer.next()).result, text('[1]'))
  writer.ask(3, 'tools/call', { name: 'list' })
  assert.equal(((await writer.next()).result as JsonObject).structuredContent, [1])
})

// The first line

for (const [name, line, code] of [
  ['no JSON', 'GET / HTTP/1.1', 'MALFORMED'],
  ['a list', '[]', 'MALFORMED'],
  ['no agent', '{"revision":"2026-07-28"}', 'MALFORMED'],
  ['an agent of too long a name', JSON.stringify({ agent: 'x'.repeat(129), revision: STATELESS_REVISION }), 'MALFORMED'],
  ['a session that is no text', '{"agent":"notes","revision":"2026-07-28","session":7}', 'MALFORMED'],
  ['a revision that cannot be shown', '{"agent":"notes","revision":{"toString":7}}', 'VERSION_UNSUPPORTED'],
  ['an unknown revision', '{"agent":"notes","revision":"2031-01-01"}', 'VERSION_UNSUPPORTED'],
  ['no revision', '{"agent":"notes"}', 'VERSION_UNSUPPORTED'],
  ['an unknown agent', '{"agent":"other","revision":"2026-07-28"}', 'UNKNOWN_AGENT'],
  ['an unknown session', '{"agent":"notes","revision":"2025-11-25","session":"s1"}', 'UNAVAILABLE']
] as const) {
  test(`a first line with ${name} is refused by code, and nothing sent with it runs`, async () => {
    const { writer, agent } = writerTo({ echo: () => text('ok') }, line)
    writer.ask(1, 'tools/call', { name: 'echo' })
    const refusal = await writer.next()
    assert.is((refusal.error as JsonObject).code, code)
    assert.is('jsonrpc' in refusal, false)
    await writer.closed()
    assert.equal([agent.calls.length, agent.listeners], [0, 0])
  })
}

test('who is not allowed is refused at the first line, and at the next call when the rules change', async () => {
  const agent = new ScriptedAgent({ echo: () => text('ok') })
  const state = serving(agent)
  state.offer = { agent, rules: [{ kind: 'role', role: 'admin' }, { kind: 'peer', peerId: '12D3KooWSomebody' }] }
  const refused = new HandWriter(state.open())
  assert.is(((await refused.next()).error as JsonObject).code, 'FORBIDDEN')
  state.offer = { agent, rules: [{ kind: 'role', role: 'member' }] }
  const writer = new HandWriter(state.open())
  writer.ask(1, 'tools/call', { name: 'echo' })
  assert.is((await writer.next()).id, 1)
  state.offer = { agent, rules: [] }
  for (const [id, method] of [[2, 'tools/call'], [3, 'tools/list'], [5, 'server/discover'], [6, 'subscriptions/listen']] as const) {
    writer.ask(id, method, { name: 'echo', notifications: { toolsListChanged: true } })
    const { data } = errorOf(await writer.next())
    assert.equal([data.code, data.executed], ['FORBIDDEN', false])
  }
  state.offer = undefined
  writer.ask(4, 'tools/call', { name: 'echo' })
  assert.is(errorOf(await writer.next()).data.code, 'UNKNOWN_AGENT')
  assert.is(agent.calls.length, 1)
})

test('an agent that replaces another of its name is called from then on', async () => {
  const [first, second] = [new ScriptedAgent({ echo: () => text('first') }), new ScriptedAgent({ echo: () => text('second'), more: () => text('') })]
  const state = serving(first)
  const writer = new HandWriter(state.open())
  writer.ask('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true } })
  await writer.next()
  state.offer = { agent: second, rules: [{ kind: 'all' }] }
  writer.ask(1, 'tools/call', { name: 'echo' })
  assert.equal((await writer.next()).result, { resultType: 'complete', ...text('second') })
  assert.is((await writer.next()).method, 'notifications/tools/list_changed')
  assert.equal([first.listeners, second.listeners], [0, 1])
})

test('a stream without a first line is ended', async () => {
  const clock = new VirtualClock()
  const { open } = serving(new ScriptedAgent({}), { clock })
  const writer = new HandWriter(open(), null)
  await clock.advance(OPENING_MS_MAX - 1)
  assert.is(writer.isClosed, false)
  await clock.advance(1)
  assert.is(writer.isClosed, true)
  assert.is(clock.pending, 0)
})

// Bad input

for (const [name, line] of [
  ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"tools/list"}'],
  ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]'],
  ['a number', '7'],
  ['a method that is no text', '{"jsonrpc":"2.0","id":1,"method":7}'],
  ['parameters that are a list', '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}'],
  ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"tools/list"}'],
  ['an id that is a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}'],
  ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"tools/list"}'],
  ['an id that is too long', JSON.stringify({ jsonrpc: '2.0', id: 'x'.repeat(257), method: 'tools/list' })]
] as const) {
  test(`${name} is an invalid request, and the stream goes on`, async () => {
    const { writer } = writerTo({ echo: () => text('ok') })
    writer.send(line)
    assert.is(errorOf(await writer.next()).code, -32600)
    writer.ask(1, 'tools/call', { name: 'echo' })
    assert.is((await writer.next()).id, 1)
  })
}

for (const [name, params] of [
  ['no name', {}],
  ['a name that is no text', { name: 7 }],
  ['arguments that are a list', { name: 'echo', arguments: [] }],
  ['arguments that are null', { name: 'echo', arguments: null }],
  ['metadata nested too deep', { name: 'echo', _meta: { deep: JSON.parse('['.repeat(2_000) + ']'.repeat(2_000)) as never } }],
  ['arguments nested too deep', { name: 'echo', arguments: { deep: JSON.parse('['.repeat(2_000) + ']'.repeat(2_000)) as never } }]
] as const) {
  test(`a call with ${name} does not run`, async () => {
    const { writer, agent } = writerTo({ echo: () => text('ok') })
    writer.ask(1, 'tools/call', params)
    const error = errorOf(await writer.next())
    assert.equal([error.code, error.data.executed], [-32602, false])
    assert.is(agent.calls.length, 0)
  })
}

test('notifications and answers that nobody asked for are passed over', async () => {
  const { writer } = writerTo({ echo: () => text('ok') })
  writer.send({ jsonrpc: '2.0', method: 'notifications/what' })
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99 } })
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: {} })
  writer.send({ jsonrpc: '2.0', id: 5, result: {} })
  writer.ask(1, 'tools/call', { name: 'echo' })
  assert.is((await writer.next()).id, 1)
})

test('broken JSON is told, ends the stream and aborts what runs', async () => {
  const { writer, agent } = writerTo({ hang: hanging() })
  writer.ask(1, 'tools/call', { name: 'hang' })
  await settle()
  writer.send('{"jsonrpc":"2.0",')
  const message = await writer.next()
  assert.equal([message.id, errorOf(message).code, errorOf(message).data.code], [null, -32700, 'MALFORMED'])
  await writer.closed()
  assert.is(agent.calls[0]?.signal.aborted, true)
  assert.is(agent.listeners, 0)
})

test('a line over the limit resets the stream before it is held in full', async () => {
  const agent = new ScriptedAgent({ echo: () => text('ok') })
  const stream = serving(agent).open()
  let error: Error | undefined
  stream.read({ data: () => {}, ended: () => {}, closed: cause => { error = cause } })
  stream.send(Buffer.from('{"agent":"notes","revision":"2026-07-28"}\n'))
  for (let sent = 0; sent <= LINE_BYTES_MAX; sent += 2 ** 20) if (error === undefined) stream.send(Buffer.alloc(2 ** 20, 'x'))
  await settle()
  assert.is((stream.other.aborted as SwarmError).code, 'TOO_LARGE')
  assert.ok(error)
  assert.is(agent.listeners, 0)
})

// Limits, ends and slow readers

test('calls in flight are bounded by default; the one too many is refused before it runs', async () => {
  const { writer, agent } = writerTo({ hang: hanging(), echo: () => text('ok') })
  for (let id = 0; id <= CALLS_IN_FLIGHT_MAX; id++) writer.ask(id, 'tools/call', { name: 'hang' })
  const refused = await writer.next()
  assert.equal([refused.id, errorOf(refused).data.code, errorOf(refused).data.executed], [CALLS_IN_FLIGHT_MAX, 'OVERLOADED', false])
  assert.is(agent.calls.length, CALLS_IN_FLIGHT_MAX)
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 3 } })
  await settle()
  writer.ask('room', 'tools/call', { name: 'echo' })
  assert.is((await writer.next()).id, 'room')
})

test('cancelling ends one call and no other, without an answer', async () => {
  const { writer, agent } = writerTo({ hang: hanging() })
  writer.ask(1, 'tools/call', { name: 'hang' })
  writer.ask(2, 'tools/call', { name: 'hang' })
  await settle()
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, reason: 'enough' } })
  await settle()
  assert.equal(agent.calls.map(call => call.signal.aborted), [true, false])
  assert.equal(writer.got, [])
})

test('a cancelled call that will not stop still counts as running, and its id stays taken', async () => {
  let end = (): void => {}
  const agent = new ScriptedAgent({ deaf: async () => await new Promise(resolve => { end = () => { resolve(text('late')) } }) })
  const writer = new HandWriter(serving(agent, { callsInFlightMax: 1 }).open())
  writer.ask(1, 'tools/call', { name: 'deaf' })
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } })
  writer.ask(2, 'tools/call', { name: 'deaf' })
  assert.is(errorOf(await writer.next()).data.code, 'OVERLOADED')
  writer.ask(1, 'tools/call', { name: 'deaf' })
  assert.is(errorOf(await writer.next()).code, -32600)
  end()
  await settle()
  writer.ask(3, 'tools/call', { name: 'deaf' })
  await settle()
  assert.is(agent.calls.length, 2)
  assert.is(writer.got.length, 2)
})

test('a call stops when its caller would not wait any longer, also when the caller cannot say so', async () => {
  const clock = new VirtualClock()
  const agent = new ScriptedAgent({ hang: hanging() })
  const writer = new HandWriter(serving(agent, { clock }).open())
  writer.ask(1, 'tools/call', { name: 'hang', _meta: { [META.timeoutMs]: 250 } })
  await clock.advance(249)
  assert.is(agent.calls[0]?.signal.aborted, false)
  await clock.advance(1)
  assert.is(agent.calls[0]?.signal.aborted, true)
  assert.equal(writer.got, [])
})

for (const [name, end] of [
  ['ends', (writer: HandWriter) => { void writer.lines.end() }],
  ['breaks', (writer: HandWriter) => { writer.lines.abort(new Error('cable cut')) }]
] as const) {
  test(`a stream that ${name} aborts every call of it`, async () => {
    const { writer, agent } = writerTo({ hang: hanging() })
    for (let id = 0; id < 10; id++) writer.ask(id, 'tools/call', { name: 'hang' })
    await settle()
    end(writer)
    await writer.closed()
    await settle()
    assert.is(agent.calls.length, 10)
    assert.is(agent.calls.every(call => call.signal.aborted), true)
    assert.is(agent.listeners, 0)
  })
}

test('a caller that keeps its side open after a refusal loses the stream soon', async () => {
  const clock = new VirtualClock()
  const stream = new ScriptedStream()
  serveAgent(stream, CALLER, () => undefined, { clock, report: () => {} })
  stream.reader?.data(Buffer.from('{"agent":"notes","revision":"2026-07-28"}\n'))
  await clock.advance(LINGER_MS - 1)
  assert.equal(stream.events, ['end'])
  await clock.advance(1)
  assert.equal(stream.events, ['end', 'abort'])
})

test('a result over the limit of a line costs its own call only, which is known to have run', async () => {
  const { writer, bugs } = writerTo({ big: () => text('x'.repeat(LINE_BYTES_MAX)), echo: () => text('ok') })
  writer.ask(1, 'tools/call', { name: 'big' })
  const refused = await writer.next()
  assert.equal([refused.id, errorOf(refused).data.code, errorOf(refused).data.executed], [1, 'TOO_LARGE', true])
  writer.ask(2, 'tools/call', { name: 'echo' })
  assert.is((await writer.next()).id, 2)
  assert.equal(bugs, [])
})

test('a tool that returns no JSON is a bug at the provider', async () => {
  const { writer, bugs } = writerTo({ odd: () => ({ content: [], structuredContent: { n: 1n } }), none: () => undefined as never })
  for (const [id, name] of [[1, 'odd'], [2, 'none']] as const) {
    writer.ask(id, 'tools/call', { name })
    const message = await writer.next()
    assert.equal([message.id, errorOf(message).code, errorOf(message).message], [id, -32603, 'internal error'])
  }
  assert.is(bugs.length, 2)
})

function slowReader (handlers: Readonly<Record<string, Handler>>): { stream: ScriptedStream, ask: (...names: string[]) => void, answers: () => JsonObject[] } {
  const agent = new ScriptedAgent(handlers)
  const stream = new ScriptedStream()
  stream.full = true
  serveAgent(stream, CALLER, () => ({ agent, rules: [{ kind: 'all' }] }), { clock, report: error => { throw error } })
  stream.reader?.data(Buffer.from('{"agent":"notes","revision":"2026-07-28"}\n'))
  let id = 0
  return {
    stream,
    ask: (...names) => {
      const lines = names.map(name => JSON.stringify({ jsonrpc: '2.0', id: id++, method: 'tools/call', params: { name, _meta: { ...ENVELOPE, progressToken: 'p' } } }) + '\n')
      stream.reader?.data(Buffer.from(lines.join('')))
    },
    answers: () => stream.text.split('\n').slice(0, -1).map(line => JSON.parse(line) as JsonObject)
  }
}

test('for a reader that is slow, reading is held, answers wait in order and progress is dropped', async () => {
  let progress = (): void => {}
  const { stream, ask, answers } = slowReader({
    big: () => text('x'.repeat(UNSENT_BYTES_HIGH)),
    echo: () => text('ok'),
    slow: async call => await new Promise(() => { progress = () => { call.progress?.({ progress: 1 }) } })
  })
  ask('slow', 'big', 'echo', 'echo')
  await settle()
  assert.equal(stream.events, ['pause'])
  progress()
  while (stream.text.split('\n').length < 4) {
    stream.drain()
    await settle()
  }
  assert.equal(answers().map(answer => answer.id), [1, 2, 3])
  assert.ok(stream.events.includes('resume'))
})

test('what waits for a slow reader is bounded; a call whose result is let go is told that it ran', async () => {
  const count = 2 + HELD_BYTES_MAX / 2 ** 20 + 4
  const { stream, ask, answers } = slowReader({ big: () => text('x'.repeat(2 ** 20)) })
  ask(...Array.from({ length: count }, () => 'big'))
  await settle()
  stream.drain()
  for (let sent = -1; sent < stream.sent.length; await settle()) sent = stream.sent.length
  const failed = answers().filter(answer => 'error' in answer)
  assert.is(answers().length, count)
  assert.ok(failed.length > 0 && failed.length < 10, `${failed.length} let go`)
  for (const answer of failed) assert.equal([errorOf(answer).data.code, errorOf(answer).data.executed], ['OVERLOADED', true])
  assert.is(stream.events.includes('abort'), false)
})

test.run()
