import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import {
  ADDRESSES_MAX, ADDRESS_CHARS_MAX, LABEL_CHARS_MAX, LEASE_MS_MAX, LEASE_MS_MIN, RECORD_BYTES_MAX, REMARK_CHARS_MAX, readRecord, signRecord,
  type PeerRecord
} from '../../lib/directory/record.ts'
import { SWARM, agent, keyOf, recordOf, sealed } from './sample.ts'

const alice = keyOf(1)
const { hash } = sealed('write')

const refusedFor = (reason: string) => (error: unknown): boolean =>
  error instanceof SwarmError && error.code === 'RECORD_INVALID' && error.details.reason === reason

/** Signs anything, right or wrong, as a hostile peer would. */
function forge (body: unknown, key = alice, swarmId = SWARM): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return `${toBase64Url(key.sign(utf8(`mcp-swarm record 1\n${swarmId}\n${text}`)))}.${text}`
}

test('a signed record is read back as it was', () => {
  const record = recordOf(alice, {
    agents: [
      agent('notes', hash, { role: 'processor', pool: 'notes', description: 'Keeps notes ✓', version: '1.2.0' }),
      agent('files', hash, { available: false, reason: 'starting' })
    ]
  })
  assert.equal(readRecord(signRecord(alice, record, SWARM), SWARM), record)
  const left = recordOf(alice, { sequence: 2, left: true, addresses: [] })
  assert.equal(readRecord(signRecord(alice, left, SWARM), SWARM), left)
})

test('members that version 1 does not know are ignored, under the signature', () => {
  const wire = forge({ ...recordOf(alice, { agents: [{ ...agent('a', hash), load: 3 } as never] }), region: 'north' })
  assert.equal(readRecord(wire, SWARM), recordOf(alice, { agents: [agent('a', hash)] }))
  assert.throws(() => readRecord(wire.replace('north', 'south'), SWARM), refusedFor('signature'))
})

test('a record is worth nothing in another swarm, under another key or for another peer', () => {
  const wire = signRecord(alice, recordOf(alice), SWARM)
  assert.throws(() => readRecord(wire, 'b'.repeat(26)), refusedFor('signature'))
  assert.throws(() => readRecord(forge(recordOf(alice), keyOf(2)), SWARM), refusedFor('signature'))
  assert.throws(() => readRecord(wire.replace(alice.peerId, keyOf(2).peerId), SWARM), refusedFor('signature'))
})

test('no changed character passes', () => {
  const wire = signRecord(alice, recordOf(alice, { agents: [agent('a', hash)] }), SWARM)
  fc.assert(fc.property(fc.nat(wire.length - 1), fc.integer({ min: 32, max: 126 }), (index, code) => {
    const changed = wire.slice(0, index) + String.fromCharCode(code) + wire.slice(index + 1)
    if (changed === wire) return
    assert.throws(() => readRecord(changed, SWARM), (error: unknown) => error instanceof SwarmError && error.code === 'RECORD_INVALID')
  }), { seed: 20_411, numRuns: 1_000 })
})

test('arbitrary texts are refused and never break the reader', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.object().map(value => forge(value))), text => {
    assert.throws(() => readRecord(text, SWARM), (error: unknown) => error instanceof SwarmError && error.code === 'RECORD_INVALID')
  }), { seed: 77, numRuns: 1_000 })
})

