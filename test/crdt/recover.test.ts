import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Committer } from '../../crdt/committer.ts'
import { fold, type Fold } from '../../crdt/fold.ts'
import { documentKey } from '../../crdt/name.ts'
import { listDocuments, placeOf, runFirst, runKey } from '../../crdt/place.ts'
import { RECORD_VERSION, sealValue } from '../../crdt/record.ts'
import type { Damage } from '../../crdt/damage.ts'
import { DELETED_AT_ONCE } from '../../crdt/compact.ts'
import { CHUNK_BYTES_MAX } from '../../crdt/snapshot.ts'
import { LOG_RECORDS_HIGH, Wal, type Opened } from '../../crdt/wal.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { FaultyStorage, FaultyWitness, held } from '../support/faulty.ts'
import { until, within } from '../support/within.ts'
import { sha256 } from '#hash'
import { concatBytes } from '../../lib/base/bytes.ts'

const KEY = documentKey('notes')
const place = placeOf(KEY)
const foldHere: Fold = async folding => fold(folding)

interface Disk { storage: FaultyStorage, witness: FaultyWitness }

async function open ({ storage, witness }: Disk): Promise<Opened> {
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  return await within(10_000, 'open', Wal.open(KEY, { committer, name: 'notes' }))
}

/** Updates of one document: a key of its own each, so that what is missing shows. */
function edits (count: number, from = 0): Uint8Array[] {
  const document = new Y.Doc()
  const updates: Uint8Array[] = []
  document.clientID = 7 + from
  document.on('update', (update: Uint8Array) => { updates.push(update) })
  for (let number = 0; number < count; number++) document.getMap('m').set(`k${from + number}`, from + number)
  return updates
}

/** @param isSingle whether each edit lies in a run of its own */
async function filled (count = 10, compactAt?: number, isSingle = count <= 20): Promise<Disk> {
  const disk = { storage: new FaultyStorage(), witness: new FaultyWitness() }
  const { wal } = await open(disk)
  for (const [index, update] of edits(count).entries()) {
    wal.append(update, '')
    if (isSingle) await wal.flushed()
    if (index + 1 !== compactAt) continue
    await wal.flushed()
    await wal.compact(foldHere)
  }
  await wal.flushed()
  return disk
}

function documentOf ({ snapshot, updates }: Opened): Y.Doc {
  const document = new Y.Doc()
  if (snapshot !== undefined) Y.applyUpdate(document, snapshot)
  for (const { update } of updates) Y.applyUpdate(document, update)
  return document
}

const sizeOf = (opened: Opened): number => documentOf(opened).getMap('m').size
const damage = (kind: Damage['kind'], first: number, last = first): Damage => ({ kind, first, last })

function flip (storage: FaultyStorage, key: string, at = -20): void {
  const value = storage.values.get(key)
  assert.ok(value !== undefined, `${key} is there`)
  const index = at < 0 ? value.byteLength + at : at
  value[index] = (value[index] ?? 0) ^ 4
}

const chunkKeys = (storage: FaultyStorage): string[] => [...storage.values.keys()].filter(key => key.startsWith(place.chunks))

