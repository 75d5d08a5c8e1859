import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream, Connection, Network } from '../../lib/base/network.ts'
import { LEASE_MS } from '../../lib/directory/record.ts'
import { directoryProtocol } from '../../lib/directory/wire.ts'
import { EXCHANGES_MAX, TELL_MS_MIN } from '../../lib/swarm/listing.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { until, within } from '../support/within.ts'

function scene (name: string, body: (lab: Lab) => Promise<void>): void {
  test(name, async () => {
    const lab = new Lab()
    try {
      await within(20_000, name, body(lab))
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
    } finally {
      await within(10_000, 'closing', lab.close())
    }
  })
}

/** A peer whose network can be looked into, and changed, before it is used. */
async function join (lab: Lab, name: string, clock: VirtualClock | undefined, change: (network: Network) => void = () => {}): Promise<Swarm> {
  return await lab.join(name, {
    discovery: false,
    seams: {
      clock,
      openNetwork: async ({ key }) => {
        const network = lab.hub.network(key.peerId)
        change(network)
        return network
      }
    }
  })
}

scene('an exchange that breaks again and again is begun again, and leaves nothing behind on its connection', async lab => {
  const clock = new VirtualClock()
  let begun = 0
  let listeners = 0
  const alice = await join(lab, 'alice', clock, network => {
    network.onConnection(connection => {
      const onClose = connection.onClose.bind(connection)
      connection.onClose = listener => {
        listeners++
        onClose(listener)
      }
    })
  })
  const bob = await join(lab, 'bob', undefined, network => {
    const handle = network.handle.bind(network)
    network.handle = (protocol, handler, options) => {
      handle(protocol, protocol !== directoryProtocol(alice.id) ? handler : stream => {
        begun++
        stream.abort(new Error('no directory today'))
      }, options)
    }
  })
  alice.meet(bob.peerId, bob.addresses())
  for (let second = 0; second < 60; second++) await clock.advance(1_000)
  assert.ok(begun >= 20, `begun ${begun} times`)
  assert.ok(listeners <= 8, `${listeners} listeners after ${begun} exchanges`)
  await alice.close()
  assert.is(clock.pending, 0)
})

scene('an agent that changes in every turn is told of at once, and then no more often than every few milliseconds', async lab => {
  const clock = new VirtualClock()
  const [alice, bob] = [await join(lab, 'alice', undefined), await join(lab, 'bob', clock)]
  const agent = bob.agent('restless')
  await agent.start()
  alice.meet(bob.peerId, bob.addresses())
  await until('they have met', () => alice.agents().some(({ name }) => name === 'restless'))
  await clock.advance(2 * TELL_MS_MIN)
  agent.tool('first', { description: 'x' }, () => 'x')
  await until('the first change is known', () => alice.find({ tool: 'first' }).length === 1)
  const sequences = new Set<number>()
  alice.on('agent:changed', () => { sequences.add(alice.peers()[0]?.sequence ?? 0) })
  for (let round = 0; round < 100; round++) {
    agent.tool(`tool-${round}`, { description: 'x' }, () => 'x')
    await settle(2)
    assert.is(bob.find({ tool: `tool-${round}` }).length, 1)
  }
  assert.is(sequences.size, 0)
  await clock.advance(TELL_MS_MIN)
  await until('the last change is known', () => alice.find({ tool: 'tool-99' }).length === 1)
  assert.is(sequences.size, 1)
})

scene('a process that was stalled for longer than every lease blames nobody for it', async lab => {
  const [clock, theirs] = [new VirtualClock(), new VirtualClock()]
  const [alice, bob] = [await join(lab, 'alice', clock), await join(lab, 'bob', theirs)]
  const left: string[] = []
  alice.on('peer:left', ({ name }) => { left.push(name) })
  alice.meet(bob.peerId, bob.addresses())
  await clock.advance(1_000)
  await until('they have met', () => alice.peers().length === 1 && bob.peers().length === 1)
  await clock.stall(2 * LEASE_MS)
  assert.equal(left, [])
  await theirs.advance(LEASE_MS / 3) // what bob said meanwhile is read only now
  await clock.advance(2_000)
  assert.equal([left, alice.peers().length], [[], 1])
})

scene('a peer cannot have many exchanges on one connection', async lab => {
  const connections: Connection[] = []
  const alice = await join(lab, 'alice', undefined)
  const bob = await join(lab, 'bob', undefined, network => { network.onConnection(connection => { connections.push(connection) }) })
  bob.meet(alice.peerId, alice.addresses())
  await bob.joined()
  const [connection] = connections as [Connection]
  const ended: ByteStream[] = []
  for (let count = 0; count < EXCHANGES_MAX + 8; count++) {
    const stream = await connection.open(directoryProtocol(alice.id), new AbortController().signal)
    stream.read({ data () {}, ended () {}, closed: () => { ended.push(stream) } })
  }
  await until('those over the limit are ended', () => ended.length === 9)
  assert.is(alice.peers().length, 1)
})

test.run()
