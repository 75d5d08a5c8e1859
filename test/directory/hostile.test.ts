import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { SwarmError } from '../../lib/base/error.ts'
import { sealCatalogue } from '../../lib/directory/catalogue.ts'
import { WANTS_MAX } from '../../lib/directory/agenda.ts'
import { signRecord } from '../../lib/directory/record.ts'
import { DIRECTORY_LINE_BYTES_MAX, FOLLOWS_MAX, MARKS_MAX, TOLD_MAX } from '../../lib/directory/wire.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { Party } from './party.ts'
import { SWARM, agent, keyOf, recordOf, sealed, tool } from './sample.ts'

const mallory = keyOf(66)
const hash = 'h'.repeat(43)
const notes = sealed('write')
const record = (more: object = {}): string => signRecord(mallory, recordOf(mallory, { name: 'mallory', ...more }), SWARM)
const line = (value: unknown): string => JSON.stringify(value)

/** An exchange with mallory, whose lines the test writes. */
function face (limits: { peersMax?: number } = {}): { alice: Party, stream: ScriptedStream, say: (...lines: string[]) => void, end: () => Promise<Error | undefined> } {
  const alice = new Party(1, 'alice', new VirtualClock(), limits)
  alice.offer({ own: { tools: [tool('own')] } })
  const stream = new ScriptedStream()
  const exchange = alice.exchangeWith(mallory.peerId)
  exchange.run(stream)
  return {
    alice,
    stream,
    say: (...lines) => { stream.reader?.data(new TextEncoder().encode(lines.map(text => `${text}\n`).join(''))) },
    end: async () => await Promise.race([exchange.closed, settle(20).then(() => undefined)])
  }
}

for (const [name, lines, code] of [
  ['a line that is no JSON', ['GET / HTTP/1.1'], 'MALFORMED'],
  ['an empty line', [''], 'MALFORMED'],
  ['a list', ['[]'], 'MALFORMED'],
  ['a line over the limit', ['x'.repeat(DIRECTORY_LINE_BYTES_MAX + 1)], 'TOO_LARGE'],
  ['a record that is no text', [line({ record: {} })], 'MALFORMED'],
  ['a record over the limit', [line({ record: record() + ' '.repeat(2_048) })], 'RECORD_INVALID'],
  ['a record with a wrong signature', [line({ record: record().replace('mallory', 'alicia!') })], 'RECORD_INVALID'],
  ['a record for another swarm', [line({ record: signRecord(mallory, recordOf(mallory), 'z'.repeat(26)) })], 'RECORD_INVALID'],
  ['a valid record of a third peer', [line({ record: signRecord(keyOf(5), recordOf(keyOf(5)), SWARM) })], 'RECORD_INVALID'],
  ['a valid record of this very peer', [line({ record: signRecord(keyOf(1), recordOf(keyOf(1), { incarnation: 9 }), SWARM) })], 'RECORD_INVALID'],
  ['follows that are no list', [line({ record: record(), follows: hash })], 'MALFORMED'],
  ['more follows than a record can name', [line({ record: record(), follows: Array(FOLLOWS_MAX + 1).fill(hash) })], 'MALFORMED'],
  ['told that is no list', [line({ told: record() })], 'MALFORMED'],
  ['told without an age', [line({ told: [[record()]] })], 'MALFORMED'],
  ['told with an age below zero', [line({ told: [[record(), -1]] })], 'MALFORMED'],
  ['more told than a line may hold', [line({ told: Array(TOLD_MAX + 1).fill([record(), 0]) })], 'MALFORMED'],
  ['a told record with a wrong signature', [line({ told: [[record().replace('mallory', 'alicia!'), 0]] })], 'RECORD_INVALID'],
  ['marks that are none', [line({ have: ['x'] })], 'MALFORMED'],
  ['more marks than a line may hold', [line({ need: Array(MARKS_MAX + 1).fill('m'.repeat(11)) })], 'MALFORMED'],
  ['gone that names no state', [line({ gone: [[mallory.peerId, '1', 2]] })], 'MALFORMED'],
  ['a sum that is no digest', [line({ sum: [1, 'x'] })], 'MALFORMED'],
  ['sums of three parts', [line({ sums: ['0.0', '0.0', '0.0'] })], 'MALFORMED'],
  ['sums of too many parts', [line({ sums: Array(512).fill('0.0') })], 'MALFORMED'],
  ['marks of a part that is not there', [line({ marks: [1, { 2: [] }] })], 'MALFORMED'],
  ['marks of more parts than there are', [line({ marks: [9, {}] })], 'MALFORMED'],
  ['a ping without a count', [line({ ping: 'now' })], 'MALFORMED'],
  ['a want that is no hash', [line({ want: '../key' })], 'MALFORMED'],
  ['a newer record that is not ours', [line({ newer: record() })], 'RECORD_INVALID'],
  ['a newer record of ours with a wrong signature', [line({ newer: signRecord(keyOf(1), recordOf(keyOf(1)), SWARM).replace('alice', 'alina') })], 'RECORD_INVALID'],
  ['a catalogue without text', [line({ catalogue: notes.hash })], 'MALFORMED'],
  ['a catalogue that has another hash', [line({ record: record({ agents: [agent('a', notes.hash)] }) }), line({ catalogue: notes.hash, text: sealed('read').text })], 'MALFORMED'],
  ['a catalogue that is none', [line({ record: record({ agents: [agent('a', notes.hash)] }) }), line({ catalogue: notes.hash, text: '{}' })], 'MALFORMED'],
  ['a catalogue over the limit', [line({ record: record({ agents: [agent('a', notes.hash)] }) }), line({ catalogue: notes.hash, text: ' '.repeat(4 * 2 ** 20 + 1) })], 'TOO_LARGE'],
  ['a refusal of no hash', [line({ refused: 1 })], 'MALFORMED'],
  ['more questions than may wait', Array.from({ length: WANTS_MAX + 2 }, (_, index) => line({ want: String(index).padStart(43, '0') })), 'OVERLOADED']
] as const) {
  test(`${name} ends the stream with ${code}`, async () => {
    const { alice, stream, say, end } = face()
    if (code === 'OVERLOADED') {
      alice.offer({ big: { tools: [tool('big', 'd'.repeat(2 * 2 ** 20))] } })
      await settle()
      stream.full = true
      say(line({ want: alice.directory.own?.record.agents[0]?.catalogue }))
    }
    say(...lines)
    const error = await end()
    assert.instance(error, SwarmError)
    assert.is((error as SwarmError).code, code)
    assert.ok(stream.events.includes('abort'))
    assert.equal(alice.directory.find({}).map(({ peerName }) => peerName), ['alice'])
  })
}

