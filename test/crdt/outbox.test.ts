import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ENVELOPE_BYTES_MAX, ENVELOPE_UPDATES_MAX, LENGTH_BYTES, PAYLOAD_BYTES_MAX, readEnvelope } from '../../crdt/envelope.ts'
import { OUTBOX_BYTES_MAX, OUTBOX_UPDATES_MAX, Outbox } from '../../crdt/outbox.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'

const signer = generateKey(seededRandom(1))
const outbox = (sequence = 0): Outbox => new Outbox(signer, 'swarm', '00112233445566778899aabbccddeeff', sequence)
const update = (number: number, bytes = 2): Uint8Array => new Uint8Array(bytes).fill(number)

/** What the next envelope says, if there is one; gossip takes it at once. */
function sealed (box: Outbox, durable: number): { sequence: number, previous: number, incarnation: number, updates: number[] } | undefined {
  const out = box.seal(durable)
  if (out === undefined) return undefined
  box.isBusy = false
  assert.ok(out.envelope.byteLength <= ENVELOPE_BYTES_MAX)
  const { sequence, previous, incarnation, updates } = readEnvelope(out.envelope, 'swarm')
  assert.is(sequence, out.seq)
  return { sequence, previous, incarnation, updates: updates.map(([first]) => first ?? 0) }
}

test('only what is on disk goes out, together, and names what went before', () => {
  const box = outbox(10)
  for (const seq of [11, 12, 14]) box.add(seq, update(seq), 3)
  assert.is(box.seal(10), undefined)
  assert.equal(sealed(box, 13), { sequence: 12, previous: 10, incarnation: 3, updates: [11, 12] })
  assert.equal(sealed(box, 14), { sequence: 14, previous: 12, incarnation: 3, updates: [14] })
  assert.is(box.seal(99), undefined)
})

test('one envelope is under way at a time', () => {
  const box = outbox()
  box.add(1, update(1), 0)
  assert.ok(box.seal(1))
  box.add(2, update(2), 0)
  assert.is(box.seal(2), undefined)
  box.isBusy = false
  assert.ok(box.seal(2))
})

test('an envelope is of one incarnation', () => {
  const box = outbox()
  box.add(1, update(1), 0)
  box.add(2, update(2), 1)
  assert.equal([sealed(box, 2)?.incarnation, sealed(box, 2)?.incarnation], [0, 1])
})

test('what no envelope can hold is told by a notice, in its order', () => {
  const box = outbox()
  box.add(1, update(1), 0)
  box.add(2, update(2, PAYLOAD_BYTES_MAX - LENGTH_BYTES + 1), 0)
  box.add(3, undefined, 0)
  box.add(4, update(4), 0)
  assert.equal([sealed(box, 4), sealed(box, 4), sealed(box, 4)].map(out => out?.updates), [[1], [], [4]])
  const full = outbox()
  full.add(1, update(1, PAYLOAD_BYTES_MAX - LENGTH_BYTES), 0)
  assert.equal(sealed(full, 1)?.updates, [1])
})

test('an envelope takes so many updates, and so many bytes', () => {
  const box = outbox()
  for (let seq = 1; seq <= ENVELOPE_UPDATES_MAX + 1; seq++) box.add(seq, update(1), 0)
  assert.equal([sealed(box, 9_999)?.updates.length, sealed(box, 9_999)?.updates.length], [ENVELOPE_UPDATES_MAX, 1])
  for (let seq = 1_001; seq <= 1_004; seq++) box.add(seq, update(1, 20_000), 0)
  assert.equal([sealed(box, 9_999)?.updates.length, sealed(box, 9_999)?.updates.length], [3, 1])
})

test('so many updates wait, and so many bytes; past that all of them become one notice', () => {
  const many = outbox()
  for (let seq = 1; seq <= OUTBOX_UPDATES_MAX; seq++) many.add(seq, update(1), 0)
  assert.is(many.count, OUTBOX_UPDATES_MAX)
  many.add(OUTBOX_UPDATES_MAX + 1, update(1), 0)
  assert.is(many.count, 1)
  assert.equal(sealed(many, 9_999), { sequence: OUTBOX_UPDATES_MAX + 1, previous: 0, incarnation: 0, updates: [] })
  const large = outbox()
  const bytes = OUTBOX_BYTES_MAX / 32
  for (let seq = 1; seq <= 32; seq++) large.add(seq, update(1, bytes), 0)
  assert.is(large.count, 32)
  large.add(33, update(1, 1), 0)
  assert.equal(sealed(large, 33)?.updates, [])
})

test('what is signed ahead leaves when all of it is on disk, and what came later with the next', () => {
  const box = outbox(10)
  assert.is(box.prepare(), undefined)
  for (const seq of [11, 12]) box.add(seq, update(seq), 0)
  assert.equal(box.prepare()?.updates, [update(11), update(12)])
  assert.is(box.prepare(), undefined, 'one at a time')
  box.add(13, update(13), 0)
  assert.is(box.seal(11), undefined)
  const first = box.seal(13)
  assert.equal([first?.seq, first?.isNew], [12, false])
  assert.is(box.prepare(), undefined, 'one is under way')
  box.isBusy = false
  assert.equal(sealed(box, 13), { sequence: 13, previous: 12, incarnation: 0, updates: [13] })
})

test('what was signed ahead is not shown either once it must not be', () => {
  const box = outbox()
  box.add(1, update(1), 7)
  box.prepare()
  box.collapse()
  assert.equal(sealed(box, 1), { sequence: 1, previous: 0, incarnation: 7, updates: [] })
  box.add(2, update(2), 7)
  box.prepare()
  box.add(3, update(3), 8)
  box.collapse()
  assert.equal(sealed(box, 3), { sequence: 3, previous: 1, incarnation: 8, updates: [] })
})

test('what is not to be shown any more collapses into a notice', () => {
  const box = outbox()
  box.collapse()
  assert.is(box.seal(9), undefined)
  for (const seq of [1, 2]) box.add(seq, update(seq), 0)
  box.collapse()
  assert.equal(sealed(box, 2), { sequence: 2, previous: 0, incarnation: 0, updates: [] })
})

test.run()
