import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, swarmIdOf } from '../../lib/access/grant.ts'
import { answerHello, helloProtocol, type Membership } from '../../lib/access/hello.ts'
import { HELLO_LINE_BYTES_MAX, writeIntroduction } from '../../lib/access/introduction.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { DiscoveryOptions } from '../../lib/base/discovery.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { PUBLIC_KEY_BYTES, keyFromSeed, peerIdOf, type PrivateKey } from '../../lib/identity/key.ts'
import { GRACE_MS } from '../../lib/mesh/dialler.ts'
import { DOUBT_MS } from '../../lib/mesh/health.ts'
import { GRANT_LOOK_MS_MAX } from '../../lib/swarm/admission.ts'
import { HINTS_AT_ONCE, HINTS_PER_SECOND, HINT_DIAL_MS, HINT_FIRST_SLOTS, HINT_RETRY_SLOTS } from '../../lib/swarm/hints.ts'
import { HINT_ATTEMPTS_MAX, Neighbours } from '../../lib/swarm/neighbours.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'

/** What would have taken the process down. */
const disasters: unknown[] = []
process.on('unhandledRejection', error => { disasters.push(error) })

test.after.each(async () => {
  await settle()
  assert.equal(disasters.splice(0), [])
})

const key = (fill: number): PrivateKey => keyFromSeed(new Uint8Array(32).fill(fill))
const [swarmKey, alice, bob] = [key(1), key(2), key(3)] as const
const swarmId = swarmIdOf(swarmKey.publicKey)

/** Its wall clock can be set, as people and time servers do. */
class SetClock extends VirtualClock {
  aheadMs = 0

  override wallMs (): number {
    return super.wallMs() + this.aheadMs
  }
}

interface Peer { readonly network: Network, readonly neighbours: Neighbours, readonly told: string[], readonly connections: Connection[], readonly dead: Set<Connection> }

class Rig {
  readonly clock = new SetClock()
  readonly hub = new MemoryHub({ clock: this.clock })

  membership (of: PrivateKey, lastsMs: number | null): Membership {
    const issuedAtMs = this.clock.wallMs()
    const memberUntilMs = lastsMs === null ? null : issuedAtMs + lastsMs
    return { swarmId, swarmPublicKey: swarmKey.publicKey, name: 'x', grant: mintGrant(swarmKey, { peerId: of.peerId, role: 'member', issuedAtMs, memberUntilMs }) }
  }

  peer (of: PrivateKey, lastsMs: number | null): Peer {
    const network = this.hub.network(of)
    const told: string[] = []
    const connections: Connection[] = []
    const dead = new Set<Connection>()
    const neighbours = new Neighbours({
      network, membership: this.membership(of, lastsMs), clock: this.clock, random: seededRandom(1),
      events: {
        onLink: connection => {
          connections.push(connection)
          told.push('link')
        },
        onMoved: () => { told.push('moved') },
        onBroken: () => { told.push('broken') },
        onLost: () => { told.push('lost') },
        probe: async (connection, signal) => await (dead.has(connection) ? new Promise(() => undefined) : connection.probe(signal)),
        onTrouble: (source, error) => { told.push(`${source} ${error?.code ?? 'over'}`) }
      }
    })
    return { network, neighbours, told, connections, dead }
  }
}

const DAY_MS = 24 * 3_600_000

for (const lastsMs of [1_000, DAY_MS]) {
  test(`a connection ends when the grant does that was shown on it, after ${lastsMs} ms`, async () => {
    const rig = new Rig()
    const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, lastsMs)]
    ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'record')
    await settle()
    await rig.clock.advance(lastsMs - 1)
    assert.equal(ours.told, ['link'])
    const [connection] = ours.connections as [Connection]
    assert.is(ours.neighbours.callerOf(connection)?.peerId, bob.peerId)
    await rig.clock.advance(1)
    assert.equal(ours.told, ['link', 'broken'])
    assert.is(ours.neighbours.links.get(bob.peerId), undefined)
    const [refusal] = ours.neighbours.refusals.all
    assert.equal([refusal?.code, refusal?.message], ['NOT_ADMITTED', `the grant of peer ${bob.peerId} has ended`])
    assert.is(ours.neighbours.callerOf(connection), undefined)
    await rig.clock.advance(20_000)
    assert.equal(ours.told, ['link', 'broken', 'lost'])
    await Promise.all([ours.neighbours.close(), theirs.neighbours.close()])
    await Promise.all([ours.network.close(), theirs.network.close()])
    await rig.clock.advance(0)
  })
}

