/** What a member's false word in the hash table costs, and what it can make others hold. */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../../lib/base/error.ts'
import { ROUTING_KEYS_MAX, ROUTING_RECORD_MS } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { Book } from '../../../transports/libp2p/routing-book.ts'
import { DIALS_AT_ONCE_MAX, DISTRUST_MS, Reach, VAIN_DIALS_MAX } from '../../../transports/libp2p/routing-reach.ts'
import { PROVIDERS_PER_KEY_MAX, ProviderStore, RECORDS_MAX } from '../../../transports/libp2p/routing-store.ts'
import { VirtualClock } from '../../support/clock.ts'

const someone = (): PeerId => peerIdFromString(generateKey(systemRandom).peerId)
const ADDRESS = [multiaddr('/ip4/127.0.0.1/tcp/1')]

function scene (): { clock: VirtualClock, reach: Reach, dialled: string[] } {
  const clock = new VirtualClock()
  const dialled: string[] = []
  const reach = new Reach({
    clock, isDialable: () => true, isClosed: () => false, find: () => undefined,
    connect: async peerId => {
      dialled.push(peerId)
      throw new SwarmError('UNREACHABLE', 'nobody there')
    }
  }, new Book(someone(), () => []))
  return { clock, reach, dialled }
}

async function tryAll (reach: Reach, liar: PeerId, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const made = someone()
    if (reach.hear({ id: made, multiaddrs: ADDRESS }, liar)) await reach.open(made, '/kad', new AbortController().signal).catch(() => undefined)
  }
}

test('a liar costs so many dials, and is believed again after a while', async () => {
  const { clock, reach, dialled } = scene()
  const [liar, honest] = [someone(), someone()]
  await tryAll(reach, liar, 200)
  assert.is(dialled.length, VAIN_DIALS_MAX)
  assert.ok(reach.hear({ id: someone(), multiaddrs: ADDRESS }, honest), 'others are believed meanwhile')
  await clock.advance(DISTRUST_MS)
  assert.ok(reach.hear({ id: someone(), multiaddrs: ADDRESS }, liar))
})

test('a crowd of liars costs no more dials than the budget', async () => {
  const { reach, dialled } = scene()
  for (let index = 0; index < 20; index++) await tryAll(reach, someone(), 10)
  assert.is(dialled.length, DIALS_AT_ONCE_MAX)
})

test('what others have us hold is bounded by provider, by key, in all, and in time', async () => {
  const clock = new VirtualClock()
  const store = new ProviderStore('own', clock)
  const put = async (key: number, provider: number): Promise<unknown> => await store.put({ toString: () => `/dht/provider/key${key}/peer${provider}` }, Uint8Array.of(1))
  const held = async (key: number): Promise<string[]> => {
    const all: string[] = []
    for await (const { key: name } of store.query({ prefix: `/dht/provider/key${key}` })) all.push(name.toString())
    return all
  }
  for (let provider = 0; provider <= PROVIDERS_PER_KEY_MAX; provider++) await put(0, provider)
  assert.is((await held(0)).length, PROVIDERS_PER_KEY_MAX)
  assert.not((await held(0)).includes('/dht/provider/key0/peer0'), 'the one longest unheard of gave way')
  for (let key = 1; key < ROUTING_KEYS_MAX; key++) await put(key, 1)
  const error = await put(ROUTING_KEYS_MAX, 1).then(() => undefined, (thrown: unknown) => thrown as SwarmError)
  assert.is(error?.code, 'OVERLOADED')
  for (let provider = 100; store.size < RECORDS_MAX; provider++) for (let key = 1_000; key < 1_000 + ROUTING_KEYS_MAX && store.size < RECORDS_MAX; key++) await put(key + provider * 1_000, provider)
  await put(1, 99_999)
  assert.is(store.size, RECORDS_MAX)
  await clock.advance(ROUTING_RECORD_MS)
  assert.equal(await held(1), [])
})

test.run()
