import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream } from '../../lib/base/network.ts'
import { IDLE_MS, OPEN_MS_MAX, OWN_STREAMS_MAX, Pipes, SHARED_ARGUMENTS_MAX } from '../../lib/mcp/pipe-pool.ts'
import { settle, VirtualClock } from '../support/clock.ts'
import type { PairedStream } from '../support/pair.ts'
import { clock as systemClock, rejectsWith, within } from './parts.ts'
import { hanging, ScriptedAgent, serving, text } from './wire-parts.ts'

const PEER = '12D3KooWProvider'

function poolOf (agent: ScriptedAgent, clock: Clock = systemClock): { pipes: Pipes, opened: PairedStream[] } {
  const { open } = serving(agent, { clock })
  const opened: PairedStream[] = []
  const pipes = new Pipes({
    clock,
    open: async () => {
      const stream = open()
      opened.push(stream)
      return stream
    }
  })
  return { pipes, opened }
}

test('calls to one agent of one peer share one stream, also while it opens', async () => {
  const { pipes, opened } = poolOf(new ScriptedAgent({ echo: call => text(JSON.stringify(call.arguments.n)) }))
  const answers = await within(Promise.all([0, 1, 2, 3].map(async n => await pipes.call(PEER, 'notes', 'echo', { n }))), 'the answers')
  assert.equal(answers, [0, 1, 2, 3].map(n => text(String(n))))
  await within(pipes.call(PEER, 'notes', 'echo', { n: 4 }), 'one more')
  assert.is(opened.length, 1)
  await within(pipes.call('12D3KooWOther', 'notes', 'echo', {}), 'another peer')
  assert.is(opened.length, 2)
  pipes.close()
})

test('tells how many calls an agent has in flight', async () => {
  const { pipes } = poolOf(new ScriptedAgent({ hang: hanging() }))
  const calls = [1, 2, 3].map(async () => await rejectsWith(pipes.call(PEER, 'notes', 'hang', {}), 'INDETERMINATE'))
  await settle()
  assert.is(pipes.inFlight(PEER, 'notes'), 3)
  assert.is(pipes.inFlight(PEER, 'other'), 0)
  pipes.close()
  await within(Promise.all(calls), 'the calls')
  assert.is(pipes.inFlight(PEER, 'notes'), 0)
})

for (const [name, args, options] of [
  ['large arguments', { a: 'x'.repeat(SHARED_ARGUMENTS_MAX) }, {}],
  ['a call said to be long', {}, { long: true }]
] as const) {
  test(`${name}: a stream of its own, ended with the call`, async () => {
    const { pipes, opened } = poolOf(new ScriptedAgent({ echo: () => text('ok') }))
    await within(pipes.call(PEER, 'notes', 'echo', {}), 'a small call')
    assert.equal(await within(pipes.call(PEER, 'notes', 'echo', args, options), 'the call'), text('ok'))
    assert.is(opened.length, 2)
    await settle()
    assert.throws(() => opened[1]?.send(new Uint8Array(1)), /closed/)
    await within(pipes.call(PEER, 'notes', 'echo', {}), 'the shared stream lives on')
    assert.is(opened.length, 2)
    pipes.close()
  })
}

test('streams of their own are bounded', async () => {
  const { pipes, opened } = poolOf(new ScriptedAgent({ hang: hanging() }))
  const calls = Array.from({ length: OWN_STREAMS_MAX }, async () => await rejectsWith(pipes.call(PEER, 'notes', 'hang', {}, { long: true }), 'INDETERMINATE'))
  await settle()
  const error = await rejectsWith(pipes.call(PEER, 'notes', 'hang', {}, { long: true }), 'OVERLOADED')
  assert.is(error.details.sent, false)
  assert.is(opened.length, OWN_STREAMS_MAX)
  pipes.closePeer(PEER)
  await within(Promise.all(calls), 'the calls')
  pipes.close()
})

test('an idle stream is closed, one with a call in flight is not; the next call opens another', async () => {
  const clock = new VirtualClock()
  const { pipes, opened } = poolOf(new ScriptedAgent({ echo: () => text('ok'), hang: hanging() }), clock)
  await within(pipes.call(PEER, 'notes', 'echo', {}), 'a call')
  await clock.advance(IDLE_MS / 2)
  await within(pipes.call(PEER, 'notes', 'echo', {}), 'a call')
  await clock.advance(IDLE_MS - 1)
  const long = rejectsWith(pipes.call(PEER, 'notes', 'hang', {}, { timeoutMs: 3 * IDLE_MS }), 'INDETERMINATE')
  await clock.advance(2 * IDLE_MS)
  assert.is(pipes.inFlight(PEER, 'notes'), 1)
  await clock.advance(IDLE_MS)
  await within(long, 'the long call')
  assert.is(opened.length, 1)
  await clock.advance(2 * IDLE_MS)
  assert.throws(() => opened[0]?.send(new Uint8Array(1)), /closed/)
  assert.equal(await within(pipes.call(PEER, 'notes', 'echo', {}), 'a call'), text('ok'))
  assert.is(opened.length, 2)
  pipes.close()
  await clock.advance(2 * IDLE_MS)
  assert.is(clock.pending, 0)
})

