import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, swarmIdOf } from '../../lib/access/grant.ts'
import { answerHello, helloProtocol, type Membership } from '../../lib/access/hello.ts'
import { HELLO_LINE_BYTES_MAX, writeIntroduction } from '../../lib/access/introduction.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { keyFromSeed, type PrivateKey } from '../../lib/identity/key.ts'
import { GRANT_LOOK_MS_MAX } from '../../lib/swarm/admission.ts'
import { Neighbours } from '../../lib/swarm/neighbours.ts'
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

interface Peer { readonly network: Network, readonly neighbours: Neighbours, readonly told: string[], readonly connections: Connection[] }

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
        onTrouble: error => { told.push(error.code) }
      }
    })
    return { network, neighbours, told, connections }
  }
}

const DAY_MS = 24 * 3_600_000

for (const lastsMs of [1_000, DAY_MS]) {
  test(`a connection ends when the grant does that was shown on it, after ${lastsMs} ms`, async () => {
    const rig = new Rig()
    const [ours, theirs] = [rig.peer(alice, null), rig.peer(bob, lastsMs)]
    ours.neighbours.keep(bob.peerId, theirs.network.addresses())
    await rig.clock.advance(lastsMs - 1)
    assert.equal(ours.told, ['link'])
    const [connection] = ours.connections as [Connection]
    assert.is(ours.neighbours.callerOf(connection)?.peerId, bob.peerId)
    await rig.clock.advance(1)
    assert.equal(ours.told, ['link', 'broken'])
    assert.is(ours.neighbours.links.get(bob.peerId), undefined)
    const [refusal] = ours.neighbours.refusals
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
  ours.neighbours.keep(bob.peerId, theirs.network.addresses())
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
  ours.neighbours.keep(bob.peerId, theirs.network.addresses())
  await rig.clock.advance(1_000)
  rig.clock.aheadMs = -60_000
  await rig.clock.advance(118_000)
  assert.equal(ours.told, ['link'])
  await rig.clock.advance(1_000)
  assert.equal(ours.told, ['link', 'broken'])
})

test('a close leaves no timer of a grant behind', async () => {
  const rig = new Rig()
  const [ours, theirs] = [rig.peer(alice, 60_000), rig.peer(bob, 60_000)]
  ours.neighbours.keep(bob.peerId, theirs.network.addresses())
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
  ours.neighbours.keep(bob.peerId, hasty.addresses())
  await rig.clock.advance(1_000)
  assert.ok(answered > 0)
  assert.equal(ours.told, [])
  assert.ok(ours.neighbours.refusals.every(({ code }) => code === 'NOT_ADMITTED'))
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
