/** A session of 2025 with a server of its own, over an agent's stream. */
import { InMemoryTransport, type JSONRPCMessage } from '@modelcontextprotocol/client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import type { Link } from '../../lib/mcp/link.ts'
import { EARLY_MAX } from '../../lib/mcp/serve-pass.ts'
import { settle } from '../support/clock.ts'
import { HandWriter, ScriptedAgent, serving, text, type Serving } from './wire-parts.ts'

const OPENING = JSON.stringify({ agent: 'notes', revision: '2025-11-25', session: 's1' })

/** An agent whose servers are the test itself. */
class Sessions extends ScriptedAgent {
  readonly said: JsonObject[] = []
  readonly revisions: string[] = []
  closed = 0
  server: InMemoryTransport | undefined
  open: () => Promise<void> = async () => {}

  async openSession (): Promise<Link> {
    await this.open()
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    this.server = theirs
    theirs.onmessage = message => { this.said.push(message as unknown as JsonObject) }
    theirs.onclose = () => { this.closed++ }
    await theirs.start()
    Object.assign(ours, { setProtocolVersion: (version: string) => { this.revisions.push(version) } })
    return { transport: ours, trouble: () => ({ reason: 'exited with code 1', details: {} }) }
  }

  async say (message: object): Promise<void> {
    await this.server?.send({ jsonrpc: '2.0', ...message } as JSONRPCMessage)
    await settle()
  }
}

function begin (more: Parameters<typeof serving>[1] = {}): { agent: Sessions, writer: HandWriter, state: Serving } {
  const agent = new Sessions({ echo: () => text('') })
  const state = serving(agent, more)
  return { agent, state, writer: new HandWriter(state.open(), OPENING) }
}

const request = (id: number | string, method: string, params: JsonObject = {}): JsonObject => ({ jsonrpc: '2.0', id, method, params })

test('what either end says reaches the other unchanged', async () => {
  const { agent, writer } = begin()
  writer.send({ ...request('a', 'initialize', { protocolVersion: '2025-06-18' }), strange: { kept: [1, null] } })
  writer.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await settle()
  assert.equal(agent.said, [{ ...request('a', 'initialize', { protocolVersion: '2025-06-18' }), strange: { kept: [1, null] } }, { jsonrpc: '2.0', method: 'notifications/initialized' }])
  await agent.say({ id: 'a', result: { protocolVersion: '2025-06-18', x: 1 } })
  await agent.say({ id: 5, method: 'elicitation/create', params: { message: '?' } })
  await agent.say({ method: 'notifications/message', params: { level: 'info', data: 1 } })
  assert.equal([await writer.next(), await writer.next(), await writer.next()].map(({ id, method }) => [id, method]), [['a', undefined], [5, 'elicitation/create'], [undefined, 'notifications/message']])
  assert.equal(agent.revisions, ['2025-06-18'])
  writer.send({ jsonrpc: '2.0', id: 5, result: { action: 'decline' } })
  await settle()
  assert.equal(agent.said[2], { jsonrpc: '2.0', id: 5, result: { action: 'decline' } })
})

test('the end of the stream ends the server', async () => {
  const { agent, writer } = begin()
  writer.send(request(1, 'tools/call', { name: 'echo' }))
  await settle()
  void writer.lines.end()
  await settle()
  assert.is(agent.closed, 1)
})

test('when the server ends, what is unanswered is answered with that, and the stream ends', async () => {
  const { agent, writer } = begin()
  writer.send(request(1, 'tools/call', { name: 'echo' }))
  writer.send(request(2, 'tools/call', { name: 'echo' }))
  await settle()
  await agent.say({ id: 1, result: {} })
  await agent.server?.close()
  assert.is((await writer.next()).id, 1)
  const { error, id } = await writer.next()
  assert.is(id, 2)
  assert.equal([((error as JsonObject)['data'] as JsonObject)['code'], JSON.stringify(error).includes('exited with code 1')], ['INDETERMINATE', true])
  await writer.closed()
})

test('who may not use the agent any more is refused at the next request', async () => {
  const { agent, state, writer } = begin()
  writer.send(request(1, 'ping'))
  await settle()
  state.offer = { agent, rules: [] }
  writer.send(request(2, 'ping'))
  const { error, id } = await writer.next()
  assert.equal([id, ((error as JsonObject)['data'] as JsonObject)['code']], [2, 'FORBIDDEN'])
  assert.is(agent.said.length, 1)
})

test('so many requests at once; an id in use is refused; one that was cancelled counts no more', async () => {
  const { agent, writer } = begin({ callsInFlightMax: 2 })
  writer.send(request(1, 'tools/call'))
  writer.send(request(1, 'tools/call'))
  assert.match(JSON.stringify(await writer.next()), 'the id is in use')
  writer.send(request(2, 'tools/call'))
  writer.send(request(3, 'tools/call'))
  assert.match(JSON.stringify(await writer.next()), 'OVERLOADED')
  writer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } })
  writer.send(request(4, 'tools/call'))
  await settle()
  assert.equal(agent.said.map(({ id, method }) => id ?? method), [1, 2, 'notifications/cancelled', 4])
})

for (const [name, line] of [['no JSON', '{'], ['no JSON-RPC', '{"id":1}'], ['an id that is none', '{"jsonrpc":"2.0","id":{},"method":"ping"}'], ['nested too deep', `{"jsonrpc":"2.0","method":"x","params":${'['.repeat(100)}${']'.repeat(100)}}`]] as const) {
  test(`a line that is ${name} ends the stream, and the server with it`, async () => {
    const { agent, writer } = begin()
    writer.send(request(1, 'ping'))
    await settle()
    writer.send(line)
    assert.is((await writer.next()).id, null)
    await writer.closed()
    assert.is(agent.closed, 1)
  })
}

test('a server that does not start is the refusal of the stream', async () => {
  const agent = new Sessions()
  agent.open = async () => { throw new SwarmError('OVERLOADED', 'no room') }
  const writer = new HandWriter(serving(agent).open(), OPENING)
  assert.equal(await writer.next(), { error: { code: 'OVERLOADED', message: 'no room' } })
  await writer.closed()
})

test('lines wait for the server, so many', async () => {
  const agent = new Sessions()
  let start = (): void => {}
  agent.open = async () => { await new Promise<void>(resolve => { start = resolve }) }
  const writer = new HandWriter(serving(agent).open(), OPENING)
  for (let id = 0; id < EARLY_MAX; id++) writer.send(request(id, 'ping'))
  await settle()
  start()
  await settle()
  assert.equal(agent.said.map(({ id }) => id), Array.from({ length: EARLY_MAX }, (_, id) => id))
  const flood = new HandWriter(serving(agent).open(), OPENING)
  for (let id = 0; id <= EARLY_MAX; id++) flood.send(request(id, 'ping'))
  await flood.closed()
})

test('a client that leaves before its server has started leaves none behind', async () => {
  const agent = new Sessions()
  let start = (): void => {}
  agent.open = async () => { await new Promise<void>(resolve => { start = resolve }) }
  const writer = new HandWriter(serving(agent).open(), OPENING)
  await settle()
  void writer.lines.end()
  await settle()
  start()
  await settle()
  assert.is(agent.closed, 1)
})

test.run()
