import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { BUILTIN_META } from '../../lib/mcp/failure.ts'
import { gatewayPrompts, gatewayTools, NAME_CHARS_MAX, OWN_PREFIX, type NameOptions } from '../../lib/mcp/names.ts'
import { offered, offeredBy, type Made as MadeAgent } from './offered.ts'

interface Made extends MadeAgent { readonly tool?: string, readonly hash?: string }

const offer = ({ tool = 'read', hash = 'h1', ...agent }: Made): ReturnType<typeof offered> => offered({ ...agent, tools: [tool], prompts: [tool], version: hash })

/** The same for tools and for prompts, or the test fails. */
function names (made: readonly Made[], options?: NameOptions): string[] {
  const offers = made.map(offer)
  const tools = gatewayTools(offers, options).map(({ name }) => name)
  assert.equal(gatewayPrompts(offers, options).map(({ name }) => name), tools)
  return tools
}

for (const [what, made, auto, always, never] of [
  ['one tool', [{}], ['read'], ['notes__read'], ['read']],
  ['two agents, two tools', [{ tool: 'a' }, { agent: 'files', tool: 'b' }], ['a', 'b'], ['files__b', 'notes__a'], ['a', 'b']],
  ['one tool at two agents', [{}, { agent: 'files' }], ['files__read', 'notes__read'], ['files__read', 'notes__read'], 2],
  ['one tool at agents of one name', [{}, { peer: 'bob' }], ['alice__notes__read', 'bob__notes__read'], ['alice__notes__read', 'bob__notes__read'], 2],
  ['agents of one name, different tools', [{ tool: 'a' }, { peer: 'bob', tool: 'b' }], ['a', 'b'], ['alice__notes__a', 'bob__notes__b'], ['a', 'b']],
  ['a pool', [{ pool: 'p' }, { peer: 'bob', pool: 'p', agent: 'memo' }], ['read'], ['p__read'], ['read']],
  ['a pool and a rival', [{ pool: 'p' }, { peer: 'bob', pool: 'p' }, { agent: 'files' }], ['files__read', 'p__read'], ['files__read', 'p__read'], 2],
  ['a pool of two versions', [{ pool: 'p' }, { peer: 'bob', pool: 'p' }, { peer: 'carol', pool: 'p', hash: 'h2' }], ['notes__read', 'p__read'], ['notes__read', 'p__read'], 2],
  ['characters that no client takes', [{ agent: 'my notes', tool: 'dir/read.all' }], ['dir_read_all'], ['my_notes__dir_read_all'], ['dir_read_all']],
  ['names equal once plain', [{ tool: 'a.b' }, { tool: 'a/b', agent: 'files' }], ['files__a_b', 'notes__a_b'], ['files__a_b', 'notes__a_b'], 2]
] as readonly [string, Made[], string[], string[], string[] | number][]) {
  test(`${what}: auto, always, never`, () => {
    assert.equal(names(made), auto)
    assert.equal(names(made, { prefix: 'always' }), always)
    const plain = names(made, { prefix: 'never' })
    if (typeof never !== 'number') return assert.equal(plain, never)
    assert.is(new Set(plain).size, never) // told apart by their tails
    assert.ok(plain.every(name => /^(read|a_b)_[0-9a-f]{8}$/.test(name)), plain.join())
  })
}

test('leaves out the tools built into every agent, by their mark and not by their name', () => {
  const builtin = { name: 'ping', inputSchema: { type: 'object' }, _meta: { [BUILTIN_META]: true } }
  assert.equal(gatewayTools(offeredBy({ tools: [builtin] }, { agent: 'files', tools: ['ping'] })).map(({ name, agent }) => [name, agent]), [['ping', 'files']])
})

test('cuts a long name and tells it apart by a hash', () => {
  const long = 'x'.repeat(80)
  const [first, second] = names([{ tool: `${long}1` }, { tool: `${long}2` }]) as [string, string]
  assert.is(first.length, NAME_CHARS_MAX)
  assert.is(second.length, NAME_CHARS_MAX)
  assert.is.not(first, second)
  assert.equal(names([{ tool: 'y'.repeat(NAME_CHARS_MAX) }]), ['y'.repeat(NAME_CHARS_MAX)])
})

test('a pool says whether any of its members can serve', () => {
  const [tool] = gatewayTools([offer({ pool: 'p', available: false }), offer({ pool: 'p', peer: 'bob' })])
  assert.is(tool?.available, true)
  assert.is(tool?.pool, 'p')
  const [down] = gatewayTools([offer({ available: false })])
  assert.is(down?.available, false)
  assert.is(down?.reason, 'exited')
})

test('a name stays with whom it is bound to, and goes to nobody else while that one is away', () => {
  const [tool] = gatewayTools([offer({})])
  const bound = new Map([[tool?.name ?? '', tool?.key ?? '']])
  assert.equal(names([{}, { agent: 'files' }], { bound }), ['files__read', 'read'])
  assert.equal(names([{ agent: 'files' }], { bound }), ['files__read'])
  assert.equal(names([{ agent: 'files' }], { bound, prefix: 'never' }).map(name => name.slice(0, 5)), ['read_'])
})

