import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ALARMS_MAX, Alarms } from '../../crdt/alarm.ts'
import { EVIDENCE_BYTES_MAX, EVIDENCE_ENVELOPES_MAX, Evidence } from '../../crdt/evidence.ts'
import { HEARD_MAX, Heard } from '../../crdt/heard.ts'
import { Others, PEERS_MAX } from '../../crdt/others.ts'
import type { Content } from '../../crdt/update.ts'

const content = (client: number, from: number, to: number): Content => ({ bytes: 0, ranges: [{ client, from, to }], needs: [], deletes: [], structs: 1, twists: [], hasBetween: false })

test('an envelope is found by any clock that it says', () => {
  const evidence = new Evidence()
  const envelope = Uint8Array.of(1)
  evidence.keep(envelope, [content(1, 5, 8)])
  evidence.keep(Uint8Array.of(1), [content(1, 5, 8)])
  assert.is(evidence.bytes, 1, 'the same one is kept once')
  for (const [clock, found] of [[4, undefined], [5, envelope], [7, envelope], [8, undefined]] as const) assert.is(evidence.find({ client: 1, clock }), found)
  assert.is(evidence.find({ client: 2, clock: 5 }), undefined)
})

test('so many envelopes are kept, and so many bytes: the older ones go', () => {
  const many = new Evidence()
  for (let clock = 0; clock <= EVIDENCE_ENVELOPES_MAX; clock++) many.keep(Uint8Array.of(clock & 255, clock >> 8), [content(1, clock, clock + 1)])
  assert.is(many.find({ client: 1, clock: 0 }), undefined)
  assert.ok(many.find({ client: 1, clock: 1 }))
  assert.is(many.bytes, 2 * EVIDENCE_ENVELOPES_MAX)
  const large = new Evidence()
  for (let clock = 0; clock < 5; clock++) large.keep(new Uint8Array(EVIDENCE_BYTES_MAX / 4).fill(clock), [content(1, clock, clock + 1)])
  assert.is(large.bytes, EVIDENCE_BYTES_MAX)
  assert.is(large.find({ client: 1, clock: 0 }), undefined)
})

test('an alarm is told once, and again only with more evidence', () => {
  const alarms = new Alarms('doc')
  const fork = { client: 1, clock: 5 }
  assert.not(alarms.has(fork))
  assert.is(alarms.raise('bob', fork).length, 1)
  assert.ok(alarms.has(fork))
  assert.equal(alarms.raise('bob', fork), [])
  alarms.keep(Uint8Array.of(1), [content(1, 5, 6)])
  const theirs = Uint8Array.of(2)
  assert.equal(alarms.raise('eve', fork, theirs), [{ kind: 'alarm', alarm: { document: 'doc', ...fork, evidence: [Uint8Array.of(1), theirs], from: 'eve' } }])
  assert.equal(alarms.raise('eve', fork, theirs), [])
})

test('so many alarms are told; those get more evidence all the same', () => {
  const alarms = new Alarms('doc')
  for (let clock = 0; clock < ALARMS_MAX; clock++) assert.is(alarms.raise('bob', { client: 1, clock }).length, 1)
  assert.equal(alarms.raise('bob', { client: 2, clock: 0 }), [])
  assert.is(alarms.raise('bob', { client: 1, clock: 0 }, Uint8Array.of(1)).length, 1)
})

test('an envelope that was missed is noticed, by author and incarnation', () => {
  const heard = new Heard()
  const hear = (author: string, incarnation: number, sequence: number, previous: number): boolean => heard.hear({ author, incarnation, sequence, previous })
  assert.not(hear('a', 0, 3, 0))
  assert.not(hear('a', 0, 5, 3))
  assert.ok(hear('a', 0, 9, 7))
  assert.not(hear('a', 0, 7, 5), 'late, not lost')
  assert.not(hear('a', 0, 9, 7), 'twice')
  assert.ok(hear('a', 1, 4, 2), 'another incarnation')
})

test('so many authors are remembered, those last heard', () => {
  const heard = new Heard()
  for (let author = 0; author <= HEARD_MAX; author++) heard.hear({ author: `${author}`, incarnation: 0, sequence: 1, previous: 0 })
  assert.is(heard.count, HEARD_MAX)
  assert.not(heard.hear({ author: '1', incarnation: 0, sequence: 2, previous: 1 }))
  assert.ok(heard.hear({ author: '0', incarnation: 0, sequence: 2, previous: 1 }), 'the first was forgotten: better a pull too many')
})

test('so many peers are remembered, and what they agreed to only grows', () => {
  const others = new Others()
  others.agree('bob', 5)
  others.agree('bob', 3)
  others.learn('bob', new Map([[1, 2]]))
  assert.equal(others.find('bob'), { vector: new Map([[1, 2]]), agreed: 5, answered: undefined })
  for (let peer = 0; peer < PEERS_MAX; peer++) others.learn(`${peer}`, new Map())
  assert.is(others.count, PEERS_MAX)
  assert.is(others.find('bob'), undefined)
})

test.run()