test('a stream that does not open: nothing was sent, and the next call tries again', async () => {
  const { open } = serving(new ScriptedAgent({ echo: () => text('ok') }))
  let tries = 0
  const pipes = new Pipes({
    clock: systemClock,
    open: async () => {
      if (++tries === 1) throw new SwarmError('UNREACHABLE', 'no route', { details: { peer: PEER } })
      return open()
    }
  })
  const error = await rejectsWith(pipes.call(PEER, 'notes', 'echo', {}), 'UNREACHABLE')
  assert.equal(error.details, { peer: PEER, sent: false })
  assert.equal(await within(pipes.call(PEER, 'notes', 'echo', {}), 'a call'), text('ok'))
  pipes.close()
})

function stuck (clock: Clock): { pipes: Pipes, signals: AbortSignal[], arrive: (stream: ByteStream) => void } {
  const signals: AbortSignal[] = []
  let arrive: (stream: ByteStream) => void = () => {}
  const pipes = new Pipes({
    clock,
    open: async (_peerId, signal) => await new Promise<ByteStream>((resolve, reject) => {
      signals.push(signal)
      arrive = resolve
      signal.addEventListener('abort', () => { reject(new SwarmError('ABORTED', 'open was given up')) }, { once: true })
    })
  })
  return { pipes, signals, arrive: stream => { arrive(stream) } }
}

for (const ending of ['fails', 'opens late'] as const) {
  test(`a stream that opens where nobody answers holds no call up once another connection serves, and ${ending}`, async () => {
    const { open } = serving(new ScriptedAgent({ echo: () => text('ok') }))
    const firsts: { resolve: (stream: ByteStream) => void, reject: (error: Error) => void }[] = []
    let opened = 0
    const pipes = new Pipes({
      clock: systemClock,
      open: async () => opened++ === 0 ? await new Promise<ByteStream>((resolve, reject) => { firsts.push({ resolve, reject }) }) : open()
    })
    const early = pipes.call(PEER, 'notes', 'echo', {})
    const ended: Promise<unknown> = ending === 'fails' ? rejectsWith(early, 'UNREACHABLE') : early
    await settle()
    pipes.renewPeer(PEER)
    assert.equal(await within(pipes.call(PEER, 'notes', 'echo', {}), 'a call over the other connection'), text('ok'))
    if (ending === 'fails') firsts[0]?.reject(new SwarmError('UNREACHABLE', 'gone'))
    else firsts[0]?.resolve(open())
    await within(ended, 'the early call')
    await within(pipes.call(PEER, 'notes', 'echo', {}), 'one more')
    assert.is(opened, 2, 'the stream that serves goes on')
    pipes.close()
  })
}

test('a call waits for its stream no longer than it may: TIMEOUT, or ABORTED, never sent', async () => {
  const clock = new VirtualClock()
  const { pipes, signals } = stuck(clock)
  const late = rejectsWith(pipes.call(PEER, 'notes', 'echo', {}, { timeoutMs: 50 }), 'TIMEOUT')
  const controller = new AbortController()
  const givenUp = rejectsWith(pipes.call(PEER, 'notes', 'echo', {}, { signal: controller.signal }), 'ABORTED')
  const patient = rejectsWith(pipes.call(PEER, 'notes', 'echo', {}, { timeoutMs: 10 * OPEN_MS_MAX }), 'TIMEOUT')
  await clock.advance(50)
  controller.abort()
  for (const error of await within(Promise.all([late, givenUp]), 'the errors')) assert.is(error.details.sent, false)
  assert.is(signals[0]?.aborted, false)
  await clock.advance(OPEN_MS_MAX)
  assert.is((await within(patient, 'the bound on opening')).details.sent, false)
  assert.is(signals.length, 1)
  pipes.close()
})

test('time spent on opening is taken from the time of the call', async () => {
  const clock = new VirtualClock()
  const { pipes, arrive } = stuck(clock)
  const { open } = serving(new ScriptedAgent({ hang: hanging() }), { clock })
  const call = rejectsWith(pipes.call(PEER, 'notes', 'hang', {}, { timeoutMs: 1_000 }), 'INDETERMINATE')
  await clock.advance(900)
  arrive(open())
  await clock.advance(99)
  assert.is(pipes.inFlight(PEER, 'notes'), 1)
  await clock.advance(1)
  await within(call, 'the deadline')
  pipes.close()
})

test('closing ends what opens and what runs, and refuses what comes', async () => {
  const { pipes: opening } = stuck(systemClock)
  const waiting = rejectsWith(opening.call(PEER, 'notes', 'echo', {}), 'CLOSED')
  opening.close()
  assert.is((await within(waiting, 'the waiting call')).details.sent, false)
  const { pipes } = poolOf(new ScriptedAgent({ hang: hanging() }))
  const running = rejectsWith(pipes.call(PEER, 'notes', 'hang', {}), 'INDETERMINATE')
  await settle()
  pipes.close()
  await within(running, 'the running call')
  assert.is((await rejectsWith(pipes.call(PEER, 'notes', 'hang', {}), 'CLOSED')).details.sent, false)
})

test('arguments that are not JSON are refused here', async () => {
  const { pipes, opened } = poolOf(new ScriptedAgent({}))
  const cyclic: Record<string, never> = {}
  Object.assign(cyclic, { self: cyclic })
  await rejectsWith(pipes.call(PEER, 'notes', 'echo', cyclic), 'INVALID_ARGUMENTS')
  assert.is(opened.length, 0)
})

test.run()
