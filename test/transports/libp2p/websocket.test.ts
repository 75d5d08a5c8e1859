import { connect, type Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../lib/base/clock.ts'
import type { Network } from '../../../lib/base/network.ts'
import { MESSAGE_BYTES_MAX } from '../../../transports/libp2p/websocket-door.ts'
import { HANDSHAKES_MAX } from '../../../transports/strangers.ts'
import { until, within } from '../../support/within.ts'
import { hostAndPort, openPeer } from './peers.ts'

/** Longest that a socket which is put out by its time may take to be noticed, in milliseconds. */
const OUT_MS_MAX = 15_000

/** What becomes a WebSocket. Source: RFC 6455, section 1.3. */
const UPGRADE = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', '', ''].join('\r\n')

interface Guest { readonly socket: Socket, heard: string, isClosed: boolean }

async function open (listen = '/ip4/127.0.0.1/tcp/0/ws'): Promise<Network> {
  return await openPeer(systemClock, [listen])
}

/** A socket to where a peer listens, that says something. */
async function guest (network: Network, says: string): Promise<Guest> {
  const { host, port } = hostAndPort(network.addresses()[0] ?? '')
  const one: Guest = { socket: connect({ host, port }), heard: '', isClosed: false }
  one.socket.on('error', () => {}).on('close', () => { one.isClosed = true }).on('data', (bytes: Buffer) => { one.heard += bytes.toString('latin1') })
  await within(5_000, 'a socket', new Promise(resolve => { one.socket.once('connect', resolve) }))
  if (says !== '') one.socket.write(says)
  return one
}

async function upgraded (network: Network): Promise<Guest> {
  const one = await guest(network, UPGRADE)
  await until('a WebSocket', () => one.heard.includes('101 Switching Protocols'))
  return one
}

/** The head of a binary message of so many bytes, masked with zeros. Source: RFC 6455, section 5.2. */
function head (bytes: number): Buffer {
  const frame = Buffer.alloc(14)
  frame.writeUInt16BE(0x82ff)
  frame.writeBigUInt64BE(BigInt(bytes), 2)
  return frame
}

test(`lets peers in past ${HANDSHAKES_MAX} sockets that never become a WebSocket`, async () => {
  const [network, peer] = [await open(), await open()]
  const guests: Guest[] = []
  for (let index = 0; index < HANDSHAKES_MAX + 20; index++) guests.push(await guest(network, ['', 'GET / HTTP/1.1\r\n'][index % 2] ?? ''))
  const closed = (): number => guests.filter(({ isClosed }) => isClosed).length
  await until('the oldest sockets to be put out', () => closed() >= 20)
  const connection = await within(5_000, 'a peer to get in', peer.dial(network.peerId, network.addresses(), new AbortController().signal))
  assert.ok(closed() < 40, `${closed()} sockets were put out`)
  let isCut = false
  connection.onClose(() => { isCut = true })
  await until('the rest to run out of time', () => closed() === guests.length, OUT_MS_MAX)
  assert.not(isCut, 'who is in stays')
  await Promise.all([peer.close(), network.close()])
})

test('puts out in time who becomes a WebSocket and then proves nothing, whether or not it lets itself be asked', async () => {
  const network = await open()
  const [silent, babbling] = [await upgraded(network), await upgraded(network)]
  babbling.socket.write(head(2))
  babbling.socket.write('hi')
  await until('both to be put out', () => silent.isClosed && babbling.isClosed, OUT_MS_MAX)
  await network.close()
})

test('takes no message over the limit of a stranger, however slowly it comes', async () => {
  const network = await open()
  const one = await upgraded(network)
  one.socket.write(head(MESSAGE_BYTES_MAX + 1))
  await until('a message too long to end the WebSocket', () => one.heard.includes('\u0003\u00f1'), 2_000) // closed with 1009: too big
  one.socket.destroy()
  await network.close()
})

test('sends what has gathered in messages within the limit, and all of it', async () => {
  const [network, peer] = [await open(), await open()]
  const bytes = 40 * MESSAGE_BYTES_MAX
  let got = 0
  network.handle('/bulk', stream => { stream.read({ data: piece => { got += piece.byteLength }, ended: () => { void stream.end() }, closed: () => {} }) }, { beforeAdmission: true })
  const connection = await peer.dial(network.peerId, network.addresses(), new AbortController().signal)
  let isCut = false
  connection.onClose(() => { isCut = true })
  const stream = await connection.open('/bulk', new AbortController().signal)
  stream.send(new Uint8Array(bytes)) // far more than a socket takes at once
  void stream.end()
  await until('all of it', () => got === bytes, 10_000)
  assert.not(isCut)
  await Promise.all([peer.close(), network.close()])
})

test('closes at once, whoever stands in the door', async () => {
  const network = await open()
  const guests = [await guest(network, ''), await guest(network, 'GET'), await upgraded(network)]
  await within(5_000, 'to close', network.close())
  await until('nobody to stand there any more', () => guests.every(({ isClosed }) => isClosed))
})

test.run()
