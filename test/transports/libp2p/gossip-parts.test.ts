import { RPC } from '@libp2p/gossipsub/message'
import { build } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { concatBytes } from '../../../lib/base/bytes.ts'
import { ANSWER, FrameReader, QUESTION, RPC_BYTES_MAX, bodyOf, frameMessage, isAnswer, isQuestion } from '../../../transports/libp2p/gossip-frames.ts'
import { INLET_BYTES_MAX, Inlet } from '../../../transports/libp2p/gossip-inlet.ts'
import { ANSWER_MS, ASK_MS, IDLE_ASK_MS, Watch } from '../../../transports/libp2p/gossip-watch.ts'
import { isError } from '../conformance/arena.ts'
import { within } from '../../support/within.ts'

test('frames are cut apart however they arrive', () => {
  const frames = [Uint8Array.of(0), QUESTION, Uint8Array.of(2, 7, 7), concatBytes(Uint8Array.of(0xc8, 1), new Uint8Array(200).fill(5)), ANSWER]
  const stream = concatBytes(...frames, ...frames)
  for (const size of [1, 2, 3, 7, 64, 201, stream.byteLength]) {
    const reader = new FrameReader()
    const taken: Uint8Array[] = []
    for (let at = 0; at < stream.byteLength; at += size) taken.push(...reader.take(stream.slice(at, at + size)))
    assert.equal(taken, [...frames, ...frames], `in pieces of ${size}`)
  }
  assert.equal(frames.map(isQuestion), [false, true, false, false, false])
  assert.equal(frames.map(isAnswer), [false, false, false, false, true])
})

for (const [name, bytes, code] of [
  ['one byte over the limit', [0x81, 0x80, 0x80, 1], 'TOO_LARGE'],
  ['a length that does not end', [0x80, 0x80, 0x80, 0x80], 'MALFORMED']
] as const) {
  test(`refuses ${name}`, () => {
    assert.is(RPC_BYTES_MAX, 0x80 ** 3)
    assert.throws(() => new FrameReader().take(Uint8Array.from(bytes)), isError(code))
  })
}

test('a frame of the largest size is read', () => {
  const reader = new FrameReader()
  assert.equal(reader.take(Uint8Array.of(0x80, 0x80, 0x80, 1)), [])
  assert.equal(reader.take(new Uint8Array(RPC_BYTES_MAX - 1)), [])
  assert.equal(reader.take(Uint8Array.of(9, 0)).map(({ byteLength }) => byteLength), [RPC_BYTES_MAX + 4, 1])
})

test('a lane in use is asked about soon, an idle one now and then', () => {
  const watch = new Watch(0)
  assert.is(watch.check(ANSWER_MS - 1), undefined)
  watch.answered(10)
  assert.is(watch.dueMs(), IDLE_ASK_MS)
  watch.sent()
  assert.is(watch.dueMs(), ASK_MS)
  assert.is(watch.check(ASK_MS - 1), undefined)
  assert.is(watch.check(ASK_MS), 'ask')
  assert.is(watch.check(ASK_MS + ANSWER_MS - 1), undefined)
  watch.answered(ASK_MS + 5)
  assert.is(watch.dueMs(), ASK_MS + IDLE_ASK_MS)
})

test('who does not answer is given up, with more patience each time, until it has answered for a minute', () => {
  const watch = new Watch(0)
  let nowMs = 0
  for (const doublings of [0, 1, 2, 3, 4, 4]) {
    watch.opened(nowMs)
    assert.is(watch.dueMs(), nowMs + ANSWER_MS * 2 ** doublings)
    nowMs = watch.dueMs()
    assert.is(watch.check(nowMs), 'doubt')
    assert.is(watch.dueMs(), Infinity)
    assert.ok(watch.settle(true, nowMs))
  }
  assert.is(watch.unanswered, 6)
  watch.opened(nowMs)
  watch.answered(nowMs + 1)
  assert.is(watch.unanswered, 0)
  watch.opened(nowMs + 2)
  assert.is(watch.dueMs(), nowMs + 2 + ANSWER_MS * 2 ** 4)
  watch.answered(nowMs + 60_001)
  watch.opened(nowMs + 60_002)
  assert.is(watch.dueMs(), nowMs + 60_002 + ANSWER_MS)
})

