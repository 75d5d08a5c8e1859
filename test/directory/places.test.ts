import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { Directory, type Change } from '../../lib/directory/directory.ts'
import { ABSENT_MS_MAX, GRACE_MS, WARY_MS } from '../../lib/directory/places.ts'
import { LEASE_MS, LEASE_MS_MAX, type PeerRecord } from '../../lib/directory/record.ts'
import type { PrivateKey } from '../../lib/identity/key.ts'
import { keyOf, signed } from './sample.ts'

const own = keyOf(1)
const [bob, carol, dave] = [keyOf(2), keyOf(3), keyOf(4)] as const
const LIMITS = { peersMax: 40, shownMin: 12, unprovenMax: 20 }

/** Peers that were told of, by peer id: the first of whom a full directory keeps. */
const told = Array.from({ length: 60 }, (_, index) => signed(keyOf(1_000 + index), { name: `t${index}` }))
  .sort(([left], [right]) => left.peerId < right.peerId ? -1 : 1)

const tell = (directory: Directory, records: readonly [PeerRecord, string][], nowMs = 0): string[] =>
  records.map(([record, wire]) => directory.merge(record, wire, nowMs).outcome)
const meet = (directory: Directory, key: PrivateKey, nowMs = 0, sequence = 1): Change[] => [...directory.merge(...signed(key, { sequence }), nowMs, { direct: true }).changes]
const living = (directory: Directory): string[] => directory.peers().map(({ peerId }) => peerId)
const idsOf = (records: readonly (readonly [PeerRecord, string])[]): string[] => records.map(([{ peerId }]) => peerId)

test('a peer that was met is never pushed out by others that are told of, living or not', () => {
  const directory = new Directory(own.peerId, { peersMax: 4 })
  directory.setOwn(...signed(own))
  meet(directory, bob)
  meet(directory, carol)
  directory.remove(carol.peerId, 1)
  assert.equal(tell(directory, told.slice(0, 3), 2), ['taken', 'full', 'full'])
  assert.is(directory.absence(carol.peerId), 'unreachable')
  assert.ok(directory.isLiving(bob.peerId) && directory.isLiving(own.peerId))
})

test('a peer that is met finds room among those that were only told of: the last to come goes first, and it is told', () => {
  const directory = new Directory(own.peerId, { peersMax: 4 })
  directory.setOwn(...signed(own))
  tell(directory, told.slice(0, 3))
  const changes = meet(directory, bob)
  assert.equal(changes.map(change => [change.kind, 'peer' in change ? change.peer.peerId : 'peerId' in change ? change.peerId : '']), [
    ['peer-left', told[2]?.[0].peerId], ['peer-forgotten', told[2]?.[0].peerId], ['peer-joined', bob.peerId]
  ])
  assert.is(directory.livingCount, 4)
  assert.is(directory.marked(told[2]?.[1].slice(0, 11) ?? ''), undefined, 'nobody is told of it any more')
  meet(directory, carol)
  meet(directory, dave)
  assert.equal(living(directory).sort(), [own, bob, carol, dave].map(({ peerId }) => peerId).sort())
  assert.is(directory.merge(...signed(keyOf(5)), 0, { direct: true }).outcome, 'full', 'among members the first to come stay')
})

test('a grant that was shown counts as a meeting, and as long as the peer is held', () => {
  const directory = new Directory(own.peerId, { peersMax: 2 })
  directory.setOwn(...signed(own))
  directory.merge(...signed(bob), 0)
  assert.is(directory.merge(...signed(carol), 0, { isProven: true }).outcome, 'taken')
  assert.not.ok(directory.isLiving(bob.peerId))
  directory.merge(...signed(carol, { sequence: 2 }), 0)
  assert.ok(directory.isProven(carol.peerId))
  assert.equal(tell(directory, told.slice(0, 1)), ['full'])
  assert.not.ok(directory.isProven(bob.peerId))
})

test('what one full directory refuses is refused before its signature is looked at, unless it shows a grant', () => {
  const directory = new Directory(own.peerId, { peersMax: 2 })
  directory.setOwn(...signed(own))
  assert.not.ok(directory.refuses(signed(carol)[1]))
  directory.merge(...signed(bob), 0)
  for (const [key, more, expected] of [
    [carol, {}, true], [carol, { grant: 'm.1..x' }, false], [bob, { sequence: 9 }, false], [own, { sequence: 9 }, false]
  ] as const) assert.is(directory.refuses(signed(key, more)[1]), expected)
  directory.remove(bob.peerId, 1)
  assert.not.ok(directory.refuses(signed(carol)[1]), 'the absent makes room')
})

test('a small swarm is no crowd, and the last of a large one has time to show its grant', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  tell(directory, told.slice(0, LIMITS.shownMin - 2))
  assert.not.ok(directory.isCrowded)
  tell(directory, told)
  assert.ok(directory.isCrowded)
  assert.is(directory.livingCount, LIMITS.peersMax)
  for (const nowMs of [0, GRACE_MS - 1]) {
    directory.tick(nowMs)
    assert.is(directory.livingCount, LIMITS.peersMax)
  }
  const changes = directory.tick(GRACE_MS)
  assert.is(changes.filter(({ kind }) => kind === 'peer-forgotten').length, LIMITS.peersMax - 1 - LIMITS.unprovenMax)
  assert.is(directory.livingCount, 1 + LIMITS.unprovenMax)
})

