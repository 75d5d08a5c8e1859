import { deflateRawSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MESSAGE_BYTES_MAX, writeMessage } from '../../crdt/message.ts'
import { documentKey } from '../../crdt/name.ts'
import { emptyDocument, encodeState } from '../../crdt/state.ts'
import { SETTLE_MS } from '../../crdt/sync.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { ByteStream, Connection } from '../../lib/base/network.ts'
import { CLOSE_MS, syncProtocol } from '../../lib/documents/channels.ts'
import { QUEUE_BYTES_HIGH, STALL_MS } from '../../lib/documents/channel.ts'
import { FrameReader, PART_BYTES_MAX, largeFrames, wholeFrame } from '../../lib/documents/frame.ts'
import { MESSAGE_MS_MAX, RATE_BYTES } from '../../lib/documents/inlet.ts'
import { pack, unpack } from '../../lib/documents/pack.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'
import { until, within } from '../support/within.ts'
import { SWARM, areEqual, connect, machine, run, type Peer } from './rig.ts'

const PROTOCOL = syncProtocol(SWARM)
const KEY = documentKey('notes')
const DIGEST = { shape: new Uint8Array(16), content: new Uint8Array(16) }

interface Attack { readonly alice: Peer, readonly bob: Peer, readonly stream: ByteStream, readonly ended: Promise<unknown>, readonly connection: Connection, readonly clock: VirtualClock }

/** A peer with a document, one that is honest, and a stream of somebody who is admitted and is not. */
async function attack (onStream?: (stream: ByteStream) => void): Promise<Attack> {
  const clock = new VirtualClock()
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub, machine(), { clock }), run(hub, machine(), { clock })]
  const mallory = hub.network(machine().key)
  if (onStream !== undefined) mallory.handle(PROTOCOL, onStream)
  const connection = await mallory.dial(alice.id, alice.network.addresses(), new AbortController().signal)
  connection.admit()
  await connect(alice, bob)
  await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  const stream = await connection.open(PROTOCOL, new AbortController().signal)
  const ended = new Promise(resolve => { stream.read({ data: () => {}, ended: () => { resolve('ended') }, closed: error => { resolve(error ?? 'closed') } }) })
  return { alice, bob, stream, ended, connection, clock }
}

/** Whatever happened, two honest peers still agree. */
async function goesOn ({ alice, bob, clock }: Attack): Promise<void> {
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.set('m/after', true)
  there.set('m/too', true)
  // A document rests after each pull, by its clock, which stands still unless it is moved.
  await within(5_000, 'equal', (async () => { while (!areEqual(here, there)) await clock.advance(SETTLE_MS) })())
  assert.is(there.get('m/after'), true)
  const closing = Promise.all([alice.close(), bob.close()])
  await clock.advance(2 * CLOSE_MS)
  await within(5_000, 'closed', closing)
}

const first = (packed: number, messageBytes: number, partBytes: number): Uint8Array => {
  const bytes = new Uint8Array(14)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 9)
  view.setUint8(4, 1)
  view.setUint8(5, packed)
  view.setUint32(6, messageBytes)
  view.setUint32(10, partBytes)
  return bytes
}
const part = (body: Uint8Array): Uint8Array => {
  const frame = wholeFrame(body)
  frame[4] = 2
  return frame
}
const bomb = deflateRawSync(new Uint8Array(8 * 2 ** 20))

for (const [what, frames] of [
  ['noise', [seededRandom(5).bytes(10_000)]],
  ['a frame over the limit', [Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0)]],
  ['a frame of one byte too many', [(() => { const head = new Uint8Array(5); new DataView(head.buffer).setUint32(0, PART_BYTES_MAX + 1); return head })()]],
  ['an unknown kind of frame', [Uint8Array.of(0, 0, 0, 0, 9)]],
  ['a message over the limit', [first(0, MESSAGE_BYTES_MAX + 1, MESSAGE_BYTES_MAX + 1)]],
  ['parts of nothing', [part(Uint8Array.of(1))]],
  ['two large messages at once', [first(0, 100_000, 100_000), first(0, 100_000, 100_000)]],
  ['a plain message that is longer in parts', [first(0, 100, 200)]],
  ['more parts than it said', [first(0, 10, 10), part(new Uint8Array(11))]],
  ['an empty part', [first(0, 10, 10), part(new Uint8Array(0))]],
  ['what cannot be unpacked', [first(1, 100_000, 10), part(new Uint8Array(10).fill(0xff))]],
  ['a bomb that says it is small', [first(1, 100_000, bomb.byteLength), part(bomb)]],
  ['a packed message that is short', [first(1, 8 * 2 ** 20 + 1, bomb.byteLength), part(bomb)]]
] as const) {
  test(`a stream with ${what} is reset, and the rest goes on`, async () => {
    const rig = await attack()
    for (const frame of frames) rig.stream.send(frame)
    const end = await within(5_000, 'the end of the stream', rig.ended)
    assert.instance(end, SwarmError)
    await until('it is told', () => rig.alice.troubles.some(trouble => /MALFORMED|TOO_LARGE/.test(trouble)))
    await goesOn(rig)
  })
}

