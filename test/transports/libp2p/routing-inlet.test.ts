/** What another member may send the table, over real connections on loopback. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { concatBytes } from '../../../lib/base/bytes.ts'
import { SwarmError } from '../../../lib/base/error.ts'
import { ROUTING_KEY_BYTES } from '../../../lib/base/network.ts'
import type { Connection, Network } from '../../../lib/base/network.ts'
import { systemClock } from '../../../lib/base/clock.ts'
import { ANSWER_BYTES_MAX, QUESTIONS_BYTES_AT_ONCE, QUESTIONS_BYTES_PER_SECOND, QUESTION_BYTES_MAX, QUESTION_COST_BYTES } from '../../../transports/libp2p/routing-inlet.ts'
import { VirtualClock } from '../../support/clock.ts'
import { until, within } from '../../support/within.ts'
import { never } from '../conformance/arena.ts'
import { openPeer } from './peers.ts'

const PROTOCOL = '/mcp-swarm/kad/1.0.0'
const MS = 10_000

/** A PING, as kad-dht has it on the wire: it is answered with the same. */
const PING = Uint8Array.of(2, 8, 5)

interface Scene { readonly clock: VirtualClock, readonly network: Network, readonly connection: Connection }

/** One that routes, whose time stands still, and another that is connected with it. @param serve before it is */
async function scene (body: (scene: Scene) => Promise<void>, serve: (theirs: Network) => void = () => {}): Promise<void> {
  const clock = new VirtualClock()
  const [network, theirs] = [await openPeer(clock), await openPeer(systemClock)]
  try {
    for (const each of [network, theirs]) each.onConnection(connection => { connection.admit() })
    await network.routing()
    serve(theirs)
    const connection = await within(MS, 'dial', theirs.dial(network.peerId, network.addresses(), never()))
    await body({ clock, network, connection })
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
  } finally {
    await within(MS, 'closing', Promise.all([network.close(), theirs.close()]))
  }
}

/** Whether questions are all answered, with as many bytes; the stream is reset otherwise. */
async function ask (connection: Connection, bytes: Uint8Array): Promise<boolean> {
  try {
    const stream = await connection.open(PROTOCOL, never())
    let received = 0
    const answered = new Promise<boolean>(resolve => {
      stream.read({
        data (more) {
          received += more.byteLength
          if (received === bytes.byteLength) resolve(true)
        },
        ended () {},
        closed () { resolve(false) }
      })
    })
    stream.send(bytes)
    const isAnswered = await within(MS, 'the answers', answered)
    stream.abort(new SwarmError('CLOSED', 'heard'))
    return isAnswered
  } catch (error) {
    if (error instanceof SwarmError) return false
    throw error
  }
}

/** A PING with a key, of so many bytes behind its length of two. */
function large (bytes: number): Uint8Array {
  const key = new Uint8Array(bytes - 5)
  const varint = (length: number): Uint8Array => Uint8Array.of(length % 128 + 128, Math.floor(length / 128))
  return concatBytes(varint(bytes), Uint8Array.of(8, 5, 18), varint(key.byteLength), key)
}

const FULL = large(QUESTION_BYTES_MAX)

test('answers a question of so many bytes', async () => {
  await scene(async ({ connection }) => {
    assert.ok(await ask(connection, PING))
    assert.ok(await ask(connection, FULL))
    assert.not(await ask(connection, large(QUESTION_BYTES_MAX + 1)))
    assert.not(await ask(connection, Uint8Array.of(128, 128, 128, 128, 128)), 'a length without an end')
  })
})

test('answers one question a stream', async () => {
  await scene(async ({ connection }) => { assert.not(await ask(connection, concatBytes(PING, PING))) })
})

test('answers so many questions of one connection at once, and more of them in time', async () => {
  await scene(async ({ clock, connection }) => {
    const cost = QUESTION_COST_BYTES + FULL.byteLength
    let answered = 0
    while (answered < 1_000 && await ask(connection, FULL)) answered += 1
    assert.is(answered, Math.floor(QUESTIONS_BYTES_AT_ONCE / cost))
    assert.not(await ask(connection, PING), 'the next one neither')
    await clock.advance(1_000)
    let more = 0
    while (more < 1_000 && await ask(connection, FULL)) more += 1
    assert.is(more, Math.floor(QUESTIONS_BYTES_PER_SECOND / cost))
  })
})

test('reads so many bytes of an answer, and lets go of who sends more', async () => {
  let [asked, isReset] = [0, false]
  await scene(async ({ clock, network }) => {
    const routing = await network.routing()
    await until('it to take part', () => routing.size === 1, MS)
    const finding = routing.find(new Uint8Array(ROUTING_KEY_BYTES), { signal: never(), onFound: () => { assert.unreachable('it names nobody') } })
    await until('its stream to be reset', () => isReset, MS)
    await clock.advance(1)
    await within(MS, 'the lookup', finding)
    assert.is(asked, 1)
    await until('it to be let go of', () => routing.size === 0, MS)
  }, theirs => {
    theirs.handle(PROTOCOL, stream => {
      stream.read({
        data () {
          asked += 1
          // It says that it will be shorter than kad-dht reads, and longer than we do.
          stream.send(concatBytes(Uint8Array.of(0x80, 0x80, 0x40), new Uint8Array(ANSWER_BYTES_MAX)))
        },
        ended () {},
        closed (error) { isReset ||= error !== undefined }
      })
    })
  })
})

test.run()
