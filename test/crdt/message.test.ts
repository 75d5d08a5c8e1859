import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Writer } from '../../crdt/cursor.ts'
import { ENVELOPE_BYTES_MAX } from '../../crdt/envelope.ts'
import { COMPARED_MAX, VECTOR_BYTES_MAX, readMessage, writeMessage, type Message } from '../../crdt/message.ts'
import { mutate } from '../../lib/simulate/hostile.ts'

const key = '00112233445566778899aabbccddeeff'
const digest = { shape: new Uint8Array(16).fill(1), content: new Uint8Array(16).fill(2) }
const [vector, update] = [Uint8Array.of(1, 5, 7), Uint8Array.of(0, 0)]

const malformed = (error: unknown): boolean => error instanceof SwarmError && error.code === 'MALFORMED'

const MESSAGES: readonly Message[] = [
  { kind: 'compare', nodes: [{ prefix: '', hash: digest.shape }, { prefix: '0a', hash: digest.content }], lists: [{ prefix: 'f', leaves: [{ key, digest }] }, { prefix: key, leaves: [] }] },
  { kind: 'want', key, vector, digest, mark: 2 ** 40 },
  { kind: 'have', key, vector, digest, mark: 3, hop: 2, update },
  { kind: 'got', key, digest, mark: 0 },
  { kind: 'state', key, digest, hop: 0, update },
  { kind: 'prove', key, client: 4_000_000_000, clock: 9 },
  { kind: 'proof', key, client: 1, clock: 2, envelope: Uint8Array.of(1) }
]

for (const message of MESSAGES) {
  const bytes = writeMessage(message)
  test(`${message.kind} is read as it was written`, () => {
    assert.equal(readMessage(bytes), message)
  })
  test(`${message.kind} of any other length is refused`, () => {
    for (let length = 0; length < bytes.byteLength; length++) assert.throws(() => readMessage(bytes.subarray(0, length)), malformed)
    assert.throws(() => readMessage(Uint8Array.from([...bytes, 0])), malformed)
  })
}

const head = (kind: number): Writer => new Writer().byte(1).byte(kind)

for (const [name, bytes] of [
  ['another version', new Writer().byte(2).byte(1).bytes()],
  ['no known kind', head(7).bytes()],
  ['more nodes than may be', head(0).count(COMPARED_MAX + 1).bytes()],
  ['more lists than may be beside its nodes', head(0).count(1).text('').put(digest.shape).count(COMPARED_MAX).bytes()],
  ['a part of the tree in capital letters', head(0).count(1).text('A').put(digest.shape).count(0).bytes()],
  ['a part of the tree deeper than a key', head(0).count(1).text(`${key}0`).put(digest.shape).count(0).bytes()],
  ['a vector over its limit', head(1).put(new Uint8Array(16)).count(VECTOR_BYTES_MAX + 1).bytes()],
  ['an envelope over its limit', head(6).put(new Uint8Array(16)).count(1).count(1).count(ENVELOPE_BYTES_MAX + 1).bytes()]
] as const) {
  test(`refuses ${name}`, () => {
    assert.throws(() => readMessage(bytes), malformed)
  })
}

test('takes as much of a comparison as is allowed', () => {
  const nodes = Array.from({ length: COMPARED_MAX }, () => ({ prefix: '0', hash: digest.shape }))
  assert.equal(readMessage(writeMessage({ kind: 'compare', nodes, lists: [] })), { kind: 'compare', nodes, lists: [] })
})

test('of mutated messages each is read or refused', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  for (let count = 0; count < 5_000; count++) {
    const mutant = mutate(writeMessage(MESSAGES[count % MESSAGES.length] as Message), random)
    try {
      readMessage(mutant)
    } catch (error) {
      assert.ok(malformed(error), `seed ${seed}, mutant ${count}: ${String(error)}`)
    }
  }
})

test.run()