for (const [what, spoil, expected, delivered] of [
  ['a record that is gone', (s: FaultyStorage) => { s.values.delete(runKey(place, 4)) }, [damage('hole', 4)], 9],
  ['records that are gone', (s: FaultyStorage) => { for (const n of [4, 5, 8]) s.values.delete(runKey(place, n)) }, [damage('hole', 4, 5), damage('hole', 8)], 7],
  ['the first gone', (s: FaultyStorage) => { s.values.delete(runKey(place, 1)) }, [damage('hole', 1)], 9],
  ['the end gone', (s: FaultyStorage) => { for (const n of [9, 10]) s.values.delete(runKey(place, n)) }, [damage('short', 9, 10)], 8],
  ['all gone', (s: FaultyStorage) => { s.values.clear() }, [damage('short', 1, 10)], 0],
  ['a flipped bit in an update', (s: FaultyStorage) => { flip(s, runKey(place, 4)) }, [damage('record', 4)], 9],
  ['a flipped version', (s: FaultyStorage) => { flip(s, runKey(place, 4), 0) }, [damage('record', 4)], 9],
  ['a flipped bit in the last hash', (s: FaultyStorage) => { flip(s, runKey(place, 10), -1) }, [damage('record', 10)], 9],
  ['an empty record', (s: FaultyStorage) => { s.values.set(runKey(place, 4), new Uint8Array(0)) }, [damage('record', 4)], 9],
  ['two records swapped', (s: FaultyStorage) => {
    const [four, five] = [s.values.get(runKey(place, 4)), s.values.get(runKey(place, 5))] as [Uint8Array, Uint8Array]
    s.values.set(runKey(place, 4), five).set(runKey(place, 5), four)
  }, [damage('record', 4, 5)], 8]
] as const) {
  test(`${what}: told, put aside, the rest delivered`, async () => {
    const disk = await filled()
    const before = new Map(disk.storage.values)
    spoil(disk.storage)
    const spoiled = new Map(disk.storage.values)
    const opened = await open(disk)
    assert.equal(opened.recovery.damage, expected)
    assert.is(opened.updates.length, delivered)
    assert.is(opened.recovery.cut, 0)
    const put = [...disk.storage.values].filter(([key]) => key.startsWith(place.quarantine))
    assert.is(put.length, opened.recovery.quarantined)
    for (const [key, value] of put) assert.equal(value, spoiled.get(place.root + key.slice(place.quarantine.length)), 'as it was found')
    assert.is(opened.wal.append(new Uint8Array([0, 0]), ''), 11, 'no sequence is used twice')
    await opened.wal.flushed()
    const again = await open(disk)
    for (const one of expected) assert.ok(again.recovery.damage.some(({ kind, first, last }) => kind === one.kind && first <= one.first && last >= one.last), 'told until it is repaired')
    assert.is(again.updates.length, delivered + 1)
    assert.ok(before.size > 0)
  })
}

test('repaired: what came back is folded in, and the damage is over', async () => {
  const disk = await filled()
  const all = edits(10)
  flip(disk.storage, runKey(place, 4))
  disk.storage.values.delete(runKey(place, 7))
  const opened = await open(disk)
  const { wal } = opened
  await wal.compact(foldHere)
  assert.ok((await open(disk)).recovery.damage.length > 0, 'folding alone repairs nothing')
  for (const update of [all[3], all[6]] as Uint8Array[]) wal.append(update, 'peer')
  await within(20_000, 'repaired', wal.repaired(foldHere))
  const again = await open(disk)
  assert.equal(again.recovery, { damage: [], quarantined: 0, cut: 0, leftover: 0, isWitnessed: true })
  assert.is(sizeOf(again), 10)
  assert.not([...disk.storage.values.keys()].some(key => key.startsWith(place.quarantine)))
})

test('beyond the witness a log that follows on is taken, and the rest is cut and counted', async () => {
  for (const [what, spoil, taken, cut] of [
    ['whole', () => {}, 6, 0],
    ['torn', (s: FaultyStorage) => { flip(s, runKey(place, 15)) }, 4, 2],
    ['with a hole', (s: FaultyStorage) => { s.values.delete(runKey(place, 12)) }, 1, 4],
    ['gone', (s: FaultyStorage) => { for (let n = 11; n <= 16; n++) s.values.delete(runKey(place, n)) }, 0, 0]
  ] as const) {
    const disk = await filled(10)
    const { wal } = await open(disk)
    disk.witness.isDeaf = true
    for (const update of edits(6, 10)) {
      wal.append(update, '')
      await wal.flushed()
    }
    disk.witness.isDeaf = false
    const after = { storage: disk.storage.afterCut(), witness: disk.witness }
    spoil(after.storage)
    const opened = await open(after)
    assert.equal([opened.updates.length, opened.recovery.cut, opened.recovery.damage], [10 + taken, cut, []], what)
    assert.is(opened.wal.append(new Uint8Array([0, 0]), ''), 11 + taken)
    await opened.wal.flushed()
    assert.equal([(await open(after)).updates.length, (await open(after)).recovery.damage], [11 + taken, []], what)
  }
})

