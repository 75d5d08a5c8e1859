import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { ErrorCode } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Breaker, FAILURES_MAX } from '../../lib/mesh/breaker.ts'
import { ATTEMPTS_MAX, choose, providerKey } from '../../lib/mesh/choice.ts'
import type { Choice } from '../../lib/mesh/choice.ts'
import { fateOf, route } from '../../lib/mesh/route.ts'
import type { Bounds } from '../../lib/mesh/route.ts'
import { VirtualClock } from '../support/clock.ts'
import { around, provider } from './offers.ts'

type Facts = Record<string, unknown>
/** What one provider does: answers, or fails with a code and facts. */
type Script = 'answers' | readonly [code: ErrorCode, details?: Facts]

interface Outcome {
  readonly asked: readonly string[]
  readonly result: 'answer' | SwarmError
}

/** Routes one call over providers that do in turn what the script says. */
async function play (scripts: readonly Script[], { pooled = true, idempotent = false, more = {} }: { pooled?: boolean, idempotent?: boolean, more?: Partial<Bounds> } = {}): Promise<Outcome> {
  const offers = scripts.map((_, index) => provider({ peer: `p${index}`, ...pooled ? { pool: 'p' } : {}, ...idempotent ? { annotations: { idempotentHint: true } } : {} }))
  const choice = choose(offers, { tool: 'tool' }, around(offers, { random: seededRandom(1) }))
  const asked: string[] = []
  try {
    await route(choice, async ({ peerName }) => {
      const script = scripts[asked.length]
      asked.push(peerName)
      if (script === undefined || script === 'answers') return
      throw new SwarmError(script[0], `scripted ${script[0]}`, { details: script[1] ?? {} })
    }, { clock: new VirtualClock(), deadlineMs: 1_000, ...more })
    return { asked, result: 'answer' }
  } catch (error) {
    if (error instanceof SwarmError) return { asked, result: error }
    throw error
  }
}

for (const [name, scripts, options, attempts, code] of [
  ['an unreachable provider is passed over', [['UNREACHABLE'], 'answers'], {}, 2, 'answer'],
  ['an overloaded one too', [['OVERLOADED', { sent: true, executed: false }], 'answers'], {}, 2, 'answer'],
  ['an unavailable one too', [['UNAVAILABLE'], ['OVERLOADED'], 'answers'], {}, 3, 'answer'],
  ['one whose agent has gone too', [['UNKNOWN_AGENT', { sent: true, executed: false }], 'answers'], {}, 2, 'answer'],
  ['a broken stream before sending too', [['CLOSED', { sent: false }], 'answers'], {}, 2, 'answer'],
  ['nobody else is asked after it was sent', [['CLOSED', { sent: true }], 'answers'], {}, 1, 'INDETERMINATE'],
  ['nor after a timeout', [['INDETERMINATE', { sent: true }], 'answers'], {}, 1, 'INDETERMINATE'],
  ['nor after a timeout by another name', [['TIMEOUT', { sent: true }], 'answers'], {}, 1, 'INDETERMINATE'],
  ['nor if nothing is known', [['CLOSED'], 'answers'], {}, 1, 'INDETERMINATE'],
  ['nor after nonsense', [['MALFORMED', { sent: true }], 'answers'], {}, 1, 'INDETERMINATE'],
  ['an idempotent pooled tool is asked elsewhere', [['CLOSED', { sent: true }], 'answers'], { idempotent: true }, 2, 'answer'],
  ['an idempotent tool outside a pool is not', [['CLOSED', { sent: true }]], { idempotent: true, pooled: false }, 1, 'INDETERMINATE'],
  ['an answer is an answer: the tool failed', [['TOOL_FAILED', { sent: true, executed: true }], 'answers'], { idempotent: true }, 1, 'TOOL_FAILED'],
  ['an answer is an answer: forbidden', [['FORBIDDEN', { sent: true, executed: false }], 'answers'], {}, 1, 'FORBIDDEN'],
  ['what is too large for one is for all', [['TOO_LARGE', { sent: false }], 'answers'], {}, 1, 'TOO_LARGE'],
  ['all refuse', [['OVERLOADED'], ['OVERLOADED'], ['UNREACHABLE']], {}, 3, 'UNREACHABLE'],
  ['what may have run stays so, though the next refused', [['CLOSED', { sent: true }], ['UNREACHABLE'], ['UNREACHABLE']], { idempotent: true }, 3, 'INDETERMINATE'],
  ['attempts are limited', [['UNREACHABLE'], ['UNREACHABLE'], ['UNREACHABLE'], 'answers'], {}, ATTEMPTS_MAX, 'UNREACHABLE']
] as const) {
  test(name, async () => {
    const { asked, result } = await play(scripts, options)
    assert.is(result === 'answer' ? result : result.code, code)
    assert.is(asked.length, attempts)
    assert.is(new Set(asked).size, attempts, 'nobody is asked twice')
    if (code === 'INDETERMINATE' && result !== 'answer') {
      assert.is(result.details['sent'], true)
      assert.match(result.message, /may or may not have run/)
      for (const fact of ['tool', 'peer', 'peerId', 'agent', 'idempotent', 'attempts']) assert.ok(fact in result.details, fact)
    }
    if (attempts > 1 && result !== 'answer') assert.equal((result.details['attempts'] as { peer: string }[]).map(({ peer }) => peer), asked)
  })
}

