import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline, systemClock } from '../../../lib/base/clock.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { DIAL_MS_MAX } from '../../../transports/bounds.ts'
import { openNetwork as openPage } from '../../../transports/libp2p/browser.ts'
import { programArgs } from '../../support/source.ts'
import { within } from '../../support/within.ts'
import { fails, never } from '../conformance/arena.ts'
import { readAll, sendText } from '../reading.ts'
import { openPeer } from './peers.ts'

/** Far less than any dial or close that waits for its bound takes, on a quiet machine as on a busy one. */
const PROMPT_MS = DIAL_MS_MAX / 2

/** A TCP server that takes connections and never says a word. */
async function openMute (): Promise<{ address: string, close: () => void }> {
  const server = createServer(socket => { socket.on('error', () => { socket.destroy() }) })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return { address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`, close: () => { server.close() } }
}

/** Another process with one of ours; its peer id and addresses. */
async function openChild (...args: readonly string[]): Promise<{ pid: number, said: (word: string) => Promise<string>, exited: Promise<number | null>, kill: () => void }> {
  const child = spawn(process.execPath, [...programArgs(new URL('./sink.ts', import.meta.url)), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const heard = new Set<() => void>()
  child.stdout.on('data', data => {
    output += String(data)
    for (const listener of heard) listener()
  })
  const exited = new Promise<number | null>(resolve => { child.on('exit', resolve) })
  return {
    pid: child.pid ?? 0,
    exited,
    kill: () => { child.kill('SIGKILL') },
    said: async word => await within(20_000, `a child to say ${word}`, new Promise(resolve => {
      const look = (): void => {
        const line = output.split('\n').slice(0, -1).find(text => text.startsWith(word))
        if (line === undefined) return
        heard.delete(look)
        resolve(line.slice(word.length).trim())
      }
      heard.add(look)
      look()
    }))
  }
}

test('where no IPv6 address can be listened on, it listens on those of IPv4', async () => {
  const network = await openPeer(systemClock, ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws', '/ip6/fd00:77::1/tcp/0'])
  assert.is(network.addresses().length, 2)
  assert.ok(network.addresses().every(address => address.startsWith('/ip4/127.0.0.1/tcp/')), network.addresses().join(' '))
  await network.close()
})

test('listens on loopback alone by default, and tells no address it does not listen on', async () => {
  const network = await openPeer()
  assert.is(network.addresses().length, 1)
  assert.match(network.addresses()[0] ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/)
  await network.close()
})

test('says when a port is taken, and when an address is none', async () => {
  const network = await openPeer()
  await fails('PORT_IN_USE', /another process/, openPeer(systemClock, network.addresses()))
  await fails('ADDRESS_INVALID', /no multiaddr/, openPeer(systemClock, ['127.0.0.1:80']))
  await fails('ADDRESS_INVALID', /no network address/, openPeer(systemClock, ['/unix/tmp%2Fsocket']))
  await fails('ADDRESS_INVALID', /^listen on \/ip4\/192.0.2.1\/tcp\/0: this machine has no such address$/, openPeer(systemClock, ['/ip4/127.0.0.1/tcp/0', '/ip4/192.0.2.1/tcp/0']))
  for (const odd of ['/ip4/127.0.0.1/udp/0', '/ip4/127.0.0.1', '/ip4/127.0.0.1/udp/0/quic-v1', '/ip4/127.0.0.1/tcp/0/http']) {
    await fails('ADDRESS_INVALID', /^listen on [^ ]*: a peer listens by TCP \(.*\) and by WebSocket \(.*\)$/, openPeer(systemClock, [odd]))
  }
  for (const secure of ['/ip4/127.0.0.1/tcp/0/wss', '/ip4/127.0.0.1/tcp/0/tls/ws']) await fails('ADDRESS_INVALID', /no certificate/, openPeer(systemClock, [secure]))
  await network.close()
})

test('a dial that is given up says which address stayed silent, and what came of the others', async () => {
  const [network, mute] = [await openPeer(), await openMute()]
  const peerId = generateKey(systemRandom).peerId
  const bound = deadline(systemClock, 3_000)
  const given = network.dial(peerId, ['/ip4/127.0.0.1/tcp/1', mute.address], bound.signal)
  await fails('ABORTED', /given up: \/ip4\/127.0.0.1\/tcp\/1 refuses connections: nothing listens there; \/ip4\/127.0.0.1\/tcp\/\d+ does not answer within \d(\.\d)? s$/, given)
  bound.done()
  const giveUp = new AbortController()
  const soon = network.dial(peerId, [mute.address], giveUp.signal)
  giveUp.abort(new Error('of no use any more'))
  await fails('ABORTED', /was given up$/, soon)
  mute.close()
  await network.close()
})

test('what answers and is no peer is told as such, by TCP and by WebSocket', async () => {
  const server = createServer(socket => { socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello') })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const address = `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
  const network = await openPeer()
  try {
    for (const there of [address, `${address}/ws`]) {
      await fails('UNREACHABLE', /answers otherwise than a peer of this kind|hangs up during the handshake|does not open: nothing listens there, or no peer of this kind/, within(5_000, there, network.dial(generateKey(systemRandom).peerId, [there], never())))
    }
  } finally {
    server.close()
    await network.close()
  }
})

