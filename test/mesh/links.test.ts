import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { DOUBT_MS } from '../../lib/mesh/health.ts'
import { LINKS_PER_PEER_MAX, Links, RETIRE_MS } from '../../lib/mesh/links.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'

interface Peer {
  readonly network: Network
  readonly links: Links
  readonly address: string
  /** What its links told, in order. */
  readonly told: string[]
  readonly connections: Connection[]
  /** Connections that carry nothing any more. */
  readonly dead: Set<Connection>
}

/** Peers whose connections are admitted at once and become links. */
class Rig {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })

  peer (peerId: string): Peer {
    const network = this.hub.network(peerId)
    const dead = new Set<Connection>()
    const links = new Links({
      peerId, clock: this.clock, random: seededRandom(1),
      probe: async (connection, signal) => await (dead.has(connection) ? new Promise(() => undefined) : connection.probe(signal))
    })
    const peer: Peer = { network, links, address: network.addresses()[0] ?? '', told: [], connections: [], dead }
    network.onConnection(connection => {
      peer.connections.push(connection)
      connection.admit()
      links.add(connection)
    })
    links.on('connected', ({ peerId }) => { peer.told.push(`connected ${peerId}`) })
    links.on('moved', ({ peerId, connection, from }) => {
      assert.is(links.get(peerId), connection)
      assert.is.not(connection, from)
      peer.told.push(`moved ${peerId}`)
    })
    links.on('silent', ({ peerId }) => { peer.told.push(`silent ${peerId}`) })
    links.on('disconnected', ({ peerId, reason }) => { peer.told.push(`disconnected ${peerId} ${reason.code}`) })
    return peer
  }

  /** Connects, whatever there is already, as when both dial at once. */
  async dial (from: Peer, to: Peer): Promise<void> {
    await this.dialAll([[from, to]])
  }

  async dialAll (pairs: readonly (readonly [Peer, Peer])[]): Promise<void> {
    const dials = pairs.map(async ([from, to]) => await from.network.dial(to.network.peerId, [to.address], new AbortController().signal))
    await settle()
    await Promise.all(dials)
    await settle()
  }
}

/** Which of the two dialled the connection that serves. */
function dialler (of: Peer, other: Peer): string | undefined {
  const connection = of.links.get(other.network.peerId)
  return connection === undefined ? undefined : connection.direction === 'outbound' ? of.network.peerId : other.network.peerId
}

const broken = new SwarmError('CLOSED', 'broken')

test('tells of the first link and of the loss of the last', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  assert.equal([ann.told, bob.told], [['connected bob'], ['connected ann']])
  assert.is(ann.links.get('bob'), ann.connections[0])
  assert.equal(ann.links.peers(), ['bob'])
  await ann.connections[0]?.close()
  await settle()
  assert.equal([ann.told[1], bob.told[1]], ['disconnected bob CLOSED', 'disconnected ann CLOSED'])
  assert.is(ann.links.get('bob'), undefined)
  assert.equal([ann.links.size, bob.links.peers().length, rig.clock.pending], [0, 0, 0])
})

test('of two simultaneous dials both ends keep the one of the lower peer id; the other is closed once it is not needed', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dialAll([[ann, bob], [bob, ann]])
  assert.equal([ann.links.size, bob.links.size], [2, 2], 'the rig made two')
  assert.equal([dialler(ann, bob), dialler(bob, ann)], ['ann', 'ann'])
  await rig.clock.advance(RETIRE_MS - 1)
  assert.equal([ann.links.size, bob.links.size], [2, 2])
  await rig.clock.advance(2)
  assert.equal([ann.links.size, bob.links.size], [1, 1])
  assert.equal([dialler(ann, bob), dialler(bob, ann)], ['ann', 'ann'])
  assert.ok([...ann.told, ...bob.told].every(event => !event.startsWith('disconnected')))
})

test('calls in flight keep a retired connection open until the last has ended', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dialAll([[ann, bob], [bob, ann]])
  const retired = bob.connections.find(({ direction }) => direction === 'outbound')
  assert.ok(retired)
  const releases = [bob.links.hold(retired), bob.links.hold(retired)]
  await rig.clock.advance(6 * RETIRE_MS)
  assert.is(bob.links.size, 2)
  releases[0]?.()
  releases[0]?.()
  await settle()
  assert.is(bob.links.size, 2, 'releasing twice counts once')
  releases[1]?.()
  await settle()
  assert.equal([ann.links.size, bob.links.size], [1, 1])
})

