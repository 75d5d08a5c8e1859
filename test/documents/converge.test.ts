// bound: 120 s
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ROUND_MS_MAX } from '../../crdt/sync.ts'
import { ECHO_MS, YOUNG_MS, YOUNG_MS_MAX } from '../../lib/documents/asking.ts'
import type { Document } from '../../lib/documents/document.ts'
import type { Gossip, Network } from '../../lib/base/network.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'
import { until, within } from '../support/within.ts'
import { areEqual, connect, kill, machine, run, untilEqual, type Peer } from './rig.ts'

/** Gossip of which nothing arrives, and which looks healthy. */
function deaf (network: Network): Network {
  const gossip: Gossip = { join: () => () => {}, publish: async () => 3, peers: () => [] }
  return new Proxy(network, {
    get: (target, name) => {
      if (name === 'gossip') return async () => gossip
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    }
  })
}

const list = (document: Document): unknown[] => document.ydoc.getArray('log').toArray()

test('what was edited offline on both sides is merged when they meet', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  const [here, there] = [await alice.documents.open('notes'), await bob.documents.open('notes')]
  for (let number = 0; number < 1_000; number++) {
    here.ydoc.getMap('alice').set(`k${number}`, number)
    there.ydoc.getArray('log').push([number])
  }
  await Promise.all([here.flushed(), there.flushed()])
  assert.is(areEqual(here, there), false)
  await connect(alice, bob)
  await untilEqual(here, there)
  assert.is(here.ydoc.getMap('alice').size, 1_000)
  assert.is(list(here).length, 1_000)
  await within(5_000, 'synced', Promise.all([here.synced(), there.synced()]))
  await Promise.all([alice.close(), bob.close()])
})

test('of three in a row the outer two hear each other through the one between', async () => {
  const hub = new MemoryHub()
  const [alice, bob, carol] = [run(hub), run(hub), run(hub)]
  await Promise.all([connect(alice, bob), connect(bob, carol)])
  const [first, between, last] = await Promise.all([alice, bob, carol].map(async ({ documents }) => await documents.open('notes'))) as [Document, Document, Document]
  first.ydoc.getMap('m').set('from', 'alice')
  last.ydoc.getMap('m').set('to', 'carol')
  await untilEqual(first, between, last)
  await Promise.all([alice, bob, carol].map(async peer => { await peer.close() }))
})

test('with all gossip dropped, an echo brings it in a moment', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub, machine(), { clock, wrap: deaf }), run(hub, machine(), { clock, wrap: deaf })]
  const [here, there] = [await alice.documents.open('notes'), await bob.documents.open('notes')]
  await connect(alice, bob)
  await clock.advance(2 * YOUNG_MS_MAX) // not young any more
  here.ydoc.getMap('m').set('k', 'v')
  await within(5_000, 'flushed', here.flushed())
  await clock.advance(ECHO_MS - 10)
  assert.is(there.ydoc.getMap('m').get('k'), undefined)
  await clock.advance(20)
  await untilEqual(here, there)
  assert.is(here.status().peers[0]?.lag, 0)
  await Promise.all([alice.close(), bob.close()])
})

/** How long after the documents were opened; and what is waited then. */
for (const [when, openMs, waits] of [
  ['of documents that were just opened goes on within seconds', 0, [2 * YOUNG_MS]],
  ['goes on with the next round', 2 * YOUNG_MS_MAX, [ROUND_MS_MAX, ROUND_MS_MAX, ROUND_MS_MAX]]
] as const) {
  test(`with all gossip dropped, a change that came from another ${when}`, async () => {
    const clock = new VirtualClock()
    const hub = new MemoryHub()
    const [alice, bob, carol] = [1, 2, 3].map(seed => run(hub, machine(), { clock, wrap: deaf, seed })) as [Peer, Peer, Peer]
    const [here, between, there] = await Promise.all([alice, bob, carol].map(async ({ documents }) => await documents.open('notes'))) as [Document, Document, Document]
    await Promise.all([connect(alice, bob), connect(bob, carol)])
    await clock.advance(100 + openMs)
    there.ydoc.getMap('m').set('k', 'v')
    await within(5_000, 'flushed', there.flushed())
    await clock.advance(ECHO_MS + 100)
    assert.is(between.ydoc.getMap('m').get('k'), 'v')
    assert.is(here.ydoc.getMap('m').get('k'), undefined)
    for (const waitMs of waits) await clock.advance(waitMs)
    await untilEqual(here, between, there)
    await Promise.all([alice, bob, carol].map(async peer => { await peer.close() }))
  })
}

