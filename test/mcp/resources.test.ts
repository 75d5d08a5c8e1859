import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import type { Offered } from '../../lib/mcp/entries.ts'
import { gatewayResources, LABELLED, readLabel, type UriOptions } from '../../lib/mcp/resources.ts'
import { offered, offeredBy, type Made } from './offered.ts'

const shown = (made: readonly Made[], options?: UriOptions): string[] => gatewayResources(offeredBy(...made), options).resources.map(({ uri, peerName, agent, pool }) => `${uri} ${pool ?? `${peerName}/${agent}`}`)
const A = 'file:///a'

for (const [what, made, expected] of [
  ['one resource', [{ resources: [A] }], [`${A} alice/notes`]],
  ['two agents, two resources', [{ resources: [A] }, { agent: 'files', resources: ['file:///b'] }], [`${A} alice/notes`, 'file:///b alice/files']],
  ['one URI at two agents', [{ resources: [A] }, { agent: 'my files', resources: [A] }], [`swarm://my_files/${A} alice/my files`, `swarm://notes/${A} alice/notes`]],
  ['one URI at agents of one name', [{ resources: [A] }, { peer: 'bob', resources: [A, 'b:'] }], ['b: bob/notes', `swarm://alice__notes/${A} alice/notes`, `swarm://bob__notes/${A} bob/notes`]],
  ['a pool', [{ pool: 'p', resources: [A] }, { peer: 'bob', pool: 'p', resources: [A] }], [`${A} p`]],
  ['a pool and a rival', [{ pool: 'p', resources: [A] }, { peer: 'bob', pool: 'p', resources: [A] }, { agent: 'files', resources: [A] }], [`swarm://files/${A} alice/files`, `swarm://p/${A} p`]],
  ['a pool whose members differ', [{ pool: 'p', resources: [A] }, { peer: 'bob', pool: 'p', resources: [A] }, { peer: 'carol', pool: 'p', version: '2', resources: [A] }], [`swarm://carol__notes/${A} carol/notes`, `swarm://p/${A} p`]],
  ['a URI that looks like a labelled one', [{ resources: [A] }, { agent: 'rogue', resources: [`swarm://notes/${A}`, 'SWARM://notes/x'] }], [`${A} alice/notes`, 'swarm://rogue/SWARM://notes/x alice/rogue', `swarm://rogue/swarm://notes/${A} alice/rogue`]]
] as readonly [string, Made[], string[]][]) {
  test(what, () => { assert.equal(shown(made), expected) })
}

test('templates are named as resources are', () => {
  const { templates } = gatewayResources(offeredBy({ templates: ['file:///{path}'] }, { agent: 'files', templates: ['file:///{path}', 'x:{y}'] }))
  assert.equal(templates.map(({ uriTemplate, template }) => [uriTemplate, template['uriTemplate']]), [
    ['swarm://files/file:///{path}', 'file:///{path}'], ['swarm://notes/file:///{path}', 'file:///{path}'], ['x:{y}', 'x:{y}']
  ])
})

test('agents of one name at peers of one name have labels of their own', () => {
  const { holders } = gatewayResources(offeredBy({ peerId: '1', resources: [A] }, { peerId: '2', resources: [A] }))
  assert.is(new Set(holders.map(({ label }) => label)).size, 2)
  assert.ok(holders.every(({ label }) => /^alice__notes_[0-9a-f]{8}$/.test(label)), JSON.stringify(holders))
})

test('who has resources is known, also where none is listed, and how to speak with it', () => {
  const { holders } = gatewayResources(offeredBy(
    { agent: 'tools', tools: ['x'] }, { agent: 'live', capabilities: { resources: { subscribe: true } }, session: 'caller' }, { pool: 'p', templates: ['{x}'] }
  ))
  assert.equal(holders.map(({ label, target: { agent, pool, session, capabilities } }) => [label, agent, pool, session, capabilities]), [
    ['live', 'live', undefined, 'caller', { resources: { subscribe: true } }], ['notes', 'notes', undefined, 'shared', {}], ['p', 'notes', 'p', 'shared', {}]
  ])
})

