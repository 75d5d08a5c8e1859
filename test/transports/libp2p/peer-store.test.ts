/** What libp2p's parts remember of peers. */
import type { Peer, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { ADDRESSES_KEPT_MAX, MemoryPeerStore, PEERS_MAX, PROTOCOLS_KEPT_MAX } from '../../../transports/libp2p/peer-store.ts'

const someone = (): PeerId => peerIdFromString(generateKey(systemRandom).peerId)
const address = (port: number): ReturnType<typeof multiaddr> => multiaddr(`/ip4/127.0.0.1/tcp/${port}`)
const facts = ({ addresses, protocols }: Peer): unknown => [addresses.map(({ multiaddr }) => multiaddr.toString()), protocols]

function opened (): { readonly store: MemoryPeerStore, readonly own: PeerId, readonly told: unknown[] } {
  const [own, events, told] = [someone(), new EventTarget(), [] as unknown[]]
  events.addEventListener('self:peer:update', event => { told.push(facts((event as CustomEvent<{ peer: Peer }>).detail.peer)) })
  const target = Object.assign(events, { safeDispatchEvent: (type: string, init: CustomEventInit) => events.dispatchEvent(new CustomEvent(type, init)) })
  return { store: new MemoryPeerStore({ peerId: own, events: target } as unknown as ConstructorParameters<typeof MemoryPeerStore>[0]), own, told }
}

test('what is merged comes beside what was known, what is patched takes the place of its kind, what is saved that of all', async () => {
  const [{ store }, peer] = [opened(), someone()]
  await store.merge(peer, { protocols: ['/a'] })
  await store.merge(peer, { protocols: ['/b', '/a'], multiaddrs: [address(1)] })
  assert.equal(facts(await store.get(peer)), [['/ip4/127.0.0.1/tcp/1'], ['/a', '/b']])
  await store.patch(peer, { addresses: [{ multiaddr: address(2), isCertified: false }] })
  assert.equal(facts(await store.get(peer)), [['/ip4/127.0.0.1/tcp/2'], ['/a', '/b']])
  await store.save(peer, { protocols: ['/c'] })
  assert.equal(facts(await store.get(peer)), [[], ['/c']])
  assert.equal((await store.getInfo(peer)).multiaddrs, [])
  assert.equal((await store.all({ filters: [({ protocols }) => protocols.includes('/c')] })).map(({ id }) => id), [peer])
  await store.delete(peer)
  assert.not(await store.has(peer))
  const error = await store.get(peer).then(() => undefined, (thrown: Error) => thrown)
  assert.is(error?.name, 'NotFoundError', 'as libp2p expects it')
})

test('what changes of this peer itself is told, once', async () => {
  const { store, own, told } = opened()
  await store.patch(own, { protocols: ['/a'] })
  await store.patch(own, { multiaddrs: [address(1)] })
  await store.merge(own, { protocols: ['/a'] })
  await store.merge(someone(), { protocols: ['/b'] })
  assert.equal(told, [[[], ['/a']], [['/ip4/127.0.0.1/tcp/1'], ['/a']]])
})

test('however many peers there are, and whatever they say, so much is kept; this peer itself always', async () => {
  const { store, own } = opened()
  await store.merge(own, { protocols: ['/a'] })
  const peers = Array.from({ length: PEERS_MAX + 5 }, someone)
  for (const peer of peers) await store.merge(peer, { protocols: ['/b'] })
  assert.is((await store.all()).length, PEERS_MAX + 1)
  assert.equal(await Promise.all([own, peers[4], peers[5]].map(async peer => await store.has(peer as PeerId))), [true, false, true])
  const multiaddrs = Array.from({ length: ADDRESSES_KEPT_MAX + 5 }, (_, port) => address(port + 1))
  const peer = await store.patch(own, { multiaddrs, protocols: Array.from({ length: PROTOCOLS_KEPT_MAX + 5 }, (_, count) => `/${count}`) })
  assert.equal([peer.addresses.length, peer.protocols.length], [ADDRESSES_KEPT_MAX, PROTOCOLS_KEPT_MAX])
})

test.run()
