import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HELD_LINES_MAX, HELD_UNITS_MAX, IN_FLIGHT_MAX, Relay, type Effect } from '../../lib/cli/relay.ts'

const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', clientInfo: { name: 'test' } } }
const INITIALIZED = { jsonrpc: '2.0', method: 'notifications/initialized' }

function call (id: number | string, name = 'write'): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name } }
}

function result (id: unknown): object {
  return { jsonrpc: '2.0', id, result: {} }
}

/** What goes where, parsed. */
function read (effects: readonly Effect[]): { client: Record<string, unknown>[], holder: Record<string, unknown>[] } {
  const to = (where: Effect['to']): Record<string, unknown>[] => effects.filter(effect => effect.to === where).map(({ line }) => JSON.parse(line) as Record<string, unknown>)
  return { client: to('client'), holder: to('holder') }
}

function codeOf (message: Record<string, unknown> | undefined): unknown {
  return (message?.['error'] as { data?: { code?: unknown } } | undefined)?.data?.code
}

/** A relay whose client has a session with its first holder. */
function session (): Relay {
  const relay = new Relay()
  relay.attached()
  relay.fromClient(JSON.stringify(INITIALIZE))
  relay.fromHolder(JSON.stringify(result(0)))
  relay.fromClient(JSON.stringify(INITIALIZED))
  return relay
}

test('a long answer is passed on, and its request no longer waits', () => {
  for (const id of [7, 'seven', '"', 'a/b']) {
    const relay = session()
    relay.fromClient(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' }))
    const line = JSON.stringify({ result: { tools: [{ description: 'x'.repeat(100_000) }] }, jsonrpc: '2.0', id })
    assert.equal([relay.waiting, relay.hasListed], [1, false])
    assert.equal(relay.fromHolder(line), [{ to: 'client', line }])
    assert.equal([relay.waiting, relay.hasListed], [0, true])
  }
})

test('a long answer of the client reaches the holder that asked, whole', () => {
  const relay = session()
  relay.lost()
  relay.attached()
  relay.fromHolder(JSON.stringify({ jsonrpc: '2.0', id: 'mcp-swarm/takeover', result: {} }))
  const { client: [asked] } = read(relay.fromHolder(JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'elicitation/create' })))
  const content = 'x'.repeat(100_000)
  const { holder: [told] } = read(relay.fromClient(JSON.stringify({ result: { content }, jsonrpc: '2.0', id: asked?.['id'] })))
  assert.equal(told, { result: { content }, jsonrpc: '2.0', id: 3 })
})

test('passes lines unchanged, whatever they are', () => {
  const relay = session()
  for (const line of ['{"jsonrpc":"2.0",  "id": 1, "method": "tools/list"}', 'rubbish', '[]', '{"jsonrpc":"2.0","method":"notifications/progress"}']) {
    assert.equal(relay.fromClient(line), [{ to: 'holder', line }])
  }
  for (const line of ['{"jsonrpc":"2.0",  "id": 1, "result": {}}', 'rubbish', '{"jsonrpc":"2.0","method":"notifications/message"}', '{"jsonrpc":"2.0","id":5,"method":"ping"}']) {
    assert.equal(relay.fromHolder(line), [{ to: 'client', line }])
  }
})

test('holds what the client sends before there is a holder, and sends it in order', () => {
  const relay = new Relay()
  assert.equal(relay.fromClient(JSON.stringify(INITIALIZE)), [])
  assert.equal(relay.fromClient(JSON.stringify(call(1))), [])
  assert.is(relay.waiting, 2)
  assert.equal(read(relay.attached()).holder, [INITIALIZE, call(1)])
  assert.is(relay.waiting, 2)
})

test('when the holder is lost, a call that may have run is answered as indeterminate, once', () => {
  const relay = session()
  relay.fromClient(JSON.stringify(call(7)))
  relay.fromClient(JSON.stringify(call('eight')))
  relay.fromHolder(JSON.stringify(result(7)))
  const { client, holder } = read(relay.lost())
  assert.equal(client.map(({ id }) => id), ['eight'])
  assert.is(codeOf(client[0]), 'INDETERMINATE')
  assert.equal(holder, [])
  assert.is(relay.waiting, 0)
  assert.equal(relay.lost(), [])
})

test('a request that only reads is asked of the next holder instead', () => {
  const relay = session()
  relay.fromClient('{"jsonrpc":"2.0","id":3,"method":"tools/list"}')
  assert.equal(relay.lost(), [])
  relay.attached()
  assert.equal(read(relay.fromHolder(JSON.stringify(result('mcp-swarm/takeover')))).holder.map(({ id }) => id), [undefined, 3])
})

