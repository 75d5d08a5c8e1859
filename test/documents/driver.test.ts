// bound: 120 s
/** What the driver does in the rare cases: a document opened anew, one replaced, a channel that is full, a log that was left behind. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream, Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { Head, Standing } from '../../lib/base/witness.ts'
import { Channel, QUEUE_BYTES_HIGH, QUEUE_BYTES_MAX } from '../../lib/documents/channel.ts'
import { PART_BYTES_MAX } from '../../lib/documents/frame.ts'
import type { Document } from '../../lib/documents/document.ts'
import { FOLD_DELAY_MS, RETRY_MS } from '../../lib/documents/log.ts'
import { QUEUE_BYTES_MAX as DISK_BYTES_MAX } from '../../crdt/backlog.ts'
import { documentKey } from '../../crdt/name.ts'
import { MERGE_HERE_BYTES } from '../../crdt/merge.ts'
import { HEAL_MS } from '../../crdt/retry.ts'
import { SETTLE_MS } from '../../crdt/sync.ts'
import { LOG_BYTES_HIGH } from '../../crdt/wal.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'
import { FaultyStorage, FaultyWitness } from '../support/faulty.ts'
import { until, within } from '../support/within.ts'
import { areEqual, connect, kill, machine, run, untilEqual, type Machine, type Peer } from './rig.ts'

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
    return undefined
  } catch (error) {
    return (error as SwarmError).code
  }
}

/** Two peers with a document; Yjs stops at one of them as it meets the first change of the other. */
async function stopping (): Promise<{ alice: Peer, bob: Peer, here: Document, there: Document }> {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  there.set('m/own', 1)
  await within(5_000, 'flushed', there.flushed())
  there.ydoc.store.clients.set = () => { throw new Error('Yjs has stopped') }
  return { alice, bob, here, there }
}

test('Yjs stops in the middle of a change: the document is opened anew from its log, and told as replaced', async () => {
  const { alice, bob, here, there } = await stopping()
  const broken = there.ydoc
  const replaced = new Promise<unknown>(resolve => { there.on('replaced', ({ ydoc }) => { resolve(ydoc) }) })
  here.set('m/theirs', 2)
  const fresh = await within(5_000, 'replaced', replaced)
  assert.is(fresh, there.ydoc)
  assert.is.not(fresh, broken)
  assert.is(codeOf(() => broken.getMap('m').set('lost', 1)), 'CLOSED')
  assert.ok(bob.troubles.some(trouble => trouble.includes('DOCUMENT_DAMAGED') && trouble.includes('Yjs has stopped')), bob.troubles.join('\n'))
  there.set('m/after', 3)
  await untilEqual(here, there)
  assert.equal(there.get('m'), { own: 1, theirs: 2, after: 3 })
  await within(5_000, 'synced', there.synced())
  await Promise.all([alice.close(), bob.close()])
})

test('a document that cannot be opened anew says so, and can be closed', async () => {
  const { alice, bob, here, there } = await stopping()
  const told = new Promise<SwarmError>(resolve => { there.on('trouble', resolve) })
  bob.storage.fails = true
  there.set('m/unsafe', 1) // what is not on disk must not be forgotten by reading the disk
  here.set('m/theirs', 2)
  assert.is((await within(5_000, 'trouble', told)).code, 'DISK_FAILED')
  bob.storage.fails = false
  await Promise.all([alice.close(), bob.close().catch((error: unknown) => { assert.is((error as SwarmError).code, 'DISK_FAILED') })])
})

/** The disk as it is, on another machine: what nobody should do. */
async function cloned ({ key, storage, witness }: Machine): Promise<Machine> {
  const [values, known] = [new FaultyStorage(), new FaultyWitness()]
  for (const [name, value] of storage.values) values.values.set(name, value)
  values.flushed = new Map(values.values)
  const { sure } = await witness.read(documentKey('notes')) as Standing
  await known.claim(new Map<string, Head>([[documentKey('notes'), sure]]))
  await known.confirm()
  return { key, storage: values, witness: known }
}

