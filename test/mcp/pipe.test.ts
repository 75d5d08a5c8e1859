import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { UNSENT_BYTES_HIGH } from '../../lib/base/line.ts'
import type { Progress } from '../../lib/mcp/host.ts'
import { Pipe } from '../../lib/mcp/pipe.ts'
import { CALLS_IN_FLIGHT_MAX, hasNotRun } from '../../lib/mcp/wire.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { settle, VirtualClock } from '../support/clock.ts'
import { linkedStreams } from '../support/pair.ts'
import { clock, rejection, rejectsWith, within } from './parts.ts'
import { hanging, ScriptedAgent, serving, text, type Handler } from './wire-parts.ts'

function pipeTo (handlers: Readonly<Record<string, Handler>>): { pipe: Pipe, agent: ScriptedAgent, bugs: unknown[] } {
  const agent = new ScriptedAgent(handlers)
  const { open, bugs } = serving(agent)
  return { agent, bugs, pipe: new Pipe(open(), { agent: 'notes', clock }) }
}

test('a call brings the tool\'s own result, unchanged', async () => {
  const whole = { content: [{ type: 'text' as const, text: 'é\n"' }], structuredContent: { n: 1 }, isError: true, _meta: { a: [1] } }
  const { pipe, agent } = pipeTo({ echo: () => whole })
  assert.equal(await within(pipe.call('echo', '{"a":1}'), 'an answer'), whole)
  assert.equal(agent.calls[0]?.arguments, { a: 1 })
  assert.equal(agent.calls[0]?.caller.role, 'member')
  pipe.close()
})

test('many calls at once are answered in whatever order they end', async () => {
  const ends: (() => void)[] = []
  const { pipe } = pipeTo({ echo: async call => await new Promise(resolve => { ends.push(() => { resolve(text(JSON.stringify(call.arguments.n))) }) }) })
  const order: string[] = []
  const calls = Array.from({ length: 100 }, async (_, n) => {
    const { content } = await pipe.call('echo', `{"n":${n}}`)
    order.push((content[0] as { text: string }).text)
  })
  await settle()
  assert.is(pipe.inFlight, 100)
  for (const end of ends.reverse()) end()
  await within(Promise.all(calls), 'the answers')
  assert.equal(order, Array.from({ length: 100 }, (_, n) => String(99 - n)))
  assert.is(pipe.inFlight, 0)
  pipe.close()
})

for (const [name, thrown, code, ran] of [
  ['an unknown tool', new SwarmError('UNKNOWN_TOOL', 'no such tool', { details: { nearest: ['x'] } }), 'UNKNOWN_TOOL', false],
  ['an agent that does not run', new SwarmError('AGENT_NOT_RUNNING', 'stopped'), 'AGENT_NOT_RUNNING', false],
  ['an agent that says nothing was sent on', new SwarmError('UNREACHABLE', 'gone', { details: { sent: false } }), 'UNREACHABLE', false],
  ['a server that failed', new SwarmError('TOOL_FAILED', 'it broke', { details: { rpc: { code: -32099, data: { why: 'x' } } } }), 'TOOL_FAILED', true],
  ['a server that died midway', new SwarmError('INDETERMINATE', 'died'), 'INDETERMINATE', true]
] as const) {
  test(`${name} comes back under the same code`, async () => {
    const { pipe, bugs } = pipeTo({ echo: () => { throw thrown } })
    const error = await rejectsWith(within(pipe.call('echo', '{}'), 'an answer'), code)
    assert.is(error.message, thrown.message)
    assert.is(hasNotRun(error), !ran)
    if (code === 'UNKNOWN_TOOL') assert.equal(error.details.nearest, ['x'])
    if (code === 'TOOL_FAILED') assert.equal(error.details.rpc, { code: -32099, data: { why: 'x' } })
    assert.equal(bugs, [])
    pipe.close()
  })
}

test('a bug at the provider is reported there, and tells the caller nothing else', async () => {
  const bug = new TypeError('secret path /etc')
  const { pipe, bugs } = pipeTo({ echo: () => { throw bug }, cyclic: () => { throw bug } })
  const error = await rejectsWith(within(pipe.call('echo', '{}'), 'an answer'), 'TOOL_FAILED')
  assert.is(error.message, 'internal error')
  assert.not.match(JSON.stringify(error.details), 'secret')
  assert.is(bugs[0], bug)
  pipe.close()
})

test('progress comes in order, and the last of it before the result', async () => {
  const { pipe } = pipeTo({
    slow: call => {
      for (const progress of [1, 2, 3]) call.progress?.({ progress, total: 3, message: `step ${progress}` })
      return text('done')
    }
  })
  const told: Progress[] = []
  await within(pipe.call('slow', '{}', { progress: progress => { told.push(progress) } }), 'an answer')
  assert.equal(told, [1, 2, 3].map(progress => ({ progress, total: 3, message: `step ${progress}` })))
  pipe.close()
})

