import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BATCH_OPERATIONS_MAX, QUEUE_BYTES_MAX } from '../../crdt/backlog.ts'
import { BATCH_MS_MAX, Committer, SYNC_MS, UNSYNCED_BYTES_MAX, type Durability } from '../../crdt/committer.ts'
import { documentKey } from '../../crdt/name.ts'
import { listDocuments } from '../../crdt/place.ts'
import { HEAL_MS, HEAL_MS_MAX } from '../../crdt/retry.ts'
import { RUN_RECORDS_MAX } from '../../crdt/run.ts'
import { Wal, type Opened } from '../../crdt/wal.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Standing } from '../../lib/base/witness.ts'
import { FaultyStorage, FaultyWitness, held } from '../support/faulty.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { within } from '../support/within.ts'

const KEY = documentKey('notes')
const update = (number: number): Uint8Array => Uint8Array.of(number & 255, number >> 8)

interface Rig {
  storage: FaultyStorage
  witness: FaultyWitness
  clock: VirtualClock
  committer: Committer
  opened: Opened
  wal: Wal
}

async function rig (durability: Durability = 'strict', storage = new FaultyStorage(), witness = new FaultyWitness()): Promise<Rig> {
  const clock = new VirtualClock()
  const committer = new Committer({ storage, witness, clock, durability })
  const opened = await Wal.open(KEY, { committer, name: 'notes', clock })
  return { storage, witness, clock, committer, opened, wal: opened.wal }
}

async function code (work: Promise<unknown>): Promise<string | undefined> {
  return await within(5_000, 'an end', work.then(() => undefined, (error: unknown) => error instanceof SwarmError ? error.code : String(error)))
}

const flushed = async (wal: Wal): Promise<void> => { await within(5_000, 'flushed', wal.flushed()) }

test('a new document is empty and whole', async () => {
  const { opened, wal } = await rig()
  assert.equal([opened.snapshot, opened.updates, opened.recovery], [undefined, [], { damage: [], quarantined: 0, cut: 0, leftover: 0, isWitnessed: false }])
  await flushed(wal)
  assert.equal(wal.status(), { bytes: 0, records: 0, snapshotBytes: 0, sequence: 0, durable: 0, isLong: false, failed: undefined })
})

test('what was appended and flushed is there after a power cut, in order, with its origin', async () => {
  const { storage, witness, wal } = await rig()
  for (let number = 1; number <= 5; number++) assert.is(wal.append(update(number), number % 2 === 0 ? 'peer' : ''), number)
  assert.is(wal.durable, 0)
  await flushed(wal)
  assert.is(wal.durable, 5)
  const { opened } = await rig('strict', storage.afterCut(), witness)
  assert.equal(opened.updates.map(({ sequence, update, origin }) => [sequence, [...update], origin]), [1, 2, 3, 4, 5].map(number => [number, [number, 0], number % 2 === 0 ? 'peer' : '']))
  assert.is(opened.recovery.isWitnessed, true)
  assert.equal(await listDocuments(storage.afterCut()), [{ key: KEY, name: 'notes' }])
})

test('one write is in flight; what comes meanwhile goes out together, in runs of bounded length', async () => {
  const { storage, witness, wal } = await rig()
  const gate = held()
  storage.gate = gate.promise
  wal.append(update(0), '')
  await settle()
  for (let number = 1; number <= RUN_RECORDS_MAX + 10; number++) wal.append(update(number), '')
  await settle()
  assert.is(storage.writes.length, 1)
  gate.release()
  await flushed(wal)
  assert.equal(storage.writes.map(({ changes }) => changes.length), [2, 2])
  assert.ok(storage.writes.every(({ sync }) => sync))
  const { opened } = await rig('strict', storage.afterCut(), witness)
  assert.equal(opened.updates.map(({ sequence }) => sequence), Array.from({ length: RUN_RECORDS_MAX + 11 }, (_, index) => index + 1))
})

test('a batch is bounded in bytes, but for one update that is larger', async () => {
  const { storage, wal } = await rig()
  for (const kilobytes of [1, 600, 600, 3_000, 1]) wal.append(new Uint8Array(kilobytes * 1024), '')
  await flushed(wal)
  assert.equal(storage.writes.map(({ changes }) => changes.length), [2, 1, 1, 1])
})