test('a document opened later is there at once, and a change before anybody else had it is not lost', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const here = await alice.documents.open('notes')
  here.ydoc.getMap('m').set('k', 'v')
  await within(5_000, 'flushed', here.flushed())
  const there = await bob.documents.open('notes')
  await untilEqual(here, there)
  assert.is(there.ydoc.getMap('m').get('k'), 'v')
  await Promise.all([alice.close(), bob.close()])
})

test('a peer starts again with all that was flushed, and writes on under the same name', async () => {
  const hub = new MemoryHub()
  const alice = run(hub)
  const before = await alice.documents.open('notes')
  before.ydoc.getMap('m').set('k', 'v')
  await within(5_000, 'flushed', before.flushed())
  const { clientID } = before.ydoc
  const again = run(hub, await kill(alice))
  const after = await again.documents.open('notes')
  assert.is(after.ydoc.getMap('m').get('k'), 'v')
  assert.is(after.ydoc.clientID, clientID)
  await again.close()
})

test('without a strict disk each start writes under a fresh name', async () => {
  const hub = new MemoryHub()
  const alice = run(hub)
  const strict = await alice.documents.open('notes')
  strict.ydoc.getMap('m').set('k', 1)
  await within(5_000, 'flushed', strict.flushed())
  const names = new Set([strict.ydoc.clientID])
  let on = await kill(alice)
  for (const durability of ['interval', 'strict', 'memory', 'strict'] as const) {
    const peer = run(hub, on, { durability, seed: names.size + 10 })
    const document = await peer.documents.open('notes')
    names.add(document.ydoc.clientID)
    document.ydoc.getMap('m').set('k', names.size)
    await within(5_000, 'flushed', document.flushed())
    on = await kill(peer)
  }
  assert.is(names.size, 5)
})

test('nothing is shown before it is on disk', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.ydoc.getMap('m').set('k', 0)
  await until('bob has the first', () => there.ydoc.getMap('m').get('k') === 0)
  let open = (): void => {}
  alice.storage.gate = new Promise(resolve => { open = resolve })
  here.ydoc.getMap('m').set('k', 1)
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => { setImmediate(resolve) })
  assert.is(there.ydoc.getMap('m').get('k'), 0)
  open()
  await until('bob has the second', () => there.ydoc.getMap('m').get('k') === 1)
  await Promise.all([alice.close(), bob.close()])
})

test('a thousand documents are kept equal, and a change in one of them arrives', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  const names = Array.from({ length: 1_000 }, (_, number) => `document ${number}`)
  const here = await Promise.all(names.map(async name => await alice.documents.open(name)))
  here.forEach((document, number) => { document.ydoc.getMap('m').set('number', number) })
  await within(20_000, 'flushed', Promise.all(here.map(async document => { await document.flushed() })))
  const there = await Promise.all(names.map(async name => await bob.documents.open(name)))
  await connect(alice, bob)
  await until('bob has all', () => there.every((document, number) => document.ydoc.getMap('m').get('number') === number), 30_000)
  there[517]?.ydoc.getMap('m').set('number', -1)
  await until('alice has the change', () => here[517]?.ydoc.getMap('m').get('number') === -1)
  assert.is((await alice.documents.list()).length, 1_000)
  await Promise.all([alice.close(), bob.close()])
})

test.run()