test('after that only those with the lowest ids stay, and further ones come only in their place', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  tell(directory, told.slice(20, 50))
  meet(directory, bob)
  directory.tick(0)
  directory.tick(GRACE_MS)
  assert.equal(new Set(living(directory)), new Set([own.peerId, bob.peerId, ...idsOf(told.slice(20, 40))]))
  assert.equal(tell(directory, [told[55], told[45], told[3]] as [PeerRecord, string][], GRACE_MS), ['full', 'full', 'taken'])
  directory.tick(GRACE_MS + 1_000)
  assert.equal(new Set(living(directory)), new Set([own.peerId, bob.peerId, ...idsOf([told[3] as [PeerRecord, string], ...told.slice(20, 39)])]))
  for (const [record] of told.slice(20, 30)) directory.remove(record.peerId, GRACE_MS + 1_000)
  directory.tick(GRACE_MS + 2_000)
  assert.equal(tell(directory, [told[55] as [PeerRecord, string]], GRACE_MS + 2_000), ['taken'], 'there is room again')
})

test('whoever heard of whom, and in what order, in the end all keep the same ones', () => {
  const seed = 7_003
  console.log(`who is heard of where: seed ${seed}`)
  const random = seededRandom(seed)
  for (let round = 0; round < 20; round++) {
    const directories = [10, 11, 12].map(index => new Directory(keyOf(index).peerId, { ...LIMITS, peersMax: 80 }))
    const heard = directories.map(() => told.toSorted(() => random.next() - 0.5).slice(0, 24 + Math.floor(random.next() * 36)))
    for (const [index, directory] of directories.entries()) {
      tell(directory, heard[index] ?? [])
      directory.tick(0)
      directory.tick(GRACE_MS)
    }
    // Each tells the others what it holds, until nothing more changes.
    for (let turn = 1; turn <= 3; turn++) {
      for (const from of directories) {
        for (const to of directories) {
          for (const peerId of living(from)) {
            const { record, wire } = from.record(peerId) as { record: PeerRecord, wire: string }
            to.merge(record, wire, GRACE_MS + turn)
          }
        }
      }
      for (const directory of directories) directory.tick(GRACE_MS + turn)
    }
    const expected = idsOf(told).filter(peerId => heard.some(records => idsOf(records).includes(peerId))).slice(0, LIMITS.unprovenMax)
    for (const directory of directories) assert.equal(living(directory), expected)
    assert.is(new Set(directories.map(({ marks }) => marks.digest())).size, 1)
  }
})

test('those who are members take the places of those who are not, down to none', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  tell(directory, told)
  const members = Array.from({ length: LIMITS.peersMax - 5 }, (_, index) => keyOf(2_000 + index))
  for (const key of members) meet(directory, key)
  directory.tick(0)
  directory.tick(GRACE_MS)
  assert.is(directory.livingCount, LIMITS.peersMax)
  for (const key of Array.from({ length: 4 }, (_, index) => keyOf(3_000 + index))) meet(directory, key)
  directory.tick(GRACE_MS + 1)
  for (const { peerId } of members) assert.ok(directory.isLiving(peerId))
  assert.equal(tell(directory, told, GRACE_MS + 1).filter(outcome => outcome === 'taken'), [])
})

test('what was made up in a crowd is forgotten an hour after its lease, members as ever', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  directory.tick(0)
  meet(directory, bob)
  tell(directory, told.slice(0, 15))
  directory.tick(1)
  directory.tick(LEASE_MS)
  assert.equal(living(directory), [own.peerId])
  assert.is(directory.peers({ all: true }).length, 17)
  directory.tick(LEASE_MS + LEASE_MS_MAX - 1)
  assert.is(directory.peers({ all: true }).length, 17)
  const forgotten = directory.tick(LEASE_MS + LEASE_MS_MAX)
  assert.equal(forgotten.map(({ kind }) => kind), Array(15).fill('peer-forgotten'))
  assert.equal(directory.peers({ all: true }).map(({ peerId }) => peerId).sort(), [own.peerId, bob.peerId].sort())
  assert.equal(directory.tick(LEASE_MS + ABSENT_MS_MAX), [], 'who was met may be looked for further on')
  assert.equal(directory.peers({ all: true }).map(({ peerId }) => peerId), [own.peerId])
})

test('long after a crowd an absent peer is remembered for as long as ever', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  tell(directory, told.slice(0, 15))
  directory.tick(0)
  const laterMs = WARY_MS + 1
  for (const [record] of told.slice(0, 15)) directory.remove(record.peerId, 1)
  directory.tick(laterMs)
  tell(directory, [signed(carol)], laterMs)
  directory.tick(laterMs + LEASE_MS)
  assert.is(directory.absence(carol.peerId), 'expired')
  directory.tick(laterMs + LEASE_MS + ABSENT_MS_MAX - 1)
  assert.is(directory.absence(carol.peerId), 'expired')
  assert.equal(directory.tick(laterMs + LEASE_MS + ABSENT_MS_MAX), [])
  assert.is(directory.absence(carol.peerId), undefined)
})

test('a peer that turns out to be a member while there is a crowd is told of anew: it was not to be dialled before', () => {
  const directory = new Directory(own.peerId, LIMITS)
  directory.setOwn(...signed(own))
  directory.merge(...signed(bob), 0)
  assert.equal(directory.merge(...signed(bob), 0, { direct: true }).changes, [], 'but not otherwise')
  tell(directory, told.slice(0, 20))
  directory.merge(...signed(carol), 0)
  assert.equal(directory.merge(...signed(carol), 0, { direct: true }).changes.map(({ kind }) => kind), ['peer-updated'])
})

test.run()