test('one deadline covers all attempts', async () => {
  const clock = new VirtualClock()
  const offers = ['ann', 'bob', 'cid'].map(peer => provider({ peer, pool: 'p' }))
  const deadlines: number[] = []
  const calling = route(choose(offers, { tool: 'tool' }, around(offers)), async (_, { deadlineMs }) => {
    deadlines.push(deadlineMs)
    await new Promise<void>(resolve => { clock.after(600, resolve) })
    throw new SwarmError('UNREACHABLE', 'slow to refuse')
  }, { clock, deadlineMs: 1_000 }).then(() => undefined, (error: unknown) => error as SwarmError)
  await clock.advance(2_000)
  assert.is((await calling)?.code, 'UNREACHABLE')
  assert.equal(deadlines, [1_000, 1_000], 'no third attempt after the deadline')
})

test('without time left nothing is sent', async () => {
  const { asked, result } = await play(['answers'], { more: { deadlineMs: 0 } })
  assert.equal(asked, [])
  assert.ok(result !== 'answer' && result.code === 'TIMEOUT' && result.details['sent'] === false)
})

test('a caller that gave up before is told that nothing ran', async () => {
  const { asked, result } = await play(['answers'], { more: { signal: AbortSignal.abort() } })
  assert.equal(asked, [])
  assert.ok(result !== 'answer' && result.code === 'ABORTED' && result.details['sent'] === false)
})

for (const [sent, expected] of [[true, true], [false, false]] as const) {
  test(`a caller that gives up is told ${expected ? 'that it may have run' : 'that nothing ran'}, and nobody else is asked`, async () => {
    const controller = new AbortController()
    const offers = ['ann', 'bob'].map(peer => provider({ peer, pool: 'p', annotations: { idempotentHint: true } }))
    let asked = 0
    const calling = route(choose(offers, { tool: 'tool' }, around(offers)), async () => {
      asked++
      controller.abort()
      throw new SwarmError('ABORTED', 'given up', { details: { sent } })
    }, { clock: new VirtualClock(), deadlineMs: 1_000, signal: controller.signal })
    const error = await calling.then(() => undefined, (error: unknown) => error as SwarmError)
    assert.is(error?.code, 'ABORTED')
    assert.is(error?.details['sent'], expected)
    assert.is(asked, 1)
  })
}