test('does not dial socket files, other peers’ addresses or what no transport speaks', async () => {
  const [a, b] = [await openPeer(), await openPeer()]
  await fails('ADDRESS_INVALID', /no network address/, a.dial(b.peerId, ['/unix/var%2Frun%2Fx.sock'], never()))
  await fails('ADDRESS_INVALID', /names another peer/, a.dial(b.peerId, [`${a.addresses()[0] ?? ''}/p2p/${a.peerId}`], never()))
  await fails('ADDRESS_INVALID', /no transport here/, a.dial(b.peerId, ['/ip4/127.0.0.1/udp/1/quic-v1'], never()))
  await fails('ADDRESS_INVALID', /characters; limit/, a.dial(b.peerId, [`/dns4/${'a'.repeat(600)}/tcp/1`], never()))
  const connection = await within(5_000, 'an address that names the peer', a.dial(b.peerId, [`${b.addresses()[0] ?? ''}/p2p/${b.peerId}`], never()))
  assert.is(connection.address, b.addresses()[0])
  await Promise.all([a.close(), b.close()])
})

test('does not wait for an address that never answers while another does', async () => {
  const [a, b, mute] = [await openPeer(), await openPeer(), await openMute()]
  const startMs = systemClock.nowMs()
  const connection = await within(5_000, 'dial', a.dial(b.peerId, [mute.address, ...b.addresses()], never()))
  assert.is(connection.peerId, b.peerId)
  assert.ok(systemClock.nowMs() - startMs < PROMPT_MS)
  await Promise.all([a.close(), b.close()])
  mute.close()
})

test('gives a dial up promptly, when asked to and when closing', async () => {
  const [a, mute] = [await openPeer(), await openMute()]
  const { peerId } = generateKey(systemRandom)
  const controller = new AbortController()
  const dialling = a.dial(peerId, [mute.address], controller.signal)
  systemClock.after(50, () => { controller.abort() })
  const startMs = systemClock.nowMs()
  await fails('ABORTED', /given up/, dialling)
  assert.ok(systemClock.nowMs() - startMs < PROMPT_MS)
  const another = a.dial(peerId, [mute.address], never())
  const failing = fails('CLOSED', /closed/, another)
  await within(2_000, 'close', a.close())
  await failing
  mute.close()
})

test('closes within a second even when the other end is frozen with bytes unread', async () => {
  const child = await openChild()
  try {
    const [peerId, addresses] = JSON.parse(await child.said('ready')) as [string, string[]]
    const network = await openPeer()
    const connection = await within(5_000, 'dial', network.dial(peerId, addresses, never()))
    connection.admit()
    const stream = await within(5_000, 'open', connection.open('/sink', never()))
    const heard = readAll(stream)
    process.kill(child.pid, 'SIGSTOP')
    const chunk = new Uint8Array(2 ** 20)
    while (stream.send(chunk)) assert.ok(true)
    const startMs = systemClock.nowMs()
    await within(5_000, 'close', network.close())
    assert.ok(systemClock.nowMs() - startMs < PROMPT_MS, `${systemClock.nowMs() - startMs} ms`)
    assert.ok(await within(1_000, 'the stream', heard.closed))
  } finally {
    child.kill()
  }
})

test('lets the process end after close, with connections and streams open before', async () => {
  const network = await openPeer()
  network.onConnection(connection => { connection.admit() })
  network.handle('/sink', stream => { stream.read({ data () {}, ended () {}, closed () {} }) })
  const child = await openChild(network.peerId, ...network.addresses())
  await child.said('closed')
  assert.is(await within(2_000, 'the process to end', child.exited), 0)
  await network.close()
})

test('a page’s twin dials WebSocket addresses, listens on nothing, and speaks the same', async () => {
  const network = await openPeer(systemClock, ['/ip4/127.0.0.1/tcp/0/ws'])
  network.onConnection(connection => { connection.admit() })
  network.handle('/echo', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed () {} }) })
  const page = await openPage({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom })
  assert.equal(page.addresses(), [])
  assert.match(network.addresses()[0] ?? '', /\/ws$/)
  const connection = await within(5_000, 'dial', page.dial(network.peerId, network.addresses(), never()))
  connection.admit()
  const stream = await within(5_000, 'open', connection.open('/echo', never()))
  const heard = readAll(stream)
  sendText(stream, 'from a page')
  await stream.end()
  await within(5_000, 'the echo', heard.whole)
  assert.is(heard.text(), 'from a page')
  assert.ok(await within(5_000, 'probe', connection.probe(never())) >= 0)
  await fails('UNREACHABLE', /./, page.dial(generateKey(systemRandom).peerId, ['/ip4/127.0.0.1/tcp/1/ws'], never()))
  await fails('ADDRESS_INVALID', /no transport here/, page.dial(generateKey(systemRandom).peerId, ['/ip4/127.0.0.1/tcp/1'], never()))
  await within(2_000, 'close', page.close())
  await network.close()
})

test.run()
