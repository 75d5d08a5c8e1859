import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { MENTION_MS } from '../../lib/directory/exchange.ts'
import { RECORDS_BURST, REPAIRS_BURST, RUMOURS_BURST } from '../../lib/directory/circle.ts'
import { EAGER_BURST, EAGER_MAX, FULL_MAX, NEEDED_MS, REPAIR_MS_MAX } from '../../lib/directory/hearsay.ts'
import { SUSPECT_MS, SUSPECT_MS_MORE, VERIFIED_MAX } from '../../lib/directory/suspicion.ts'
import { LEASE_MS, signRecord } from '../../lib/directory/record.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import type { PairedStream } from '../support/pair.ts'
import { Party, connect, linesOf } from './party.ts'
import { SWARM, keyOf, recordOf, sealed, signed, tool } from './sample.ts'

const tools = (...names: string[]): { tools: ReturnType<typeof tool>[] } => ({ tools: names.map(name => tool(name)) })
const line = (value: unknown): string => JSON.stringify(value)

/** Peers that have their record, and offer nothing. */
function crowd (count: number): { clock: VirtualClock, parties: Party[] } {
  const clock = new VirtualClock()
  const parties = Array.from({ length: count }, (_, index) => new Party(index + 1, `p${index}`, clock))
  for (const party of parties) party.offer({})
  return { clock, parties }
}

const known = (party: Party): number => party.directory.livingCount

/** Links each with those so many places further on, in a ring. */
function ring (parties: readonly Party[], steps: readonly number[]): PairedStream[] {
  return parties.flatMap((party, index) => steps.flatMap(step => connect(party, parties[(index + step) % parties.length] as Party).streams))
}

/** An exchange with mallory, whose lines the test writes. */
function face (alice: Party): { say: (...lines: unknown[]) => void, stream: ScriptedStream, closed: Promise<Error | undefined> } {
  const mallory = keyOf(666)
  const stream = new ScriptedStream()
  const exchange = alice.exchangeWith(mallory.peerId)
  exchange.run(stream)
  const say = (...lines: unknown[]): void => { stream.reader?.data(new TextEncoder().encode(lines.map(each => `${line(each)}\n`).join(''))) }
  say({ record: signed(mallory, { name: 'mallory' })[1] })
  return { say, stream, closed: exchange.closed }
}

test('who is linked with one knows whom that one is linked with', async () => {
  const { parties: [alice, bob, carol] } = crowd(3) as unknown as { parties: [Party, Party, Party] }
  carol.offer({ files: tools('list') })
  connect(bob, carol)
  await settle()
  connect(alice, bob)
  await settle(20)
  assert.equal(alice.tools, ['p2 list'], 'its catalogue too, which bob has')
  assert.equal(carol.directory.peers().map(({ name }) => name).sort(), ['p1', 'p2'], 'not yet: bob gathers marks')
})

test('what is new goes on, in full to a few and as a mark to the rest', async () => {
  const { clock, parties } = crowd(60)
  const streams = ring(parties, [1, 7, 20, 29])
  for (let turn = 0; turn < 60; turn++) await clock.advance(MENTION_MS)
  assert.equal([...new Set(parties.map(known))], [60])
  const before = streams.map(({ text }) => text.length)
  const [first] = parties as [Party]
  first.renew()
  for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
  for (const party of parties) assert.is(party.directory.record(first.key.peerId)?.record.sequence, 2)
  const said = streams.map((stream, index) => stream.text.slice(before[index])).join('')
  const bytes = first.directory.own?.wire.length ?? 0
  const each = said.length / parties.length
  assert.ok(each < (EAGER_MAX + 1.5) * (bytes + 40) + 8 * 30, `${each} characters each for a record of ${bytes}`)
  const again = said.length
  for (let turn = 0; turn < 20; turn++) await clock.advance(MENTION_MS)
  const rest = streams.map((stream, index) => stream.text.slice(before[index])).join('').length - again
  assert.ok(rest < 2_000, `${rest} characters after all had it`)
})

