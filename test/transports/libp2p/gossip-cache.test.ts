/** Over gossipsub's own cache: that it has the parts which are changed is tested as well. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { boundCache, CACHE_BYTES_MAX, type Cache } from '../../../transports/libp2p/gossip-cache.ts'

type RealCache = Cache & { readonly size: number, getGossipIDs: (topics: Set<string>) => Map<string, Uint8Array[]>, remove: (id: string) => unknown }

/** A name that the compiler does not look up: the package does not export it. */
const CACHE: string = new URL('../../../node_modules/@libp2p/gossipsub/dist/src/message-cache.js', import.meta.url).href
const { MessageCache } = await import(CACHE) as { MessageCache: new (gossip: number, history: number, idOf: (id: Uint8Array) => string) => RealCache }

function open (): RealCache {
  const cache = new MessageCache(3, 5, String)
  boundCache(cache)
  return cache
}

let count = 0
function put (cache: RealCache, bytes: number, name = `${count++}`): boolean {
  return cache.put({ msgIdStr: name, msgId: name } as { msgIdStr: string }, { topic: 't', data: new Uint8Array(bytes) }, true)
}

const told = (cache: RealCache): number => cache.getGossipIDs(new Set(['t'])).get('t')?.length ?? 0

test('the oldest go above the limit, and are told of no more', () => {
  const cache = open()
  const size = 2 ** 16
  for (let number = 0; number < 2 * CACHE_BYTES_MAX / size; number++) {
    assert.ok(put(cache, size, `n${number}`))
    assert.ok(cache.size * size <= CACHE_BYTES_MAX, `${cache.size} messages`)
  }
  assert.ok(cache.size > 0.9 * CACHE_BYTES_MAX / size, 'no more go than must')
  assert.is(told(cache), cache.size)
  assert.ok(!cache.msgs.has('n0') && cache.msgs.has(`n${2 * CACHE_BYTES_MAX / size - 1}`))
})

test('many small ones count for what they cost', () => {
  const cache = open()
  for (let number = 0; number < 100_000; number++) put(cache, 1)
  assert.ok(cache.size < 40_000, `${cache.size} messages`)
})

test('what time takes makes room, and so does what is rejected', () => {
  const cache = open()
  const half = CACHE_BYTES_MAX / 2 - 1_000
  put(cache, half, 'rejected')
  put(cache, half, 'kept')
  cache.remove('rejected')
  put(cache, half, 'new')
  assert.equal([...cache.msgs.keys()], ['kept', 'new'])
  assert.not(put(cache, half, 'new'), 'twice is once')
  for (let beat = 0; beat < 5; beat++) cache.shift()
  assert.is(cache.size, 0)
  put(cache, half, 'first')
  put(cache, half, 'second')
  assert.is(cache.size, 2)
})

test('one above the limit by itself is kept until the next', () => {
  const cache = open()
  put(cache, CACHE_BYTES_MAX + 1, 'large')
  assert.is(cache.size, 1)
  put(cache, 1, 'small')
  assert.equal([...cache.msgs.keys()], ['small'])
})

test.run()
