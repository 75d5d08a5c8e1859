// bound: 120 s
/** Peers that open a document late: after another's disk has failed and works again, while connections break, or many at once. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HEAL_MS_MAX } from '../../crdt/retry.ts'
import { PULL_MS, ROUND_MS } from '../../crdt/sync.ts'
import type { Document } from '../../lib/documents/document.ts'
import { QUEUE_BYTES_HIGH } from '../../lib/documents/channel.ts'
import type { HandleOptions, Network, StreamHandler } from '../../lib/base/network.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { SimulatedHub } from '../../transports/simulated/simulated.ts'
import { VirtualClock } from '../support/clock.ts'
import { until } from '../support/within.ts'
import { connect, machine, run, type Machine, type Peer } from './rig.ts'

/** How long a newcomer may wait after the last connection broke: for a dial, and for a pull that is given up. Well below a round. */
const LATE_MS = 2 * PULL_MS
assert.ok(LATE_MS < ROUND_MS)

/** A document that is opened while time stands still but for this. */
async function opened (clock: VirtualClock, peer: Peer, name: string): Promise<Document> {
  let document: Document | undefined
  void peer.documents.open(name).then(open => { document = open })
  while (document === undefined) await clock.advance(1)
  return document
}

/** Advances until a claim holds. @returns how long that took, or as long as was given */
async function takes (clock: VirtualClock, claim: () => boolean, mostMs: number): Promise<number> {
  const startMs = clock.nowMs()
  while (!claim() && clock.nowMs() - startMs < mostMs) await clock.advance(10)
  return clock.nowMs() - startMs
}

test('whoever opens a document late has all that was edited on a full disk, whatever breaks meanwhile', async () => {
  const first = Math.floor(systemRandom.next() * 1e9)
  console.log(`\nnote: seeds ${first} to ${first + 59}`)
  for (let seed = first; seed < first + 60; seed++) {
    const random = seededRandom(seed)
    const chance = (): boolean => random.next() < 0.5
    const clock = new VirtualClock()
    const hub = new SimulatedHub({ clock, random, weather: { delayMs: chance() ? [1, 5] : [1, 60] } })
    const [alice, bob] = [run(hub, machine(), { clock, seed: seed + 1, durability: 'interval' }), run(hub, machine(), { clock, seed: seed + 2 })]
    const [opensEarly, meetsLate] = [chance(), chance()]
    let [mayMeet, brokenMs] = [!meetsLate, 0]
    alice.links.on('disconnected', () => { brokenMs = clock.nowMs() })
    const dial = (): void => {
      const [from, to] = chance() ? [alice, bob] : [bob, alice]
      if (mayMeet && from.links.get(to.id) === undefined) void connect(from, to).catch(() => undefined) // it broke: the next one follows
      clock.after(30 + random.next() * 100, dial)
    }
    dial()
    const here = await opened(clock, alice, 'notes')
    here.set('m/before', 1)
    await clock.advance(1_000 * random.next())
    alice.storage.fails = true
    for (let edit = 0; edit < 5; edit++) {
      here.set(`m/k${edit}`, edit)
      await clock.advance(1_000 * random.next())
    }
    const early = opensEarly ? await opened(clock, bob, 'notes') : undefined
    await clock.advance(ROUND_MS * random.next())
    assert.is(early?.get('m/k0'), undefined, 'nothing is shown before it is on disk')
    alice.storage.fails = false
    await takes(clock, () => here.status().durable === here.status().sequence, 2 * HEAL_MS_MAX)
    await clock.advance(1_000 * random.next())
    mayMeet = true
    hub.weather = { breaking: 0.3 }
    const there = early ?? await opened(clock, bob, 'notes')
    const openMs = clock.nowMs()
    await clock.advance(1_000)
    hub.weather = { breaking: 0 }
    const isThere = (): boolean => there.get('m/before') === 1 && [0, 1, 2, 3, 4].every(edit => there.get(`m/k${edit}`) === edit)
    await takes(clock, isThere, LATE_MS + brokenMs - openMs)
    assert.ok(isThere(), `seed ${seed}: it has ${JSON.stringify(there.get())} ${clock.nowMs() - Math.max(openMs, brokenMs)} ms after it opened, or the last break`)
  }
})

