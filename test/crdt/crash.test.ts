/** Every order in which a power cut, or the end of a process, can leave a batch and the claim beside it: committer.ts has the table. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Committer } from '../../crdt/committer.ts'
import type { Damage } from '../../crdt/damage.ts'
import { documentKey } from '../../crdt/name.ts'
import { placeOf, runKey } from '../../crdt/place.ts'
import { recover, type Found } from '../../crdt/recover.ts'
import { Wal } from '../../crdt/wal.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { START, type Head, type Standing } from '../../lib/base/witness.ts'
import { FaultyStorage, FaultyWitness, held } from '../support/faulty.ts'
import { settle } from '../support/clock.ts'
import { within } from '../support/within.ts'

const KEY = documentKey('notes')
const place = placeOf(KEY)
const SURE = 4
const CLAIMED = 7

/** A log of `count` runs of one record each, and the heads after each. */
async function logOf (count: number): Promise<{ storage: FaultyStorage, heads: readonly Head[] }> {
  const [storage, witness] = [new FaultyStorage(), new FaultyWitness()]
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  const { wal } = await Wal.open(KEY, { committer, name: 'notes' })
  const heads: Head[] = [START]
  for (let number = 1; number <= count; number++) {
    wal.append(Uint8Array.of(number, 0), '')
    await within(5_000, 'flushed', wal.flushed())
    heads.push((await witness.read(KEY) as Standing).sure)
  }
  return { storage, heads }
}

const cut = (storage: FaultyStorage, ...numbers: number[]): void => { for (const number of numbers) storage.values.delete(runKey(place, number)) }
const short = (first: number, last: number): Damage => ({ kind: 'short', first, last })
const hole = (first: number): Damage => ({ kind: 'hole', first, last: first })

const NEITHER = (s: FaultyStorage): void => { cut(s, 5, 6, 7) }

for (const [what, claim, spoil, expected] of [
  ['neither the batch nor the claim', undefined, NEITHER, { end: 4, cut: 0, damage: [], isWitnessed: true }],
  ['the batch, not the claim', undefined, () => {}, { end: 7, cut: 0, damage: [], isWitnessed: true }],
  ['the claim, not the batch', CLAIMED, NEITHER, { end: 4, cut: 0, damage: [], isWitnessed: false }],
  ['the claim, and a beginning of the batch', CLAIMED, (s: FaultyStorage) => { cut(s, 7) }, { end: 6, cut: 0, damage: [], isWitnessed: false }],
  ['the claim, and a batch with a hole and no end', CLAIMED, (s: FaultyStorage) => { cut(s, 5, 7) }, { end: 4, cut: 1, damage: [], isWitnessed: false }],
  ['the claim, and a batch torn at its end', CLAIMED, (s: FaultyStorage) => { s.values.set(runKey(place, 7), new Uint8Array(30)) }, { end: 6, cut: 1, damage: [], isWitnessed: false }],
  ['both, unconfirmed', CLAIMED, () => {}, { end: 7, cut: 0, damage: [], isWitnessed: true }],
  ['both, unconfirmed, and then damaged amid the batch: the end shows that all of it had been there', CLAIMED, (s: FaultyStorage) => { cut(s, 6) }, { end: 7, cut: 0, damage: [hole(6)], isWitnessed: true }],
  ['both, unconfirmed, and then damaged before it', CLAIMED, (s: FaultyStorage) => { cut(s, 3) }, { end: 7, cut: 0, damage: [hole(3)], isWitnessed: true }],
  ['the claim, not the batch, and damage before it', CLAIMED, (s: FaultyStorage) => { cut(s, 3, 5, 6, 7) }, { end: 4, cut: 0, damage: [hole(3)], isWitnessed: false }],
  ['both, confirmed', 'sure', () => {}, { end: 7, cut: 0, damage: [], isWitnessed: true }],
  ['both, confirmed, and then cut short: damage', 'sure', (s: FaultyStorage) => { cut(s, 6, 7) }, { end: 7, cut: 0, damage: [short(6, 7)], isWitnessed: true }]
] as const) {
  test(`on disk: ${what}`, async () => {
    const { storage, heads } = await logOf(CLAIMED)
    const headAt = (sequence: number): Head => heads[sequence] as Head
    spoil(storage)
    const standing: Standing = claim === 'sure'
      ? { sure: headAt(CLAIMED), claimed: undefined }
      : { sure: headAt(SURE), claimed: claim === undefined ? undefined : headAt(claim) }
    const found = await recover(storage, place, standing)
    assert.equal(outcome(found), expected)
  })
}

