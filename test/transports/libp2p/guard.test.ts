import type { Connection as LibConnection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { Identify } from '@libp2p/identify'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readAll, sendText } from '../reading.ts'
import { until, within } from '../../support/within.ts'
import { knock, openPeer, openStranger } from './peers.ts'

const PROTOCOLS = ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/ipfs/id/push/1.0.0', '/swarm/tools', '/swarm/directory', '/nobody']

test('a stranger learns nothing: every protocol but hello looks as if it did not exist', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  let served = 0
  network.handle('/swarm/tools', () => { served += 1 })
  network.handle('/swarm/directory', () => { served += 1 })
  network.handle('/swarm/hello', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed () {} }) }, { beforeAdmission: true })
  const { theirs, ours } = await knock(stranger, network)

  for (const protocol of PROTOCOLS) assert.is(await refusal(theirs, protocol), 'UnsupportedProtocolError', protocol)
  await within(5_000, 'identify', identifyOf(stranger).identify(theirs).then(() => assert.unreachable('identified'), () => {}))
  assert.equal(await list(theirs), ['/swarm/hello'])
  assert.is(await echo(theirs, '/swarm/hello'), 'hello')
  assert.is(served, 0)

  ours.admit()
  const identified = await within(5_000, 'identify', identifyOf(stranger).identify(theirs))
  assert.ok(identified.protocols.includes('/swarm/tools'))
  assert.is(identified.agentVersion, 'mcp-swarm')
  assert.ok(await within(5_000, 'ping', pingOf(stranger).ping(theirs.remotePeer)) >= 0)
  assert.ok((await list(theirs)).includes('/ipfs/ping/1.0.0'))
  await within(5_000, 'tools', theirs.newStream('/swarm/tools'))
  await until('the handler', () => served === 1)
  await Promise.all([stranger.stop(), network.close()])
})

test('admission is of one connection: another of the same peer stays a stranger', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  network.handle('/swarm/tools', () => {})
  const first = await knock(stranger, network)
  const second = await within(5_000, 'a second connection', again(stranger, network.addresses()[0] ?? '', network.peerId))
  first.ours.admit()
  await within(5_000, 'the admitted one', first.theirs.newStream('/swarm/tools'))
  assert.is(await refusal(second, '/swarm/tools'), 'UnsupportedProtocolError')
  await Promise.all([stranger.stop(), network.close()])
})

test('a connection we dialled is a stranger too, and asks nothing of the other end before admission', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  const asked: string[] = []
  for (const protocol of ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0']) {
    const registrar = (stranger as unknown as { components: { registrar: { unhandle: (protocol: string) => Promise<void> } } }).components.registrar
    await registrar.unhandle(protocol)
    await stranger.handle(protocol, stream => {
      asked.push(protocol)
      stream.abort(new Error('just counting'))
    })
  }
  await stranger.handle('/turn', () => {})
  const address = stranger.getMultiaddrs()[0]?.toString() ?? ''
  const connection = await within(5_000, 'dial', network.dial(stranger.peerId.toString(), [address], new AbortController().signal))
  await until('their end', () => stranger.getConnections().length === 1)
  const theirs = stranger.getConnections()[0] as LibConnection
  assert.is(await refusal(theirs, '/ipfs/id/1.0.0'), 'UnsupportedProtocolError')
  await within(5_000, 'a turn of the other end', connection.open('/turn', new AbortController().signal))
  await network.routing() // needs to know where peers listen
  assert.equal(asked, [])
  connection.admit()
  await until('identify to run', () => asked.includes('/ipfs/id/1.0.0'))
  await Promise.all([stranger.stop(), network.close()])
})

test('streams a stranger opened before its hello are cheap and harmless: 500 at once', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  network.handle('/swarm/tools', () => assert.unreachable('served'))
  const { theirs, ours } = await knock(stranger, network)
  const opened = await within(20_000, '500 refusals', Promise.all(Array.from({ length: 500 }, async () => await refusal(theirs, '/swarm/tools'))))
  assert.equal([...new Set(opened)], ['UnsupportedProtocolError'])
  assert.is(theirs.status, 'open')
  ours.admit()
  await Promise.all([stranger.stop(), network.close()])
})

test('hello goes on while the same connection is admitted', async () => {
  const [network, stranger] = [await openPeer(), await openStranger()]
  const reading = new Promise<string>(resolve => {
    network.handle('/swarm/hello', async (stream, connection) => {
      connection.admit()
      const heard = readAll(stream)
      sendText(stream, 'welcome')
      await stream.end()
      resolve(new TextDecoder().decode(await heard.whole))
    }, { beforeAdmission: true })
  })
  const { theirs } = await knock(stranger, network)
  assert.is(await echo(theirs, '/swarm/hello'), 'welcome')
  assert.is(await within(5_000, 'their words', reading), 'hello')
  await Promise.all([stranger.stop(), network.close()])
})

/** The name of the error with which a stream is refused. */
async function refusal (connection: LibConnection, protocol: string): Promise<string> {
  return await within(10_000, protocol, connection.newStream(protocol, { maxOutboundStreams: 1_000 }).then(() => 'opened', (error: unknown) => (error as Error).name))
}

/** What multistream-select lists when asked. Source: multistream-select specification, "ls". */
async function list (connection: LibConnection): Promise<string[]> {
  const stream = await rawStream(connection)
  let answer = ''
  stream.addEventListener('message', event => { answer += new TextDecoder().decode(event.data.subarray()) })
  for (const line of ['/multistream/1.0.0\n', 'ls\n']) stream.send(Uint8Array.of(line.length, ...bytesOf(line)))
  await until('the list', () => answer.endsWith('\n\n'))
  stream.abort(new Error('done'))
  return answer.split('\n').filter(line => line.includes('/')).map(line => line.slice(line.indexOf('/'))).filter(line => !line.startsWith('/multistream/'))
}

/** A muxed stream on which nothing has been negotiated. */
async function rawStream (connection: LibConnection): Promise<Stream> {
  const { muxer } = connection as unknown as { muxer: { createStream: () => Promise<Stream> } }
  return await muxer.createStream()
}

async function echo (connection: LibConnection, protocol: string): Promise<string> {
  const stream = await within(5_000, protocol, connection.newStream(protocol))
  let text = ''
  const answered = new Promise<void>(resolve => {
    stream.addEventListener('message', event => {
      text += new TextDecoder().decode(event.data.subarray())
      resolve()
    })
  })
  stream.send(bytesOf('hello'))
  await stream.close()
  await within(5_000, `an answer on ${protocol}`, answered)
  return text
}

async function again (stranger: Libp2p, address: string, peerId: string): Promise<LibConnection> {
  const { multiaddr } = await import('@multiformats/multiaddr')
  return await stranger.dial(multiaddr(`${address}/p2p/${peerId}`), { force: true })
}

function identifyOf (stranger: Libp2p): Identify {
  return stranger.services['identify'] as Identify
}

function pingOf (stranger: Libp2p): { ping: (peer: PeerId) => Promise<number> } {
  return stranger.services['ping'] as { ping: (peer: PeerId) => Promise<number> }
}

function bytesOf (text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

test.run()