test('a bug in an attempt is not taken for a failed provider', async () => {
  const offers = ['ann', 'bob'].map(peer => provider({ peer, pool: 'p' }))
  let asked = 0
  const calling = route(choose(offers, { tool: 'tool' }, around(offers)), async () => {
    asked++
    throw new TypeError('bug')
  }, { clock: new VirtualClock(), deadlineMs: 1_000 })
  assert.instance(await calling.then(() => undefined, (error: unknown) => error), TypeError)
  assert.is(asked, 1)
})

for (const [name, script, isOpen] of [
  ['unreachable opens it', ['UNREACHABLE'], true],
  ['a broken connection opens it', ['CLOSED', { sent: true }], true],
  ['an error of the tool does not', ['TOOL_FAILED', { sent: true }], false],
  ['a request too large does not', ['TOO_LARGE', { sent: false }], false]
] as const) {
  test(`what counts for the breaker: ${name}`, async () => {
    const breaker = new Breaker()
    for (let call = 0; call < FAILURES_MAX; call++) await play([script], { more: { breaker } })
    assert.is(breaker.admits(providerKey(provider({ peer: 'p0' })), 0), !isOpen)
  })
}

test('a deadline that passes says nothing about the provider', async () => {
  const breaker = new Breaker()
  const offers = [provider({ peer: 'ann' })]
  for (let call = 0; call < FAILURES_MAX; call++) {
    const clock = new VirtualClock()
    const calling = route(choose(offers, { tool: 'tool' }, around(offers)), async () => {
      await new Promise<void>(resolve => { clock.after(100, resolve) })
      throw new SwarmError('INDETERMINATE', 'no answer', { details: { sent: true } })
    }, { clock, deadlineMs: 100, breaker }).then(() => 'answer', () => 'error')
    await clock.advance(100)
    assert.is(await calling, 'error')
  }
  assert.is(breaker.size, 0)
})

test('a call that may have run is never sent again unless idempotent and pooled, and never reported as safe', async () => {
  const script = fc.oneof(fc.constant('answers' as const), fc.tuple(
    fc.constantFrom<ErrorCode>('UNREACHABLE', 'OVERLOADED', 'UNAVAILABLE', 'CLOSED', 'INDETERMINATE', 'TIMEOUT', 'MALFORMED', 'TOOL_FAILED', 'FORBIDDEN'),
    fc.constantFrom<Facts>({}, { sent: true }, { sent: false }, { sent: true, executed: false })))
  await fc.assert(fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 5 }), fc.boolean(), async (scripts, idempotent) => {
    const { asked, result } = await play(scripts, { idempotent })
    const fates = scripts.slice(0, asked.length).map(script => script === 'answers' ? 'answered' : fateOf(new SwarmError(script[0], '', { details: script[1] })))
    assert.ok(asked.length <= ATTEMPTS_MAX)
    if (!idempotent) assert.ok(fates.slice(0, -1).every(fate => fate === 'not run'))
    assert.ok(fates.slice(0, -1).every(fate => fate !== 'answered'))
    if (result !== 'answer' && fates.includes('unknown') && fates.at(-1) !== 'answered') assert.is(result.code, 'INDETERMINATE')
    if (result !== 'answer' && result.code === 'INDETERMINATE') assert.ok(fates.includes('unknown'))
  }), { numRuns: 500 })
})

const unpooled: Choice = { tool: 'tool', pool: undefined, idempotent: true, order: ['ann', 'bob'].map(peer => provider({ peer })) }

test('without a pool nobody stands in, whatever a choice lists', async () => {
  let asked = 0
  const calling = route(unpooled, async () => {
    asked++
    throw new SwarmError('CLOSED', 'broken', { details: { sent: true } })
  }, { clock: new VirtualClock(), deadlineMs: 1 })
  assert.is(await calling.then(() => 'none', (error: unknown) => (error as SwarmError).code), 'INDETERMINATE')
  assert.is(asked, 1)
})

test('the answer of the first provider comes back as it is', async () => {
  const answer = { content: [] }
  assert.is(await route(unpooled, async () => answer, { clock: new VirtualClock(), deadlineMs: 1 }), answer)
})

test.run()