function outcome ({ head, cut, damage, isWitnessed }: Found): unknown {
  return { end: head.sequence, cut: cut.length, damage, isWitnessed }
}

test('the first claim of all, without its batch: an empty log, and no damage', async () => {
  const { heads } = await logOf(1)
  const found = await recover(new FaultyStorage(), place, { sure: START, claimed: heads[1] })
  assert.equal(outcome(found), { end: 0, cut: 0, damage: [], isWitnessed: false })
})

test('a claim that something else was written over is no claim to the new log', async () => {
  const { storage, heads } = await logOf(SURE)
  const other = await logOf(CLAIMED)
  const { storage: longer } = await logOf(CLAIMED + 2)
  assert.equal(other.heads[SURE], heads[SURE], 'the same beginning')
  const claimed: Head = { sequence: CLAIMED, hash: new Uint8Array(16).fill(9) } // of a batch that never came to be
  for (const [log, end] of [[storage, SURE], [longer, CLAIMED + 2]] as const) {
    assert.equal(outcome(await recover(log, place, { sure: heads[SURE] as Head, claimed })), { end, cut: 0, damage: [], isWitnessed: false })
  }
})

test('a log whose claim a snapshot has folded is witnessed', async () => {
  const { storage, heads } = await logOf(CLAIMED)
  const committer = new Committer({ storage, clock: systemClock, durability: 'memory' })
  const { wal } = await Wal.open(KEY, { committer })
  await within(5_000, 'folded', wal.compact(async () => Uint8Array.of(0, 0)))
  const found = await recover(storage, place, { sure: heads[SURE] as Head, claimed: heads[CLAIMED] })
  assert.equal(outcome(found), { end: CLAIMED, cut: 0, damage: [], isWitnessed: true })
})

test('no claim is begun before the one before is confirmed, nor anything acknowledged', async () => {
  const [storage, witness] = [new FaultyStorage(), new FaultyWitness()]
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  const { wal } = await Wal.open(KEY, { committer })
  const told: string[] = []
  const confirming = held()
  const [claim, confirm] = [witness.claim.bind(witness), witness.confirm.bind(witness)]
  witness.claim = async heads => { told.push('claim'); await claim(heads) }
  witness.confirm = async () => {
    told.push('confirm')
    await confirming.promise
    await confirm()
  }
  wal.onDurable(sequence => { told.push(`durable ${sequence}`) })
  wal.append(Uint8Array.of(1, 0), '')
  await settle()
  wal.append(Uint8Array.of(2, 0), '')
  await settle()
  assert.equal(told, ['claim', 'confirm'])
  confirming.release()
  await within(5_000, 'flushed', wal.flushed())
  assert.equal(told, ['claim', 'confirm', 'durable 1', 'claim', 'confirm', 'durable 2'])
})

test('after a batch that failed beside its claim, the same records are claimed and written anew', async () => {
  const [storage, witness] = [new FaultyStorage(), new FaultyWitness()]
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  const { wal } = await Wal.open(KEY, { committer })
  wal.append(Uint8Array.of(1, 0), '')
  await within(5_000, 'flushed', wal.flushed())
  storage.fails = true
  wal.append(Uint8Array.of(2, 0), '')
  await within(5_000, 'a failure', wal.flushed().then(() => { throw new Error('flushed') }, () => undefined))
  const standing = await witness.read(KEY) as Standing
  assert.equal([standing.sure.sequence, standing.claimed?.sequence], [1, 2])
  assert.equal(outcome(await recover(storage.afterCut(), place, standing)), { end: 1, cut: 0, damage: [], isWitnessed: false })
  storage.fails = false
  await within(5_000, 'healed', committer.heal())
  assert.equal(outcome(await recover(storage.afterCut(), place, await witness.read(KEY))), { end: 2, cut: 0, damage: [], isWitnessed: true })
})

test.run()
