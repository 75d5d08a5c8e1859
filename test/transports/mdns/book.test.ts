import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../../lib/base/random.ts'
import { Allowances, SOURCES_MAX } from '../../../transports/mdns/allowance.ts'
import { Book, PEERS_MAX, PEERS_PER_SOURCE_MAX, SOURCES_PER_PEER_MAX, TELL, TOLD_MAX, TTL_S, type Heard } from '../../../transports/mdns/book.ts'

const word = (change: Partial<Heard> = {}): Heard => ({ peerId: 'alice', addresses: ['/ip4/10.0.0.1/tcp/1'], label: 'a', ttlS: TTL_S, source: '10.0.0.1', link: 'eth0/4', ...change })

/** All that is to be told by now: by peer, its addresses. */
function told (book: Book, nowMs: number): [string, string[]][] {
  const all: [string, string[]][] = []
  for (let next = book.next(nowMs); next !== undefined; next = book.next(nowMs)) all.push([next.peerId, next.addresses])
  return all
}

test('an announcement is told once, another one of the peer at once, and all again after everybody was asked', () => {
  const book = new Book(0)
  const second = word({ label: 'b', addresses: ['/ip4/10.0.0.1/tcp/2'] })
  book.hear(word(), 0)
  assert.equal(told(book, 0), [['alice', ['/ip4/10.0.0.1/tcp/1']]])
  book.hear(word(), 1)
  assert.equal([told(book, 1), book.nextMs(1)], [[], undefined])
  book.hear(second, 2)
  assert.equal(told(book, 2), [['alice', ['/ip4/10.0.0.1/tcp/2']]], 'in place of the one before')
  book.ask('eth1/4')
  book.hear(second, 3)
  assert.equal(told(book, 3), [])
  book.ask('eth0/4')
  assert.equal(book.known('eth0/4', 3), [])
  book.hear(second, 4)
  assert.equal(told(book, 4), [['alice', ['/ip4/10.0.0.1/tcp/2']]])
})

test('who lies about a peer adds to its addresses, and cannot take any away', () => {
  const book = new Book(0)
  book.hear(word(), 0)
  told(book, 0)
  const many = Array.from({ length: TOLD_MAX }, (_, index) => `/ip4/10.0.0.66/tcp/${index}`)
  book.hear(word({ source: '10.0.0.66', label: 'x', addresses: many }), 1)
  const [[, addresses] = ['', []]] = told(book, 1)
  assert.is(addresses.length, TOLD_MAX)
  assert.is(addresses[1], '/ip4/10.0.0.1/tcp/1')
  assert.is(book.leave('alice', '10.0.0.66'), false)
  assert.is(book.leave('alice', '10.0.0.9'), false)
  assert.is(book.leave('alice', '10.0.0.1'), true)
  for (let index = 0; index < 3 * SOURCES_PER_PEER_MAX; index++) book.hear(word({ source: `10.0.1.${index}`, label: `s${index}` }), 2)
  assert.is(book.known('eth0/4', 2).length, SOURCES_PER_PEER_MAX)
  assert.is(told(book, 2).length, 1, 'what several wait to say of one peer is told at once')
  assert.is(book.nextMs(2), undefined)
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

test('a minute of false announcements by one: few are told, fewer remembered, and the first word of another comes before them', () => {
  const book = new Book(0)
  let [count, label] = [0, 0]
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    for (let each = 0; each < 10; each++) book.hear(word({ peerId: `false-${label++}`, source: '10.0.0.66', label: `x${label}` }), nowMs)
    count += told(book, nowMs).length
  }
  assert.ok(count <= TELL.burst + 60 * TELL.perS + 1, `${count} of ${label} told`)
  assert.ok(book.size <= PEERS_PER_SOURCE_MAX)
  book.hear(word(), 60_000)
  assert.equal(told(book, 60_000 + 1_000 / TELL.perS)[0], ['alice', ['/ip4/10.0.0.1/tcp/1']])
})

test('a flood from ever other sources is bounded too, and so is what is remembered', () => {
  const book = new Book(0)
  let count = 0
  const random = seededRandom(8)
  for (let index = 0; index < 100_000; index++) {
    const source = `10.0.0.${10 + Math.floor(random.next() * 100)}`
    book.hear(word({ peerId: `false-${index}`, source, label: `x${index}` }), index * 0.6)
    count += told(book, index * 0.6).length
  }
  assert.ok(count <= TELL.burst + 60 * TELL.perS + 1, `${count} told`)
  assert.ok(book.size <= PEERS_MAX)
  // Somebody new is the next to be told of, though each of the others has more to say.
  book.hear(word(), 60_000)
  assert.is(told(book, 60_000 + 1_000 / TELL.perS)[0]?.[0], 'alice')
  assert.is(book.known('eth0/4', 60_000).some(({ label }) => label === 'a'), true)
})

test('what waits is told later, in turns of the sources, and not at all if it is taken back', () => {
  const book = new Book(0)
  for (let index = 0; index < TELL.burst; index++) book.hear(word({ peerId: `first-${index}`, label: `f${index}` }), 0)
  assert.is(told(book, 0).length, TELL.burst)
  for (const source of ['10.0.0.2', '10.0.0.3']) for (let index = 0; index < 3; index++) book.hear(word({ peerId: `${source}-${index}`, source, label: `${source}${index}` }), 0)
  assert.equal([told(book, 0), book.nextMs(0)], [[], 1_000 / TELL.perS])
  const order: string[] = []
  for (let nowMs = 0; nowMs <= 2_000; nowMs += 1_000 / TELL.perS) order.push(...told(book, nowMs).map(([peerId]) => peerId))
  assert.equal(order, ['10.0.0.2-0', '10.0.0.3-0', '10.0.0.2-1', '10.0.0.3-1'])
  for (const source of ['10.0.0.2', '10.0.0.3']) book.leave(`${source}-2`, source)
  assert.equal([told(book, 60_000), book.nextMs(60_000)], [[], undefined])
})

test('an allowance of a source is its own, until there are too many sources', () => {
  const allowances = new Allowances({ each: { burst: 2, perS: 1 }, all: { burst: 1_000, perS: 1 } }, 0)
  assert.equal([1, 2, 3].map(() => allowances.take('a', 0)), [true, true, false])
  assert.equal([allowances.take('b', 0), allowances.take('a', 1_000), allowances.take('a', 1_000)], [true, true, false])
  for (let index = 0; index < SOURCES_MAX; index++) allowances.take(`s${index}`, 1_000)
  assert.equal(['x', 'y', 'z'].map(source => allowances.take(source, 1_000)), [true, false, false], 'they share what the further ones have')
  assert.is(allowances.take('new', 10_000), true, 'those that have been quiet are forgotten')
})

test('what is kept for each source is left to it when the others have used up all the rest', () => {
  const allowances = new Allowances({ each: { burst: 100, perS: 1 }, kept: { burst: 2, perS: 1 }, all: { burst: 10, perS: 1 } }, 0)
  const taken = Array.from({ length: 50 }, () => allowances.take('loud', 0)).filter(Boolean).length
  assert.is(taken, 12)
  assert.equal([1, 2, 3].map(() => allowances.take('quiet', 0)), [true, true, false])
})

test.run()