test('nobody who listens, no progress', async () => {
  const { pipe, agent } = pipeTo({ slow: () => text('done') })
  await within(pipe.call('slow', '{}'), 'an answer')
  assert.is(agent.calls[0]?.progress, undefined)
  pipe.close()
})

test('at the deadline the call is indeterminate, and the provider is told to stop', async () => {
  const clock = new VirtualClock()
  const stopped: unknown[] = []
  const agent = new ScriptedAgent({ hang: hanging(call => { stopped.push(call.name) }), echo: () => text('still here') })
  const pipe = new Pipe(serving(agent).open(), { agent: 'notes', clock })
  const call = rejectsWith(pipe.call('hang', '{}', { timeoutMs: 500 }), 'INDETERMINATE')
  await clock.advance(499)
  assert.is(pipe.inFlight, 1)
  await clock.advance(1)
  const error = await within(call, 'the deadline')
  assert.is(error.details.sent, true)
  assert.is(hasNotRun(error), false)
  await settle()
  assert.equal(stopped, ['hang'])
  assert.equal(await within(pipe.call('echo', '{}'), 'another call'), text('still here'))
  pipe.close()
})

test('a caller that gives up is heard at the provider', async () => {
  const stopped: string[] = []
  const { pipe } = pipeTo({ hang: hanging(call => { stopped.push(call.name) }) })
  const controller = new AbortController()
  const call = rejectsWith(pipe.call('hang', '{}', { signal: controller.signal }), 'ABORTED')
  await settle()
  controller.abort(new Error('enough'))
  const error = await within(call, 'the abort')
  assert.is(error.details.sent, true)
  assert.is((error.cause as Error).message, 'enough')
  await settle()
  assert.equal(stopped, ['hang'])
  pipe.close()
})

test('a signal that has fired already sends nothing', async () => {
  const { pipe, agent } = pipeTo({ echo: () => text('ran') })
  const error = await rejectsWith(pipe.call('echo', '{}', { signal: AbortSignal.abort() }), 'ABORTED')
  assert.is(error.details.sent, false)
  await settle()
  assert.equal(agent.calls, [])
  pipe.close()
})

test('a broken stream leaves every call indeterminate, and aborts them at the provider', async () => {
  const agent = new ScriptedAgent({ hang: hanging() })
  const stream = serving(agent).open()
  let closed = 0
  const pipe = new Pipe(stream, { agent: 'notes', clock, closed: () => { closed++ } })
  const calls = Array.from({ length: 20 }, async () => await rejectsWith(pipe.call('hang', '{}'), 'INDETERMINATE'))
  await settle()
  stream.abort(new Error('cable cut'))
  for (const error of await within(Promise.all(calls), 'the errors')) assert.is(error.details.sent, true)
  await settle()
  assert.is(agent.calls.every(call => call.signal.aborted), true)
  assert.is(closed, 1)
  const after = await rejectsWith(pipe.call('hang', '{}'), 'UNREACHABLE')
  assert.is(after.details.sent, false)
})

test('an agent that is not offered refuses what was sent ahead: it has not run', async () => {
  const pipe = new Pipe(serving(new ScriptedAgent({})).open(), { agent: 'other', clock })
  const error = await rejectsWith(within(pipe.call('echo', '{}'), 'the refusal'), 'UNKNOWN_AGENT')
  assert.is(hasNotRun(error), true)
  assert.is(pipe.isClosed, true)
})

test('calls in flight are bounded; the one too many is not sent', async () => {
  const { pipe, agent } = pipeTo({ hang: hanging() })
  const calls = Array.from({ length: CALLS_IN_FLIGHT_MAX }, async () => await rejectsWith(pipe.call('hang', '{}'), 'INDETERMINATE'))
  const error = await rejectsWith(pipe.call('hang', '{}'), 'OVERLOADED')
  assert.is(error.details.sent, false)
  await settle()
  assert.is(agent.calls.length, CALLS_IN_FLIGHT_MAX)
  pipe.close()
  await within(Promise.all(calls), 'the end of the calls')
})

test('arguments over the limit of a line cost only their own call', async () => {
  const agent = new ScriptedAgent({ echo: () => text('ok') })
  const pipe = new Pipe(serving(agent).open(), { agent: 'notes', clock, lineBytesMax: 10_000 })
  const error = await rejectsWith(pipe.call('echo', JSON.stringify({ a: 'x'.repeat(10_000) })), 'TOO_LARGE')
  assert.is(error.details.sent, false)
  assert.equal(await within(pipe.call('echo', '{}'), 'a small call'), text('ok'))
  pipe.close()
})