test('a clock that is set forward ends a grant that is over by it', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, 30 * DAY_MS)]
  ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'record')
  await settle()
  await rig.clock.advance(1_000)
  const [connection] = ours.connections as [Connection]
  rig.clock.aheadMs = 31 * DAY_MS
  assert.is(ours.neighbours.callerOf(connection), undefined)
  await rig.clock.advance(GRANT_LOOK_MS_MAX)
  assert.ok(ours.told.includes('broken'))
})

test('a clock that is set back ends no grant early', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, 60_000)]
  ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'record')
  await settle()
  await rig.clock.advance(1_000)
  rig.clock.aheadMs = -60_000
  await rig.clock.advance(118_000)
  assert.equal(ours.told, ['link'])
  await rig.clock.advance(1_000)
  assert.equal(ours.told, ['link', 'broken'])
})

const madeUp = seededRandom(17)

/** A peer that there is not: its id alone. To set up its key as well takes 20 times as long. */
function nobody (): string {
  return peerIdOf(madeUp.bytes(PUBLIC_KEY_BYTES))
}

/** Says who is where, as mDNS and the DHT would. */
function told (neighbours: Neighbours, clock: VirtualClock): { options: DiscoveryOptions, announced: (readonly string[])[], refreshed: () => number } {
  const announced: (readonly string[])[] = []
  let [refreshes, given] = [0, undefined as DiscoveryOptions | undefined]
  void neighbours.discoveries.add('mdns', { swarmId, peerId: alice.peerId, clock, random: seededRandom(1) }, async options => {
    given = options
    return { announce: addresses => { announced.push(addresses) }, refresh: () => { refreshes++ }, close: async () => {} }
  })
  if (given === undefined) throw new Error('not opened')
  return { options: given, announced, refreshed: () => refreshes }
}

test('peers that somebody makes up cost a bounded number of dials, and keep no true one out', async () => {
  const rig = new Rig()
  const ours = rig.peer(alice, null)
  const theirs = rig.peer(bob, null)
  const dialled: string[] = []
  const dial = ours.network.dial.bind(ours.network)
  ours.network.dial = async (peerId, ...others) => {
    dialled.push(peerId)
    return await dial(peerId, ...others)
  }
  const { options } = told(ours.neighbours, rig.clock)
  for (let second = 0; second < 60; second++) {
    for (let lie = 0; lie < 50; lie++) options.onFound(nobody(), [`/memory/nowhere-${second}-${lie}`])
    await rig.clock.advance(1_000)
  }
  const made = new Set(dialled).size
  assert.ok(made <= HINTS_AT_ONCE + 60 * HINTS_PER_SECOND, `${made} peers dialled that are none`)
  assert.ok(dialled.length <= made * HINT_ATTEMPTS_MAX, `${dialled.length} dials`)
  options.onFound(bob.peerId, theirs.network.addresses())
  await rig.clock.advance(1_000)
  assert.ok(ours.told.includes('link'), 'the newest hint is tried next')
  await Promise.all([ours.neighbours.close(), theirs.neighbours.close()])
  const before = dialled.length
  await rig.clock.advance(60_000)
  assert.is(dialled.length, before)
  assert.is(rig.clock.pending, 0)
})

test('a host that makes up peers by the hundred does not delay one that tells of itself', async () => {
  const rig = new Rig()
  const ours = rig.peer(alice, null)
  const { options } = told(ours.neighbours, rig.clock)
  const dialled: string[] = []
  ours.network.dial = async (peerId) => {
    dialled.push(peerId)
    throw new SwarmError('UNREACHABLE', 'nobody there')
  }
  const lie = (host: number): void => { options.onFound(nobody(), [`/ip4/10.0.0.${host}/tcp/${1_000 + dialled.length}`]) }
  for (let count = 0; count < 200; count++) lie(1 + count % 2)
  options.onFound(bob.peerId, ['/ip4/10.0.0.9/tcp/4001'])
  for (let second = 0; second < 2; second++) {
    for (let count = 0; count < 50; count++) lie(1 + count % 2)
    await rig.clock.advance(1_000)
  }
  assert.ok(dialled.includes(bob.peerId), `after ${new Set(dialled).size} others`)
  await ours.neighbours.close()
})