const base = recordOf(alice)
const one = (more: object): object => ({ ...base, agents: [{ ...agent('a', hash), ...more }] })
for (const [name, body, reason] of [
  ['a later version', { ...base, v: 2 }, 'version'],
  ['no version', { ...base, v: undefined }, 'version'],
  ['a text that is no JSON', '{"peerId":', 'format'],
  ['a list', [], 'format'],
  ['no peer id', { ...base, peerId: undefined }, 'format'],
  ['a peer id that is none', { ...base, peerId: '12D3KooWnobody' }, 'format'],
  ['no name', { ...base, name: undefined }, 'format'],
  ['an empty name', { ...base, name: '' }, 'format'],
  ['a name over the limit', { ...base, name: 'n'.repeat(LABEL_CHARS_MAX + 1) }, 'format'],
  ['a control character in the name', { ...base, name: 'al\u0007ice' }, 'format'],
  ['an incarnation that is no whole number', { ...base, incarnation: 1.5 }, 'format'],
  ['a negative sequence', { ...base, sequence: -1 }, 'format'],
  ['a sequence beyond what counts exactly', { ...base, sequence: 2 ** 53 }, 'format'],
  ['a lease too short', { ...base, leaseMs: LEASE_MS_MIN - 1 }, 'format'],
  ['a lease too long', { ...base, leaseMs: LEASE_MS_MAX + 1 }, 'format'],
  ['addresses that are no list', { ...base, addresses: '/ip4/127.0.0.1/tcp/1' }, 'format'],
  ['too many addresses', { ...base, addresses: Array<string>(ADDRESSES_MAX + 1).fill('/ip4/1.2.3.4/tcp/1') }, 'format'],
  ['an address that is no multiaddr', { ...base, addresses: ['localhost:80'] }, 'format'],
  ['an address over the limit', { ...base, addresses: ['/' + 'a'.repeat(ADDRESS_CHARS_MAX)] }, 'format'],
  ['agents that are no list', { ...base, agents: {} }, 'format'],
  ['an agent that is no object', { ...base, agents: [1] }, 'format'],
  ['two agents of one name', { ...base, agents: [agent('a', hash), agent('a', hash)] }, 'format'],
  ['an agent without availability', one({ available: undefined }), 'format'],
  ['an agent whose catalogue is no hash', one({ catalogue: '../../etc' }), 'format'],
  ['an agent with a pool that is no text', one({ pool: 1 }), 'format'],
  ['an agent with a description over the limit', one({ description: 'd'.repeat(REMARK_CHARS_MAX + 1) }), 'format'],
  ['left that is neither true nor false', { ...base, left: 'yes' }, 'format'],
  ['a record one byte over the limit', { ...base, padding: 'p'.repeat(RECORD_BYTES_MAX - 87 - JSON.stringify({ ...base, padding: '' }).length + 1) }, 'size']
] as const) {
  test(`refuses ${name}`, () => assert.throws(() => readRecord(forge(body), SWARM), refusedFor(reason)))
}

test('takes a record that just meets the limit of bytes, and counts them as UTF-8', () => {
  const room = RECORD_BYTES_MAX - 87 - JSON.stringify({ ...base, padding: '' }).length
  assert.is(readRecord(forge({ ...base, padding: 'p'.repeat(room) }), SWARM).name, 'alice')
  assert.throws(() => readRecord(forge({ ...base, padding: 'é'.repeat(room - 10) }), SWARM), refusedFor('size'))
})

const crowd = (count: number, more: object = {}): PeerRecord =>
  recordOf(alice, { agents: Array.from({ length: count }, (_, index) => agent(`agent-${1000 + index}`, hash, more)) })

test('too many agents for a record are refused at the owner, with the number that fits', () => {
  let fits = 0
  assert.throws(() => signRecord(alice, crowd(40), SWARM), (error: unknown) => {
    assert.instance(error, SwarmError)
    fits = Number((error as SwarmError).details.fits)
    return (error as SwarmError).code === 'TOO_LARGE' && (error as SwarmError).message.includes(`${RECORD_BYTES_MAX} bytes; ${fits} of them fit`)
  })
  assert.is(fits, 18)
  assert.is(readRecord(signRecord(alice, crowd(fits), SWARM), SWARM).agents.length, fits)
  assert.throws(() => signRecord(alice, crowd(fits + 1), SWARM), (error: unknown) => error instanceof SwarmError && error.details.fits === fits)
})

test('long remarks are shortened, then left out, before a record is refused', () => {
  const descriptionsOf = (count: number, description: string): (string | undefined)[] =>
    readRecord(signRecord(alice, crowd(count, { description }), SWARM), SWARM).agents.map(entry => entry.description)
  assert.equal(descriptionsOf(3, 'd'.repeat(300)), Array(3).fill('d'.repeat(300)))
  assert.equal(descriptionsOf(10, 'd'.repeat(300)), Array(10).fill('d'.repeat(39) + '…'))
  assert.equal(descriptionsOf(18, 'd'.repeat(300)), Array(18).fill(undefined))
  assert.equal(descriptionsOf(1, 'line\nline'), ['line line'])
})

test('an owner is told which member is at fault', () => {
  assert.throws(() => signRecord(alice, recordOf(alice, { name: 'n'.repeat(65) }), SWARM), /name is not 1 to 64/)
})

test.run()
