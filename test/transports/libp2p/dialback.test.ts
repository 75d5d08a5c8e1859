/** Whether others can dial a peer, asked over real connections on loopback. */
import { createServer, type Server } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../lib/base/clock.ts'
import { SwarmError } from '../../../lib/base/error.ts'
import type { Network } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import type { Libp2pConnection } from '../../../transports/libp2p/connection.ts'
import { PORTS_MAX, QUESTION_MS_MIN, askBack, hostOf } from '../../../transports/libp2p/dialback.ts'
import { openNetwork } from '../../../transports/libp2p/node.ts'
import { VirtualClock } from '../../support/clock.ts'
import { until, within } from '../../support/within.ts'
import { fails, never } from '../conformance/arena.ts'
import { readAll, sendText } from '../reading.ts'

const PROTOCOL = '/mcp-swarm/test/dialback/1.0.0'
const MS = 10_000

interface Scene {
  readonly connection: Libp2pConnection
  /** The clock of the one who is asked. */
  readonly clock: VirtualClock
  /** Somebody who listens and takes what comes. */
  readonly listener: { readonly port: number, readonly knocks: () => number }
}

/** A peer connected with one that answers; the latter's time stands still. */
async function scene (body: (scene: Scene) => Promise<void>): Promise<void> {
  const clock = new VirtualClock()
  const networks: Network[] = []
  const open = async (clock: VirtualClock | typeof systemClock): Promise<Network> => {
    const network = await openNetwork({ key: generateKey(systemRandom), clock, random: systemRandom, swarmId: 'test', relay: {} })
    network.onConnection(connection => { connection.admit() })
    networks.push(network)
    return network
  }
  let knocks = 0
  const server = createServer(socket => {
    knocks += 1
    socket.on('error', () => { socket.destroy() })
    socket.on('data', () => { assert.unreachable('a knock says nothing') })
  })
  try {
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    const [asker, answerer] = [await open(systemClock), await open(clock)]
    const connection = await within(MS, 'dial', asker.dial(answerer.peerId, answerer.addresses(), never())) as Libp2pConnection
    await body({ connection, clock, listener: { port: portOf(server), knocks: () => knocks } })
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
  } finally {
    server.close()
    await within(MS, 'closing', Promise.all(networks.map(async network => { await network.close() })))
  }
}

/** A port of this machine that nobody listens on. */
async function deadPort (): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const port = portOf(server)
  await new Promise(resolve => { server.close(resolve) })
  return port
}

const portOf = (server: Server): number => (server.address() as { port: number }).port

const ask = async ({ connection }: Scene, ports: readonly number[]): Promise<boolean> => await within(MS, 'an answer', askBack(connection, PROTOCOL, ports, systemClock, never()))

/** What is answered to a line; nothing if the stream is reset. */
async function say ({ connection }: Scene, line: string): Promise<string> {
  const stream = await connection.open(PROTOCOL, never())
  const reading = readAll(stream)
  sendText(stream, line)
  await stream.end()
  await within(MS, 'the end of the stream', reading.closed)
  return reading.text()
}

test('says whether any of the ports can be dialled, where the question comes from', async () => {
  await scene(async scene => {
    const { clock, listener } = scene
    const dead = await deadPort()
    assert.is(await ask(scene, [listener.port]), true)
    await until('the knock', () => listener.knocks() === 1)
    await clock.advance(QUESTION_MS_MIN)
    assert.is(await ask(scene, [dead, listener.port]), true)
    await clock.advance(QUESTION_MS_MIN)
    assert.is(await ask(scene, [dead]), false)
    await clock.advance(QUESTION_MS_MIN)
    assert.is(await ask(scene, []), false)
    await until('two knocks in all', () => listener.knocks() === 2)
  })
})

test('asks for no more than so many ports', async () => {
  await scene(async scene => {
    const dead = await deadPort()
    assert.is(await ask(scene, [...Array.from({ length: PORTS_MAX }, () => dead), scene.listener.port]), false)
    assert.is(scene.listener.knocks(), 0)
  })
})

test('answers one question in a while', async () => {
  await scene(async scene => {
    const { clock, listener } = scene
    assert.is(await ask(scene, [listener.port]), true)
    await clock.advance(QUESTION_MS_MIN - 1)
    await fails('CLOSED', /./, ask(scene, [listener.port]))
    await clock.advance(1)
    assert.is(await ask(scene, [listener.port]), true)
    await until('two knocks', () => listener.knocks() === 2)
  })
})

for (const [what, line] of Object.entries({
  'no JSON': 'knock, knock\n', 'no ports': '{}\n', 'ports that are none': '{"ports":[0]}\n', 'a port as text': '{"ports":["1"]}\n',
  'more ports than it knocks at': `{"ports":[${Array.from({ length: PORTS_MAX + 1 }, () => 1).join()}]}\n`, 'a line too long': `{"ports":[1],"x":"${'x'.repeat(256)}"}\n`
})) {
  test(`does not answer ${what}`, async () => {
    await scene(async scene => {
      assert.is(await say(scene, line), '')
      assert.is(scene.listener.knocks(), 0)
    })
  })
}

test('ignores what it does not know, and asks nobody twice for one answer', async () => {
  await scene(async scene => {
    assert.is(await say(scene, `{"later":true,"ports":[${scene.listener.port}]}\n{"ports":[${scene.listener.port}]}\n`), '{"reached":true}\n')
    await until('one knock', () => scene.listener.knocks() === 1)
  })
})

test('a question is given up with its asker', async () => {
  await scene(async ({ connection, listener }) => {
    await fails('ABORTED', /given up/, askBack(connection, PROTOCOL, [listener.port], systemClock, AbortSignal.abort()))
  })
})

test('knows no host of a connection through another peer', async () => {
  await scene(async ({ connection }) => {
    assert.is(hostOf(connection), '/ip4/127.0.0.1')
    assert.is(hostOf({ path: 'relay', raw: connection.raw } as unknown as Libp2pConnection), undefined)
  })
})

test.run()
