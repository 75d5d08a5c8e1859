import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES, SwarmError } from '../../lib/base/error.ts'
import { JSON_DEPTH_MAX, type JsonObject } from '../../lib/base/json.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { STATELESS_REVISION } from '../../lib/mcp/revision.ts'
import { Bounds, type Ending } from '../../lib/mcp/wire-bounds.ts'
import { hasNotRun, isShallow, mcpProtocol, openingLine, readOpening, readRefusal, readRpcError, refusalLine, rpcError } from '../../lib/mcp/wire.ts'
import { settle, VirtualClock } from '../support/clock.ts'

test('the protocol id names the swarm and the version', () => {
  assert.is(mcpProtocol('abc'), '/mcp-swarm/abc/mcp/1.0.0')
})

test('a first line reads back as it was written', () => {
  assert.is(openingLine('notes'), '{"agent":"notes","revision":"2026-07-28","session":null}')
  assert.equal(readOpening(openingLine('notes')), { agent: 'notes', revision: STATELESS_REVISION, session: null })
  assert.equal(readOpening(openingLine('é"', '2025-11-25', 's')), { agent: 'é"', revision: '2025-11-25', session: 's' })
  assert.equal(readOpening('{"agent":"notes","revision":"2025-11-25","later":true}'), { agent: 'notes', revision: '2025-11-25', session: null })
})

test('a refusal reads back under its code, as not run; JSON-RPC is none', () => {
  const refusal = readRefusal(JSON.parse(refusalLine(new SwarmError('FORBIDDEN', 'not you'))) as JsonObject)
  assert.is(refusal?.code, 'FORBIDDEN')
  assert.match(refusal?.message ?? '', 'not you')
  assert.is(hasNotRun(refusal), true)
  for (const message of [{ jsonrpc: '2.0', error: { code: 'FORBIDDEN' } }, { error: { code: -32600 } }, { error: 'FORBIDDEN' }, { error: { code: 'NO_SUCH_CODE' } }]) {
    assert.is(readRefusal(message), undefined)
  }
})

for (const code of ERROR_CODES) {
  test(`an error of the code ${code} survives the wire`, () => {
    const error = readRpcError(JSON.parse(rpcError(new SwarmError(code, 'why', { details: { tool: 'x', n: [1] } }))))
    assert.equal([error.code, error.message, error.details.tool, error.details.n], [code, 'why', 'x', [1]])
    assert.is(error.details.sent, true)
    assert.type(error.details.executed, 'boolean')
  })
}

test('what is known of running wins over what the code says', () => {
  const wire = (code: 'TOOL_FAILED' | 'OVERLOADED', details: JsonObject): SwarmError => readRpcError(JSON.parse(rpcError(new SwarmError(code, 'why', { details }))))
  assert.equal([wire('OVERLOADED', {}), wire('TOOL_FAILED', {})].map(hasNotRun), [true, false])
  assert.equal([wire('OVERLOADED', { executed: true }), wire('TOOL_FAILED', { sent: false })].map(hasNotRun), [false, true])
})

test('an error of another server\'s keeps its number and data', () => {
  const error = readRpcError({ code: -32042, message: 'open this', data: { elicitations: [] } })
  assert.equal([error.code, error.details.rpc, error.details.executed], ['TOOL_FAILED', { code: -32042, data: { elicitations: [] } }, true])
  assert.is(readRpcError({ code: -32602, message: 'no' }).code, 'INVALID_ARGUMENTS')
  assert.is(readRpcError({ code: -32022, message: 'no' }).code, 'VERSION_UNSUPPORTED')
  assert.is(readRpcError({ code: -32000, message: 'no', data: { code: 'MADE_UP' } }).code, 'TOOL_FAILED')
})

test('whatever comes as an error reads as one', () => {
  const seed = systemRandom.next() * 2 ** 32 >>> 0
  console.log(`\nseed ${seed}`)
  const random = seededRandom(seed)
  const draw = (depth: number): unknown => {
    const pick = Math.floor(random.next() * (depth > 4 ? 6 : 8))
    if (pick === 6) return Array.from({ length: 3 }, () => draw(depth + 1))
    if (pick === 7) return Object.fromEntries(['code', 'message', 'data', 'details', 'executed'].filter(() => random.next() < 0.6).map(key => [key, draw(depth + 1)]))
    return [null, true, -32000, 1.5, 'FORBIDDEN', ''][pick]
  }
  for (let round = 0; round < 5_000; round++) {
    const error = readRpcError(draw(0))
    assert.ok(error instanceof SwarmError && typeof error.message === 'string')
  }
})

test('depth is told exactly, and without overflow', () => {
  const nested = (depth: number): unknown => JSON.parse('{"a":['.repeat(depth / 2) + ']}'.repeat(depth / 2))
  assert.is(isShallow(nested(JSON_DEPTH_MAX)), true)
  assert.is(isShallow([nested(JSON_DEPTH_MAX)]), false)
  assert.is(isShallow(nested(1_000_000)), false)
  assert.is(isShallow('text'), true)
})

test('deadlines fire in their time, each once, and only those still waited for', async () => {
  const clock = new VirtualClock()
  const told: [string, Ending][] = []
  const bounds = new Bounds<string>(clock, (key, ending) => { told.push([key, ending]) })
  bounds.set('later', 300)
  bounds.set('soon', 100)
  bounds.set('deleted', 50)
  bounds.set('never', Infinity)
  bounds.delete('deleted')
  await clock.advance(99)
  assert.equal(told, [])
  await clock.advance(1)
  assert.equal(told, [['soon', 'late']])
  await clock.advance(1_000)
  assert.equal(told, [['soon', 'late'], ['later', 'late']])
  assert.is(clock.pending, 0)
})

test('one signal over many waits is listened to once, and let go with the last', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  const told: number[] = []
  const bounds = new Bounds<number>(new VirtualClock(), (key, ending) => { if (ending === 'given up') told.push(key) })
  const [used, spared] = [new AbortController(), new AbortController()]
  for (let key = 0; key < 1_000; key++) bounds.set(key, 1_000, used.signal)
  bounds.set(1_000, 1_000, spared.signal)
  for (let key = 0; key < 500; key++) bounds.delete(key)
  bounds.delete(1_000)
  spared.abort()
  used.abort()
  await settle()
  process.off('warning', onWarning)
  assert.equal(told, Array.from({ length: 500 }, (_, index) => index + 500))
  assert.equal(warnings, [])
})

test('one that is told may end others, which then are not told', async () => {
  const told: string[] = []
  const clock = new VirtualClock()
  const bounds: Bounds<string> = new Bounds<string>(clock, key => {
    told.push(key)
    bounds.clear()
  })
  bounds.set('first', 10)
  bounds.set('second', 10)
  await clock.advance(100)
  assert.equal(told, ['first'])
})

test.run()
