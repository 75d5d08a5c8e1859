import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../../lib/base/random.ts'
import { Allowances, SOURCES_MAX } from '../../../transports/mdns/allowance.ts'
import { Book, PEERS_MAX, PEERS_PER_SOURCE_MAX, SOURCES_PER_PEER_MAX, TOLD_MAX, TTL_S, type Heard } from '../../../transports/mdns/book.ts'

const word = (change: Partial<Heard> = {}): Heard => ({ peerId: 'alice', addresses: ['/ip4/10.0.0.1/tcp/1'], label: 'a', ttlS: TTL_S, source: '10.0.0.1', link: 'eth0/4', ...change })

test('an announcement is told once, another one of the peer at once, and all again after everybody was asked', () => {
  const book = new Book(0)
  assert.equal(book.hear(word(), 0), ['/ip4/10.0.0.1/tcp/1'])
  assert.is(book.hear(word(), 1), undefined)
  assert.equal(book.hear(word({ label: 'b', addresses: ['/ip4/10.0.0.1/tcp/2'] }), 2), ['/ip4/10.0.0.1/tcp/2'], 'in place of the one before')
  book.ask('eth1/4')
  assert.is(book.hear(word({ label: 'b', addresses: ['/ip4/10.0.0.1/tcp/2'] }), 3), undefined)
  book.ask('eth0/4')
  assert.equal(book.known('eth0/4', 3), [])
  assert.equal(book.hear(word({ label: 'b', addresses: ['/ip4/10.0.0.1/tcp/2'] }), 4), ['/ip4/10.0.0.1/tcp/2'])
})

test('who lies about a peer adds to its addresses, and cannot take any away', () => {
  const book = new Book(0)
  book.hear(word(), 0)
  const many = Array.from({ length: TOLD_MAX }, (_, index) => `/ip4/10.0.0.66/tcp/${index}`)
  const told = book.hear(word({ source: '10.0.0.66', label: 'x', addresses: many }), 1) as string[]
  assert.is(told.length, TOLD_MAX)
  assert.is(told[1], '/ip4/10.0.0.1/tcp/1')
  assert.is(book.leave('alice', '10.0.0.66'), false)
  assert.is(book.leave('alice', '10.0.0.9'), false)
  assert.is(book.leave('alice', '10.0.0.1'), true)
  for (let index = 0; index < 3 * SOURCES_PER_PEER_MAX; index++) book.hear(word({ source: `10.0.1.${index}`, label: `s${index}` }), 2)
  assert.is(book.known('eth0/4', 2).length, SOURCES_PER_PEER_MAX)
})

test('what is known is listed for half of its time, and forgotten after it', () => {
  const book = new Book(0)
  book.hear(word({ ttlS: 100 }), 0)
  assert.equal(book.known('eth0/4', 1_000), [{ label: 'a', ttlS: 99 }])
  assert.equal([book.known('eth1/4', 1_000), book.known('eth0/4', 51_000)], [[], []])
  assert.equal([book.knowsAll([{ label: 'a', ttlS: 1 }], 'eth0/4', 1_000), book.knowsAll([{ label: 'z', ttlS: 1 }], 'eth0/4', 1_000)], [true, false])
  book.expire(99_999)
  assert.is(book.size, 1)
  book.expire(100_000)
  assert.is(book.size, 0)
  book.hear(word({ ttlS: 2 ** 31 }), 0)
  book.expire(TTL_S * 1_000)
  assert.is(book.size, 0, 'nobody sets more than our own bound')
})

test('a minute of false announcements: few are told, fewer remembered, and another source is heard as before', () => {
  const book = new Book(0)
  let told = 0
  let label = 0
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    for (let each = 0; each < 10; each++) if (Array.isArray(book.hear(word({ peerId: `false-${label++}`, source: '10.0.0.66', label: `x${label}` }), nowMs))) told++
  }
  assert.ok(told <= 64 + 60 + 1, `${told} of ${label} told`)
  assert.ok(book.size <= PEERS_PER_SOURCE_MAX)
  assert.equal(book.hear(word(), 60_000), ['/ip4/10.0.0.1/tcp/1'])
})

test('a flood from ever other sources is bounded too, and what is remembered', () => {
  const book = new Book(0)
  let told = 0
  const random = seededRandom(8)
  for (let index = 0; index < 100_000; index++) {
    const source = `10.${Math.floor(random.next() * 256)}.${Math.floor(random.next() * 256)}.1`
    if (Array.isArray(book.hear(word({ peerId: `false-${index}`, source, label: `x${index}` }), index * 0.6))) told++
  }
  assert.ok(told <= 512 + 16 * 60 + 1, `${told} told`)
  assert.ok(book.size <= PEERS_MAX)
  // A second later there is room for a word that is true.
  assert.equal(book.hear(word(), 61_000), ['/ip4/10.0.0.1/tcp/1'])
})

test('an allowance of a source is its own, until there are too many sources', () => {
  const allowances = new Allowances({ burst: 2, perS: 1 }, { burst: 1_000, perS: 1 }, 0)
  assert.equal([1, 2, 3].map(() => allowances.take('a', 0)), [true, true, false])
  assert.equal([allowances.take('b', 0), allowances.take('a', 1_000), allowances.take('a', 1_000)], [true, true, false])
  for (let index = 0; index < SOURCES_MAX; index++) allowances.take(`s${index}`, 1_000)
  assert.equal(['x', 'y', 'z'].map(source => allowances.take(source, 1_000)), [true, false, false], 'they share what the further ones have')
  assert.is(allowances.take('new', 10_000), true, 'those that have been quiet are forgotten')
})

test.run()
