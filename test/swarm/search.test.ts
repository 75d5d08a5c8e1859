import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Trust, VAIN_DIALS_MAX } from '../../lib/base/trust.ts'
import { NAMED_MAX, Search, TRIES_AT_ONCE, TRIES_MAX } from '../../lib/swarm/search.ts'

const drain = (search: Search): string[] => {
  const all: string[] = []
  for (let named = search.take(0); named !== undefined; named = search.take(0)) all.push(named.peerId)
  return all
}

const crowd = (search: Search, teller: string, count: number): void => {
  for (let peer = 0; peer < count; peer++) search.hear({ peerId: `${teller} ${peer}`, addresses: ['/lie'], teller })
}

test('however much is said before, one that is honest is heard after one try for each liar', () => {
  const search = new Search(new Trust())
  for (const liar of ['one', 'two', 'three']) crowd(search, liar, 100)
  search.hear({ peerId: 'true', addresses: ['/true'], teller: 'honest' })
  assert.is(drain(search).indexOf('true'), 3)
})

test('one that speaks later is next', () => {
  const search = new Search(new Trust())
  crowd(search, 'liar', 100)
  for (let turn = 0; turn < 5; turn++) search.take(0)
  search.hear({ peerId: 'true', addresses: ['/true'], teller: 'honest' })
  assert.is(search.take(0)?.peerId, 'true')
})

test('a peer that a liar named before is tried again where others say it is, with what is new first', () => {
  const search = new Search(new Trust())
  search.hear({ peerId: 'true', addresses: ['/lie'], teller: 'liar' })
  assert.equal(search.take(0)?.addresses, ['/lie'])
  search.hear({ peerId: 'true', addresses: ['/true', '/lie'], teller: 'honest' })
  assert.equal(search.take(0), { peerId: 'true', addresses: ['/true', '/lie'], teller: 'honest' })
  search.hear({ peerId: 'true', addresses: ['/lie', '/true'], teller: 'another' })
  assert.is(search.take(0), undefined)
})

test('tries are bounded: of one word, at once, and in all', () => {
  const search = new Search(new Trust())
  crowd(search, 'liar', 10 * NAMED_MAX)
  const first = Array.from({ length: TRIES_AT_ONCE }, () => search.next(0))
  assert.ok(first.every(named => named !== undefined))
  assert.is(search.next(0), undefined)
  search.rest()
  assert.ok(search.next(0))
  assert.is(drain(search).length, NAMED_MAX - TRIES_AT_ONCE - 1)
  crowd(search, 'liar', 10)
  assert.equal(drain(search), [], 'its word is used up')
  for (let liar = 0; liar < 10; liar++) crowd(search, `liar ${liar}`, 10)
  assert.is(drain(search).length, TRIES_MAX - NAMED_MAX)
})

test('nobody is tried on the word of one that is not trusted', () => {
  const trust = new Trust()
  const search = new Search(trust)
  crowd(search, 'liar', 2)
  for (let dial = 0; dial < VAIN_DIALS_MAX; dial++) trust.lose('liar', 0)
  search.hear({ peerId: 'true', addresses: ['/true'], teller: 'honest' })
  assert.equal(drain(search), ['true'])
})

test.run()