test('much that is new at once goes on as marks, so that each record comes about once', async () => {
  const { clock, parties } = crowd(40)
  const streams = ring(parties, [1, 7, 12, 19])
  for (let turn = 0; turn < 150; turn++) await clock.advance(MENTION_MS)
  assert.equal([...new Set(parties.map(known))], [40])
  const before = streams.map(({ text }) => text.length)
  for (const party of parties) party.renew()
  for (let turn = 0; turn < 20; turn++) await clock.advance(MENTION_MS)
  for (const party of parties) for (const { key } of parties) assert.is(party.directory.record(key.peerId)?.record.sequence, 2)
  const said = streams.map((stream, index) => stream.text.slice(before[index])).join('')
  const records = said.split('"peerId":').length - 1
  const [own, eager] = [8 * parties.length, EAGER_BURST * EAGER_MAX * parties.length]
  assert.ok(records < own + eager + 1.2 * parties.length ** 2, `${records} records, of ${parties.length} to as many`)
})

test('who has just come is told each record about once, however many neighbours it has', async () => {
  const { clock, parties } = crowd(6)
  const strangers = Array.from({ length: 300 }, (_, index) => signed(keyOf(1_000 + index), { name: `s${index}` }))
  for (const party of parties) for (const [record, wire] of strangers) party.directory.merge(record, wire, clock.nowMs())
  const newcomer = new Party(900, 'newcomer', clock)
  newcomer.offer({})
  const streams = parties.map(party => connect(newcomer, party).streams[1])
  await settle(40)
  assert.is(known(newcomer), 307)
  const told = streams.map(({ text }) => text.split('"peerId":').length - 1).reduce((sum, count) => sum + count)
  assert.ok(told <= 330, `${told} records for 306`)
})

test('what a neighbour does not tell before it ends is asked of another at once', async () => {
  const { clock, parties: [alice, bob] } = crowd(2) as unknown as { clock: VirtualClock, parties: [Party, Party] }
  const strangers = Array.from({ length: 50 }, (_, index) => signed(keyOf(1_000 + index), { name: `s${index}` }))
  for (const [record, wire] of strangers) bob.directory.merge(record, wire, clock.nowMs())
  const { say, stream } = face(alice)
  say({ have: strangers.map(([, wire]) => wire.slice(0, 11)) })
  await settle()
  assert.ok(linesOf(stream).includes('need'))
  connect(alice, bob)
  await settle(20)
  assert.is(known(alice), 3, 'mallory was asked')
  stream.abort(new SwarmError('CLOSED', 'killed'))
  await settle(20)
  assert.is(known(alice), 53)
  assert.ok(clock.nowMs() < NEEDED_MS)
})

test('in a swarm where all are linked with all, only marks go on', async () => {
  const { clock, parties } = crowd(6)
  const streams = ring(parties, [1, 2])
  for (const [index, party] of parties.slice(0, 3).entries()) streams.push(...connect(party, parties[index + 3] as Party).streams)
  for (let turn = 0; turn < 5; turn++) await clock.advance(MENTION_MS)
  assert.equal([...new Set(parties.map(known))], [6])
  const before = streams.map(({ text }) => text.length)
  parties[0]?.renew()
  for (let turn = 0; turn < 5; turn++) await clock.advance(MENTION_MS)
  const lines = streams.flatMap((stream, index) => linesOf({ text: stream.text.slice(before[index]) }))
  assert.equal([...new Set(lines)].sort(), ['have', 'record'])
})