for (const [size, text] of [['small', 'x'], ['large', 'x'.repeat(2 * MERGE_HERE_BYTES)]] as const) test(`a folder copied and run twice, with a ${size} document: it is told, one branch is chosen, and who had the other gets a new Y.Doc`, async () => {
  const hub = new MemoryHub()
  const first = run(hub)
  const mine = await first.documents.open('notes')
  mine.set('m/k', 'before')
  mine.set('m/text', text)
  await within(5_000, 'flushed', mine.flushed())
  const folder = await kill(first)
  const copy = await cloned(folder)
  const [bob, carol] = [run(hub, machine(), { seed: 2 }), run(hub, machine(), { seed: 3 })]
  const [atBob, atCarol] = await Promise.all([bob.documents.open('notes'), carol.documents.open('notes')])
  // Each of the two meets one of them, and they each other only when both copies are gone.
  for (const [on, peer, value, seed] of [[folder, bob, 'here', 4], [copy, carol, 'there', 5]] as const) {
    const once = run(hub, on, { seed })
    const document = await once.documents.open('notes')
    document.set('m/k', value)
    await connect(once, peer)
    await within(5_000, 'synced', document.synced())
    await once.close()
  }
  const before = [atBob.ydoc, atCarol.ydoc]
  const told: string[] = []
  for (const document of [atBob, atCarol]) {
    document.on('alarm', ({ from }) => { told.push(`alarm ${from}`) })
    document.on('replaced', ({ ydoc }) => {
      told.push('replaced')
      assert.is(ydoc, document.ydoc)
    })
  }
  await connect(bob, carol)
  await until('an alarm', () => told.some(word => word.startsWith('alarm')), 20_000)
  await until('a new Y.Doc', () => told.includes('replaced'), 20_000)
  await untilEqual(atBob, atCarol)
  const changed = [atBob, atCarol].flatMap(({ ydoc }, index) => ydoc === before[index] ? [] : [before[index] as typeof ydoc])
  assert.ok(changed.length > 0)
  for (const old of changed) assert.is(codeOf(() => old.getMap('m').set('lost', 1)), 'CLOSED')
  atBob.set('m/after', 1)
  await untilEqual(atBob, atCarol)
  await Promise.all([bob.close(), carol.close()])
})

test('a change that comes early right after a pull is asked about as soon as the document has rested', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub({ clock })
  let [heard, drops] = [0, 0]
  const deaf = (network: Network): Network => {
    const gossip = network.gossip.bind(network)
    network.gossip = async () => {
      const whole = await gossip()
      const join = whole.join.bind(whole)
      whole.join = (topic, judge) => join(topic, message => {
        heard++
        return drops-- > 0 ? 'ignore' : judge(message)
      })
      return whole
    }
    return network
  }
  const [alice, bob] = [run(hub, machine(), { clock }), run(hub, machine(), { clock, seed: 2, wrap: deaf })]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  const move = async (claim: () => boolean, byMs: number): Promise<void> => {
    for (let ms = 0; ms < byMs && !claim(); ms += 5) await clock.advance(5)
    assert.ok(claim(), `not within ${byMs} virtual ms`)
  }
  here.set('m/first', 1)
  await move(() => areEqual(here, there), 20_000)
  await clock.advance(5_000)
  for (const round of [1, 2]) {
    const before = heard
    drops = 1
    here.set(`m/lost ${round}`, 1)
    await until('one is lost', () => heard === before + 1)
    here.set(`m/early ${round}`, 1)
    await until('the next one comes', () => heard === before + 2)
    // The first is pulled at once; the second comes while the document rests after that, and waits until it has.
    if (round === 1) await until('pulled', () => areEqual(here, there))
    else await move(() => areEqual(here, there), 2 * SETTLE_MS)
  }
  const closing = Promise.all([alice.close(), bob.close()])
  await clock.advance(5_000)
  await within(5_000, 'closed', closing)
})