test('a URI and its label stay with whom they are bound to', () => {
  const bind = (made: readonly Made[]): UriOptions => ({ resources: new Map(gatewayResources(offeredBy(...made)).resources.map(({ uri, key }) => [uri, key])) })
  const rival: Made = { agent: 'files', resources: [A] }
  const alone = bind([{ resources: [A] }])
  assert.equal(shown([{ resources: [A] }, rival], alone), [`${A} alice/notes`, `swarm://files/${A} alice/files`])
  assert.equal(shown([rival], alone), [`swarm://files/${A} alice/files`])
  const both = bind([{ resources: [A] }, rival])
  assert.equal(shown([rival], both), [`swarm://files/${A} alice/files`])
  // another agent called files does not get its label
  assert.equal(shown([{ peer: 'bob', agent: 'files', resources: [A, 'b:'] }, { peer: 'bob', agent: 'c', resources: ['b:'] }], both)
    .filter(uri => uri.includes('/files')), [`${A} bob/files`, 'swarm://bob__files/b: bob/files'])
})

test('a label can be read back, with the URI of the agent', () => {
  assert.equal(readLabel(`swarm://notes/${A}`), { label: 'notes', uri: A })
  assert.equal(readLabel('swarm://notes/'), { label: 'notes', uri: '' })
  assert.is(readLabel('swarm://notes'), undefined)
  assert.is(readLabel(A), undefined)
})

test('whoever offers whatever: no URI is given twice, each leads back, none changes hands, in whatever order all came', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const pick = <Item>(...items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item
  const URIS = [A, 'b:', `swarm://notes/${A}`, `swarm://alice__notes/${A}`, 'swarm:', 'ü:ö']
  for (let round = 0; round < 300; round++) {
    const offers = new Map<string, Offered>()
    for (let count = 0; count < 10; count++) {
      const one = { peer: pick('alice', 'bob', 'a.lice'), peerId: pick('1', '2', '3'), agent: pick('notes', 'n.otes', 'n_otes', 'alice__notes'), pool: pick(undefined, 'p', 'notes'), version: pick('1', '2') }
      offers.set(`${one.peerId}/${one.agent}`, offered({ ...one, resources: URIS.filter(() => random.next() < 0.6) }))
    }
    const all = [...offers.values()]
    const made = gatewayResources(all)
    assert.equal(gatewayResources([...all].map(one => ({ one, at: random.next() })).sort((a, b) => a.at - b.at).map(({ one }) => one)), made, `seed ${seed}`)
    assert.is(new Set(made.resources.map(({ uri }) => uri)).size, made.resources.length, `seed ${seed}: a URI given twice`)
    const labels = new Map(made.holders.map(({ label, target }) => [label, target]))
    for (const { uri, resource, agent, peerId, pool } of made.resources) {
      const labelled = uri.startsWith(LABELLED) ? readLabel(uri) : { label: undefined, uri }
      assert.is(labelled?.uri, resource['uri'], `seed ${seed}`)
      if (labelled?.label === undefined) continue
      const target = labels.get(labelled.label)
      assert.equal(pool ?? [agent, peerId], target?.pool ?? [target?.agent, target?.peerId], `seed ${seed}: a label leads elsewhere`)
    }
    const resources = new Map(made.resources.map(({ uri, key }) => [uri, key]))
    const later = gatewayResources([...all.filter(() => random.next() < 0.5), offered({ peerId: '4', peer: pick('alice', 'dora'), resources: URIS })], { resources })
    assert.is(new Set(later.resources.map(({ uri }) => uri)).size, later.resources.length, `seed ${seed}: a URI given twice`)
    for (const { uri, key } of later.resources) assert.ok(resources.get(uri) === key || !resources.has(uri), `seed ${seed}: a URI changed hands`)
  }
})

test.run()
