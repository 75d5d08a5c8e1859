import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ADDRESSES_MAX } from '../../lib/mesh/dialler.ts'
import { HINTED_MAX, SIGHTED_MAX, Sightings } from '../../lib/swarm/sightings.ts'

const at = (port: number): string => `/ip4/10.0.0.1/tcp/${port}`

test('each source replaces only what it said itself', () => {
  const sightings = new Sightings()
  sightings.see('a', [at(1)], 'record', 1)
  sightings.see('a', [at(2)], 'mdns', 2)
  sightings.see('a', [at(3)], 'mdns', 3)
  assert.equal(sightings.addresses('a'), [at(3), at(1)])
  assert.equal([sightings.said('a', 'mdns'), sightings.said('a', 'record'), sightings.said('a', 'dht'), sightings.said('b', 'mdns')], [[at(3)], [at(1)], [], []])
  assert.equal(sightings.sources('a'), [{ source: 'mdns', atMs: 3 }, { source: 'record', atMs: 1 }])
  assert.not(sightings.unsee('a', 'mdns'))
  assert.equal(sightings.addresses('a'), [at(1)])
  assert.ok(sightings.unsee('a', 'record'), 'nobody tells of it any more')
  assert.is(sightings.size, 0)
})

test('what worked last comes first, for as long as somebody names it', () => {
  const sightings = new Sightings()
  sightings.see('a', [at(1), at(2)], 'remembered', 1)
  sightings.worked('a', at(2))
  assert.equal(sightings.addresses('a'), [at(2), at(1)])
  sightings.see('a', [at(3)], 'remembered', 2)
  assert.equal(sightings.addresses('a'), [at(3)])
})

test('many false addresses of one source leave room for those of every other', () => {
  const sightings = new Sightings()
  sightings.see('a', Array.from({ length: 100 }, (_, port) => at(1_000 + port)), 'mdns', 1)
  sightings.see('a', [at(1), at(2)], 'record', 1)
  sightings.see('a', [at(3)], 'dht', 1)
  const addresses = sightings.addresses('a')
  assert.is(addresses.length, ADDRESSES_MAX)
  for (const port of [1, 2, 3]) assert.ok(addresses.includes(at(port)), `port ${port}`)
})

test('hints are bounded, the oldest goes first, and none of them costs a peer that is known otherwise', () => {
  const sightings = new Sightings()
  sightings.see('known', [at(1)], 'record', 0)
  sightings.see('met', [at(2)], 'mdns', 0)
  sightings.worked('met', at(2))
  for (let hint = 0; hint < HINTED_MAX + 10; hint++) sightings.see(`hint ${hint}`, [at(9)], hint % 2 === 0 ? 'mdns' : 'dht', hint)
  assert.is(sightings.size, HINTED_MAX + 2)
  assert.equal(sightings.addresses('hint 9'), [])
  assert.equal(sightings.addresses('hint 10'), [at(9)])
  assert.equal(sightings.addresses('known'), [at(1)])
  assert.equal(sightings.addresses('met'), [at(2)])
  assert.not(sightings.isHinted('met'))
  sightings.see('hint 10', [at(5)], 'record', 1)
  assert.not(sightings.isHinted('hint 10'))
})

test('a full house takes a peer that is vouched for at the cost of a hint, and no hint', () => {
  const sightings = new Sightings()
  for (let peer = 0; peer < SIGHTED_MAX - 1; peer++) sightings.see(`peer ${peer}`, [at(1)], 'record', 0)
  assert.ok(sightings.see('hint', [at(1)], 'mdns', 0))
  assert.not(sightings.see('another hint', [at(1)], 'mdns', 0))
  assert.ok(sightings.see('vouched for', [at(1)], 'record', 0))
  assert.equal(sightings.addresses('hint'), [])
  assert.not(sightings.see('one more', [at(1)], 'record', 0))
  assert.is(sightings.size, SIGHTED_MAX)
})

test.run()