test('plays initialize to the next holder, swallows its answer, and only then lets the client through', () => {
  const relay = session()
  relay.lost()
  relay.fromClient(JSON.stringify(call(2)))
  const [replay] = read(relay.attached()).holder
  assert.is(replay?.['method'], 'initialize')
  assert.equal(replay?.['params'], INITIALIZE.params)
  assert.equal(relay.fromClient(JSON.stringify(call(3))), [])
  const { client, holder } = read(relay.fromHolder(JSON.stringify(result(replay?.['id']))))
  assert.equal(holder, [INITIALIZED, call(2), call(3)])
  assert.equal(client, [{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }])
  assert.equal(read(relay.fromClient(JSON.stringify(call(4)))).holder, [call(4)])
})

test('an initialize that was not answered is simply sent again', () => {
  const relay = new Relay()
  relay.attached()
  relay.fromClient(JSON.stringify(INITIALIZE))
  assert.equal(relay.lost(), [])
  assert.equal(read(relay.attached()).holder, [INITIALIZE])
  assert.equal(read(relay.fromHolder(JSON.stringify(result(0)))).client, [result(0)])
})

test('a client without a session needs no replay', () => {
  const relay = new Relay()
  relay.attached()
  relay.fromClient(JSON.stringify(call(1)))
  relay.fromHolder(JSON.stringify(result(1)))
  relay.lost()
  relay.fromClient(JSON.stringify(call(2)))
  assert.equal(read(relay.attached()), { client: [], holder: [call(2)] })
})

test('of a cancelled request that the new holder never had, it hears nothing', () => {
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }
  const relay = new Relay()
  relay.attached()
  relay.fromClient(JSON.stringify(call(1)))
  assert.equal(read(relay.fromClient(JSON.stringify(cancelled))).holder, [cancelled])
  assert.is(relay.waiting, 0)
  relay.fromClient(JSON.stringify(call(1)))
  relay.lost()
  relay.attached()
  assert.equal(relay.fromClient(JSON.stringify(cancelled)), [])
})

test('an answer of the client reaches the holder that asked, under its own id, or nobody', () => {
  const relay = session()
  assert.equal(read(relay.fromHolder('{"jsonrpc":"2.0","id":1,"method":"ping"}')).client[0]?.['id'], 1)
  relay.lost()
  const replay = read(relay.attached()).holder[0]
  relay.fromHolder(JSON.stringify(result(replay?.['id'])))
  const asked = read(relay.fromHolder('{"jsonrpc":"2.0","id":1,"method":"ping"}')).client[0]
  assert.is.not(asked?.['id'], 1)
  assert.equal(relay.fromClient(JSON.stringify(result(1))), [])
  assert.equal(read(relay.fromClient(JSON.stringify(result(asked?.['id'])))).holder, [result(1)])
})

test('when nobody takes over, whoever waits is told why', () => {
  const relay = session()
  relay.lost()
  relay.fromClient(JSON.stringify(call(1)))
  relay.fromClient(JSON.stringify(INITIALIZED))
  const { client } = read(relay.failed('FOLDER_UNUSABLE', 'the folder is gone'))
  assert.equal(client.map(({ id }) => id), [1])
  assert.is(codeOf(client[0]), 'FOLDER_UNUSABLE')
  assert.is(relay.waiting, 0)
})

test('holds no more lines than the limit', () => {
  const relay = new Relay()
  for (let id = 0; id < HELD_LINES_MAX; id++) assert.equal(relay.fromClient(JSON.stringify(call(id))), [])
  assert.is(codeOf(read(relay.fromClient(JSON.stringify(call(-1)))).client[0]), 'OVERLOADED')
  assert.equal(relay.fromClient(JSON.stringify(INITIALIZED)), [])
  assert.is(read(relay.attached()).holder.length, HELD_LINES_MAX)
})

test('holds no more text than the limit', () => {
  const relay = new Relay()
  assert.equal(relay.fromClient(JSON.stringify(call(1, 'x'.repeat(HELD_UNITS_MAX - 100)))), [])
  assert.is(codeOf(read(relay.fromClient(JSON.stringify(call(2, 'x'.repeat(100))))).client[0]), 'OVERLOADED')
})

test('has no more requests in flight than the limit', () => {
  const relay = session()
  for (let id = 1; id <= IN_FLIGHT_MAX; id++) relay.fromClient(JSON.stringify(call(id)))
  assert.is(codeOf(read(relay.fromClient(JSON.stringify(call(-1)))).client[0]), 'OVERLOADED')
  relay.fromHolder(JSON.stringify(result(1)))
  assert.is(read(relay.fromClient(JSON.stringify(call(-1)))).holder.length, 1)
})

test.run()
