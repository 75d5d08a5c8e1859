/** Whole meshes, of real links, diallers and keepers on the memory network. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { SwarmError } from '../../lib/base/error.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { FULL_MAX, LINKS_MAX, PICKS, UNUSED_MS } from '../../lib/mesh/degree.ts'
import { Dialler } from '../../lib/mesh/dialler.ts'
import { Keeper } from '../../lib/mesh/keeper.ts'
import { Links } from '../../lib/mesh/links.ts'
import { HEAL_MS, Mesh, PART_MS, PLAN_MS, PLAN_MS_MAX } from '../../lib/mesh/mesh.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'

/** Time for links of no use to be closed, in milliseconds: one that the other end still needed is asked about again after as long. */
const CLOSED_MS = UNUSED_MS + 2 * PLAN_MS_MAX

const PART = '/part'
const never = (): AbortSignal => new AbortController().signal

class Peer {
  readonly peerId: string
  readonly network: Network
  readonly links: Links
  readonly dialler: Dialler
  readonly keeper: Keeper
  readonly mesh: Mesh
  readonly dialled: string[] = []
  readonly lost: string[] = []
  readonly kept = new Set<string>()
  groups: ReadonlySet<string>[] = []
  /** How often it said that it has no use for a connection. */
  parted = 0

  constructor (swarm: Swarm, index: number) {
    const { clock, hub } = swarm
    const peerId = this.peerId = `peer-${String(index).padStart(3, '0')}`
    const random = seededRandom(index + 1)
    const network = this.network = hub.network(peerId)
    const dial = network.dial.bind(network)
    network.dial = async (other, ...more) => {
      this.dialled.push(other)
      return await dial(other, ...more)
    }
    this.links = new Links({ peerId, clock, random })
    network.onConnection(connection => {
      connection.admit()
      this.links.add(connection)
    })
    this.dialler = new Dialler({ network, clock, random })
    this.keeper = new Keeper({ links: this.links, dialler: this.dialler, clock })
    this.keeper.on('lost', event => { this.lost.push(event.peerId) })
    network.handle(PART, async (stream, connection) => {
      stream.read({ data: () => undefined, ended: () => { void stream.end() }, closed: () => undefined })
      this.mesh.heardPart(connection)
    })
    this.mesh = new Mesh({
      peerId, links: this.links, dialler: this.dialler, keeper: this.keeper, clock, random,
      addresses: other => swarm.addresses.get(other) ?? [],
      isKept: other => this.kept.has(other),
      groups: () => this.groups,
      part: async connection => {
        this.parted++
        const stream = await connection.open(PART, never()).catch(() => undefined) // the other end may have closed it by now
        await stream?.end()
      }
    })
  }

  linked (): string[] {
    return this.links.peers()
  }

  async close (): Promise<void> {
    this.mesh.close()
    this.keeper.close()
    await this.dialler.close()
    this.links.close()
    await this.network.close()
  }
}

/** So many peers, each of which has been told of all others. */
class Swarm {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })
  readonly addresses = new Map<string, readonly string[]>()
  readonly peers: readonly Peer[]

  constructor (count: number) {
    this.peers = Array.from({ length: count }, (_, index) => new Peer(this, index))
    for (const { network, peerId } of this.peers) this.addresses.set(peerId, network.addresses())
    for (const peer of this.peers) for (const other of this.peers) if (other !== peer) peer.mesh.want(other.peerId)
  }

  of (peerId: string): Peer {
    return this.peers.find(peer => peer.peerId === peerId) as Peer
  }

  /** Peers that the first leads to, from link to link. */
  reached (): number {
    const seen = new Set([this.peers[0] as Peer])
    for (const peer of seen) for (const other of peer.linked()) seen.add(this.of(other))
    return seen.size
  }

  async close (): Promise<void> {
    await Promise.all(this.peers.map(async peer => { await peer.close() }))
    await settle()
  }
}

function scene (name: string, count: number, body: (swarm: Swarm, first: Peer) => Promise<void>): void {
  test(name, async () => {
    const swarm = new Swarm(count)
    await swarm.clock.advance(4 * PLAN_MS)
    await body(swarm, swarm.peers[0] as Peer)
    await swarm.close()
    assert.is(swarm.clock.pending, 0, 'no timer is left')
  })
}

