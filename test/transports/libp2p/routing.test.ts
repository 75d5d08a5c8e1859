/** What a member's false word in the hash table costs, and what it can make others hold. */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../../lib/base/error.ts'
import { ROUTING_KEYS_MAX, ROUTING_RECORD_MS } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { DISTRUST_MS, DOUBT_MS, VAIN_DIALS_MAX } from '../../../lib/base/trust.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { ADDRESSES_MAX } from '../../../transports/libp2p/address.ts'
import type { Libp2pConnection } from '../../../transports/libp2p/connection.ts'
import { Book, HINTS_MAX } from '../../../transports/libp2p/routing-book.ts'
import { ABSENCE_MS, DIALS_AT_ONCE_MAX, GRACE_MS, Reach } from '../../../transports/libp2p/routing-reach.ts'
import { PROVIDERS_PER_KEY_MAX, ProviderStore, RECORDS_MAX } from '../../../transports/libp2p/routing-store.ts'
import { VirtualClock } from '../../support/clock.ts'

const someone = (): PeerId => peerIdFromString(generateKey(systemRandom).peerId)
const ADDRESS = [multiaddr('/ip4/127.0.0.1/tcp/1')]

function scene (): { clock: VirtualClock, reach: Reach, dialled: string[] } {
  const clock = new VirtualClock()
  const dialled: string[] = []
  const reach = new Reach({
    clock, random: systemRandom, isDialable: () => true, isClosed: () => false, find: () => undefined,
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

/** Peers of whom some never answer, at addresses that say which. */
function slowScene (): { clock: VirtualClock, reach: Reach, dialled: string[][], ask: (peer: PeerId) => Promise<string> } {
  const clock = new VirtualClock()
  const dialled: string[][] = []
  const reach = new Reach({
    clock, random: systemRandom, isDialable: () => true, isClosed: () => false, find: () => undefined,
    connect: async (_peerId, addresses, signal) => {
      dialled.push([...addresses])
      if (addresses.includes(TRUE)) return { openRaw: async () => 'a stream' } as unknown as Libp2pConnection
      return await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(new SwarmError('ABORTED', 'no answer')) }, { once: true }) })
    }
  }, new Book(someone(), () => []))
  const ask = async (peer: PeerId): Promise<string> => await reach.open(peer, '/kad', new AbortController().signal).then(String, (error: unknown) => (error as SwarmError).code)
  return { clock, reach, dialled, ask }
}

const TRUE = '/ip4/127.0.0.1/tcp/2'

test('a liar whose peers keep silent costs as many dials as one whose peers refuse', async () => {
  const { clock, reach, dialled, ask } = slowScene()
  const liar = someone()
  const asking: Promise<string>[] = []
  for (let index = 0; index < 3 * VAIN_DIALS_MAX; index++) {
    const made = someone()
    if (reach.hear({ id: made, multiaddrs: ADDRESS }, liar)) asking.push(ask(made))
    await clock.advance(DOUBT_MS / 4)
  }
  assert.ok(dialled.length >= VAIN_DIALS_MAX && dialled.length <= VAIN_DIALS_MAX + 4, `${dialled.length} dials`)
  await clock.advance(60_000)
  assert.ok((await Promise.all(asking)).every(code => code === 'ABORTED' || code === 'UNREACHABLE'))
})

test('a dial to a peer that a liar placed where nobody answers begins anew where another says it is, once for each who says so', async () => {
  const { clock, reach, dialled, ask } = slowScene()
  const [peer, liar, other, honest] = [someone(), someone(), someone(), someone()]
  assert.ok(reach.hear({ id: peer, multiaddrs: ADDRESS }, liar))
  const asking = ask(peer)
  await clock.advance(100)
  reach.hear({ id: peer, multiaddrs: [multiaddr('/ip4/127.0.0.1/tcp/9')] }, liar)
  for (let lie = 0; lie < 5; lie++) reach.hear({ id: peer, multiaddrs: [multiaddr(`/ip4/127.0.0.1/tcp/${10 + lie}`)] }, other)
  await clock.advance(100)
  reach.hear({ id: peer, multiaddrs: [multiaddr(TRUE)] }, honest)
  await clock.advance(100)
  assert.is(await asking, 'a stream')
  assert.is(dialled.length, 3)
  assert.is(dialled[2]?.[0], TRUE, 'the newest word first')
})

