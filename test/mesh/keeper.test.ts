import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { LASTED_MS_MIN } from '../../lib/mesh/backoff.ts'
import { Dialler } from '../../lib/mesh/dialler.ts'
import { Keeper, REDIAL_MS } from '../../lib/mesh/keeper.ts'
import { Links } from '../../lib/mesh/links.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'

const HELLO_MS = 2

/** A peer with all of the mesh; it admits everybody while `admits` says so. */
class Peer {
  readonly links: Links
  readonly dialler: Dialler
  readonly keeper: Keeper
  readonly network: Network
  readonly connections: Connection[] = []
  readonly lost: { atMs: number, peerId: string, code: string, message: string }[] = []
  admits = true

  constructor (hub: MemoryHub, clock: VirtualClock, peerId: string) {
    const network = hub.network(peerId)
    const random = seededRandom(1)
    this.network = network
    this.links = new Links({ peerId, clock, random })
    network.onConnection(connection => {
      this.connections.push(connection)
      if (!this.admits) return connection.abort(new SwarmError('NOT_ADMITTED', 'no'))
      // A round trip of introductions: whom the other end refuses never becomes a link.
      const cancel = clock.after(HELLO_MS, () => {
        connection.admit()
        this.links.add(connection)
      })
      connection.onClose(cancel)
    })
    this.dialler = new Dialler({ network, clock, random })
    this.keeper = new Keeper({ links: this.links, dialler: this.dialler, clock })
    this.keeper.on('lost', ({ peerId, reason }) => { this.lost.push({ atMs: clock.nowMs(), peerId, code: reason.code, message: reason.message }) })
  }

  async close (): Promise<void> {
    this.keeper.close()
    await this.dialler.close()
    this.links.close()
    await this.network.close()
  }
}

/** Ann and Bob, who want each other and have been connected for a while. */
async function meet (): Promise<{ ann: Peer, bob: Peer, clock: VirtualClock, hub: MemoryHub }> {
  const clock = new VirtualClock()
  const hub = new MemoryHub({ clock })
  const [ann, bob] = [new Peer(hub, clock, 'ann'), new Peer(hub, clock, 'bob')]
  ann.dialler.want('bob', bob.network.addresses())
  bob.dialler.want('ann', ann.network.addresses())
  await clock.advance(2 * LASTED_MS_MIN)
  assert.ok(ann.links.get('bob') !== undefined && bob.links.get('ann') !== undefined)
  return { ann, bob, clock, hub }
}

const broken = new SwarmError('CLOSED', 'broken')

test('a connection that breaks is back at once, and nobody is lost', async () => {
  const { ann, bob, clock } = await meet()
  ann.links.get('bob')?.abort(broken)
  await clock.advance(HELLO_MS)
  assert.ok(ann.links.get('bob') !== undefined && bob.links.get('ann') !== undefined)
  await clock.advance(10 * REDIAL_MS)
  assert.equal([ann.lost, bob.lost], [[], []])
})

test('a peer whose process is gone is lost at once', async () => {
  const { ann, bob, clock } = await meet()
  const goneMs = clock.nowMs()
  await bob.close()
  await clock.advance(REDIAL_MS)
  assert.is(ann.lost.length, 1)
  assert.equal([ann.lost[0]?.peerId, ann.lost[0]?.code], ['bob', 'UNREACHABLE'])
  assert.ok((ann.lost[0]?.atMs ?? Infinity) - goneMs <= 1, 'the refused dial is proof enough')
  await clock.advance(60_000)
  assert.is(ann.lost.length, 1, 'lost once')
  assert.ok(ann.dialler.wants('bob'), 'attempts go on in the background')
})

test('a lost peer is connected again when it comes back', async () => {
  const { ann, clock, hub } = await meet()
  hub.cut('ann', 'bob')
  await clock.advance(30_000)
  assert.is(ann.lost.length, 1)
  hub.heal('ann', 'bob')
  await clock.advance(5_001 + HELLO_MS)
  assert.ok(ann.links.get('bob') !== undefined)
  assert.is(ann.lost.length, 1)
})

test('a peer that breaks and then answers no dial is lost within a second', async () => {
  const { ann, bob, clock, hub } = await meet()
  // Only Ann's end breaks: the news does not reach frozen Bob, nor do dials.
  hub.freeze('bob')
  ann.links.get('bob')?.abort(broken)
  const brokenMs = clock.nowMs()
  await clock.advance(REDIAL_MS - 1)
  assert.is(ann.lost.length, 0)
  await clock.advance(1)
  assert.equal(ann.lost.map(({ atMs }) => atMs - brokenMs), [REDIAL_MS])
  assert.match(ann.lost[0]?.message ?? '', /did not come back/)
  assert.is(bob.lost.length, 0)
})

test('a frozen peer is lost within 10 s, and is back when it thaws', async () => {
  const { ann, clock, hub } = await meet()
  hub.freeze('bob')
  const frozenMs = clock.nowMs()
  await clock.advance(10_000)
  assert.equal(ann.lost.map(({ code }) => code), ['UNREACHABLE'])
  assert.ok((ann.lost[0]?.atMs ?? Infinity) - frozenMs < 10_000)
  await clock.advance(60_000)
  hub.thaw('bob')
  await clock.advance(12_000)
  assert.ok(ann.links.get('bob') !== undefined)
  assert.is(ann.lost.length, 1)
})

test('a redial that connects but is not admitted does not keep a peer', async () => {
  const { ann, bob, clock } = await meet()
  bob.admits = false
  bob.links.get('ann')?.abort(broken)
  await clock.advance(REDIAL_MS)
  assert.ok(ann.lost.length >= 1)
  assert.is(ann.lost[0]?.code, 'UNREACHABLE')
})

test('a peer that cannot be dialled may come back by itself', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub({ clock })
  const [ann, bob] = [new Peer(hub, clock, 'ann'), new Peer(hub, clock, 'bob')]
  bob.dialler.want('ann', ann.network.addresses())
  await clock.advance(2 * LASTED_MS_MIN)
  ann.links.get('bob')?.abort(broken)
  await clock.advance(10 * REDIAL_MS)
  assert.ok(ann.links.get('bob') !== undefined)
  assert.is(ann.lost.length, 0)
  await bob.dialler.close()
  bob.links.get('ann')?.abort(broken)
  await clock.advance(REDIAL_MS + 1)
  assert.is(ann.lost.length, 1)
})

test('a dropped peer is lost at once, for the reason given', async () => {
  const { ann, clock } = await meet()
  ann.dialler.forget('bob')
  ann.links.drop('bob', new SwarmError('NOT_ADMITTED', 'revoked'))
  assert.equal(ann.lost.map(({ code }) => code), ['NOT_ADMITTED'])
  await clock.advance(1)
})

test('everything closed leaves no timer behind and tells nothing', async () => {
  const { ann, bob, clock, hub } = await meet()
  hub.freeze('bob')
  ann.links.get('bob')?.abort(broken)
  await clock.advance(10)
  await ann.close()
  hub.thaw('bob')
  await bob.close()
  await clock.advance(60_000)
  assert.equal([ann.lost, bob.lost], [[], []])
  assert.is(clock.pending, 0)
})

test.run()