test('a batch is bounded in changes', async () => {
  const { storage, clock, committer, wal } = await rig()
  const gate = held()
  storage.gate = gate.promise
  wal.append(update(0), '')
  await settle()
  const wals: Wal[] = []
  for (let number = 0; number < BATCH_OPERATIONS_MAX / 2 + 10; number++) wals.push((await Wal.open(documentKey(`${number}`), { committer, name: `${number}`, clock })).wal)
  for (const one of wals) one.append(update(1), '')
  gate.release()
  for (const one of wals) await flushed(one)
  assert.equal(storage.writes.map(({ changes }) => changes.length), [2, BATCH_OPERATIONS_MAX, 20])
})

test('in a turn that takes long, what waits is written at once, and nothing that comes after is lost', async () => {
  const { storage, witness, clock, wal } = await rig()
  const nowMs = clock.nowMs()
  wal.append(update(1), '')
  clock.nowMs = () => nowMs + BATCH_MS_MAX + 1
  wal.append(update(2), '')
  assert.is(storage.writes.length, 1)
  await flushed(wal)
  const { opened } = await rig('strict', storage.afterCut(), witness)
  assert.is(opened.updates.length, 2)
})

test('strict acknowledges after storage and witness, which write side by side', async () => {
  for (const isDiskFirst of [true, false]) {
    const { storage, witness, wal } = await rig()
    const [disk, file] = [held(), held()]
    storage.gate = disk.promise
    witness.gate = file.promise
    const heard: number[] = []
    wal.onDurable(sequence => { heard.push(sequence) })
    wal.append(update(1), '')
    await settle()
    assert.equal([wal.durable, storage.writes.length], [0, 1])
    ;(isDiskFirst ? disk : file).release()
    await settle()
    assert.equal([wal.durable, storage.values.size, witness.count], isDiskFirst ? [0, 2, 0] : [0, 0, 1])
    ;(isDiskFirst ? file : disk).release()
    await settle()
    assert.equal([wal.durable, witness.count, heard], [1, 1, [1]])
    assert.equal((await witness.read(KEY) as Standing).claimed, undefined, 'confirmed before it was told')
  }
})

test('while either writes, what comes waits, and goes out together', async () => {
  for (const which of ['storage', 'witness'] as const) {
    const one = await rig()
    const gate = held()
    one[which].gate = gate.promise
    for (let number = 1; number <= 4; number++) {
      one.wal.append(update(number), '')
      await settle()
    }
    assert.equal([one.storage.writes.length, one.wal.durable], [1, 0])
    gate.release()
    await flushed(one.wal)
    assert.equal([one.storage.writes.length, one.witness.count], [2, 2])
  }
})

test('a listener hears of growth once a batch, until it stops listening', async () => {
  const { wal } = await rig()
  const heard: number[] = []
  const stop = wal.onDurable(sequence => { heard.push(sequence) })
  for (let number = 1; number <= 100; number++) wal.append(update(number), '')
  await flushed(wal)
  stop()
  wal.append(update(101), '')
  await flushed(wal)
  assert.equal(heard, [100])
})

for (const [what, fail] of [
  ['storage, nothing written', ({ storage }: Rig, fails: boolean) => { storage.fails = fails }],
  ['storage, though it has written', ({ storage }: Rig, fails: boolean) => { storage.fails = fails; storage.keepsFailed = true }],
  ['witness', ({ witness }: Rig, fails: boolean) => { witness.fails = fails }],
  ['confirmation', ({ witness }: Rig, fails: boolean) => { witness.fails = fails && 'confirm' }]
] as const) {
  test(`a failing ${what}: nothing more is acknowledged until all of it is written anew`, async () => {
    const one = await rig()
    const { storage, witness, wal, committer } = one
    wal.append(update(1), '')
    await flushed(wal)
    fail(one, true)
    wal.append(update(2), '')
    assert.is(await code(wal.flushed()), 'DISK_FAILED')
    wal.append(update(3), '')
    assert.equal([await code(wal.flushed()), wal.durable, wal.status().failed?.code], ['DISK_FAILED', 1, 'DISK_FAILED'])
    const before = storage.writes.length
    wal.append(update(4), '')
    await settle()
    assert.is(storage.writes.length, before, 'nothing is written past a failure')
    fail(one, false)
    await within(5_000, 'healed', committer.heal())
    assert.equal([wal.durable, wal.status().failed], [4, undefined])
    const rewritten = storage.writes.slice(before).flatMap(({ changes }) => changes.map(({ key }) => key)).filter(key => key.includes('/log/'))
    assert.equal(rewritten.map(key => Number.parseInt(key.slice(-13), 16)), [2, 3], 'each run anew, in order')
    const { opened } = await rig('strict', storage.afterCut(), witness)
    assert.equal([opened.updates.length, opened.recovery.damage], [4, []])
  })
}