test('a peer for whom there is no room is told by the end of its stream', async () => {
  const { say, end } = face({ peersMax: 1 })
  say(line({ record: record() }))
  assert.is((await end() as SwarmError).code, 'OVERLOADED')
})

test('what a later version may add is ignored, and so is what nobody asked for', async () => {
  const { alice, say, end } = face()
  say(line({ load: 3 }), line({}), line({ catalogue: notes.hash, text: notes.text }), line({ readable: notes.hash }), line({ refused: notes.hash }))
  assert.is(await end(), undefined)
  assert.not.ok(alice.directory.hasCatalogue(notes.hash))
  assert.equal(alice.kept, [])
  say(line({ record: record({ agents: [agent('a', notes.hash)] }), region: 'north' }), line({ catalogue: notes.hash, text: notes.text, later: 1 }))
  assert.equal(alice.tools, ['mallory write'])
})

test('a catalogue that no agent of ours has is refused', async () => {
  const { stream, say } = face()
  await settle()
  const before = stream.text.length
  say(line({ want: hash, held: true }))
  await settle()
  assert.equal(stream.text.slice(before).trim().split('\n'), [line({ refused: hash, code: 'UNAVAILABLE' })])
})

test('a refused catalogue that is not forbidden is asked for again later', async () => {
  const { alice, say, end } = face()
  say(line({ record: record({ agents: [agent('a', sealCatalogue({ tools: [] }).hash)] }) }), line({ refused: sealCatalogue({ tools: [] }).hash, code: 'NEW_CODE' }))
  assert.is(await end(), undefined)
  assert.equal(alice.directory.agents().map(({ peerName, available }) => [peerName, available]).sort(), [['alice', true], ['mallory', true]])
})

test('no line breaks the reader: it is taken, ignored or refused with a code', async () => {
  const seed = 9_001
  console.log(`hostile lines: seed ${seed}`)
  const members = fc.constantFrom('record', 'told', 'have', 'need', 'gone', 'sum', 'sums', 'marks', 'ping', 'pong', 'newer', 'want', 'catalogue', 'text', 'readable', 'refused', 'code', 'follows', 'held')
  const values = fc.oneof(fc.jsonValue(), fc.constantFrom(hash, record(), 'record', [1, 1], [1, '0.0'], ['0.0', '0.0'], [[record(), 0]], ['m'.repeat(11)], [[mallory.peerId, 1, 1]], [1, { 0: [] }], 7, notes.text, notes.hash))
  await fc.assert(fc.asyncProperty(fc.array(fc.dictionary(members, values, { maxKeys: 4 }), { maxLength: 5 }), async messages => {
    const { alice, say, end } = face()
    say(...messages.map(line))
    const error = await end()
    assert.ok(error === undefined || (error instanceof SwarmError && ['MALFORMED', 'RECORD_INVALID'].includes(error.code)), String(error))
    assert.equal(alice.directory.find({}).map(({ peerName }) => peerName), ['alice'])
  }), { seed, numRuns: 100 })
})

test.run()