test('what was missed is repaired within one round, and equal directories cost a line', async () => {
  const { clock, parties: [alice, bob] } = crowd(2) as unknown as { clock: VirtualClock, parties: [Party, Party] }
  const { streams } = connect(alice, bob)
  await settle()
  const strangers = Array.from({ length: 300 }, (_, index) => signed(keyOf(1_000 + index), { name: `s${index}` }))
  for (const [record, wire] of strangers) {
    alice.directory.merge(record, wire, clock.nowMs())
    bob.directory.merge(record, wire, clock.nowMs())
  }
  const before = streams[0].text.length + streams[1].text.length
  for (let second = 0; second < 60; second++) await clock.advance(1_000)
  const lines = linesOf({ text: streams[0].text + streams[1].text }).filter(kind => kind.startsWith('sum'))
  assert.ok(lines.length >= 4 && !lines.includes('sums'), lines.join(' '))
  const bytes = streams[0].text.length + streams[1].text.length - before
  assert.ok(bytes < 300, `${bytes} characters in a minute`)
  const [record, wire] = signed(keyOf(5_000), { name: 'missed' })
  alice.directory.merge(record, wire, clock.nowMs())
  const start = streams[0].text.length + streams[1].text.length
  for (let second = 0; second * 1_000 <= REPAIR_MS_MAX; second++) await clock.advance(1_000)
  assert.ok(bob.directory.isLiving(record.peerId))
  const cost = streams[0].text.length + streams[1].text.length - start - wire.length
  assert.ok(cost < 2_000, `${cost} characters to find one among 302`)
})

test('random directories become equal in one comparison', async () => {
  const seed = 9_911
  console.log(`directories: seed ${seed}`)
  const random = seededRandom(seed)
  for (let round = 0; round < 10; round++) {
    const { clock, parties: [alice, bob] } = crowd(2) as unknown as { clock: VirtualClock, parties: [Party, Party] }
    for (let index = 0; index < 60; index++) {
      for (const party of [alice, bob]) {
        if (random.next() < 0.3) continue
        const more = { name: `s${index}`, sequence: 1 + Math.floor(random.next() * 2), ...random.next() < 0.1 && { left: true } }
        party.directory.merge(...signed(keyOf(2_000 + index), more), clock.nowMs())
      }
    }
    connect(alice, bob)
    await settle(30)
    const living = (party: Party): unknown[] => party.directory.peers().map(({ peerId, sequence }) => [peerId, sequence])
    assert.equal(living(alice), living(bob))
  }
})

test('a lease that others tell of is over when it would have been there', async () => {
  const { clock, parties: [alice, bob, carol] } = crowd(3) as unknown as { clock: VirtualClock, parties: [Party, Party, Party] }
  const [record, wire] = signed(keyOf(77), { name: 'dave' })
  bob.directory.merge(record, wire, clock.nowMs())
  await clock.advance(LEASE_MS - 60_000)
  connect(alice, bob)
  await settle(20)
  assert.ok(alice.directory.isLiving(record.peerId))
  for (const party of [alice, bob]) party.directory.tick(clock.nowMs() + 61_000)
  assert.is(alice.directory.absence(record.peerId), 'expired')
  alice.directory.merge(record, wire, clock.nowMs())
  assert.is(alice.directory.absence(record.peerId), 'expired', 'telling it again makes it no longer')
  carol.directory.merge(record, wire, clock.nowMs(), { ageMs: LEASE_MS })
  assert.is(carol.directory.record(record.peerId), undefined)
})

test('a peer that is gone is out everywhere once it has had time to refute, and nobody could dial it', async () => {
  const { clock, parties } = crowd(5)
  const [alice, bob, carol, dave, erin] = parties as [Party, Party, Party, Party, Party]
  for (const [left, right] of [[alice, bob], [bob, carol], [carol, dave]] as const) connect(left, right)
  const { exchanges: [exchange], streams: [stream] } = connect(dave, erin)
  await settle(60)
  for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
  assert.equal(parties.map(known), [5, 5, 5, 5, 5])
  stream.abort(new SwarmError('CLOSED', 'killed'))
  await exchange.closed
  dave.directory.remove(erin.key.peerId, clock.nowMs())
  dave.hearsay.suspicion.lost(erin.key.peerId)
  await settle(60)
  assert.ok(alice.directory.isLiving(erin.key.peerId), 'not on hearsay alone')
  assert.equal(alice.dialled, [])
  await clock.advance(SUSPECT_MS + SUSPECT_MS_MORE)
  for (const party of [alice, bob, carol]) {
    assert.is(party.directory.absence(erin.key.peerId), 'unreachable')
    assert.equal(party.dialled, [erin.key.peerId])
  }
})