test('what a slow reader has not taken is provably not sent', async () => {
  const clock = new VirtualClock()
  const stream = new ScriptedStream()
  stream.full = true
  const pipe = new Pipe(stream, { agent: 'notes', clock })
  const big = JSON.stringify({ a: 'x'.repeat(UNSENT_BYTES_HIGH) })
  const sent = rejectsWith(pipe.call('first', big, { timeoutMs: 9_000 }), 'INDETERMINATE')
  const controller = new AbortController()
  const givenUp = rejectsWith(pipe.call('second', '{}', { signal: controller.signal }), 'ABORTED')
  const late = rejectsWith(pipe.call('third', '{}', { timeoutMs: 100 }), 'TIMEOUT')
  const cut = rejectsWith(pipe.call('fourth', '{}', { timeoutMs: 9_000 }), 'UNREACHABLE')
  await settle()
  controller.abort()
  await clock.advance(100)
  stream.abort(new Error('cable cut'))
  for (const error of await within(Promise.all([givenUp, late, cut]), 'the errors')) assert.is(error.details.sent, false)
  assert.is((await within(sent, 'the first')).details.sent, true)
  for (const word of ['second', 'third', 'fourth']) assert.not.match(stream.text, word)
})

test('held calls leave in order when the reader has read', async () => {
  const stream = new ScriptedStream()
  stream.full = true
  const pipe = new Pipe(stream, { agent: 'notes', clock })
  const ends = ['first', 'second', 'third'].map(async (name, index) => await rejection(pipe.call(name, index === 0 ? JSON.stringify({ a: 'x'.repeat(UNSENT_BYTES_HIGH) }) : '{}')))
  await settle()
  assert.not.match(stream.text, 'second')
  while (!stream.text.includes('"third"')) {
    stream.drain()
    await settle()
  }
  assert.ok(stream.text.indexOf('"second"') < stream.text.indexOf('"third"'))
  pipe.close()
  for (const error of await Promise.all(ends)) assert.is(error.details.sent, true)
})

for (const [name, answer] of [
  ['no result at all', '{"jsonrpc":"2.0","id":1}'],
  ['an error that is none', '{"jsonrpc":"2.0","id":1,"error":"no"}'],
  ['a result that is no object', '{"jsonrpc":"2.0","id":1,"result":7}'],
  ['a result without content', '{"jsonrpc":"2.0","id":1,"result":{}}'],
  ['content that is no list', '{"jsonrpc":"2.0","id":1,"result":{"content":{}}}'],
  ['a block without a type', '{"jsonrpc":"2.0","id":1,"result":{"content":[{}]}}'],
  ['a strange isError', '{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":"yes"}}'],
  ['a question instead of a result', '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{}}}'],
  ['a result nested too deep', `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`]
] as const) {
  test(`${name} costs its own call only`, async () => {
    const [near, far] = linkedStreams('/test/1.0.0')
    const pipe = new Pipe(near, { agent: 'notes', clock })
    const lie = rejectsWith(pipe.call('lie', '{}'), 'MALFORMED')
    const truth = pipe.call('truth', '{}')
    far.send(Buffer.from(`${answer}\n{"jsonrpc":"2.0","id":2,"result":{"content":[]}}\n`))
    assert.is((await within(lie, 'the lie')).details.sent, true)
    assert.equal(await within(truth, 'the truth'), { content: [] })
    pipe.close()
  })
}

test('a result of structured content alone is given its empty content', async () => {
  const [near, far] = linkedStreams('/test/1.0.0')
  const pipe = new Pipe(near, { agent: 'notes', clock })
  const call = pipe.call('echo', '{}')
  far.send(Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","structuredContent":{"n":1}}}\n'))
  assert.equal(await within(call, 'the answer'), { content: [], structuredContent: { n: 1 } })
  pipe.close()
})

for (const [name, line] of [
  ['a line that is not JSON', 'hello'],
  ['a line that is no object', '[]'],
  ['a request of the provider\'s', '{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage"}'],
  ['an answer to no call of ours', '{"jsonrpc":"2.0","id":"x","result":{}}']
] as const) {
  test(`${name} breaks the stream: no call can be told from another`, async () => {
    const [near, far] = linkedStreams('/test/1.0.0')
    const pipe = new Pipe(near, { agent: 'notes', clock })
    const call = rejectsWith(pipe.call('echo', '{}'), 'INDETERMINATE')
    far.send(Buffer.from(`${line}\n`))
    const error = await within(call, 'the end')
    assert.is((error.cause as SwarmError).code, 'MALFORMED')
  })
}

test('an answer after the caller gave up, and progress for nobody, are dropped', async () => {
  const [near, far] = linkedStreams('/test/1.0.0')
  const pipe = new Pipe(near, { agent: 'notes', clock })
  const controller = new AbortController()
  const givenUp = rejectsWith(pipe.call('echo', '{}', { signal: controller.signal }), 'ABORTED')
  controller.abort()
  await givenUp
  const call = pipe.call('echo', '{}')
  far.send(Buffer.from('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n' +
    '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"second"}]}}\n'))
  assert.equal(await within(call, 'the second call'), text('second'))
  pipe.close()
})

test.run()
