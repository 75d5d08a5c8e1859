import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { ADDRESSES_MAX, CHANGED_MS_MIN, DIALS_MAX, DIAL_MS, Dialler, GRACE_MS, URGENT_SLOTS, WANTED_MAX } from '../../lib/mesh/dialler.ts'
import { LASTED_MS_MIN } from '../../lib/mesh/backoff.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'

interface Dial {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly atMs: number
}

/** A network as it is, with a note of each dial, and of how many were under way at once. */
class Noted {
  readonly dials: Dial[] = []
  readonly connections: Connection[] = []
  underWay = 0
  mostUnderWay = 0
  readonly network: Network
  readonly #twice = new Set<string>()

  constructor (network: Network, clock: VirtualClock) {
    this.network = network
    const dial = network.dial.bind(network)
    network.onConnection(connection => {
      // Who admits is not the dialler's affair; a connection that nobody admits would be closed by the network.
      connection.admit()
      this.connections.push(connection)
    })
    network.dial = async (peerId, addresses, signal, options) => {
      assert.not(this.#twice.has(peerId), `two dials at once to ${peerId}`)
      this.#twice.add(peerId)
      this.dials.push({ peerId, addresses, atMs: clock.nowMs() })
      this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
      try {
        return await dial(peerId, addresses, signal, options)
      } finally {
        this.underWay--
        this.#twice.delete(peerId)
      }
    }
  }
}

interface Peer extends Noted { readonly dialler: Dialler, readonly address: string }

class Rig {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })

  peer (peerId: string, seed = 1): Peer {
    const network = this.hub.network(peerId)
    const noted = new Noted(network, this.clock)
    const dialler = new Dialler({ network, clock: this.clock, random: seededRandom(seed) })
    return Object.assign(noted, { dialler, address: network.addresses()[0] ?? '' })
  }
}

const NOWHERE = '/memory/999999'

test('the lower peer id dials at once', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(0)
  assert.equal(ann.dials, [{ peerId: 'bob', addresses: [bob.address], atMs: 0 }])
  assert.is(ann.connections.length, 1)
})

test('at a simultaneous start one connection is made: the higher id waits, and need not dial', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  bob.dialler.want('ann', [ann.address])
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(10_000)
  assert.is(ann.dials.length, 1)
  assert.is(bob.dials.length, 0)
  assert.is(bob.connections.length, 1)
})

for (const [name, options, atMs] of [['after its grace', {}, GRACE_MS], ['at once when told so', { now: true }, 0]] as const) {
  test(`the higher peer id dials ${name} when the lower one does not`, async () => {
    const rig = new Rig()
    const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
    bob.dialler.want('ann', [ann.address], options)
    await rig.clock.advance(1_000)
    assert.equal(bob.dials.map(dial => dial.atMs), [atMs])
  })
}

test('a peer that does not answer is dialled again and again, with growing waits, and each failure is told', async () => {
  const rig = new Rig()
  const ann = rig.peer('ann')
  const failures: { code: string, attempts: number }[] = []
  ann.dialler.on('failed', ({ peerId, error, attempts }) => {
    assert.is(peerId, 'bob')
    failures.push({ code: error.code, attempts })
  })
  ann.dialler.want('bob', [NOWHERE])
  await rig.clock.advance(60_000)
  assert.ok(ann.dials.length >= 12 && ann.dials.length <= 60, `${ann.dials.length} dials in 60 s`)
  assert.is(failures.length, ann.dials.length)
  assert.ok(failures.every(({ code, attempts }, index) => code === 'UNREACHABLE' && attempts === index + 1))
  const waits = ann.dials.slice(1).map((dial, index) => dial.atMs - (ann.dials[index]?.atMs ?? 0))
  assert.ok(waits.every(waitMs => waitMs >= 0 && waitMs <= 5_000 + 1))
})

test('each attempt is bounded, and there is never more than one to a peer', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  rig.hub.freeze('bob')
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(DIAL_MS - 1)
  assert.is(ann.underWay, 1)
  await rig.clock.advance(2)
  assert.ok(ann.dials.length <= 2)
  rig.hub.thaw('bob')
  await rig.clock.advance(DIAL_MS)
  assert.is(ann.connections.length, 1, 'and the attempt after it thawed succeeds')
})

test('attempts at once are limited, and everyone gets a turn', async () => {
  const rig = new Rig()
  const ann = rig.peer('ann')
  const others = Array.from({ length: 40 }, (_, index) => rig.peer(`peer${index}`))
  for (const { network } of others) rig.hub.freeze(network.peerId)
  for (const { address, network } of others) ann.dialler.want(network.peerId, [address])
  await rig.clock.advance(1_000)
  assert.is(ann.underWay, DIALS_MAX - URGENT_SLOTS)
  await rig.clock.advance(4 * DIAL_MS)
  assert.is(ann.mostUnderWay, DIALS_MAX - URGENT_SLOTS)
  assert.is(new Set(ann.dials.map(({ peerId }) => peerId)).size, 40)
})

test('a peer whose connection breaks is dialled ahead of a full queue', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(LASTED_MS_MIN + 1)
  const others = Array.from({ length: 40 }, (_, index) => rig.peer(`peer${index}`))
  for (const { address, network } of others) {
    rig.hub.freeze(network.peerId)
    ann.dialler.want(network.peerId, [address])
  }
  await rig.clock.advance(100)
  bob.connections[0]?.abort(new SwarmError('CLOSED', 'broken'))
  const brokenMs = rig.clock.nowMs()
  await rig.clock.advance(50)
  assert.equal(ann.dials.filter(({ peerId }) => peerId === 'bob').map(({ atMs }) => atMs), [0, brokenMs])
  assert.is(ann.connections.filter(({ peerId }) => peerId === 'bob').length, 2)
})

