import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../lib/base/clock.ts'
import type { Clock } from '../../../lib/base/clock.ts'
import type { Connection } from '../../../lib/base/network.ts'
import { MemoryHub } from '../../../transports/memory/memory.ts'
import { ADMISSION_MS_MAX, HANDSHAKES_MAX, UNADMITTED_MAX, Waiting } from '../../../transports/strangers.ts'
import { until, within } from '../../support/within.ts'
import { hostAndPort, knock, openPeer, openStranger } from './peers.ts'

/** The real clock, except that what is due after ADMISSION_MS_MAX comes when the test says so. */
function admissionClock (): { clock: Clock, pass: () => void, waiting: () => number } {
  const due = new Set<() => void>()
  return {
    clock: {
      ...systemClock,
      after (delayMs, callback) {
        if (delayMs !== ADMISSION_MS_MAX) return systemClock.after(delayMs, callback)
        due.add(callback)
        return () => { due.delete(callback) }
      }
    },
    pass: () => { for (const callback of [...due]) callback() },
    waiting: () => due.size
  }
}

test('puts out who is not admitted in time, at both ends, and spares who is', async () => {
  const { clock, pass, waiting } = admissionClock()
  const [network, stranger, friend] = [await openPeer(clock), await openStranger(), await openStranger()]
  const { theirs } = await knock(stranger, network)
  const { theirs: friendly, ours } = await knock(friend, network)
  assert.is(waiting(), 2)
  ours.admit()
  assert.is(waiting(), 1)
  pass()
  await until('the stranger to be put out', () => theirs.status !== 'open')
  assert.is(friendly.status, 'open')
  assert.is(waiting(), 0)

  const dialled = await network.dial(stranger.peerId.toString(), [stranger.getMultiaddrs()[0]?.toString() ?? ''], new AbortController().signal)
  pass()
  await within(5_000, 'a connection we dialled to be given up', new Promise<void>(resolve => { dialled.onClose(resolve) }))
  await Promise.all([stranger.stop(), friend.stop(), network.close()])
})

test(`keeps ${UNADMITTED_MAX} strangers at once, the oldest out first, and lets members through a crowd`, async () => {
  const network = await openPeer()
  network.handle('/hello', (_stream, connection) => { connection.admit() }, { beforeAdmission: true })
  const inbound: Connection[] = []
  network.onConnection(connection => inbound.push(connection))
  const stranger = await openStranger()
  const first = (await knock(stranger, network)).theirs
  const crowd = await Promise.all(Array.from({ length: UNADMITTED_MAX }, openStranger))
  for (const one of crowd) await knock(one, network)
  await until('the oldest to be put out', () => first.status !== 'open')
  await until('the others to stay', () => crowd.every(one => one.getConnections().every(connection => connection.status === 'open')))
  const member = await knock(stranger, network)
  await within(5_000, 'hello', member.theirs.newStream('/hello'))
  await until('admission', () => member.ours.admitted)
  for (let index = 0; index < 3; index++) {
    crowd.push(await openStranger())
    await knock(crowd.at(-1) ?? stranger, network)
  }
  assert.is(member.theirs.status, 'open')
  await Promise.all([stranger.stop(), network.close(), ...crowd.map(async one => { await one.stop() })])
})

test(`lets peers in past ${HANDSHAKES_MAX} sockets that never finish their handshake`, async () => {
  const [network, peer] = [await openPeer(), await openPeer()]
  const { host, port } = hostAndPort(network.addresses()[0] ?? '')
  const sockets: Socket[] = []
  let closed = 0
  for (let index = 0; index < HANDSHAKES_MAX + 20; index++) {
    const socket = connect({ host, port })
    socket.on('error', () => {})
    socket.on('close', () => { closed += 1 })
    await within(5_000, 'a socket', new Promise(resolve => { socket.once('connect', resolve) }))
    socket.write('\x13/multi') // begins the handshake, and never goes on
    sockets.push(socket)
  }
  const connection = await within(5_000, 'a peer to get in', peer.dial(network.peerId, network.addresses(), new AbortController().signal))
  assert.is(connection.peerId, network.peerId)
  await until('the oldest sockets to be put out', () => closed >= 20)
  assert.ok(closed < 40, `${closed} sockets were put out`)
  await until('the rest to run out of time', () => closed === sockets.length, 15_000)
  await Promise.all([peer.close(), network.close()])
})

test('a crowd is bounded, oldest out', () => {
  const out: number[] = []
  const waiting = new Waiting(2, 'wait')
  const strangers = [0, 1, 2, 3].map(index => ({ abort: () => { out.push(index) } }))
  for (const stranger of strangers.slice(0, 3)) waiting.add(stranger)
  waiting.delete(strangers[1] as { abort: () => void })
  waiting.add(strangers[3] as { abort: () => void })
  assert.equal(out, [0])
  assert.is(waiting.size, 2)
})

test('the memory network keeps the same limits', async () => {
  const { clock, pass, waiting } = admissionClock()
  const hub = new MemoryHub({ clock })
  const network = hub.network('host')
  const connections = await Promise.all(Array.from({ length: UNADMITTED_MAX + 1 }, async (_none, index) => await hub.network(`guest ${index}`).dial('host', network.addresses(), new AbortController().signal)))
  let closed = 0
  for (const connection of connections) connection.onClose(() => { closed += 1 })
  await until('one to be put out', () => closed === 1)
  assert.is(waiting(), 2 * UNADMITTED_MAX)
  pass()
  await until('all to be put out', () => closed === connections.length)
})

test.run()