test('a process that was asleep blames nobody for what it did not hear', () => {
  const watch = new Watch(0)
  watch.excuse(50_000)
  assert.is(watch.check(50_000), undefined)
  assert.is(watch.check(50_000 + ANSWER_MS), 'doubt')
})

test('a doubt ends with the answer, and a neighbour that could not answer gets its time anew', () => {
  const watch = new Watch(0)
  assert.is(watch.check(ANSWER_MS), 'doubt')
  watch.answered(ANSWER_MS + 1)
  assert.not(watch.settle(true, ANSWER_MS + 2))
  watch.sent()
  assert.is(watch.check(2_000), 'ask')
  assert.is(watch.check(2_000 + ANSWER_MS), 'doubt')
  assert.not(watch.settle(false, 9_000))
  assert.is(watch.dueMs(), 9_000 + ANSWER_MS)
  assert.is(watch.unanswered, 0)
})

test('an inlet holds its neighbour back while gossipsub is behind, and gives everything in order', async () => {
  const held: boolean[] = []
  const inlet = new Inlet(isHeld => held.push(isHeld))
  const frame = (index: number): Uint8Array => new Uint8Array(INLET_BYTES_MAX / 4).fill(index)
  const taken: number[] = []
  let isOneTaken = true
  const turn = async (): Promise<void> => { await within(1_000, 'a turn', new Promise<void>(resolve => { setImmediate(resolve) })) }
  for (let index = 0; index < 6; index++) inlet.put(frame(index))
  assert.equal(held, [true])
  inlet.read(async ([index]) => {
    assert.ok(isOneTaken, 'one after the other')
    isOneTaken = false
    taken.push(index as number)
    await turn()
    isOneTaken = true
  })
  assert.equal(taken, [0])
  for (let left = 6; left > 0; left--) await turn()
  assert.equal(taken, [0, 1, 2, 3, 4, 5])
  await turn()
  assert.equal(held, [true, false])
  inlet.put(frame(9))
  assert.is(taken.at(-1), 9, 'in the turn in which it came')
  inlet.put(frame(8))
  inlet.end()
  inlet.put(frame(1))
  await turn()
  await turn()
  assert.is(taken.at(-1), 9)
})

test('a message is framed as gossipsub itself frames it', () => {
  for (const bytes of [0, 1, 110, 127, 128, 300, 16_383, 16_384, 65_536]) {
    const [first, rest] = [Uint8Array.of(1, 2, 3), new Uint8Array(bytes).fill(bytes % 251)]
    const { frame, data, topic } = frameMessage('mcp-swarm/a/b', first, rest)
    const rpc = RPC.encode({ subscriptions: [], messages: [{ topic, data: concatBytes(first, rest) }] })
    assert.equal(data, concatBytes(first, rest), `${bytes} bytes`)
    assert.equal(bodyOf(frame), new Uint8Array(rpc), `${bytes} bytes`)
    assert.equal(new FrameReader().take(frame), [frame], `${bytes} bytes`)
  }
})

test('a peer’s start loads nothing of gossipsub', async () => {
  const { metafile } = await build({
    entryPoints: ['transports/libp2p/node.ts'], bundle: true, splitting: true, write: false, metafile: true, outdir: '.tmp', format: 'esm',
    platform: 'node', conditions: ['mcp-swarm-source', 'node'], logLevel: 'error'
  })
  const atOnce = new Set<string>()
  const load = (path: string): void => {
    if (atOnce.has(path)) return
    atOnce.add(path)
    for (const { path: next, kind } of metafile.inputs[path]?.imports ?? []) if (kind !== 'dynamic-import') load(next)
  }
  load('transports/libp2p/node.ts')
  const isGossip = (path: string): boolean => /gossipsub|transports\/libp2p\/gossip/.test(path)
  assert.ok(atOnce.size > 100)
  assert.equal([...atOnce].filter(isGossip), [])
  assert.ok(Object.keys(metafile.inputs).some(isGossip))
})

test.run()