test('a peer that is falsely said to be gone refutes it, and was out nowhere', async () => {
  const { clock, parties } = crowd(4)
  const [alice, bob, carol, dave] = parties as [Party, Party, Party, Party]
  for (const [left, right] of [[alice, bob], [bob, carol], [carol, dave]] as const) connect(left, right)
  for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
  const { say } = face(alice)
  say({ gone: [[dave.key.peerId, 1, 1]] })
  for (let turn = 0; turn < 40; turn++) {
    await clock.advance(MENTION_MS)
    for (const party of [alice, bob, carol]) assert.ok(party.directory.isLiving(dave.key.peerId))
  }
  assert.is(dave.accusations, 1)
  assert.equal(parties.flatMap(({ dialled }) => dialled), [])
  assert.equal([alice, bob, carol].map(({ directory }) => directory.record(dave.key.peerId)?.record.sequence), [2, 2, 2])
  say({ gone: [[dave.key.peerId, 1, 1]] })
  for (let turn = 0; turn < 40; turn++) await clock.advance(MENTION_MS)
  assert.is(dave.accusations, 1, 'what was refuted is no longer passed on')
})

test('one that can be dialled is not taken out, and is told what is said of it', async () => {
  const { clock, parties: [alice, bob] } = crowd(2) as unknown as { clock: VirtualClock, parties: [Party, Party] }
  alice.directory.merge(...signed(bob.key, { name: 'bob' }), clock.nowMs())
  alice.dialable.add(bob.key.peerId)
  const { say } = face(alice)
  say({ gone: [[bob.key.peerId, 1, 1]] })
  await clock.advance(SUSPECT_MS + SUSPECT_MS_MORE)
  assert.equal(alice.dialled, [bob.key.peerId])
  assert.ok(alice.directory.isLiving(bob.key.peerId))
  connect(alice, bob)
  await settle(20)
  assert.is(bob.accusations, 1)
})

test('what one neighbour may say is bounded: of who is gone', async () => {
  const { clock, parties: [alice, bob] } = crowd(2) as unknown as { clock: VirtualClock, parties: [Party, Party] }
  const victims = Array.from({ length: RUMOURS_BURST + 50 }, (_, index) => signed(keyOf(3_000 + index)))
  for (const [record, wire] of victims) alice.directory.merge(record, wire, clock.nowMs())
  const { streams } = connect(bob, alice)
  await settle(30)
  const { say } = face(alice)
  const before = streams[1].text.length
  say({ gone: victims.map(([{ peerId }]) => [peerId, 1, 1]) })
  await settle(20)
  const passed = streams[1].text.slice(before).split('\n').filter(each => each.startsWith('{"gone"')).flatMap(each => (JSON.parse(each) as { gone: unknown[] }).gone)
  assert.is(passed.length, RUMOURS_BURST)
  await clock.advance(SUSPECT_MS + SUSPECT_MS_MORE)
  assert.ok(alice.dialled.length <= RUMOURS_BURST && VERIFIED_MAX < RUMOURS_BURST)
})

test('what one neighbour may say is bounded: comparisons', async () => {
  const { parties: [alice] } = crowd(1) as unknown as { parties: [Party] }
  const { say, stream } = face(alice)
  await settle()
  for (let count = 0; count < REPAIRS_BURST + 10; count++) {
    say({ sum: [9, '1.1'] })
    await settle(1)
  }
  await settle()
  assert.is(linesOf(stream).filter(kind => kind === 'sums').length, REPAIRS_BURST)
})

