import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { DOUBT_MS } from '../../lib/mesh/health.ts'
import { Links } from '../../lib/mesh/links.ts'
import { RENEWALS_MAX, RENEWAL_MS, RENEWAL_PAUSE_MS, Renewer } from '../../lib/mesh/renewal.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'

interface Dial { readonly peerId: string, readonly addresses: readonly string[], readonly atMs: number }

/** Ann, whose links are renewed, and others. */
class Rig {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })
  readonly network: Network
  readonly links: Links
  readonly renewer: Renewer
  readonly dials: Dial[] = []
  readonly dead = new Set<Connection>()
  readonly connections: Connection[] = []
  /** Where each peer is said to be. */
  readonly said = new Map<string, readonly string[]>()
  underWay = 0
  mostUnderWay = 0

  constructor () {
    this.network = this.#network('ann')
    const dial = this.network.dial.bind(this.network)
    this.network.dial = async (peerId, addresses, signal, options) => {
      this.dials.push({ peerId, addresses, atMs: this.clock.nowMs() })
      this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
      try {
        return await dial(peerId, addresses, signal, options)
      } finally {
        this.underWay--
      }
    }
    this.links = new Links({
      peerId: 'ann', clock: this.clock, random: seededRandom(1),
      probe: async (connection, signal) => await (this.dead.has(connection) ? new Promise(() => undefined) : connection.probe(signal))
    })
    this.network.onConnection(connection => {
      this.connections.push(connection)
      this.links.add(connection)
    })
    this.renewer = new Renewer({ links: this.links, network: this.network, clock: this.clock, addresses: peerId => this.said.get(peerId) ?? [] })
  }

  /** A peer that ann is linked with, over a connection that is dead. */
  async lost (peerId: string): Promise<Network> {
    const other = this.#network(peerId)
    this.said.set(peerId, other.addresses())
    const connection = await this.network.dial(peerId, other.addresses(), new AbortController().signal)
    this.dead.add(connection)
    this.dials.length = 0
    return other
  }

  async close (): Promise<void> {
    this.links.close()
    await this.renewer.close()
    await this.network.close()
  }

  #network (peerId: string): Network {
    const network = this.hub.network(peerId)
    network.onConnection(connection => { connection.admit() })
    return network
  }
}

const NOWHERE = '/memory/999999'

test('a peer whose link is silent is dialled beside it, and the new link serves', async () => {
  const rig = new Rig()
  await rig.lost('bob')
  rig.links.doubt('bob')
  await rig.clock.advance(DOUBT_MS + 10)
  assert.equal(rig.dials.map(({ peerId, atMs }) => [peerId, atMs]), [['bob', DOUBT_MS]])
  assert.equal([rig.links.get('bob'), rig.links.size], [rig.connections[1], 2])
  await rig.clock.advance(60_000)
  assert.equal([rig.dials.length, rig.links.size, rig.links.get('bob')], [1, 1, rig.connections[1]])
  await rig.close()
  assert.is(rig.clock.pending, 0)
})

test('a peer that answers is not dialled, whatever is said of it', async () => {
  const rig = new Rig()
  await rig.lost('bob')
  rig.dead.clear()
  for (let second = 0; second < 60; second++) {
    rig.said.set('bob', [`/memory/lie-${second}`])
    rig.links.doubt('bob')
    await rig.clock.advance(1_000)
  }
  assert.equal([rig.dials, rig.links.get('bob')], [[], rig.connections[0]])
  await rig.close()
})

test('addresses that come while it is dialled elsewhere are tried at once', async () => {
  const rig = new Rig()
  const bob = await rig.lost('bob')
  const mute = rig.hub.network('mute')
  rig.hub.freeze('mute')
  rig.said.set('bob', mute.addresses())
  rig.links.doubt('bob')
  await rig.clock.advance(2 * DOUBT_MS)
  assert.is(rig.underWay, 1)
  rig.said.set('bob', [...mute.addresses(), ...bob.addresses()])
  rig.links.doubt('bob')
  await rig.clock.advance(DOUBT_MS)
  assert.is(rig.dials.length, 2)
  assert.equal(rig.dials[1]?.addresses, [...mute.addresses(), ...bob.addresses()])
  await rig.close()
})

test('it is dialled again with pauses while its link is silent, and no longer', async () => {
  const rig = new Rig()
  await rig.lost('bob')
  rig.said.set('bob', [NOWHERE])
  rig.links.doubt('bob')
  await rig.clock.advance(20_000)
  const waits = rig.dials.slice(1).map(({ atMs }, index) => atMs - (rig.dials[index]?.atMs ?? 0))
  assert.ok(rig.dials.length > 5 && rig.dials.length <= 5_000 / RENEWAL_PAUSE_MS, `${rig.dials.length} dials`)
  assert.ok(waits.every(waitMs => waitMs >= RENEWAL_PAUSE_MS), waits.join())
  assert.is(rig.links.get('bob'), undefined, 'silence has ended it')
  await rig.close()
  assert.is(rig.clock.pending, 0)
})

test('peers dialled anew at once are limited, and everyone gets a turn', async () => {
  const rig = new Rig()
  const names = Array.from({ length: 3 * RENEWALS_MAX }, (_, index) => `peer${index}`)
  const mute = rig.hub.network('mute')
  for (const name of names) await rig.lost(name)
  rig.hub.freeze('mute')
  for (const name of names) rig.said.set(name, mute.addresses())
  rig.links.doubt()
  await rig.clock.advance(DOUBT_MS + 1)
  assert.is(rig.underWay, RENEWALS_MAX)
  for (const name of names.slice(0, RENEWALS_MAX)) for (const connection of rig.connections) if (connection.peerId === name) rig.links.heard(connection)
  await rig.clock.advance(RENEWAL_MS + 1)
  assert.equal([...new Set(rig.dials.map(({ peerId }) => peerId))], names.slice(0, 2 * RENEWALS_MAX))
  assert.is(rig.mostUnderWay, RENEWALS_MAX)
  await settle()
  await rig.close()
})

test.run()
