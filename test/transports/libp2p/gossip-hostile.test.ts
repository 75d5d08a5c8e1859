// bound: 120 s
/** A neighbour written by hand, which is admitted and then speaks gossip as it likes. */
import type { Connection as LibConnection, Stream } from '@libp2p/interface'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sha256 } from '#hash'
import { concatBytes, utf8 } from '../../../lib/base/bytes.ts'
import { systemClock } from '../../../lib/base/clock.ts'
import { GOSSIP_TOPICS_MAX } from '../../../lib/base/network.ts'
import type { Network } from '../../../lib/base/network.ts'
import { ANSWER, FrameReader, RPC_BYTES_MAX, isQuestion } from '../../../transports/libp2p/gossip-frames.ts'
import { CACHE_BYTES_MAX } from '../../../transports/libp2p/gossip-cache.ts'
import { gossipProtocol } from '../../../transports/libp2p/gossip-lanes.ts'
import { VirtualClock } from '../../support/clock.ts'
import { until, within } from '../../support/within.ts'
import { knock, openStranger } from './peers.ts'
import { TOPIC, link, meet, openTapped } from './tapped.ts'

const GOSSIP_PROTOCOL = gossipProtocol(undefined)

interface Scripted {
  readonly theirs: LibConnection
  /** Our streams it was given, one after another. */
  readonly served: Stream[]
  /** Frames of ours, lengths cut off, questions left out. */
  readonly frames: Uint8Array[]
  readonly peerId: string
  send (rpc: Uint8Array): void
  stop (): Promise<void>
}

async function script (network: Network, answers: boolean): Promise<Scripted> {
  const stranger = await openStranger()
  const [served, frames]: [Stream[], Uint8Array[]] = [[], []]
  const answering: { out?: Stream } = {}
  await stranger.handle(GOSSIP_PROTOCOL, stream => {
    served.push(stream)
    const reader = new FrameReader()
    stream.addEventListener('message', ({ data }) => {
      for (const frame of reader.take(data.subarray())) {
        if (isQuestion(frame)) {
          if (answers && answering.out?.status === 'open') answering.out.send(ANSWER.slice())
        } else frames.push(frame)
      }
    })
  })
  const { theirs, ours } = await knock(stranger, network)
  ours.admit()
  await until('our stream', () => served.length === 1)
  const out = answering.out = await within(5_000, 'its stream', theirs.newStream(GOSSIP_PROTOCOL))
  if (answers) out.send(ANSWER.slice()) // the first question came before
  return {
    theirs,
    served,
    frames,
    peerId: stranger.peerId.toString(),
    send: rpc => { out.send(concatBytes(varint(rpc.byteLength), rpc)) },
    stop: async () => { await stranger.stop() }
  }
}

test('one that never answers is given new streams, at last a new connection, and gossip goes on without it', async () => {
  const clock = new VirtualClock()
  const ours = await openTapped({ clock })
  const mute = await script(ours.network, false)
  let isClosed = false
  mute.theirs.addEventListener('close', () => { isClosed = true })
  const counts = new Set<number>()
  for (let passedMs = 0; !isClosed; passedMs += 100) {
    assert.ok(passedMs < 60_000, `${mute.served.length} streams and no end`)
    await clock.advance(100)
    await within(1_000, 'a moment', new Promise<void>(resolve => { systemClock.after(2, resolve) }))
    const open = mute.served.filter(({ status }) => status === 'open').length
    assert.ok(open <= 1, `${open} streams at once`)
    counts.add(mute.served.length)
  }
  assert.equal([...counts], [1, 2, 3, 4])
  await Promise.all([ours.network.close(), mute.stop()])
  assert.is(clock.pending, 0)
})

test('one that claims more topics than allowed is known for those it named first', async () => {
  const ours = await openTapped()
  const greedy = await script(ours.network, true)
  greedy.send(concatBytes(...Array.from({ length: 3_000 }, (_, index) => subscription(`topic ${index}`)), subscription('the last')))
  await until('its topics', () => ours.gossip.peers('topic 0').length === 1)
  const known = Array.from({ length: 3_000 }, (_, index) => ours.gossip.peers(`topic ${index}`).length).filter(count => count > 0).length
  assert.ok(known >= GOSSIP_TOPICS_MAX && known < GOSSIP_TOPICS_MAX * 1.3, `${known} topics`)
  assert.equal(ours.gossip.peers('the last'), [])
  await Promise.all([ours.network.close(), greedy.stop()])
})