test('nothing of a bomb is kept: unpacking stops at what was said', async () => {
  const before = process.memoryUsage().arrayBuffers
  const zeros = await pack(new Uint8Array(60 * 2 ** 20))
  assert.ok(zeros.bytes.byteLength < 500_000)
  const error = await unpack({ ...zeros, messageBytes: 20_000 }).then(() => undefined, (thrown: unknown) => thrown)
  assert.instance(error, SwarmError)
  assert.ok(process.memoryUsage().arrayBuffers - before < 70 * 2 ** 20)
})

test('a part that never ends is given up after its time, a trickle too', async () => {
  const rig = await attack()
  const bytes = 10 * RATE_BYTES
  rig.stream.send(first(0, bytes, bytes))
  for (let second = 0; second < MESSAGE_MS_MAX / 1_000 + 8; second++) {
    rig.stream.send(part(Uint8Array.of(1)))
    await rig.clock.advance(1_000)
  }
  assert.is(rig.alice.troubles.length, 0)
  await rig.clock.advance(3_000)
  const end = await within(5_000, 'the end of the stream', rig.ended)
  assert.instance(end, SwarmError)
  assert.match(rig.alice.troubles.join(), 'TIMEOUT')
  await goesOn(rig)
})

test('a peer that stops in the middle of a frame is given up', async () => {
  const rig = await attack()
  rig.stream.send(wholeFrame(new Uint8Array(1_000)).subarray(0, 500))
  await rig.clock.advance(MESSAGE_MS_MAX + 1_000)
  assert.instance(await within(5_000, 'the end of the stream', rig.ended), SwarmError)
  await goesOn(rig)
})

test('a stream that ends inside a message is no message', async () => {
  const rig = await attack()
  rig.stream.send(wholeFrame(new Uint8Array(1_000)).subarray(0, 500))
  await rig.stream.end()
  assert.instance(await within(5_000, 'the end of the stream', rig.ended), SwarmError)
  await goesOn(rig)
})

test('messages that break their format are refused one by one, and the stream goes on', async () => {
  const rig = await attack()
  const random = seededRandom(11)
  for (let count = 0; count < 200; count++) rig.stream.send(wholeFrame(random.bytes(1 + Math.floor(random.next() * 200))))
  const doc = emptyDocument()
  doc.getMap('m').set('mallory', 1)
  const update = encodeState(doc)
  for (let at = 0; at < update.byteLength; at++) {
    const changed = update.slice()
    changed[at] = (changed[at] as number) ^ 0xff
    rig.stream.send(wholeFrame(writeMessage({ kind: 'have', key: KEY, vector: Uint8Array.of(0), digest: DIGEST, mark: 1, hop: 0, update: changed })))
  }
  await rig.clock.advance(100)
  await goesOn(rig)
})

test('questions are not answered while their answers are left unread, and memory stays bounded', async () => {
  const unread: ByteStream[] = []
  const rig = await attack(stream => { unread.push(stream) })
  const here = await rig.alice.documents.open('notes')
  here.ydoc.getText('t').insert(0, Buffer.from(seededRandom(3).bytes(600_000)).toString('base64'))
  await within(5_000, 'flushed', here.flushed())
  await until('alice opens her stream', () => unread.length === 1)
  const question = wholeFrame(writeMessage({ kind: 'want', key: KEY, vector: Uint8Array.of(0), digest: DIGEST, mark: 0 }))
  const before = process.memoryUsage().arrayBuffers
  for (let count = 0; count < 1_000; count++) rig.stream.send(question)
  for (let turn = 0; turn < 300; turn++) await new Promise(resolve => { setImmediate(resolve) })
  const grownBytes = process.memoryUsage().arrayBuffers - before
  assert.ok(grownBytes < 4 * QUEUE_BYTES_HIGH, `answers of ${grownBytes} bytes pile up`)
  const isTold = (): boolean => rig.alice.troubles.some(trouble => trouble.includes('TIMEOUT'))
  await within(10_000, 'whoever reads nothing is given up', (async () => {
    while (!isTold()) await rig.clock.advance(STALL_MS / 10)
  })())
  await goesOn(rig)
})

test('frames are read the same however they are cut', () => {
  const random = seededRandom(21)
  const large = random.bytes(60_000)
  const huge = new Uint8Array(200_000).map((_, index) => index & 255)
  const frames = [wholeFrame(large), ...largeFrames({ bytes: huge, isPacked: false, messageBytes: huge.byteLength }), wholeFrame(new Uint8Array(0)), wholeFrame(Uint8Array.of(1, 2, 3))]
  const all = Buffer.concat(frames)
  for (let round = 0; round < 50; round++) {
    const reader = new FrameReader()
    const messages: Uint8Array[] = []
    for (let at = 0; at < all.byteLength;) {
      const size = 1 + Math.floor(random.next() ** 4 * 100_000)
      for (const message of reader.take(all.subarray(at, at + size))) messages.push(message instanceof Uint8Array ? message : message.bytes)
      at += size
    }
    assert.equal(messages.map(({ byteLength }) => byteLength), [60_000, 200_000, 0, 3])
    assert.ok(Buffer.from(messages[1] as Uint8Array).equals(Buffer.from(huge)))
    assert.is(reader.isAmid, false)
  }
})

test.run()