test('of two that nobody waits for, the higher leaves the dial to the lower: until it is linked, or for a while', async () => {
  const [lower = someone(), own = someone(), higher = someone()] = [someone(), someone(), someone()].sort((one, other) => one.toString() < other.toString() ? -1 : 1)
  const clock = new VirtualClock()
  let isLinked = false
  const reach = new Reach({
    clock, random: systemRandom, isDialable: () => true, isClosed: () => false,
    find: () => isLinked ? {} as Libp2pConnection : undefined,
    connect: async () => { throw new SwarmError('UNREACHABLE', 'nobody there') }
  }, new Book(own, () => []))
  const waited = async (peer: PeerId, linkedMs = Infinity): Promise<number> => {
    const fromMs = clock.nowMs()
    let tookMs: number | undefined
    const waiting = reach.giveWay(peer, new AbortController().signal).then(() => { tookMs = clock.nowMs() - fromMs })
    for (let atMs = 0; tookMs === undefined && atMs < 10 * GRACE_MS; atMs += 10) {
      isLinked = atMs >= linkedMs
      await clock.advance(10)
    }
    await waiting
    return tookMs ?? Infinity
  }
  assert.ok(await waited(higher) <= 10, 'it is ours to dial')
  const whole = await waited(lower)
  assert.ok(whole >= GRACE_MS && whole <= 2 * GRACE_MS + 100, `${whole} ms`)
  const cut = await waited(lower, 100)
  assert.ok(cut >= 100 && cut <= 200, `${cut} ms`)
})

test('a peer that was not there is left alone at those addresses, and tried at others', async () => {
  const { clock, reach, dialled, ask } = slowScene()
  const [peer, liar, honest] = [someone(), someone(), someone()]
  reach.hear({ id: peer, multiaddrs: ADDRESS }, liar)
  const asking = ask(peer)
  await clock.advance(10_000)
  assert.is(await asking, 'ABORTED')
  assert.not(reach.hear({ id: peer, multiaddrs: ADDRESS }, someone()))
  assert.ok(reach.hear({ id: peer, multiaddrs: [multiaddr(TRUE)] }, honest))
  assert.is(await ask(peer), 'a stream')
  assert.is(dialled.length, 2)
  await clock.advance(ABSENCE_MS)
})

test('of what others say of a peer, nobody takes the place of another', () => {
  const book = new Book(someone(), () => [])
  const peer = someone()
  const at = (port: number): Multiaddr => multiaddr(`/ip4/127.0.0.1/tcp/${port}`)
  book.hint(peer.toString(), [at(2)], 'honest')
  book.hint(peer.toString(), Array.from({ length: 100 }, (_, lie) => at(100 + lie)), 'liar')
  assert.is(book.tries(peer).length, ADDRESSES_MAX)
  assert.equal(book.tries(peer).slice(0, 3), ['/ip4/127.0.0.1/tcp/100', '/ip4/127.0.0.1/tcp/2', '/ip4/127.0.0.1/tcp/101'])
  book.say(peer, [at(3)])
  assert.is(book.tries(peer)[0], '/ip4/127.0.0.1/tcp/3', 'its own word first')
  assert.equal(book.tries(someone()), [])
  for (let lie = 0; lie < HINTS_MAX; lie++) book.hint(`peer ${lie}`, [at(1)], 'liar')
  assert.equal(book.tries(peer), ['/ip4/127.0.0.1/tcp/3'], 'hints are bounded')
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
