// bound: 240 s, a load
/** A member gone bad, who makes peers up and tells of them. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MENTION_MS } from '../../lib/directory/exchange.ts'
import { GRACE_MS, PEERS_MAX, SHOWN_MIN, UNPROVEN_MAX } from '../../lib/directory/places.ts'
import { LEASE_MS, LEASE_MS_MAX, type PeerRecord } from '../../lib/directory/record.ts'
import { TOLD_MAX } from '../../lib/directory/wire.ts'
import type { PrivateKey } from '../../lib/identity/key.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { Party, connect } from './party.ts'
import { grantOf, keyOf, signed, someKey } from './sample.ts'

const mallory = keyOf(666)

type Signed = readonly [PeerRecord, string]

const madeUp = (key: PrivateKey = someKey(), more: Partial<PeerRecord> = {}): Signed => signed(key, { name: 'nobody', leaseMs: LEASE_MS_MAX, ...more })

/** An exchange of mallory, who was let in, with a peer; the test writes its lines. */
function link (party: Party): { tell: (records: readonly Signed[]) => void, end: () => void } {
  const stream = new ScriptedStream()
  const exchange = party.exchangeWith(mallory.peerId)
  exchange.run(stream)
  const say = (line: object): void => { stream.reader?.data(new TextEncoder().encode(`${JSON.stringify(line)}\n`)) }
  say({ record: signed(mallory, { name: 'mallory', grant: grantOf(mallory) })[1] })
  return {
    tell: records => {
      for (let start = 0; start < records.length; start += TOLD_MAX) say({ told: records.slice(start, start + TOLD_MAX).map(([, wire]) => [wire, 0]) })
    },
    end: () => { stream.abort(new Error('gone')) }
  }
}

test(`one who tells of twice as many as there is room for (${PEERS_MAX}) keeps nobody out, and what it made up goes`, async () => {
  const clock = new VirtualClock()
  const [alice, bob] = [new Party(1, 'alice', clock), new Party(2, 'bob', clock)]
  for (const party of [alice, bob]) party.offer({})
  const honest = Array.from({ length: 60 }, (_, index) => keyOf(1_000 + index))
  let sequence = 1
  const speak = (keys: readonly ReturnType<typeof keyOf>[], more: (key: ReturnType<typeof keyOf>) => Partial<PeerRecord> = () => ({})): void => {
    sequence++
    for (const key of keys) {
      const [record, wire] = signed(key, { sequence, ...more(key) })
      bob.directory.merge(record, wire, clock.nowMs(), { isProven: true }) // bob is linked with them
      bob.hearsay.spread(record.peerId)
    }
  }
  connect(alice, bob)
  speak(honest)
  await settle(20)
  await clock.advance(MENTION_MS)
  const known = (keys = honest): number => keys.filter(({ peerId }) => alice.directory.isLiving(peerId)).length
  const nobodies = (options = {}): number => alice.directory.peers(options).filter(({ name }) => name === 'nobody').length
  assert.equal([known(), nobodies()], [60, 0])
  const { tell, end } = link(alice)
  let count = 0
  const flood = async (upTo: number): Promise<void> => {
    while (count < upTo) {
      tell(Array.from({ length: 500 }, () => madeUp()))
      count += 500
      await settle(2)
      assert.is(known(), 60, `after ${count}`)
    }
  }
  await flood(SHOWN_MIN)
  assert.ok(alice.directory.isCrowded)
  alice.tick()
  assert.ok(alice.directory.own?.record.grant !== undefined, 'alice shows her grant')
  await flood(2 * PEERS_MAX)
  assert.is(alice.directory.livingCount, PEERS_MAX)
  assert.is(alice.exchanges.length, 2, 'what there is no room for is not even checked')
  // The honest have seen it too, as bob has.
  speak(honest, key => ({ grant: grantOf(key) }))
  const newcomers = Array.from({ length: 20 }, (_, index) => keyOf(2_000 + index))
  speak(newcomers, key => ({ grant: grantOf(key) }))
  for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
  assert.equal([known(), known(newcomers)], [60, 20], 'who comes in a full directory, and is told of by another')
  const carol = new Party(3, 'carol', clock)
  carol.offer({})
  connect(carol, alice)
  await settle(20)
  assert.ok(alice.directory.isLiving(carol.key.peerId), 'who comes itself')
  for (let second = 0; second * 1_000 <= GRACE_MS; second++) {
    await clock.advance(1_000)
    for (const party of [alice, bob, carol]) party.tick()
  }
  await settle(20)
  assert.equal([known(), known(newcomers), nobodies()], [60, 20, UNPROVEN_MAX])
  end()
  for (let spentMs = 0; spentMs < 2 * LEASE_MS_MAX; spentMs += LEASE_MS / 3) {
    await clock.advance(LEASE_MS / 3)
    for (const party of [alice, bob, carol]) party.tick()
    for (const party of [alice, bob, carol]) party.renew()
    speak([...honest, ...newcomers])
    for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
    assert.equal([known(), known(newcomers)], [60, 20])
  }
  for (const party of [alice, bob, carol]) party.tick()
  assert.is(nobodies({ all: true }), 0)
})