scene('up to a size all are linked with all, and stay so', FULL_MAX, async ({ clock, peers }) => {
  for (const { links, mesh } of peers) assert.equal([mesh.isWide, links.peers().length], [false, FULL_MAX - 1])
  await clock.advance(CLOSED_MS)
  for (const { links, lost, parted } of peers) assert.equal([links.peers().length, lost.length, parted], [FULL_MAX - 1, 0, 0])
})

scene('in a larger swarm each has a few links, by which all are reached', 30, async (swarm, { mesh }) => {
  assert.ok(mesh.isWide)
  assert.is(swarm.reached(), 30)
  await swarm.clock.advance(CLOSED_MS)
  assert.is(swarm.reached(), 30)
  const counts = swarm.peers.map(({ links }) => links.size)
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
  assert.ok(Math.min(...counts) >= PICKS && mean <= LINKS_MAX, `${Math.min(...counts)} to ${Math.max(...counts)} links, ${mean} on average`)
  assert.equal(swarm.peers.flatMap(({ lost }) => lost), [])
})

scene('whoever is not linked is dialled once, however many wait; what is of no use is closed, and nobody is missed', 30, async ({ clock, peers }, first) => {
  const far = peers.filter(({ peerId }) => peerId !== first.peerId && first.links.get(peerId) === undefined)
  const before = first.dialled.length
  const reached = await Promise.all(far.flatMap(({ peerId }) => [1, 2, 3].map(async () => await first.mesh.reach(peerId, never()))))
  assert.is(first.dialled.length - before, far.length)
  assert.ok(reached.every(connection => first.links.get(connection.peerId) === connection))
  assert.is(first.linked().length, 29)
  await clock.advance(UNUSED_MS / 2)
  assert.is(first.linked().length, 29, 'not before it has been of no use for a while')
  await clock.advance(CLOSED_MS)
  assert.ok(first.linked().length <= LINKS_MAX + PICKS, `${first.linked().length} links`)
  assert.equal(peers.flatMap(({ lost }) => lost), [])
  assert.ok(first.parted >= 29 - LINKS_MAX - PICKS)
})

scene('links that are in use stay: held, kept, or shared with a group', 30, async ({ clock, peers }, first) => {
  const far = peers.filter(({ peerId }) => peerId !== first.peerId && first.links.get(peerId) === undefined).slice(0, 14)
  for (const { peerId } of far) await first.mesh.reach(peerId, never())
  const [held, kept, shared, heldThere] = far as [Peer, Peer, Peer, Peer]
  const release = first.links.hold(first.links.get(held.peerId) as Connection)
  const releaseThere = heldThere.links.hold(heldThere.links.get(first.peerId) as Connection)
  first.kept.add(kept.peerId)
  first.groups = [new Set([shared.peerId])]
  await clock.advance(CLOSED_MS)
  for (const { peerId } of [held, kept, shared, heldThere]) assert.ok(first.links.get(peerId) !== undefined, peerId)
  assert.ok(first.linked().length <= LINKS_MAX + PICKS, `${first.linked().length} links`)
  release()
  releaseThere()
  first.groups = []
  for (const { peerId } of far.slice(4)) await first.mesh.reach(peerId, never())
  await clock.advance(CLOSED_MS)
  assert.equal([held, shared, heldThere].map(({ peerId }) => first.links.get(peerId) !== undefined), [false, false, false])
  assert.ok(first.links.get(kept.peerId) !== undefined)
})

scene('those of a group are linked by picks of their own', 30, async ({ clock, peers }) => {
  const group = peers.filter((_, index) => index % 3 === 0)
  for (const peer of group) {
    peer.groups = [new Set(group.map(({ peerId }) => peerId).filter(peerId => peerId !== peer.peerId))]
    peer.mesh.regroup()
  }
  await clock.advance(2 * PLAN_MS)
  const ids = new Set(group.map(({ peerId }) => peerId))
  const seen = new Set(group.slice(0, 1))
  for (const peer of seen) for (const other of peer.linked()) if (ids.has(other)) seen.add(peers.find(({ peerId }) => peerId === other) as Peer)
  assert.is(seen.size, group.length)
})