test('what one neighbour may say is bounded: records, also when it begins anew', async () => {
  const { parties: [alice] } = crowd(1) as unknown as { parties: [Party] }
  const { say, closed } = face(alice)
  // Of a lease that is over: it is held nowhere, so that alice checks it each time.
  const forged = Array.from({ length: 32 }, () => [signRecord(keyOf(4_000), recordOf(keyOf(4_000)), SWARM), LEASE_MS / 1_000])
  for (let count = 0; count < RECORDS_BURST / 32 + 1; count++) say({ told: forged })
  assert.is((await closed as SwarmError).code, 'OVERLOADED')
  const again = face(alice)
  again.say({ told: forged })
  assert.is((await again.closed as SwarmError).code, 'OVERLOADED')
})

test('a record that is held is not checked again, though its peer was gone', async () => {
  const { clock, parties: [alice] } = crowd(1) as unknown as { clock: VirtualClock, parties: [Party] }
  const [away, recalled] = [signed(keyOf(4_001)), signed(keyOf(4_002))]
  const damaged = recalled[1].replace(/^..../, start => start === 'AAAA' ? 'BBBB' : 'AAAA')
  alice.directory.merge(...away, clock.nowMs())
  alice.directory.remove(away[0].peerId, clock.nowMs())
  alice.directory.recall(recalled[0], damaged, clock.nowMs()) // as if the disk were wrong: nobody looks at its signature again
  const { say, closed } = face(alice)
  // Far more than may be checked.
  for (let count = 0; count < RECORDS_BURST / 32 + 1; count++) say({ told: Array.from({ length: 32 }, () => [away[1], 0]) })
  say({ told: [[damaged, 0]] })
  await settle()
  assert.ok(alice.directory.isLiving(recalled[0].peerId))
  say({ told: [[damaged.replace(/^./, 'C'), 0]] })
  assert.is((await closed as SwarmError).code, 'RECORD_INVALID')
})

test('a catalogue that only some may see is asked of its own peer alone, and passed on by nobody', async () => {
  const { clock, parties: [alice, bob, carol] } = crowd(3) as unknown as { clock: VirtualClock, parties: [Party, Party, Party] }
  carol.offer({ vault: tools('open') }, {}, { restricted: true })
  connect(bob, carol)
  await settle(20)
  assert.equal(bob.tools, ['p2 open'])
  const { streams } = connect(alice, bob)
  for (let turn = 0; turn < 20; turn++) await clock.advance(MENTION_MS)
  assert.ok(alice.directory.isLiving(carol.key.peerId))
  assert.equal(alice.tools, [])
  assert.not.ok(linesOf(streams[0]).includes('want'))
  const { hash } = sealed('open')
  const { say, stream } = face(bob)
  // Naming it as one's own, for everyone, opens it no further.
  say({ told: [[signed(keyOf(70), { agents: [{ name: 'thief', catalogue: hash, available: true }] })[1], 0]] }, { want: hash })
  await settle()
  assert.ok(stream.text.includes(line({ refused: hash, code: 'UNAVAILABLE' })))
  assert.not.ok(linesOf(stream).includes('catalogue'))
})

test('one text serves for all peers that have the same server', async () => {
  const { clock, parties } = crowd(FULL_MAX + 4)
  for (const party of parties) party.offer({ files: tools('list') })
  const [first, last] = [parties[0] as Party, parties.at(-1) as Party]
  for (const party of parties.slice(1, -1)) connect(first, party)
  for (let turn = 0; turn < 20; turn++) await clock.advance(MENTION_MS)
  const newcomer = new Party(900, 'newcomer', clock)
  newcomer.offer({})
  const { streams } = connect(newcomer, first)
  for (let turn = 0; turn < 20; turn++) await clock.advance(MENTION_MS)
  assert.is(newcomer.tools.length, parties.length - 1)
  assert.is(linesOf(streams[1]).filter(kind => kind === 'catalogue').length, 1)
  connect(last, newcomer)
  await settle(20)
  assert.is(newcomer.tools.length, parties.length)
})

test.run()