test('a hundred hints that lead nowhere and answer nothing delay neither a peer that is known nor one that tells of itself', async () => {
  for (const waitMs of [0, HINT_DIAL_MS, 2 * HINT_DIAL_MS + 100, 10_000]) {
    const rig = new Rig()
    const [ours, known, hinted] = [rig.peer(alice, null), rig.peer(bob, null), rig.peer(key(4), null)]
    const { options } = told(ours.neighbours, rig.clock)
    const [mute] = rig.hub.network('mute').addresses() as [string]
    rig.hub.freeze('mute')
    let [underWay, most] = [0, 0]
    const dial = ours.network.dial.bind(ours.network)
    ours.network.dial = async (...args) => {
      most = Math.max(most, ++underWay)
      return await dial(...args).finally(() => { underWay-- })
    }
    // Each at a host of its own, as far as the hints say; all at one that swallows what is sent there.
    for (let lie = 0; lie < 100; lie++) options.onFound(nobody(), [`/ip4/10.0.${lie}.1/tcp/1`, mute])
    await rig.clock.advance(waitMs)
    ours.neighbours.see(bob.peerId, known.network.addresses(), 'remembered')
    await rig.clock.advance(GRACE_MS)
    assert.ok(ours.neighbours.links.get(bob.peerId) !== undefined, `the known one, ${waitMs} ms after the lies`)
    options.onFound(key(4).peerId, hinted.network.addresses())
    await rig.clock.advance(1_000 / HINTS_PER_SECOND + GRACE_MS)
    assert.ok(ours.neighbours.links.get(key(4).peerId) !== undefined, `the hinted one, ${waitMs} ms after the lies`)
    await rig.clock.advance(30_000)
    assert.ok(most > HINT_RETRY_SLOTS && most <= HINT_FIRST_SLOTS + HINT_RETRY_SLOTS + 2, `${most} dials at once`)
    for (const { neighbours } of [ours, known, hinted]) await neighbours.close()
    assert.is(rig.clock.pending, 0)
  }
})

test('false addresses of a peer do not keep it from being reached at its own', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, null)]
  const { options } = told(ours.neighbours, rig.clock)
  options.onFound(bob.peerId, Array.from({ length: 100 }, (_, lie) => `/memory/nowhere-${lie}`))
  ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'remembered')
  await settle()
  await rig.clock.advance(1_000)
  assert.equal(ours.told, ['link'])
  assert.equal(ours.neighbours.approach(bob.peerId).sightings.map(({ source }) => source), ['mdns', 'remembered'])
  assert.is(ours.neighbours.approach(bob.peerId).linkedAtMs !== null, true)
})

test('who says how a peer is reached: what is tried, and why it failed', async () => {
  const rig = new Rig()
  const ours = rig.peer(alice, null)
  ours.neighbours.see(bob.peerId, ['/memory/nowhere'], 'asked')
  await settle()
  await rig.clock.advance(30_000)
  assert.equal(ours.neighbours.sought, [bob.peerId])
  const { progress, linkedAtMs } = ours.neighbours.approach(bob.peerId)
  assert.is(linkedAtMs, null)
  assert.ok((progress?.attempts ?? 0) > 3)
  assert.is(progress?.failure?.code, 'UNREACHABLE')
  await rig.clock.advance(600_000)
  assert.equal(ours.neighbours.sought, [bob.peerId], 'asked for: never given up')
  await ours.neighbours.close()
})

for (const source of ['mdns', 'record'] as const) {
  test(`a peer that begins anew elsewhere, by ${source}, is linked again before silence has proven it gone`, async () => {
    const rig = new Rig()
    const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, null)]
    ours.neighbours.see(bob.peerId, theirs.network.addresses(), source)
    await settle()
    await rig.clock.advance(60_000)
    const [first] = ours.connections as [Connection]
    ours.dead.add(first) // its machine has lost the address; nobody there closes what was there
    const again = rig.peer(bob, null)
    ours.neighbours.see(bob.peerId, again.network.addresses(), source)
    await rig.clock.advance(DOUBT_MS + 10)
    await settle() // signatures take turns of their own
    assert.equal([ours.told, ours.neighbours.links.get(bob.peerId)], [['link', 'link', 'moved'], ours.connections[1]])
    assert.is(ours.connections[1]?.address, again.network.addresses()[0])
    await rig.clock.advance(60_000)
    assert.equal([ours.told, ours.neighbours.links.size], [['link', 'link', 'moved'], 1])
    for (const { neighbours, network } of [ours, theirs, again]) {
      await neighbours.close()
      await network.close()
    }
    assert.is(rig.clock.pending, 0)
  })
}

