import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { INCARNATIONS, clientOf, freshIncarnation } from '../../crdt/author.ts'
import { ENVELOPE_BYTES_MAX, ENVELOPE_UPDATES_MAX, LENGTH_BYTES, PAYLOAD_BYTES_MAX, readEnvelope, signEnvelope } from '../../crdt/envelope.ts'

const key = generateKey(seededRandom(1))
const document = '00112233445566778899aabbccddeeff'
const plain = { document, incarnation: 7, sequence: 12, previous: 9, keyId: 0, updates: [Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)] }
const signed = signEnvelope(key, 'swarm', plain)

const fails = (code: ErrorCode) => (error: unknown): boolean => error instanceof SwarmError && error.code === code

test('is read as it was signed', () => {
  assert.equal(readEnvelope(signed, 'swarm'), { ...plain, author: key.peerId, publicKey: key.publicKey })
})

test('is worth nothing in another swarm', () => {
  assert.throws(() => readEnvelope(signed, 'another'), fails('RECORD_INVALID'))
})

test('no bit of it can be changed', () => {
  for (let bit = 0; bit < 8 * signed.byteLength; bit++) {
    const changed = Uint8Array.from(signed)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.throws(() => readEnvelope(changed, 'swarm'), (error: unknown) => error instanceof SwarmError)
  }
})

test('of no length but its own', () => {
  for (let length = 0; length < signed.byteLength; length++) assert.throws(() => readEnvelope(signed.subarray(0, length), 'swarm'), (error: unknown) => error instanceof SwarmError)
  assert.throws(() => readEnvelope(Uint8Array.from([...signed, 0]), 'swarm'), fails('MALFORMED'))
})

test('of another version is told apart', () => {
  const later = Uint8Array.from(signed)
  later[0] = 2
  assert.throws(() => readEnvelope(later, 'swarm'), fails('VERSION_UNSUPPORTED'))
})

test('must follow the one before it', () => {
  assert.throws(() => readEnvelope(signEnvelope(key, 'swarm', { ...plain, previous: 12 }), 'swarm'), fails('MALFORMED'))
})

test('over its limit is refused before anything is read', () => {
  assert.throws(() => readEnvelope(new Uint8Array(ENVELOPE_BYTES_MAX + 1), 'swarm'), fails('TOO_LARGE'))
})

test('takes as many bytes, and as many updates, as is said', () => {
  const full = { ...plain, incarnation: INCARNATIONS - 1, sequence: Number.MAX_SAFE_INTEGER, previous: Number.MAX_SAFE_INTEGER - 1, keyId: Number.MAX_SAFE_INTEGER }
  const one = signEnvelope(key, 'swarm', { ...full, updates: [new Uint8Array(PAYLOAD_BYTES_MAX - LENGTH_BYTES)] })
  assert.ok(one.byteLength <= ENVELOPE_BYTES_MAX)
  readEnvelope(one, 'swarm')
  const many = signEnvelope(key, 'swarm', { ...plain, updates: Array.from({ length: ENVELOPE_UPDATES_MAX }, () => Uint8Array.of(0, 0)) })
  assert.is(readEnvelope(many, 'swarm').updates.length, ENVELOPE_UPDATES_MAX)
  assert.throws(() => signEnvelope(key, 'swarm', { ...plain, updates: Array.from({ length: ENVELOPE_UPDATES_MAX + 1 }, () => Uint8Array.of(0, 0)) }), /bug/)
})

test('a clientID is of one document, one author and one incarnation', () => {
  const bytes = new Uint8Array(16)
  const client = clientOf(bytes, key.publicKey, 0)
  assert.is(clientOf(bytes, key.publicKey, 0), client)
  assert.not.equal(clientOf(bytes, key.publicKey, 1), client)
  assert.not.equal(clientOf(bytes.map(() => 1), key.publicKey, 0), client)
  assert.not.equal(clientOf(bytes, generateKey(seededRandom(2)).publicKey, 0), client)
  assert.ok(client > 0 && client < 2 ** 32)
  assert.throws(() => clientOf(bytes, key.publicKey, INCARNATIONS), /bug/)
})

test('a fresh incarnation has written nothing that is known', () => {
  const bytes = new Uint8Array(16)
  const used = new Set<number>()
  // Always the same draw: those taken have to be stepped over.
  const stuck = { next: () => 0.999999, bytes: (count: number) => new Uint8Array(count) }
  for (let count = 0; count < 50; count++) {
    const client = clientOf(bytes, key.publicKey, freshIncarnation(bytes, key.publicKey, client => used.has(client) ? 1 : 0, stuck))
    assert.not(used.has(client))
    used.add(client)
  }
})

test.run()