test('a message for a peer that reads nothing is dropped at QUEUE_BYTES_MAX, and told of when there is room', async () => {
  const hub = new MemoryHub()
  const [near, far] = [hub.network(machine().key), hub.network(machine().key)]
  far.onConnection(connection => { connection.admit() })
  const served: ByteStream[] = []
  let read = 0
  far.handle('/test', stream => {
    served.push(stream)
    stream.read({ data: bytes => { read += bytes.byteLength }, ended: () => {}, closed: () => {} })
    stream.pause()
  })
  const connection: Connection = await near.dial(far.peerId, far.addresses(), new AbortController().signal)
  connection.admit()
  let [opens, rooms] = [0, 0]
  const channel = new Channel({
    protocol: '/test', clock: systemClock, random: seededRandom(1), connection: () => connection,
    onOpen: () => { opens++ }, onRoom: () => { rooms++ }, onTrouble: error => { throw error }
  })
  await until('a stream', () => opens === 1 && served.length === 1)
  const message = new Uint8Array(PART_BYTES_MAX)
  let taken = 0
  while (channel.send(message)) taken += message.byteLength
  assert.ok(taken <= QUEUE_BYTES_MAX && taken > QUEUE_BYTES_MAX - message.byteLength, `${taken} bytes`)
  assert.not(channel.send(message), 'as long as it is full')
  assert.is(rooms, 0)
  served[0]?.resume()
  await until('room', () => rooms === 1, 20_000)
  assert.ok(channel.bytes <= QUEUE_BYTES_HIGH)
  assert.ok(channel.send(message))
  await until('everything', () => channel.bytes === 0 && read >= taken, 20_000)
  assert.is(rooms, 1, 'told once')
  channel.abort()
  await Promise.all([near.close(), far.close()])
})

test('a log that had to refuse changes catches up through a snapshot, and shows nothing before', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub, machine(), { clock }), run(hub, machine(), { clock })]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.set('m/safe', 1)
  await within(5_000, 'flushed', here.flushed())
  await until('bob has it', () => there.get('m/safe') === 1)
  alice.storage.fails = true
  const large = 'x'.repeat(8 * 2 ** 20)
  let count = 0
  for (; count * large.length <= DISK_BYTES_MAX; count++) here.set('m/large', `${count}${large}`)
  here.set('m/last', count)
  assert.is(await here.flushed().then(() => undefined, (error: unknown) => (error as SwarmError).code), 'DISK_FAILED')
  await clock.advance(3 * RETRY_MS)
  assert.equal([there.get('m/last'), here.status().failure?.code], [undefined, 'DISK_FAILED'])
  assert.ok(here.status().sequence > here.status().durable)
  alice.storage.fails = false
  const isDurable = (): boolean => here.status().durable === here.status().sequence
  for (let tries = 0; tries < 100 && !isDurable(); tries++) {
    await clock.advance(HEAL_MS)
    await within(5_000, 'a moment', new Promise(resolve => { setImmediate(resolve) }))
  }
  assert.ok(isDurable())
  await within(5_000, 'flushed', here.flushed())
  assert.equal([here.status().failure, here.status().snapshotBytes > large.length], [null, true])
  await until('bob has the last', () => there.get('m/last') === count, 20_000)
  here.set('m/after', 1)
  await within(5_000, 'flushed', here.flushed())
  const again = run(hub, await kill(alice), { clock, seed: 8 })
  const document = await again.documents.open('notes')
  assert.equal([document.get('m/last'), document.get('m/after'), document.get('m/safe'), document.status().damage], [count, 1, 1, []])
  const closing = Promise.all([again.close(), bob.close()])
  await clock.advance(10_000)
  await within(10_000, 'closed', closing)
})

test('a log that has grown long is folded a moment later, once', async () => {
  const clock = new VirtualClock()
  const alice = run(new MemoryHub(), machine(), { clock })
  const here = await alice.documents.open('notes')
  for (let count = 0; count < 3; count++) here.set('m/large', `${count}${'x'.repeat(LOG_BYTES_HIGH)}`)
  await within(5_000, 'flushed', here.flushed())
  await clock.advance(FOLD_DELAY_MS - 1)
  assert.equal([here.status().snapshotBytes, here.status().log.records], [0, 3], 'who has just written much is about to share it')
  await clock.advance(1)
  await until('it is folded', () => here.status().log.records === 0, 20_000)
  assert.ok(here.status().snapshotBytes > LOG_BYTES_HIGH)
  here.set('m/large', `again${'x'.repeat(LOG_BYTES_HIGH)}`)
  await within(5_000, 'flushed', here.flushed())
  assert.is(here.status().log.records, 1)
  await within(20_000, 'closed', Promise.all([alice.close(), clock.advance(5_000)]))
})

test.run()