test('a record that shows a grant which is not its own is not taken, and one that shows its own is checked once', async () => {
  const clock = new VirtualClock()
  const alice = new Party(1, 'alice', clock)
  alice.offer({})
  let checks = 0
  const { isMember } = alice
  alice.isMember = record => {
    checks++
    return isMember(record)
  }
  const { tell } = link(alice)
  tell([madeUp(keyOf(51), { grant: grantOf(mallory) }), madeUp(keyOf(52), { grant: 'm' })])
  assert.is(alice.directory.livingCount, 2)
  const [honest, kept] = [keyOf(53), keyOf(54)].map(key => madeUp(key, { grant: grantOf(key) })) as [Signed, Signed]
  alice.directory.recall(...kept, clock.nowMs())
  assert.is(checks, 2)
  for (let count = 0; count < 3; count++) tell([honest, kept])
  assert.is(checks, 4)
  for (const [{ peerId }] of [honest, kept]) assert.ok(alice.directory.isLiving(peerId) && alice.directory.isProven(peerId))
  // What was taken without one is not put in place of by one that shows a false one.
  tell([madeUp(keyOf(55)), madeUp(keyOf(55), { sequence: 2, grant: grantOf(mallory) })])
  assert.is(alice.directory.record(keyOf(55).peerId)?.record.sequence, 1)
})

test('a swarm that is told different ones in different places stays whole, and all hold the same in the end', async () => {
  const limits = { peersMax: 240, shownMin: 80, unprovenMax: 100 }
  const clock = new VirtualClock()
  const parties = Array.from({ length: 50 }, (_, index) => new Party(index + 1, `p${index}`, clock, limits))
  for (const party of parties) party.offer({})
  for (const [index, party] of parties.entries()) for (const step of [1, 7, 19]) connect(party, parties[(index + step) % 50] as Party)
  const missing = (): string[] => parties.flatMap(at => parties.filter(({ key }) => !at.directory.isLiving(key.peerId)).map(of => `${of.name} at ${at.name}`))
  const pass = async (ms: number): Promise<void> => {
    for (let spentMs = 0; spentMs < ms; spentMs += 1_000) {
      for (let turn = 0; turn < 10; turn++) await clock.advance(MENTION_MS)
      for (const party of parties) party.tick()
    }
  }
  await pass(6_000)
  assert.equal(missing(), [])
  assert.ok(parties.every(({ directory }) => directory.own?.record.grant === undefined), 'nobody shows its grant without need')
  const links = [0, 20, 40].map(index => link(parties[index] as Party))
  for (const { tell } of links) tell(Array.from({ length: 100 }, () => madeUp()))
  for (let second = 0; second * 1_000 < GRACE_MS; second++) {
    await pass(1_000)
    assert.equal(missing(), [], `after ${second + 1} s`)
  }
  assert.ok(parties.every(({ directory }) => directory.own?.record.grant !== undefined))
  await pass(60_000)
  assert.equal(missing(), [])
  for (const { directory } of parties) assert.is(directory.livingCount, 50 + 1 + limits.unprovenMax)
  assert.is(new Set(parties.map(({ directory }) => directory.marks.digest())).size, 1, 'nobody has anything to tell another')
  const newcomer = new Party(900, 'newcomer', clock, limits)
  newcomer.offer({})
  parties.push(newcomer)
  connect(newcomer, parties[30] as Party)
  await pass(30_000)
  assert.equal(missing(), [])
})

test.run()