test('a connection that does not last does not start the waits again', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  bob.network.onConnection(connection => { connection.abort(new SwarmError('NOT_ADMITTED', 'no')) })
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(60_000)
  assert.ok(ann.dials.length >= 12 && ann.dials.length <= 60, `${ann.dials.length} dials in 60 s`)
})

test('changed addresses are tried at once; the same again are not', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  ann.dialler.want('bob', [NOWHERE])
  await rig.clock.advance(30_000)
  const dials = ann.dials.length
  ann.dialler.want('bob', [NOWHERE])
  await rig.clock.advance(0)
  assert.is(ann.dials.length, dials)
  ann.dialler.want('bob', [NOWHERE, bob.address])
  await rig.clock.advance(CHANGED_MS_MIN)
  assert.is(ann.connections.length, 1)
  assert.is(ann.dials.length, dials + 1)
})

test('changed addresses end an attempt at the old ones', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  const [silent] = [rig.peer('cid')]
  rig.hub.freeze('cid')
  ann.dialler.want('bob', [silent.address])
  await rig.clock.advance(1_000)
  assert.is(ann.underWay, 1)
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(0)
  assert.is(ann.connections[0]?.address, bob.address)
})

test('addresses that keep changing do not make us a hammer', async () => {
  const rig = new Rig()
  const ann = rig.peer('ann')
  for (let round = 0; round < 1_000; round++) {
    ann.dialler.want('bob', [`/memory/${10_000 + round}`])
    await rig.clock.advance(1)
  }
  assert.ok(ann.dials.length <= 1_000 / CHANGED_MS_MIN + 1, `${ann.dials.length} dials in 1 s`)
})

test('keeps a bounded number of addresses, and no peer without any is dialled', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  ann.dialler.want('bob', [])
  await rig.clock.advance(10_000)
  assert.is(ann.dials.length, 0)
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(0)
  assert.is(ann.connections.length, 1)
  ann.dialler.want('cid', Array.from({ length: 100 }, (_, index) => `/memory/${1_000 + index}`))
  await rig.clock.advance(0)
  assert.is(ann.dials.at(-1)?.addresses.length, ADDRESSES_MAX)
})

test('wants a bounded number of peers, and never itself', () => {
  const rig = new Rig()
  const { dialler } = rig.peer('ann')
  assert.is(dialler.want('ann', []), false)
  for (let index = 0; index < WANTED_MAX; index++) assert.is(dialler.want(`peer${index}`, []), true)
  assert.is(dialler.want('one more', []), false)
  assert.is(dialler.want('peer0', [NOWHERE]), true, 'a known one may be updated')
  dialler.forget('peer0')
  assert.is(dialler.want('one more', []), true)
})

test('a peer that is already connected is not dialled', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await bob.network.dial('ann', [ann.address], new AbortController().signal)
  await rig.clock.advance(0)
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(60_000)
  assert.is(ann.dials.length, 0)
})

test('a forgotten peer is dialled no more, nor called failed', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  rig.hub.freeze('bob')
  let failures = 0
  ann.dialler.on('failed', () => { failures++ })
  ann.dialler.want('bob', [bob.address])
  await rig.clock.advance(1_000)
  ann.dialler.forget('bob')
  assert.is(ann.dialler.wants('bob'), false)
  rig.hub.thaw('bob')
  await rig.clock.advance(60_000)
  assert.is(ann.dials.length, 1)
  assert.is(ann.connections.length, 0)
  assert.is(failures, 0)
  assert.is(rig.clock.pending, 0)
})

test('close gives every attempt up and leaves no timer behind', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  rig.hub.freeze('bob')
  ann.dialler.want('bob', [bob.address])
  ann.dialler.want('cid', [NOWHERE])
  ann.dialler.want('dot', [])
  await rig.clock.advance(1_000)
  await ann.dialler.close()
  assert.is(ann.underWay, 0)
  assert.is(rig.clock.pending, 0)
  assert.throws(() => ann.dialler.want('eve', []), (error: SwarmError) => error.code === 'CLOSED')
})

test('a hurry tries those who wait at once, as if for the first time, and tells what became of it', async () => {
  const rig = new Rig()
  const alice = rig.peer('alice')
  alice.dialler.want('bob', ['/memory/later'])
  await rig.clock.advance(60_000)
  const { attempts, failure } = alice.dialler.progress('bob') ?? {}
  assert.ok((attempts ?? 0) > 5)
  assert.is(failure?.code, 'UNREACHABLE')
  const bob = rig.peer('bob')
  alice.dialler.want('bob', [bob.address])
  await rig.clock.advance(CHANGED_MS_MIN)
  assert.is(alice.dialler.progress('bob'), undefined, 'connected')
  rig.hub.freeze('cid')
  alice.dialler.want('cid', ['/memory/later'])
  await rig.clock.advance(60_000)
  const [dials, tried] = [alice.dials.length, alice.dialler.progress('cid')?.attempts ?? 0]
  alice.dialler.hurry()
  await rig.clock.advance(CHANGED_MS_MIN)
  assert.ok(alice.dials.length > dials)
  assert.ok((alice.dialler.progress('cid')?.attempts ?? tried) < tried, 'the wait between attempts grows from the start again')
})

test.run()