scene('who agreed to part opens nothing on that connection: a call in that moment waits until it is good again', 30, async ({ clock, peers }, first) => {
  const far = peers.find(({ peerId, links }) => peerId !== first.peerId && first.links.get(peerId) === undefined && links.get(first.peerId) === undefined) as Peer
  const connection = await first.mesh.reach(far.peerId, never())
  await clock.advance(2 * PLAN_MS) // nobody waits for it any more
  first.mesh.heardPart(connection)
  let other: Connection | undefined
  const reaching = first.mesh.reach(far.peerId, never()).then(reached => { other = reached })
  await clock.advance(PART_MS)
  await reaching
  // The other end had not asked, so it did not close: after PART_MS the same connection is good again.
  assert.ok(other?.peerId === far.peerId && first.links.get(far.peerId) === other)
  assert.equal([first.lost, far.lost], [[], []])
})

scene('one that cannot be reached is set aside, tried now and then, and found again', 24, async ({ clock, hub, peers }, first) => {
  const gone = peers.at(-1) as Peer
  for (const { peerId } of peers) if (peerId !== gone.peerId) hub.cut(peerId, gone.peerId)
  await clock.advance(20_000)
  for (const peer of peers.slice(0, -1)) assert.not.ok(peer.linked().includes(gone.peerId))
  for (const peer of peers) peer.dialled.length = 0
  await clock.advance(3 * HEAL_MS)
  const tries = peers.slice(0, -1).map(({ dialled }) => dialled.filter(peerId => peerId === gone.peerId).length)
  assert.ok(Math.max(...tries) <= 6 && tries.some(count => count > 0), `${tries.join(' ')} dials in ${3 * HEAL_MS} ms`)
  assert.ok(gone.dialled.length <= 3 * HEAL_MS / 1_000 * FULL_MAX, `${gone.dialled.length} dials by the one that has no link`)
  for (const { peerId } of peers) if (peerId !== gone.peerId) hub.heal(peerId, gone.peerId)
  await clock.advance(3 * HEAL_MS)
  assert.ok(gone.linked().length > 0)
  assert.ok(first.mesh.isWide)
})

scene('reaching says what stands in its way', 20, async ({ addresses, clock, hub, peers }, first) => {
  const code = async (peerId: string, signal = never()): Promise<string> => await first.mesh.reach(peerId, signal).then(() => 'reached', (error: SwarmError) => error.code)
  assert.is(await code('nobody'), 'UNREACHABLE')
  const far = peers.find(({ peerId }) => peerId !== first.peerId && first.links.get(peerId) === undefined)
  if (far === undefined) return assert.unreachable('all are linked')
  assert.is(await code(far.peerId, AbortSignal.abort()), 'ABORTED')
  hub.cut(first.peerId, far.peerId)
  const refused = code(far.peerId)
  await clock.advance(1_000)
  assert.is(await refused, 'UNREACHABLE')
  addresses.set(far.peerId, [])
  assert.is(await code(far.peerId), 'UNREACHABLE')
})

scene('one that has left is not dialled again, now or as one that could not be reached', 24, async ({ clock, peers }, first) => {
  const left = peers.find(({ peerId }) => peerId === first.linked()[0]) as Peer
  for (const { mesh } of peers) mesh.forget(left.peerId)
  for (const { dialled } of peers) dialled.length = 0
  await left.close()
  await clock.advance(3 * HEAL_MS)
  for (const { dialled, peerId } of peers) assert.not.ok(dialled.includes(left.peerId), peerId)
  assert.not.ok(first.linked().includes(left.peerId))
})

scene('twenty peers that are told of move few links', 30, async swarm => {
  const { clock, peers } = swarm
  const before = peers.map(({ dialled }) => dialled.length)
  for (let index = 0; index < 20; index++) for (const { mesh } of peers) mesh.want(`peer-${500 + index}`) // known by name, at no address
  await clock.advance(5 * PLAN_MS)
  const more = peers.map(({ dialled }, index) => dialled.length - (before[index] as number))
  assert.ok(Math.max(...more) <= PICKS, `${more.join(' ')} dials`)
  assert.is(swarm.reached(), 30)
})

test.run()