test('a name that one provider was given after a clash is not what another can be called', () => {
  // the digits of the hash are no secret: somebody may offer a tool of that very name
  const clash: Made[] = [{ peerId: '1', tool: 'a.b' }, { peerId: '1', tool: 'a/b', agent: 'files' }]
  const [tailed] = names(clash, { prefix: 'never' }) as [string]
  for (const peerId of ['0', '2']) {
    const all = names([...clash, { peerId, agent: 'rogue', tool: tailed }], { prefix: 'never' })
    assert.is(new Set(all).size, 3, all.join())
  }
})

test('no tool is called as the gateway\'s own are', () => {
  const own = `${OWN_PREFIX}find`
  const shown = (made: Made, options?: NameOptions): string => gatewayTools([offer(made)], options)[0]?.name ?? ''
  assert.is(shown({ tool: own }), `notes__${own}`)
  assert.is(shown({ tool: own }, { prefix: 'always' }), `notes__${own}`)
  assert.match(shown({ tool: own }, { prefix: 'never' }), /^swarm_find_[0-9a-f]{8}$/)
  assert.match(shown({ tool: own, agent: 'swarm' }), /^swarm__swarm_find_[0-9a-f]{8}$/)
  assert.match(shown({ tool: 'swarm/find' }, { prefix: 'never' }), /^swarm_find_[0-9a-f]{8}$/)
})

test('tells whom a tool or a prompt may be asked of, and how', () => {
  const made = { tools: ['read'], prompts: ['greet'], capabilities: { completions: {} }, session: 'caller', available: false, sinceMs: 5 } as const
  const target = { agent: 'notes', peerId: 'id-alice', peerName: 'alice', available: false, reason: 'exited', sinceMs: 5, capabilities: { completions: {} }, session: 'caller' }
  const [{ name, key, tool, ...ofTool }] = gatewayTools(offeredBy(made)) as [ReturnType<typeof gatewayTools>[number]]
  assert.equal({ name, own: tool.name, ofTool }, { name: 'read', own: 'read', ofTool: target })
  assert.ok(key.includes('id-alice'), key)
  const [{ prompt, key: _key, ...ofPrompt }] = gatewayPrompts(offeredBy(made)) as [ReturnType<typeof gatewayPrompts>[number]]
  assert.equal({ prompt, ofPrompt }, { prompt: { name: 'greet', description: '1' }, ofPrompt: { name: 'greet', ...target } })
  const [plain] = gatewayTools([offer({})])
  assert.equal([plain?.capabilities, plain?.session, plain !== undefined && 'sinceMs' in plain], [{}, 'shared', false])
})

test('of an agent whose catalogue is not known there is nothing to show', () => {
  assert.equal(gatewayTools([{ ...offered({}), catalogue: undefined }]), [])
})

const TOOLS = ['read', 'write', 're.ad', 're ad', 'y'.repeat(49), 'notes__read', `${'z'.repeat(127)}1`, `${'z'.repeat(127)}2`, `${OWN_PREFIX}call`]

test('names depend on who offers what, not on the order in which it came; each is valid, none is given twice', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const pick = <Item>(...items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item
  for (let round = 0; round < 200; round++) {
    const made = new Map<string, Made>()
    for (let count = 0; count < 30; count++) {
      const one = {
        peer: pick('alice', 'bob', 'böb', 'x'.repeat(60)), peerId: pick('1', '2', '3'), agent: pick('notes', 'files', 'n.otes', 'p'),
        tool: pick(...TOOLS), pool: pick(undefined, undefined, 'p', 'notes'), hash: pick('h1', 'h2')
      }
      made.set(`${one.peerId}/${one.agent}`, one) // a peer has one agent of a name
    }
    const offers = [...made.values()].map(({ tool, hash, ...one }) => offered({ ...one, version: hash, tools: TOOLS.filter(name => name === tool || random.next() < 0.5) }))
    for (const prefix of ['auto', 'always', 'never'] as const) {
      const tools = gatewayTools(offers, { prefix })
      const shuffled = gatewayTools(offers.map(one => ({ one, at: random.next() })).sort((a, b) => a.at - b.at).map(({ one }) => one), { prefix })
      assert.equal(tools, shuffled, `seed ${seed}`)
      assert.is(new Set(tools.map(({ name }) => name)).size, tools.length, `seed ${seed}: a name given twice`)
      assert.ok(tools.every(({ name }) => /^[A-Za-z0-9_-]{1,50}$/.test(name)), `seed ${seed}`)
      const bound = new Map(tools.map(({ name, key }) => [name, key]))
      const fewer = gatewayTools(offers.filter(() => random.next() < 0.7), { prefix, bound })
      for (const { name, key } of fewer) assert.ok(bound.get(name) === key || !bound.has(name), `seed ${seed}: a name changed hands`)
    }
  }
})

test.run()