test('it heals by itself when there is room, asking at growing distances', async () => {
  const { storage, clock, wal } = await rig()
  storage.fails = true
  wal.append(update(1), '')
  assert.is(await code(wal.flushed()), 'DISK_FAILED')
  const before = storage.writes.length
  await clock.advance(20 * HEAL_MS_MAX)
  const tries = storage.writes.length - before
  assert.ok(tries > 18 && tries < 30, `${tries} tries`)
  storage.fails = false
  await clock.advance(HEAL_MS_MAX)
  assert.is(wal.durable, 1)
  storage.fails = true
  wal.append(update(2), '')
  assert.is(await code(wal.flushed()), 'DISK_FAILED')
  storage.fails = false
  await clock.advance(HEAL_MS)
  assert.is(wal.durable, 2, 'the distance has shrunk again')
})

test('what waits for a dead disk is bounded, and what is refused leaves no hole', async () => {
  const { storage, committer, wal } = await rig()
  storage.fails = true
  const large = new Uint8Array(2 ** 20)
  let count = 0
  assert.throws(() => { for (; count < 1_000; count++) wal.append(large, '') }, (error: unknown) => error instanceof SwarmError && error.code === 'OVERLOADED')
  assert.ok(count > 60 && count * large.byteLength <= QUEUE_BYTES_MAX, `${count} MiB`)
  assert.is(wal.status().sequence, count)
  await settle()
  storage.fails = false
  await within(5_000, 'healed', committer.heal())
  assert.is(wal.append(update(1), ''), count + 1)
  await flushed(wal)
})

test('interval acknowledges before the flush, and flushes in time or when much waits', async () => {
  const { storage, witness, clock, wal, committer } = await rig('interval')
  wal.append(update(1), '')
  await flushed(wal)
  assert.equal([wal.durable, storage.afterCut().values.size, witness.count], [1, 0, 0])
  await clock.advance(SYNC_MS)
  assert.equal([storage.afterCut().values.size > 0, witness.count], [true, 1])
  for (let bytes = 0; bytes <= UNSYNCED_BYTES_MAX; bytes += 2 ** 20) wal.append(new Uint8Array(2 ** 20), '')
  await flushed(wal)
  await settle()
  assert.is(witness.count, 2, 'without a timer')
  wal.append(update(2), '')
  await within(5_000, 'drained', committer.drain())
  assert.is(storage.afterCut().values.size, storage.values.size)
})

test('interval: after a failed flush, what it was for is written anew', async () => {
  const { storage, clock, wal, committer } = await rig('interval')
  wal.append(update(1), '')
  await flushed(wal)
  storage.fails = changes => changes.some(({ key }) => key === 'crdt/sync')
  await clock.advance(SYNC_MS)
  assert.is(await code(wal.flushed()), 'DISK_FAILED')
  const before = storage.writes.length
  storage.fails = false
  await within(5_000, 'healed', committer.heal())
  assert.ok(storage.writes.slice(before).some(({ changes }) => changes.some(({ key }) => key.includes('/log/'))))
  await flushed(wal)
})

test('memory never flushes and asks no witness', async () => {
  const { storage, witness, wal, committer } = await rig('memory')
  wal.append(update(1), '')
  await flushed(wal)
  await committer.close()
  assert.equal([witness.count, storage.writes.some(({ sync }) => sync)], [0, false])
})

test('closing waits for all, and takes no more', async () => {
  const { storage, clock, wal, committer } = await rig('interval')
  wal.append(update(1), '')
  await within(5_000, 'closed', wal.close())
  assert.throws(() => wal.append(update(2), ''), (error: unknown) => error instanceof SwarmError && error.code === 'CLOSED')
  await within(5_000, 'closed', committer.close())
  assert.is(storage.afterCut().values.size, storage.values.size)
  assert.is(clock.pending, 0)
})

test('closing on a dead disk says so, and leaves no timer', async () => {
  const { storage, clock, wal, committer } = await rig()
  storage.fails = true
  wal.append(update(1), '')
  assert.equal([await code(wal.close()), await code(committer.close())], ['DISK_FAILED', 'DISK_FAILED'])
  assert.is(clock.pending, 0)
})

test('an update over its limit is refused', async () => {
  const { wal } = await rig()
  assert.throws(() => wal.append(new Uint8Array(64 * 2 ** 20 + 1), ''), (error: unknown) => error instanceof SwarmError && error.code === 'TOO_LARGE')
  assert.is(wal.append(update(1), ''), 1)
})

test.run()