test('a run that was cut and written over, and comes back, does not pass', async () => {
  for (const [what, isSingle, expected, delivered] of [
    ['where the next one tells', true, damage('record', 6), [1, 2, 3, 4, 5, 7, 8]],
    // What is missing might have followed on it.
    ['where what it stands for had more', false, damage('short', 7, 8), [1, 2, 3, 4, 5, 6]]
  ] as const) {
    const disk = await filled(5)
    const old = await filled(6)
    const { wal } = await open(disk)
    for (const update of edits(3, 50)) {
      wal.append(update, '')
      if (isSingle) await wal.flushed()
    }
    await wal.flushed()
    disk.storage.values.set(runKey(place, 6), old.storage.values.get(runKey(place, 6)) as Uint8Array)
    const opened = await open(disk)
    assert.equal(opened.recovery.damage, [expected], what)
    assert.equal(opened.updates.map(({ sequence }) => sequence), delivered, what)
  }
})

test('a run that was cut, and comes back amid a longer one, is put aside; the longer one stays', async () => {
  const disk = await filled(5)
  const old = await filled(7)
  const { wal } = await open(disk)
  for (const update of edits(4, 50)) wal.append(update, '')
  await wal.flushed()
  for (const isReadable of [true, false]) {
    disk.storage.values.set(runKey(place, 7), isReadable ? old.storage.values.get(runKey(place, 7)) as Uint8Array : new Uint8Array(40))
    const opened = await open(disk)
    assert.is(opened.recovery.quarantined, 1)
    assert.equal(opened.recovery.damage, [isReadable ? damage('record', 7) : damage('record', 7, 9)])
    assert.equal(opened.updates.map(({ sequence }) => sequence), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  }
})

test('a run that cannot be read costs its records, and no others', async () => {
  const disk = await filled(5)
  const { wal } = await open(disk)
  for (const [count, from] of [[100, 100], [3, 300]] as const) {
    for (const update of edits(count, from)) wal.append(update, 'peer')
    await wal.flushed()
  }
  flip(disk.storage, runKey(place, 6))
  const { recovery, updates } = await open(disk)
  assert.equal([recovery.damage, recovery.quarantined, updates.length], [[damage('record', 6, 105)], 1, 8])
})

test('a lost witness is told; an unreadable end is put aside then, since it may have been acknowledged', async () => {
  const disk = await filled()
  disk.witness.isLost = true
  flip(disk.storage, runKey(place, 10))
  const opened = await open(disk)
  assert.equal(opened.recovery.damage, [damage('record', 10), damage('witness', 0)])
  assert.equal([opened.recovery.cut, opened.recovery.quarantined, opened.updates.length], [0, 1, 9])
})

for (const [what, spoil, kinds, delivered] of [
  ['a damaged base', (s: FaultyStorage) => { flip(s, place.base) }, ['snapshot'], 10],
  ['a lost base', (s: FaultyStorage) => { s.values.delete(place.base) }, ['hole'], 10],
  ['a damaged chunk', (s: FaultyStorage) => { flip(s, chunkKeys(s)[0] ?? '') }, ['snapshot'], 4],
  ['a lost chunk', (s: FaultyStorage) => { s.values.delete(chunkKeys(s)[0] ?? '') }, ['snapshot'], 4]
] as const) {
  test(`${what}: told, and what is left is delivered, again and again`, async () => {
    const disk = await filled(10, 6)
    spoil(disk.storage)
    for (let round = 0; round < 3; round++) {
      const opened = await open(disk)
      for (const kind of kinds) assert.ok(opened.recovery.damage.some(one => one.kind === kind), `${kind} in ${JSON.stringify(opened.recovery.damage)}`)
      const values = documentOf(opened)
      assert.is(values.getMap('m').size + (values.store.pendingStructs === null ? 0 : 4), delivered)
      assert.is(opened.updates.length, 4)
    }
    const { wal } = await open(disk)
    for (const update of edits(10)) wal.append(update, 'peer')
    await within(20_000, 'repaired', wal.repaired(foldHere))
    const again = await open(disk)
    assert.equal([sizeOf(again), again.recovery.damage], [10, []])
  })
}

test('a name that was lost is written again with the next record', async () => {
  const disk = await filled(2)
  const name = [...disk.storage.values.keys()].find(key => key.startsWith('crdt-name/')) ?? ''
  for (const spoil of [() => { disk.storage.values.delete(name) }, () => { flip(disk.storage, name) }]) {
    spoil()
    const { wal } = await open(disk)
    wal.append(new Uint8Array([0, 0]), '')
    await wal.flushed()
    assert.equal(await listDocuments(disk.storage), [{ key: KEY, name: 'notes' }])
  }
})

test('a base older than the log\'s deletions is noticed', async () => {
  const disk = await filled(6, 6)
  const older = new Map(disk.storage.values)
  const { wal } = await open(disk)
  for (const update of edits(6, 6)) wal.append(update, '')
  await wal.flushed()
  await wal.compact(foldHere)
  for (const key of [place.base, ...chunkKeys(disk.storage)]) disk.storage.values.delete(key)
  for (const [key, value] of older) if (key === place.base || key.startsWith(place.chunks)) disk.storage.values.set(key, value)
  const { recovery } = await open(disk)
  assert.equal(recovery.damage, [damage('short', 7, 12)])
})

test('what a newer release wrote is refused, and left as it is', async () => {
  const newer = RECORD_VERSION + 1
  for (const key of [runKey(place, 10), place.base]) {
    const disk = await filled(10, 6)
    const body = Uint8Array.of(newer, 1, 2, 3)
    disk.storage.values.set(key, key === place.base ? sealValue(key, body) : concatBytes(body, sha256(concatBytes(place.bytes, body)).subarray(0, 16)))
    const before = new Map(disk.storage.values)
    const error = await open(disk).then(() => undefined, (thrown: unknown) => thrown)
    assert.is((error as SwarmError).code, 'VERSION_UNSUPPORTED')
    assert.equal(disk.storage.values, before)
  }
})

test('compaction folds the log beside appends, and gives the same document', async () => {
  const disk = await filled(LOG_RECORDS_HIGH + 1)
  const { wal } = await open(disk)
  assert.is(wal.status().isLong, true)
  const gate = held()
  const compacting = wal.compact(async folding => { await gate.promise; return fold(folding) })
  for (const update of edits(5, 50_000)) wal.append(update, '')
  await wal.flushed()
  gate.release()
  await within(10_000, 'compacted', compacting)
  const { records, snapshotBytes, isLong, sequence } = wal.status()
  assert.equal([records, isLong, sequence], [5, false, LOG_RECORDS_HIGH + 6])
  assert.ok(snapshotBytes > 0)
  const opened = await open({ storage: disk.storage.afterCut(), witness: disk.witness })
  assert.equal([sizeOf(opened), opened.updates.length, opened.recovery.damage, opened.recovery.leftover], [LOG_RECORDS_HIGH + 6, 5, [], 0])
  const firsts = [...disk.storage.values.keys()].filter(key => key.startsWith(place.log)).map(key => runFirst(place, key) ?? 0)
  assert.ok(firsts.length > 0 && firsts.every(first => first > LOG_RECORDS_HIGH + 1), 'what was folded is deleted')
})

test('a large snapshot goes in chunks of bounded size, written before anything names them; the old ones go', async () => {
  const disk = { storage: new FaultyStorage(), witness: new FaultyWitness() }
  const { wal } = await open(disk)
  const document = new Y.Doc()
  document.on('update', (update: Uint8Array) => { wal.append(update, '') })
  const random = seededRandom(3)
  for (let index = 0; index < 5; index++) {
    document.getMap('m').set(`k${index}`, random.bytes(700_000))
    await wal.flushed()
    if (index === 2) await wal.compact(foldHere)
  }
  await wal.compact(foldHere)
  const [writes, chunks] = [disk.storage.writes, chunkKeys(disk.storage)]
  assert.is(chunks.length, 4)
  for (const { changes } of writes) {
    const named = changes.filter(({ key }) => key === place.base)
    if (named.length === 0) for (const { value } of changes) assert.ok((value?.byteLength ?? 0) <= CHUNK_BYTES_MAX)
  }
  const flip = writes.findLastIndex(({ changes }) => changes.some(({ key }) => key === place.base))
  for (const key of chunks) assert.ok(writes.findIndex(({ changes }) => changes.some(change => change.key === key)) < flip)
  assert.is(sizeOf(await open(disk)), 5)
})

test('a compaction cut short after any write leaves the whole document, and the next one cleans up', async () => {
  const count = 2 * DELETED_AT_ONCE + 300
  const whole = await filled(count, 100, true)
  for (let cutAt = 0; ; cutAt++) {
    const disk = { storage: whole.storage.afterCut(), witness: whole.witness }
    const { wal } = await open(disk)
    const start = disk.storage.writes.length
    disk.storage.fails = () => disk.storage.writes.length - start > cutAt
    const end = await wal.compact(foldHere).then(() => 'done', (error: unknown) => (error as SwarmError).code)
    const after = { storage: disk.storage.afterCut(), witness: disk.witness }
    const opened = await open(after)
    assert.equal([sizeOf(opened), opened.recovery.damage], [count, []], `cut at write ${cutAt}`)
    await opened.wal.compact(foldHere)
    const again = await open(after)
    assert.equal([sizeOf(again), again.updates.length, again.recovery.leftover, again.recovery.damage], [count, 0, 0, []])
    assert.is(chunkKeys(after.storage).length, 1)
    if (end === 'done') {
      assert.ok(cutAt >= 4, `${cutAt} writes`)
      break
    }
    assert.is(end, 'DISK_FAILED')
  }
})

test('a flip that failed, though it is on disk, does not confuse the next compaction', async () => {
  const disk = await filled(50)
  const { wal } = await open(disk)
  disk.storage.keepsFailed = true
  disk.storage.fails = changes => changes.some(({ key }) => key === place.base)
  assert.is(await wal.compact(foldHere).catch((error: unknown) => (error as SwarmError).code), 'DISK_FAILED')
  disk.storage.fails = false
  const { wal: later } = await open(disk)
  for (const update of edits(5, 50)) wal.append(update, '')
  assert.ok(later.status().sequence === 50)
  await until('flushed', () => wal.durable >= 55, 20_000)
  await wal.compact(foldHere)
  assert.equal([sizeOf(await open(disk)), wal.status().records], [55, 0])
})

test('a log that is not as it was written is not folded', async () => {
  for (const spoil of [(s: FaultyStorage) => { flip(s, runKey(place, 3)) }, (s: FaultyStorage) => { s.values.delete(runKey(place, 3)) }]) {
    const disk = await filled(5)
    const { wal } = await open(disk)
    spoil(disk.storage)
    const before = new Map(disk.storage.values)
    assert.is(await wal.compact(foldHere).catch((error: unknown) => (error as SwarmError).code), 'DOCUMENT_DAMAGED')
    assert.equal(disk.storage.values, before)
  }
})

test('closing ends a compaction, and leaves the document whole', async () => {
  const disk = await filled(50)
  const { wal } = await open(disk)
  const gate = held()
  const compacting = wal.compact(async folding => { await gate.promise; return fold(folding) }).catch((error: unknown) => (error as SwarmError).code)
  const closing = wal.close()
  gate.release()
  await within(10_000, 'closed', closing)
  assert.is(await compacting, 'CLOSED')
  assert.is(sizeOf(await open(disk)), 50)
})

test.run()
