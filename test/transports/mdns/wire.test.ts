import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { concatBytes } from '../../../lib/base/bytes.ts'
import { seededRandom } from '../../../lib/base/random.ts'
import { KNOWN_MAX, PACKET_BYTES_MAX, SEALED_BYTES_MAX, readMessage, writeAnswer, writeQuestion } from '../../../transports/mdns/wire.ts'

const TAG = 'abcdefghijklmnopqrstuvwxy2'
const labelOf = (index: number): string => index.toString(16).padStart(16, '0')
const known = Array.from({ length: KNOWN_MAX + 10 }, (_, index) => ({ label: labelOf(index), ttlS: 100 + index }))

test('what is asked and answered is read as it was written, and fits a packet', () => {
  for (const count of [0, 1, KNOWN_MAX]) {
    const bytes = writeQuestion(TAG, known.slice(0, count))
    assert.ok(bytes.byteLength <= PACKET_BYTES_MAX, `${bytes.byteLength} bytes`)
    assert.equal(readMessage(bytes, TAG), { kind: 'question', known: known.slice(0, count) })
  }
  assert.equal(readMessage(writeQuestion(TAG, known), TAG), { kind: 'question', known: known.slice(0, KNOWN_MAX) })
  for (const length of [0, 1, 254, 255, 256, 510, SEALED_BYTES_MAX]) {
    const sealed = seededRandom(length).bytes(length)
    const bytes = writeAnswer(TAG, labelOf(7), 120, sealed)
    assert.ok(bytes.byteLength <= PACKET_BYTES_MAX, `${bytes.byteLength} bytes`)
    assert.equal(readMessage(bytes, TAG), { kind: 'answer', answers: [{ label: labelOf(7), ttlS: 120, sealed }] })
  }
})

test('a packet for another swarm, and one that asks for something else, is none', () => {
  assert.is(readMessage(writeQuestion(TAG, []), TAG.replace('2', '3')), undefined)
  const other = writeQuestion(TAG, [])
  other[other.length - 3] = 16 // asks for TXT
  assert.is(readMessage(other, TAG), undefined)
  const shouting = Uint8Array.from(writeQuestion(TAG, []), byte => byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte)
  assert.is(readMessage(shouting, TAG), undefined, 'the tag is looked for as it is written')
})

test('names that other software has written differently are understood', () => {
  // The same answer without any pointer, additional records after it, and a service name in capitals.
  const name = (...labels: string[]): Uint8Array => concatBytes(...labels.map(label => Uint8Array.from([label.length, ...Buffer.from(label)])), Uint8Array.of(0))
  const record = (owner: Uint8Array, type: number, data: Uint8Array): Uint8Array => concatBytes(owner, Uint8Array.of(0, type, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255), data)
  const instance = name(labelOf(9), '_MCP-swarm', '_udp', 'local')
  const bytes = concatBytes(
    Uint8Array.of(0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 2),
    record(name(`_${TAG}`, '_sub', '_mcp-swarm', '_udp', 'local'), 12, instance),
    record(name('printer', 'local'), 1, Uint8Array.of(10, 0, 0, 1)),
    record(instance, 16, Uint8Array.of(2, 8, 9))
  )
  assert.equal(readMessage(bytes, TAG), { kind: 'answer', answers: [{ label: labelOf(9), ttlS: 60, sealed: Uint8Array.of(8, 9) }] })
})

test('a name that points at itself, forwards or in a circle, and counts that lie, are dropped at once', () => {
  const question = writeQuestion(TAG, known.slice(0, 2))
  for (const target of [0, 12, 60, 200, 0x3fff]) {
    const bytes = writeQuestion(TAG, known.slice(0, 2))
    bytes.set([0xc0 | target >> 8, target & 255], question.length - 2)
    assert.not.throws(() => readMessage(bytes, TAG))
  }
  const lying = writeQuestion(TAG, [])
  lying.set([0xff, 0xff], 6)
  assert.is(readMessage(lying, TAG), undefined)
})

test('no bytes whatever make it throw, and what is cut short is nothing', () => {
  const seed = Number(process.env['SEED'] ?? 1101)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const whole = [writeQuestion(TAG, known.slice(0, 5)), writeAnswer(TAG, labelOf(3), 120, random.bytes(300))]
  for (const bytes of whole) for (let length = 0; length < bytes.length; length++) assert.is(readMessage(bytes.subarray(0, length), TAG), undefined, `cut at ${length}`)
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from(whole[round % 2] as Uint8Array)
    for (let changes = 1 + Math.floor(random.next() * 4); changes > 0; changes--) bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256)
    assert.not.throws(() => readMessage(bytes, TAG))
  }
})

test.run()
