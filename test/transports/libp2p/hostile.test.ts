import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Connection as LibConnection } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../lib/base/clock.ts'
import type { ByteStream } from '../../../lib/base/network.ts'
import { seededRandom } from '../../../lib/base/random.ts'
import { until, within } from '../../support/within.ts'
import { hostAndPort, knock, openPeer, openStranger } from './peers.ts'

/** What would have taken the process down. */
const disasters: unknown[] = []
process.on('uncaughtException', error => { disasters.push(error) })
process.on('unhandledRejection', error => { disasters.push(error) })

test.after.each(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(disasters.splice(0), [])
})

/** The TCP socket under a stranger's connection. */
function socketOf (connection: LibConnection): Socket {
  return (connection as unknown as { maConn: { socket: Socket } }).maConn.socket
}

test('survives a peer that lets us pile up answers and then goes: js-libp2p #3512', async () => {
  const network = await openPeer()
  const chunk = new Uint8Array(64 * 2 ** 10)
  let stopped = 0
  network.handle('/flood', async stream => {
    stream.read({ data () {}, ended () {}, closed: () => { stopped += 1 } })
    for (;;) if (!stream.send(chunk)) await stream.drained()
  })
  const ways: ((connection: LibConnection) => void)[] = [
    connection => { socketOf(connection).destroy() },
    connection => { socketOf(connection).resetAndDestroy() },
    connection => { connection.abort(new Error('gone')) },
    connection => { void connection.close() },
    connection => { for (const stream of [...connection.streams]) stream.abort(new Error('gone')) }
  ]
  for (const [index, leave] of ways.entries()) {
    const stranger = await openStranger()
    const { theirs, ours } = await knock(stranger, network)
    ours.admit()
    const streams = await within(5_000, 'streams', Promise.all([1, 2, 3].map(async () => await theirs.newStream('/flood'))))
    for (const stream of streams) stream.pause()
    socketOf(theirs).pause() // nothing is read any more: TCP itself pushes back
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => { setImmediate(resolve) })
    socketOf(theirs).resume()
    leave(theirs)
    await until(`way ${index}`, () => stopped === 3 * (index + 1))
    await stranger.stop()
  }
  await within(2_000, 'close', network.close())
})

test('survives a connection that breaks in the turn in which a stream opens', async () => {
  const [network, peer] = [await openPeer(), await openPeer()]
  peer.handle('/x', () => {})
  for (let round = 0; round < 5; round++) {
    const connection = await within(5_000, 'dial', network.dial(peer.peerId, peer.addresses(), new AbortController().signal))
    connection.admit()
    const opening = connection.open('/x', new AbortController().signal)
    connection.abort(new Error('changed my mind'))
    await within(5_000, 'the refusal', opening.then(() => assert.unreachable('it opened'), () => assert.ok(true)))
  }
  await Promise.all([network.close(), peer.close()])
})

test('survives a stream opened by the very bytes before those that break the connection', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  const opened: Promise<unknown>[] = []
  network.handle('/ask', (stream, connection) => {
    stream.read({
      data: () => { opened.push(connection.open('/answer', new AbortController().signal).then(() => 'opened', () => 'refused')) },
      ended () {},
      closed () {}
    })
  })
  const { theirs, ours } = await knock(stranger, network)
  ours.admit()
  const stream = await within(5_000, 'a stream', theirs.newStream('/ask'))
  const socket = socketOf(theirs)
  socket.cork()
  stream.send(Uint8Array.of(1))
  socket.write(Uint8Array.of(0, 20, ...new Uint8Array(20))) // a frame that does not decrypt, in the same segment
  socket.uncork()
  await until('a stream to be opened', () => opened.length === 1)
  assert.is(await within(5_000, 'its refusal', opened[0] as Promise<unknown>), 'refused')
  await Promise.all([stranger.stop(), network.close()])
})

test('survives noise at every stage of a connection', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const network = await openPeer()
  network.handle('/x', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended () {}, closed () {} }) }, { beforeAdmission: true })
  const { host, port } = hostAndPort(network.addresses()[0] ?? '')
  for (let round = 0; round < 60; round++) {
    const socket = connect({ host, port })
    socket.on('error', () => {})
    await within(5_000, 'a socket', new Promise(resolve => { socket.once('connect', resolve) }))
    if (round % 3 > 0) socket.write('\x13/multistream/1.0.0\n')
    if (round % 3 > 1) socket.write('\x07/noise\n')
    socket.write(random.bytes(Math.floor(random.next() * 2_000)))
    if (random.next() < 0.5) socket.resetAndDestroy()
    else socket.end()
  }
  for (let round = 0; round < 20; round++) {
    const stranger = await openStranger()
    const { theirs } = await knock(stranger, network)
    const streams = await within(5_000, 'streams', Promise.all([theirs.newStream('/x'), theirs.newStream('/x')]))
    for (const stream of streams) stream.send(random.bytes(100))
    const { muxer } = theirs as unknown as { muxer: { send: (bytes: Uint8Array) => boolean } }
    muxer.send(random.bytes(12 + Math.floor(random.next() * 40))) // a yamux frame of nonsense, well encrypted
    await until('the connection to end, or to stand it', () => theirs.status !== 'open' || random.next() < 0.01)
    await stranger.stop()
  }
  const friend = await openPeer()
  await within(5_000, 'a peer to get in afterwards', friend.dial(network.peerId, network.addresses(), new AbortController().signal))
  await Promise.all([friend.close(), network.close()])
})

test('survives malformed WebSocket frames', async () => {
  const network = await openPeer(systemClock, ['/ip4/127.0.0.1/tcp/0/ws'])
  const { host, port } = hostAndPort(network.addresses()[0] ?? '')
  for (const frame of [[0xff, 0xff, 1, 2, 3], [0x82, 0x02, 1, 2], [0x88, 0x81, 0, 0, 0, 0, 1]]) {
    const socket = connect({ host, port })
    socket.on('error', () => { socket.destroy() })
    const upgraded = new Promise(resolve => { socket.once('data', resolve) })
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
    await within(5_000, 'the upgrade', upgraded)
    const gone = new Promise(resolve => { socket.once('close', resolve) })
    socket.write(Uint8Array.from(frame))
    await within(7_000, 'the end of it', gone)
  }
  await network.close()
})

test('breaks with a sender that ignores the window of a stream nobody reads', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  let served: ByteStream | undefined
  network.handle('/unread', stream => { served = stream })
  const { theirs, ours } = await knock(stranger, network)
  ours.admit()
  const stream = await within(5_000, 'a stream', theirs.newStream('/unread'))
  await until('the handler', () => served !== undefined)
  Object.assign(stream, { sendWindowCapacity: 2 ** 31, maxMessageSize: 64 * 2 ** 10 })
  stream.send(new Uint8Array(2 ** 20))
  await within(5_000, 'the end of it', new Promise<void>(resolve => { ours.onClose(resolve) }))
  await Promise.all([stranger.stop(), network.close()])
})

test.run()
