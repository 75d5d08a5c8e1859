import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import type { Digest } from '../../crdt/digest.ts'
import { COMPARED_MAX, type Compare } from '../../crdt/message.ts'
import { DigestTree, LIST_MAX } from '../../crdt/tree.ts'

const seed = Math.floor(Math.random() * 2 ** 32)
const random = seededRandom(seed)
const newKey = (): string => Buffer.from(random.bytes(16)).toString('hex')
const digestOf = (number: number): Digest => ({ shape: new Uint8Array(16).fill(number & 255), content: new Uint8Array(16).fill(number >> 8) })

/** Two trees talk until nobody answers: what either found to differ, and how much was said. */
function exchange (left: DigestTree, right: DigestTree): { differing: Set<string>, messages: number, hashes: number } {
  const differing = new Set<string>()
  let [messages, hashes, turn] = [1, 0, 0]
  for (let message: Compare | undefined = left.begin(); message !== undefined;) {
    const { answer, differing: found } = (turn++ % 2 === 0 ? right : left).compare(message)
    for (const key of found) differing.add(key)
    if (answer !== undefined) {
      messages++
      const said = answer.nodes.length + answer.lists.reduce((sum, { leaves }) => sum + leaves.length, 0)
      assert.ok(said + answer.lists.length <= COMPARED_MAX, `seed ${seed}: ${said}`)
      hashes += said
    }
    message = answer
  }
  return { differing, messages, hashes }
}

for (const count of [1, 2, LIST_MAX, LIST_MAX + 1, 1_000, 10_000]) {
  test(`finds what differs among ${count} documents, and little else is said`, () => {
    const [left, right] = [new DigestTree(), new DigestTree()]
    const keys = Array.from({ length: count }, newKey)
    for (const key of keys) left.set(key, digestOf(1))
    for (const key of [...keys].reverse()) right.set(key, digestOf(1))
    assert.equal([left.size, right.size], [count, count])
    assert.equal(exchange(left, right), { differing: new Set(), messages: 1, hashes: 0 })
    const changed = keys.slice(0, 3)
    for (const key of changed) right.set(key, digestOf(2))
    const { differing, messages, hashes } = exchange(left, right)
    assert.equal(differing, new Set(changed), `seed ${seed}`)
    assert.ok(messages <= 6 && hashes <= 16 * 5 * 3 + 3 * (LIST_MAX + 1), `seed ${seed}: ${messages} messages, ${hashes} hashes`)
  })
}

test('documents that one of both has are not asked for', () => {
  const [left, right] = [new DigestTree(), new DigestTree()]
  const shared = Array.from({ length: 100 }, newKey)
  for (const key of shared) for (const tree of [left, right]) tree.set(key, digestOf(1))
  for (let count = 0; count < 100; count++) left.set(newKey(), digestOf(1))
  right.set(shared[0] as string, digestOf(2))
  assert.equal(exchange(left, right).differing, new Set([shared[0]]))
  assert.equal(exchange(new DigestTree(), right).differing, new Set())
})

test('with more differences than one message holds, rounds find all of them', () => {
  const [left, right] = [new DigestTree(), new DigestTree()]
  const keys = Array.from({ length: 3 * COMPARED_MAX }, newKey)
  for (const key of keys) left.set(key, digestOf(1))
  for (const key of keys) right.set(key, digestOf(2))
  const found = new Set<string>()
  for (let round = 0; round < 20 && found.size < keys.length; round++) {
    const { differing } = exchange(left, right)
    assert.ok(differing.size > 0, `seed ${seed}, round ${round}: ${found.size} found`)
    for (const key of differing) {
      found.add(key)
      right.set(key, digestOf(1))
    }
  }
  assert.is(found.size, keys.length, `seed ${seed}`)
})

test('however it came to be, a tree of the same documents has the same hash', () => {
  const [tree, other] = [new DigestTree(), new DigestTree()]
  const held = new Map<string, Digest>()
  // Keys that begin alike, so that branches part late.
  const keys = Array.from({ length: 40 }, (_, index) => `${'0'.repeat(index % 5)}${newKey()}`.slice(0, 32))
  for (let step = 0; step < 500; step++) {
    const key = keys[Math.floor(random.next() * keys.length)] as string
    if (random.next() < 0.4) {
      tree.delete(key)
      held.delete(key)
    } else {
      const digest = digestOf(Math.floor(random.next() * 4))
      tree.set(key, digest)
      held.set(key, digest)
    }
  }
  for (const [key, digest] of held) other.set(key, digest)
  assert.is(tree.size, held.size)
  assert.equal(tree.begin(), other.begin(), `seed ${seed}`)
})

test('whatever is asked, the answer is bounded', () => {
  const tree = new DigestTree()
  for (let count = 0; count < 2_000; count++) tree.set(newKey(), digestOf(1))
  // The same parts again and again, with hashes that fit nothing.
  const nodes = Array.from({ length: COMPARED_MAX }, (_, index) => ({ prefix: ['', '0', 'a0', 'ff'][index % 4] ?? '', hash: new Uint8Array(16) }))
  const { answer } = tree.compare({ kind: 'compare', nodes, lists: [] })
  assert.ok(answer !== undefined)
  assert.ok(answer.nodes.length + answer.lists.length + answer.lists.reduce((sum, { leaves }) => sum + leaves.length, 0) <= COMPARED_MAX)
})

test.run()