test('one that foresees the salt of another’s message cannot suppress it', async () => {
  const [author, relay] = [await openTapped(), await openTapped()]
  await link(author.network, relay.network)
  await meet(author, relay)
  const thief = await script(relay.network, true)
  thief.send(subscription(TOPIC))
  await until('the thief in the topic', () => relay.gossip.peers(TOPIC).length === 2)
  await author.gossip.publish(TOPIC, utf8('the first message'))
  await until('the thief to hear it', () => thief.frames.some(frame => saltBefore(frame, 'the first message') !== undefined))
  const salt = saltBefore(thief.frames.find(frame => saltBefore(frame, 'the first message') !== undefined) as Uint8Array, 'the first message') as Uint8Array
  const next = salt.slice()
  next[11] = (next[11] as number) + 1
  thief.send(publication(TOPIC, concatBytes(next, utf8('forged'))))
  await until('the forged one', () => relay.seen.includes('forged'))
  await author.gossip.publish(TOPIC, utf8('the second message'))
  await until('the true one', () => relay.seen.includes('the second message'))
  assert.equal(relay.seen, ['the first message', 'forged', 'the second message'])
  thief.send(publication(TOPIC, concatBytes(next, utf8('forged'))))
  thief.send(publication(TOPIC, utf8('no salt')))
  thief.send(publication('a topic of nobody', concatBytes(next, utf8('kept by nobody'))))
  thief.send(publication(TOPIC, concatBytes(salt, utf8('fence'))))
  await until('the fence', () => relay.seen.includes('fence'))
  assert.is(relay.seen.length, 4)
  await Promise.all([author.network.close(), relay.network.close(), thief.stop()])
})

test('one that wishes for many large messages at once gets them in parts it can read', async () => {
  const ours = await openTapped()
  const reader = await script(ours.network, true)
  reader.send(subscription(TOPIC))
  await until('it to be in the topic', () => ours.gossip.peers(TOPIC).length === 1)
  const count = 45
  const payload = new Uint8Array(60_000).fill(120)
  assert.ok(count * payload.byteLength > RPC_BYTES_MAX)
  for (let round = 0; round < count; round++) await ours.gossip.publish(TOPIC, payload)
  const large = (): Uint8Array[] => reader.frames.filter(frame => frame.byteLength > payload.byteLength)
  await until('all of them', () => large().length === count)
  const ids = large().map(frame => {
    const at = frame.byteLength - field(4, utf8(TOPIC)).byteLength - payload.byteLength
    return sha256(concatBytes(utf8(TOPIC), Uint8Array.of(0), frame.slice(at - 12, at + payload.byteLength))).subarray(0, 20)
  })
  reader.frames.length = 0
  reader.send(wish(ids))
  await until('the answer', () => large().reduce((sum, frame) => sum + Math.floor(frame.byteLength / payload.byteLength), 0) === count)
  assert.ok(large().length > 1 && large().every(frame => frame.byteLength < RPC_BYTES_MAX), large().map(frame => frame.byteLength).join(' '))
  await Promise.all([ours.network.close(), reader.stop()])
})

test('a newcomer is told of no more than the cache may hold', async () => {
  const ours = await openTapped()
  const payload = new Uint8Array(60_000).fill(120)
  const count = Math.ceil(CACHE_BYTES_MAX / payload.byteLength) + 60
  for (let round = 0; round < count; round++) assert.is(await ours.gossip.publish(TOPIC, payload), 0)
  const reader = await script(ours.network, true)
  reader.send(subscription(TOPIC))
  const idBytes = field(2, new Uint8Array(20)).byteLength
  const told = (): number => Math.floor(Math.max(...reader.frames.map(({ byteLength }) => byteLength)) / idBytes)
  await until('the list', () => told() > 10)
  assert.ok(told() * payload.byteLength <= 1.02 * CACHE_BYTES_MAX, `${told()} of ${count}`)
  await Promise.all([ours.network.close(), reader.stop()])
})

/** Twelve bytes in front of a text, if it is there. */
function saltBefore (frame: Uint8Array, word: string): Uint8Array | undefined {
  const at = new TextDecoder('latin1').decode(frame).indexOf(word)
  return at < 12 ? undefined : frame.slice(at - 12, at)
}

/** Fields of the protocol's messages. Source: libp2p specifications, pubsub/README.md and gossipsub-v1.0.md. */
function field (number: number, bytes: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(number << 3 | 2), varint(bytes.byteLength), bytes)
}

function subscription (topic: string): Uint8Array {
  return field(1, concatBytes(Uint8Array.of(1 << 3, 1), field(2, utf8(topic))))
}

function publication (topic: string, data: Uint8Array): Uint8Array {
  return field(2, concatBytes(field(2, data), field(4, utf8(topic))))
}

function wish (ids: readonly Uint8Array[]): Uint8Array {
  return field(3, field(2, concatBytes(...ids.map(id => field(1, id)))))
}

function varint (value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; bytes.length === 0 || rest > 0; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + (rest >= 128 ? 128 : 0))
  return Uint8Array.from(bytes)
}

test.run()
