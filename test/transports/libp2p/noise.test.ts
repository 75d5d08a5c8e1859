import { Socket, connect, createServer, type AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../../lib/base/bytes.ts'
import { until, within } from '../../support/within.ts'
import { TOPIC, link, meet, openTapped, type Tapped } from './tapped.ts'

/** Passes on what comes, each piece cut behind its first byte. */
async function openCutter (port: number): Promise<{ port: number, close: () => void }> {
  const sockets = new Set<Socket>()
  const cut = (from: Socket, to: Socket): void => {
    sockets.add(from)
    let last = Promise.resolve()
    from.on('data', (data: Buffer) => {
      last = last.then(async () => {
        for (const part of [data.subarray(0, 1), data.subarray(1)]) {
          to.write(part)
          await new Promise(resolve => { setTimeout(resolve, 1) }) // or the system would put them together again
        }
      })
    })
    from.on('close', () => { to.destroy() })
    from.on('error', () => { to.destroy() })
  }
  const server = createServer({ noDelay: true }, socket => {
    const other = connect({ port, host: '127.0.0.1', noDelay: true })
    cut(socket, other)
    cut(other, socket)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

async function closeAll (...peers: readonly Tapped[]): Promise<void> {
  for (const { network } of peers) await network.close()
}

test('what is sent leaves in one piece, its length not alone', async () => {
  const [a, b] = [await openTapped(), await openTapped()]
  await link(a.network, b.network)
  await meet(a, b)
  const pieces: number[] = []
  const sockets = Socket.prototype as { write: (this: Socket, ...what: [Uint8Array]) => boolean }
  const { write } = sockets
  sockets.write = function (...what) {
    pieces.push(what[0].byteLength)
    return write.apply(this, what)
  }
  try {
    for (let round = 0; round < 20; round++) await within(5_000, 'publish', a.gossip.publish(TOPIC, utf8(`short ${round}`)))
    await within(5_000, 'publish', a.gossip.publish(TOPIC, utf8('x'.repeat(60_000))))
    await until('all of it', () => b.seen.length === 21)
  } finally {
    sockets.write = write
  }
  assert.ok(pieces.length >= 21)
  assert.equal(pieces.filter(bytes => bytes <= 2), [])
  await closeAll(a, b)
})

test('a length that comes in two parts is waited for', async () => {
  const [a, b] = [await openTapped(), await openTapped()]
  const port = Number(/\/tcp\/(\d+)/.exec(b.network.addresses()[0] as string)?.[1])
  const cutter = await openCutter(port)
  const arrived = new Promise<void>(resolve => {
    b.network.onConnection(connection => {
      connection.admit()
      resolve()
    })
  })
  const toB = await within(10_000, 'dial', a.network.dial(b.network.peerId, [`/ip4/127.0.0.1/tcp/${cutter.port}`], new AbortController().signal))
  await within(5_000, 'the inbound end', arrived)
  toB.admit()
  await meet(a, b)
  for (let round = 0; round < 20; round++) {
    await within(5_000, 'publish', a.gossip.publish(TOPIC, utf8(`there ${round}`)))
    await within(5_000, 'publish', b.gossip.publish(TOPIC, utf8(`back ${round}`)))
  }
  await until('all of it, both ways', () => a.seen.length === 20 && b.seen.length === 20)
  await closeAll(a, b)
  cutter.close()
})

test.run()
