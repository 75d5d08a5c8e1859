import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Breaker, FAILURES_MAX } from '../../lib/mesh/breaker.ts'
import { ATTEMPTS_MAX, CHOICES_MAX, choose, isIdempotent, isInterchangeable, providerKey } from '../../lib/mesh/choice.ts'
import type { NamedChoice, Query } from '../../lib/mesh/choice.ts'
import { around, provider } from './offers.ts'
import type { Offer } from './offers.ts'

function refusal (offers: readonly Offer[], query: Query, more: Parameters<typeof around>[1] = {}): SwarmError {
  const providers = offers.map(provider)
  try {
    choose(providers.filter(({ tool }) => tool.name === query.tool), query, around(providers, more))
  } catch (error) {
    if (error instanceof SwarmError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const alone: Offer[] = [{ peer: 'ann' }, { peer: 'bob' }]
const pooled: Offer[] = [{ peer: 'ann', pool: 'p' }, { peer: 'bob', pool: 'p' }]

for (const [name, offers, query, peers] of [
  ['the only provider', [{ peer: 'ann' }], {}, ['ann']],
  ['a pool of two', pooled, {}, ['ann', 'bob']],
  ['one of two by the name of its peer', alone, { peer: 'bob' }, ['bob']],
  ['one of two by the id of its peer', alone, { peer: 'id-ann' }, ['ann']],
  ['one of two by its agent', [{ peer: 'ann', agent: 'x' }, { peer: 'bob', agent: 'y' }], { agent: 'y' }, ['bob']],
  ['one agent of two at one peer', [{ peer: 'ann', agent: 'x' }, { peer: 'ann', agent: 'y' }], { agent: 'x', peer: 'ann' }, ['ann']],
  ['the available part of a pool', [{ peer: 'ann', pool: 'p', reason: 'busy' }, { peer: 'bob', pool: 'p' }], {}, ['bob']],
  ['a member of the pool that is named', pooled, { peer: 'ann' }, ['ann']]
] as const) {
  test(`chooses ${name}`, () => {
    const providers = offers.map(provider)
    const choice = choose(providers, { tool: 'tool', ...query }, around(providers))
    assert.equal(choice.order.map(({ peerName }) => peerName).sort(), peers)
  })
}

for (const [name, offers] of [
  ['two agents without a pool', alone],
  ['two pools', [{ peer: 'ann', pool: 'p' }, { peer: 'bob', pool: 'q' }]],
  ['a pool and an agent outside it', [{ peer: 'ann', pool: 'p' }, { peer: 'bob' }]],
  ['one pool with two definitions of the tool', [{ peer: 'ann', pool: 'p' }, { peer: 'bob', pool: 'p', description: 'other' }]],
  ['one pool with two claims on idempotence', [{ peer: 'ann', pool: 'p' }, { peer: 'bob', pool: 'p', annotations: { idempotentHint: true } }]],
  ['an available and an unavailable one', [{ peer: 'ann', reason: 'stopped' }, { peer: 'bob' }]],
  ['a pool without a name and none', [{ peer: 'ann', pool: '' }, { peer: 'bob' }]]
] as const) {
  test(`calls ${name} ambiguous and says what to add`, () => {
    const error = refusal(offers, { tool: 'tool' })
    assert.is(error.code, 'AMBIGUOUS')
    assert.is(error.details['total'], 2)
    const choices = error.details['choices'] as NamedChoice[]
    assert.equal(choices.map(({ peer }) => peer), ['ann', 'bob'])
    assert.match(error.message, /"ann" \(id-ann.*"bob" \(id-bob/)
    const providers = offers.map(provider)
    const available = providers.filter(({ available }) => available)
    for (const { add, peerId } of choices) {
      if (!available.some(provider => provider.peerId === peerId)) continue
      assert.is(choose(providers, { tool: 'tool', ...add }, around(providers)).order[0]?.peerId, peerId)
    }
  })
}

test('asks for the agent where that is enough, else for the peer, by id where peers share a name', () => {
  const additions = (offers: readonly Offer[]): unknown => (refusal(offers, { tool: 'tool' }).details['choices'] as NamedChoice[]).map(({ add }) => add)
  assert.equal(additions([{ peer: 'ann', agent: 'x' }, { peer: 'bob', agent: 'y' }]), [{ agent: 'x' }, { agent: 'y' }])
  assert.equal(additions(alone), [{ peer: 'ann' }, { peer: 'bob' }])
  assert.equal(additions([{ peer: 'ann', agent: 'x' }, { peer: 'ann', agent: 'y' }, { peer: 'bob', agent: 'x' }]), [{ agent: 'x', peer: 'ann' }, { agent: 'y' }, { peer: 'bob' }])
  const twins = [provider({ peer: 'ann' }), { ...provider({ peer: 'bob' }), peerName: 'ann' }]
  assert.throws(() => choose(twins, { tool: 'tool' }, around(twins)), (error: SwarmError) =>
    JSON.stringify((error.details['choices'] as NamedChoice[]).map(({ add }) => add)) === '[{"peer":"id-ann"},{"peer":"id-bob"}]')
})

test('lists a bounded number of choices', () => {
  const error = refusal(Array.from({ length: 1_000 }, (_, index) => ({ peer: `p${index}` })), { tool: 'tool' })
  assert.is((error.details['choices'] as NamedChoice[]).length, CHOICES_MAX)
  assert.is(error.details['total'], 1_000)
  assert.match(error.message, /and 995 more$/)
  assert.ok(error.message.length < 2_000)
})

for (const [name, query, code, words] of [
  ['a mistyped tool', { tool: 'raed_file' }, 'UNKNOWN_TOOL', /"read_file"/],
  ['a mistyped agent', { tool: 'read_file', agent: 'note' }, 'UNKNOWN_AGENT', /"notes"/],
  ['a mistyped peer', { tool: 'read_file', peer: 'anne' }, 'UNKNOWN_PEER', /"ann"/],
  ['an agent that lives at another peer', { tool: 'read_file', agent: 'notes', peer: 'bob' }, 'UNKNOWN_AGENT', /at peer "bob"/],
  ['a tool that another peer offers', { tool: 'read_file', peer: 'bob' }, 'UNKNOWN_TOOL', /offered by agent "notes" at "ann"/],
  ['a tool that resembles nothing', { tool: 'xyz' }, 'UNKNOWN_TOOL', /"xyz"$/]
] as const) {
  test(`says what was meant by ${name}`, () => {
    const error = refusal([{ peer: 'ann', agent: 'notes', tool: 'read_file' }, { peer: 'bob', agent: 'maths', tool: 'add' }], query)
    assert.is(error.code, code)
    assert.match(error.message, words)
    assert.is(error.details['sent'], false)
  })
}

test('a peer that names itself by the id of another is not taken for it', () => {
  const id = `12D3KooW${'A'.repeat(44)}`
  const impostor = { ...provider({ peer: 'mallory' }), peerName: id }
  const other = provider({ peer: 'ann' })
  const living = { tools: () => ['tool'], peers: () => [{ peerId: id, name: 'bob', agents: [] }, { peerId: impostor.peerId, name: id, agents: ['agent'] }] }
  assert.throws(() => choose([impostor], { tool: 'tool', peer: id }, { ...around([impostor]), living }), (error: SwarmError) => error.code === 'UNKNOWN_TOOL')
  assert.throws(() => choose([impostor, other], { tool: 'tool' }, around([impostor])), (error: SwarmError) =>
    (error.details['choices'] as NamedChoice[])[0]?.add?.peer === impostor.peerId)
})

test('all known and none available is told with reasons and since when', () => {
  const error = refusal([{ peer: 'ann', pool: 'p', reason: 'restarting' }, { peer: 'bob', pool: 'p', reason: 'stopped' }], { tool: 'tool' }, { nowMs: 65_000, since: () => 5_000 })
  assert.is(error.code, 'UNAVAILABLE')
  assert.match(error.message, /"ann": "restarting" for 60 s; .*"bob": "stopped" for 60 s/)
  assert.equal((error.details['providers'] as { reason: string, forMs: number }[]).map(({ reason, forMs }) => [reason, forMs]), [['restarting', 60_000], ['stopped', 60_000]])
  assert.is(error.details['sent'], false)
})

test('the less loaded of two is tried first', () => {
  const providers = pooled.map(provider)
  const random = seededRandom(7)
  for (let round = 0; round < 100; round++) {
    const loads = (candidate: { peerName: string }): number => candidate.peerName === 'ann' ? 5 : 4
    assert.equal(choose(providers, { tool: 'tool' }, around(providers, { loads, random })).order.map(({ peerName }) => peerName), ['bob', 'ann'])
  }
})

test('1,000 calls on 20 idle providers spread to within 6 calls of even', () => {
  const providers = Array.from({ length: 20 }, (_, index) => provider({ peer: `p${index}`, pool: 'p' }))
  const loads = new Map<string, number>()
  const random = seededRandom(3)
  for (let call = 0; call < 1_000; call++) {
    const [first] = choose(providers, { tool: 'tool' }, around(providers, { random, loads: ({ peerId }) => loads.get(peerId) ?? 0 })).order
    assert.ok(first)
    loads.set(first.peerId, (loads.get(first.peerId) ?? 0) + 1)
  }
  for (const load of loads.values()) assert.ok(Math.abs(load - 50) <= 6, `a provider got ${load} of 1,000 calls, seed 3`)
})

test('a provider that keeps failing is tried last, and first of all when it is alone', () => {
  const providers = pooled.map(provider)
  const breaker = new Breaker()
  const ann = providerKey(providers[0] as (typeof providers)[number])
  for (let failure = 0; failure < FAILURES_MAX; failure++) breaker.failed(ann, 0)
  // It looks idle, as it fails fast: that must not draw calls.
  const loads = (candidate: { peerName: string }): number => candidate.peerName === 'ann' ? 0 : 9
  for (let seed = 0; seed < 50; seed++) {
    const { order } = choose(providers, { tool: 'tool' }, around(providers, { breaker, loads, random: seededRandom(seed) }))
    assert.equal(order.map(({ peerName }) => peerName), ['bob', 'ann'], `seed ${seed}`)
  }
  assert.is(choose(providers, { tool: 'tool', peer: 'ann' }, around(providers, { breaker })).order[0]?.peerName, 'ann')
  const bob = providerKey(providers[1] as (typeof providers)[number])
  for (let failure = 0; failure < FAILURES_MAX; failure++) breaker.failed(bob, 0)
  assert.is(choose(providers, { tool: 'tool' }, around(providers, { breaker })).order.length, 2, 'never eject all')
})

test('a tool is idempotent by its own word only', () => {
  for (const [annotations, expected] of [
    [undefined, false], [{}, false], [{ idempotentHint: true }, true], [{ readOnlyHint: true }, true], [{ idempotentHint: false, readOnlyHint: false }, false]
  ] as const) assert.is(isIdempotent({ name: 'tool', inputSchema: {}, ...annotations === undefined ? {} : { annotations } }), expected)
})

test('a choice never mixes groups, never invents or repeats a provider, and leaves out what cannot serve', () => {
  const offer = fc.record({
    peer: fc.constantFrom('ann', 'bob', 'cid', 'dot'),
    agent: fc.constantFrom('x', 'y'),
    pool: fc.constantFrom(undefined, 'p', 'q', ''),
    description: fc.constantFrom(undefined, 'other'),
    reason: fc.option(fc.constant('stopped'), { nil: undefined, freq: 5 })
  }, { requiredKeys: ['peer', 'agent'] })
  const offers = fc.uniqueArray(offer, { maxLength: 8, selector: ({ agent, peer }) => `${peer}/${agent}` })
  const query = fc.record({ agent: fc.constantFrom(undefined, 'x', 'y'), peer: fc.constantFrom(undefined, 'ann', 'id-bob') })
  const seed = Math.floor(Math.random() * 2 ** 31)
  const outcomes = new Map<string, number>()
  fc.assert(fc.property(offers, query, fc.integer(), (offers, query, seed) => {
    const providers = offers.map(offer => provider(offer as Offer))
    const matching = providers.filter(({ agent, peerId, peerName }) =>
      (query.agent === undefined || agent.name === query.agent) && (query.peer === undefined || [peerId, peerName].includes(query.peer)))
    const groups = matching.reduce<typeof matching[]>((groups, provider) => {
      const group = groups.find(([first]) => first !== undefined && isInterchangeable(first, provider))
      if (group === undefined) groups.push([provider])
      else group.push(provider)
      return groups
    }, [])
    let code = 'chosen'
    try {
      const { order } = choose(providers, { tool: 'tool', ...query }, around(providers, { random: seededRandom(seed) }))
      assert.is(groups.length, 1)
      assert.is(order.length, Math.min(ATTEMPTS_MAX, matching.filter(({ available }) => available).length))
      assert.ok(order.length > 0)
      assert.is(new Set(order).size, order.length)
      assert.ok(order.every(provider => matching.includes(provider) && provider.available))
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      code = error.code
      if (code === 'AMBIGUOUS') {
        assert.is(error.details['total'], groups.length)
        assert.ok(groups.length > 1)
        for (const { add, peerId, agent } of error.details['choices'] as NamedChoice[]) {
          const left = groups.filter(group => group.some(provider =>
            (add?.agent ?? provider.agent.name) === provider.agent.name && [provider.peerId, provider.peerName].includes(add?.peer ?? provider.peerId)))
          assert.is(left.length, 1, `adding ${JSON.stringify(add)} leaves one group`)
          assert.ok(left[0]?.some(provider => provider.peerId === peerId && provider.agent.name === agent))
        }
      } else if (code === 'UNAVAILABLE') {
        assert.is(groups.length, 1)
        assert.ok(matching.every(({ available }) => !available))
      } else assert.is(matching.length, 0)
    }
    outcomes.set(code, (outcomes.get(code) ?? 0) + 1)
  }), { seed, numRuns: 2_000 })
  assert.ok(['chosen', 'AMBIGUOUS', 'UNAVAILABLE'].every(code => (outcomes.get(code) ?? 0) > 20), `seed ${seed} met ${JSON.stringify([...outcomes])}`)
})

test.run()