test('whoever says without end that a linked peer is elsewhere brings about probes, and no dial, nor the loss of a call', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, null)]
  const { options } = told(ours.neighbours, rig.clock)
  ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'remembered')
  await settle()
  await rig.clock.advance(1_000)
  const dialled: string[] = []
  const dial = ours.network.dial.bind(ours.network)
  ours.network.dial = async (peerId, ...others) => {
    dialled.push(peerId)
    return await dial(peerId, ...others)
  }
  for (let lie = 0; lie < 2_000; lie++) {
    options.onFound(bob.peerId, [`/memory/nowhere-${lie}`])
    await rig.clock.advance(lie % 40)
  }
  assert.equal([dialled, ours.told, ours.neighbours.links.get(bob.peerId)], [[], ['link'], ours.connections[0]])
  await Promise.all([ours.neighbours.close(), theirs.neighbours.close()])
})

test('a change of network is passed on to every means, and whoever was given up is tried anew', async () => {
  const rig = new Rig()
  const ours = rig.peer(alice, null)
  const { announced, options, refreshed } = told(ours.neighbours, rig.clock)
  await rig.clock.advance(0)
  await ours.neighbours.discoveries.announce(['/memory/here'])
  options.onFound(bob.peerId, ['/memory/later'])
  await rig.clock.advance(120_000)
  assert.equal(ours.neighbours.sought, [], 'given up')
  await ours.neighbours.discoveries.announce(['/memory/there'])
  ours.neighbours.refresh()
  assert.equal(announced, [['/memory/here'], ['/memory/there']])
  assert.is(refreshed(), 1)
  await rig.clock.advance(10)
  assert.equal(ours.neighbours.sought, [bob.peerId])
  await ours.neighbours.close()
})

test('a close leaves no timer of a grant behind', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, 60_000), rig.peer(bob, 60_000)]
  ours.neighbours.see(bob.peerId, theirs.network.addresses(), 'record')
  for (let second = 0; second < 3; second++) await rig.clock.advance(1_000)
  assert.equal([ours.neighbours.links.size, theirs.neighbours.links.size], [1, 1])
  await Promise.all([ours.neighbours.close(), theirs.neighbours.close()])
  assert.is(rig.clock.pending, 0)
})

test('a peer that proves itself and hangs up in one breath is not admitted, and harms nobody', async () => {
  const rig = new Rig()
  const ours = rig.peer(alice, null)
  const hasty = rig.hub.network(bob)
  let answered = 0
  hasty.handle(helloProtocol(swarmId), (stream, connection) => {
    new LineStream(stream, { lineBytesMax: HELLO_LINE_BYTES_MAX }).read({
      line () {
        answered++
        stream.send(writeIntroduction(rig.membership(bob, null)))
        connection.abort(new Error('gone'))
      },
      closed () {}
    })
  }, { beforeAdmission: true })
  ours.neighbours.see(bob.peerId, hasty.addresses(), 'record')
  await settle()
  await rig.clock.advance(1_000)
  assert.ok(answered > 0)
  assert.equal(ours.told, [])
  assert.ok(ours.neighbours.refusals.all.every(({ code }) => code === 'NOT_ADMITTED'))
  await ours.neighbours.close()
})

test('a dialler that shows its proof and hangs up in one breath is not admitted either', async () => {
  const rig = new Rig()
  const ours = rig.hub.network(alice)
  const outcomes: Promise<unknown>[] = []
  ours.handle(helloProtocol(swarmId), (stream, connection) => {
    outcomes.push(answerHello(stream, connection, rig.membership(alice, null), { clock: rig.clock }).then(() => 'welcome', (error: { code: string }) => error.code))
  }, { beforeAdmission: true })
  const hasty = rig.hub.network(bob)
  const dialling = hasty.dial(alice.peerId, ours.addresses(), new AbortController().signal)
  await settle()
  const connection = await dialling
  const opening = connection.open(helloProtocol(swarmId), new AbortController().signal)
  await settle()
  const stream = await opening
  stream.send(writeIntroduction(rig.membership(bob, null)))
  connection.abort(new Error('gone'))
  await rig.clock.advance(0)
  assert.equal(await Promise.all(outcomes), ['NOT_ADMITTED'])
})

test.run()