/** Counts what comes over a peer's streams, in bytes. */
function counting (count: (bytes: number) => void): (network: Network) => Network {
  return network => new Proxy(network, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'handle') return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
      return (protocol: string, handler: StreamHandler, options?: HandleOptions) => {
        target.handle(protocol, (stream, connection) => {
          const read = stream.read.bind(stream)
          stream.read = reader => {
            read({
              ...reader,
              data: bytes => {
                count(bytes.byteLength)
                reader.data(bytes)
              }
            })
          }
          return handler(stream, connection)
        }, options)
      }
    }
  })
}

test('while a disk has failed, questions leave nothing behind, and are answered once when it works again', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub({ clock })
  let bytes = 0
  const [alice, bob] = [run(hub, machine(), { clock }), run(hub, machine(), { clock, seed: 2, wrap: counting(count => { bytes += count }) })]
  await connect(alice, bob)
  const here = await opened(clock, alice, 'notes')
  const text = Buffer.from(seededRandom(1).bytes(15_000)).toString('base64')
  here.set('m/text', text)
  await clock.advance(100)
  alice.storage.fails = true
  here.set('m/late', 1)
  await clock.advance(100)
  const there = await opened(clock, bob, 'notes')
  await clock.advance(60 * ROUND_MS)
  assert.ok(bytes > 0 && bytes < text.length, `they are compared, by ${bytes} bytes`)
  assert.equal(there.get(), {}, 'nothing is shown before it is on disk')
  bytes = 0
  alice.storage.fails = false
  await takes(clock, () => here.status().failure === null, 2 * HEAL_MS_MAX)
  await takes(clock, () => there.get('m/late') === 1, LATE_MS)
  assert.equal(there.get('m'), { text, late: 1 })
  await clock.advance(PULL_MS)
  assert.ok(bytes < 2 * text.length, `an answer of ${bytes} bytes for each time that it was asked`)
  const closing = Promise.all([alice.close(), bob.close()])
  await clock.advance(5_000)
  await closing
})

for (const first of ['the newcomer', 'the other']) test(`whoever opens many documents at once gets all of them as fast as it reads, and none waits for a round, where ${first} begins`, async () => {
  const [smaller, larger] = [machine(), machine()].sort((left, right) => left.key.peerId < right.key.peerId ? -1 : 1) as [Machine, Machine]
  const [atAlice, atBob] = first === 'the newcomer' ? [larger, smaller] : [smaller, larger]
  const clock = new VirtualClock() // stands still: neither a pull that is given up nor a round helps
  const hub = new MemoryHub({ clock })
  const [alice, bob] = [run(hub, atAlice, { clock, durability: 'memory' }), run(hub, atBob, { clock, durability: 'memory', seed: 2 })]
  const names = Array.from({ length: 40 }, (_, index) => `notes ${index}`)
  const random = seededRandom(7)
  for (const name of names) (await alice.documents.open(name)).set('m/text', Buffer.from(random.bytes(250_000)).toString('base64'))
  await connect(alice, bob)
  await until('they are linked', () => alice.links.get(bob.id) !== undefined && bob.links.get(alice.id) !== undefined)
  const there = await Promise.all(names.map(async name => await bob.documents.open(name)))
  assert.ok(names.length * 330_000 > 3 * QUEUE_BYTES_HIGH, 'more than may wait for one peer')
  await until('all of them', () => there.every(document => document.get('m/text') !== undefined), 60_000)
  const closing = Promise.all([alice.close(), bob.close()])
  await clock.advance(5_000)
  await closing
})

test.run()