test('a retired connection serves again when the other breaks', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dialAll([[ann, bob], [bob, ann]])
  await rig.clock.advance(RETIRE_MS / 2)
  ann.links.get('bob')?.abort(broken)
  await settle()
  assert.equal([dialler(ann, bob), dialler(bob, ann)], ['bob', 'bob'])
  await rig.clock.advance(3 * RETIRE_MS)
  assert.equal([dialler(ann, bob), dialler(bob, ann)], ['bob', 'bob'], 'its retirement is off')
  assert.is(ann.told.at(-1), 'moved bob')
})

test('a peer that dials anew has its elder link probed at once', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  let probes = 0
  const [first] = ann.connections
  assert.ok(first)
  const probe = first.probe.bind(first)
  first.probe = async signal => {
    probes++
    return await probe(signal)
  }
  await rig.clock.advance(100)
  assert.is(probes, 0)
  // Bob has lost what ann still believes in, and dials anew.
  const again = rig.hub.network('bob')
  await again.dial('ann', [ann.address], new AbortController().signal)
  await rig.clock.advance(1)
  assert.is(probes, 1)
})

test('a link that leaves a doubt unanswered is told of and goes on serving, until there is another', async () => {
  for (const name of ['abe', 'zoe']) { // whose dials would stand before bob's, or after
    const rig = new Rig()
    const [ann, bob] = [rig.peer(name), rig.peer('bob')]
    await rig.dial(ann, bob)
    const [first] = ann.connections as [Connection]
    ann.dead.add(first)
    ann.links.doubt('bob')
    await rig.clock.advance(DOUBT_MS - 1)
    assert.equal(ann.told, ['connected bob'])
    await rig.clock.advance(2)
    assert.equal([ann.told.splice(0), ann.links.isSilent('bob'), ann.links.get('bob')], [['connected bob', 'silent bob'], true, first])
    const release = ann.links.hold(first)
    await bob.network.dial(name, [ann.address], new AbortController().signal, { anew: true })
    await rig.clock.advance(1)
    assert.equal([ann.told, ann.links.isSilent('bob'), ann.links.get('bob')], [['moved bob'], false, ann.connections[1]])
    let isClosed = false
    first.onClose(() => { isClosed = true })
    await rig.clock.advance(1_000)
    assert.is(isClosed, false, 'calls on it have as long as ever')
    await rig.clock.advance(5_000)
    assert.is(isClosed, true)
    assert.equal(ann.told, ['moved bob'])
    release()
  }
})

test('a peer is silent when all of its links are, whichever is the last', async () => {
  for (const first of [0, 1]) {
    const rig = new Rig()
    const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
    await rig.dialAll([[ann, bob], [bob, ann]])
    await rig.clock.advance(1_000)
    const [early, late] = [ann.connections[first], ann.connections[1 - first]] as [Connection, Connection]
    ann.dead.add(early)
    ann.links.doubt('bob')
    await rig.clock.advance(DOUBT_MS + 1)
    assert.equal([ann.links.isSilent('bob'), ann.links.get('bob')], [false, late])
    ann.dead.add(late)
    ann.links.doubt('bob')
    await rig.clock.advance(DOUBT_MS + 1)
    assert.is(ann.links.isSilent('bob'), true)
    assert.is(ann.told.at(-1), 'silent bob')
  }
})

test('an answer that comes late takes the silence back', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  const [first] = ann.connections as [Connection]
  ann.dead.add(first)
  ann.links.doubt()
  await rig.clock.advance(DOUBT_MS + 1)
  await bob.network.dial('ann', [ann.address], new AbortController().signal, { anew: true })
  await rig.clock.advance(1)
  assert.is(ann.links.get('bob'), ann.connections[1])
  ann.links.heard(first)
  assert.equal([ann.links.get('bob'), ann.told], [first, ['connected bob', 'silent bob', 'moved bob', 'moved bob']])
})

test('doubts without end about a link that answers change nothing', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  for (let doubt = 0; doubt < 10_000; doubt++) {
    ann.links.doubt('bob')
    await rig.clock.advance(doubt % 7)
  }
  assert.equal([ann.told, ann.links.size], [['connected bob'], 1])
})

test('a frozen peer is disconnected within 10 s, and its connection aborted', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  await rig.clock.advance(30_000)
  assert.equal(ann.told, ['connected bob'])
  rig.hub.freeze('bob')
  let closed = false
  ann.connections[0]?.onClose(() => { closed = true })
  await rig.clock.advance(4_000)
  assert.equal(ann.told, ['connected bob'], 'silence of a moment is no proof')
  await rig.clock.advance(6_000)
  assert.equal(ann.told, ['connected bob', 'disconnected bob UNREACHABLE'])
  assert.is(closed, true)
})

test('a frozen peer that is heard otherwise is not disconnected', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  rig.hub.freeze('bob')
  for (let second = 0; second < 30; second++) {
    const [connection] = ann.connections
    assert.ok(connection)
    ann.links.heard(connection)
    await rig.clock.advance(1_000)
  }
  assert.equal(ann.told, ['connected bob'])
})

test('a process that was suspended accuses nobody when it wakes', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dial(ann, bob)
  for (const stallMs of [60_000, 3_700, 5_100, 2_600]) {
    await rig.clock.stall(stallMs)
    await rig.clock.advance(1)
  }
  await rig.clock.advance(10_000)
  assert.equal([ann.told, bob.told], [['connected bob'], ['connected ann']])
})

test('links to one peer are limited', async () => {
  const rig = new Rig()
  const ann = rig.peer('ann')
  const zoe = Array.from({ length: 50 }, () => rig.hub.network('zoe'))
  for (const network of zoe) await network.dial('ann', [ann.address], new AbortController().signal)
  await settle()
  assert.is(ann.connections.length, 50)
  assert.is(ann.links.size, LINKS_PER_PEER_MAX)
  assert.is(ann.links.get('zoe'), ann.connections.at(-1), 'the newest of one dialler serves')
})

test('a dropped peer is disconnected once, for the reason given', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dialAll([[ann, bob], [bob, ann]])
  ann.links.drop('bob', new SwarmError('NOT_ADMITTED', 'revoked'))
  await settle()
  assert.equal(ann.told.filter(event => !event.startsWith('moved')), ['connected bob', 'disconnected bob NOT_ADMITTED'])
  assert.equal([ann.links.size, bob.links.size], [0, 0])
})

test('close leaves no timer, tells nothing more and takes nothing more', async () => {
  const rig = new Rig()
  const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
  await rig.dialAll([[ann, bob], [bob, ann]])
  const told = ann.told.length
  ann.links.close()
  bob.links.close()
  assert.is(rig.clock.pending, 0)
  await ann.network.close()
  await settle()
  assert.is(ann.told.length, told)
  const cid = rig.peer('cid')
  await rig.dial(cid, bob)
  assert.is(bob.links.size, 0)
  assert.equal(cid.told, ['connected ann', 'disconnected ann CLOSED'].map(event => event.replace('ann', 'bob')))
})

test('whatever is dialled and broken, both ends agree, and a link that serves is open', async () => {
  const step = fc.constantFrom('ann dials', 'bob dials', 'both dial', 'break serving', 'break another', 'wait', 'wait long')
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
    const rig = new Rig()
    const [ann, bob] = [rig.peer('ann'), rig.peer('bob')]
    const closed = new Set<Connection>()
    for (const { network } of [ann, bob]) network.onConnection(connection => { connection.onClose(() => { closed.add(connection) }) })
    for (const step of steps) {
      if (step === 'ann dials') await rig.dial(ann, bob)
      else if (step === 'bob dials') await rig.dial(bob, ann)
      else if (step === 'both dial') await rig.dialAll([[ann, bob], [bob, ann]])
      else if (step === 'break serving') ann.links.get('bob')?.abort(broken)
      else if (step === 'break another') bob.connections.find(connection => !closed.has(connection) && connection !== bob.links.get('ann'))?.abort(broken)
      else await rig.clock.advance(step === 'wait' ? 1_000 : 2 * RETIRE_MS)
      await settle()
      const [there, back] = [ann.links.get('bob'), bob.links.get('ann')]
      assert.is(there === undefined, back === undefined)
      assert.is(dialler(ann, bob), dialler(bob, ann))
      if (there === undefined || back === undefined) continue
      assert.not(closed.has(there) || closed.has(back))
      assert.is(there.id.replace(/(in|out)$/, ''), back.id.replace(/(in|out)$/, ''), 'two ends of one connection')
    }
    await rig.clock.advance(2 * RETIRE_MS)
    assert.ok(ann.links.size <= 1, 'duplicates go in the end')
    for (const { told } of [ann, bob]) {
      const marks = told.filter(event => !event.startsWith('moved')).map(event => event.split(' ')[0])
      assert.ok(marks.every((mark, index) => mark === (index % 2 === 0 ? 'connected' : 'disconnected')), told.join())
    }
  }), { numRuns: 100 })
})

test.run()
