import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Change, Storage } from '../../lib/base/storage.ts'
import { Directory } from '../../lib/directory/directory.ts'
import { KEEP_MS, Keep, RECORD_KEPT_MS_MAX } from '../../lib/directory/keep.ts'
import { VirtualClock } from '../support/clock.ts'
import { SWARM, agent, keyOf, sealed, signed } from './sample.ts'

/** A disk that a test can look into, damage, and let fail. */
class Disk implements Storage {
  readonly held = new Map<string, Uint8Array>()
  writes = 0
  failure: Error | undefined

  async get (key: string): Promise<Uint8Array | undefined> {
    return this.held.get(key)
  }

  async write (changes: readonly Change[]): Promise<void> {
    this.writes++
    if (this.failure !== undefined) throw this.failure
    for (const { key, value } of changes) {
      if (value === undefined) this.held.delete(key)
      else this.held.set(key, value)
    }
  }

  async * entries (prefix: string): AsyncIterable<readonly [string, Uint8Array]> {
    if (this.failure !== undefined) throw this.failure
    for (const entry of this.held) if (entry[0].startsWith(prefix)) yield entry
  }

  async close (): Promise<void> {}
}

const notes = sealed('write')
const files = sealed('list')
const bob = signed(keyOf(2), { name: 'bob', agents: [agent('a', notes.hash)] })
const carol = signed(keyOf(3), { name: 'carol', agents: [agent('a', files.hash)] })

function keepOn (storage: Storage, clock = new VirtualClock(), more: { recordsMax?: number, catalogueBytesMax?: number } = {}): { keep: Keep, failures: unknown[] } {
  const failures: unknown[] = []
  return { keep: new Keep({ storage, swarmId: SWARM, clock, onFailure: error => { failures.push(error) }, ...more }), failures }
}

async function fill (storage: Storage): Promise<void> {
  const { keep } = keepOn(storage)
  for (const record of [bob, carol]) keep.saveRecord(...record)
  for (const { hash, text } of [notes, files]) keep.saveCatalogue(hash, text)
  await keep.close()
}

async function reload (storage: Storage, ...options: [clock?: VirtualClock, more?: { recordsMax?: number, catalogueBytesMax?: number }]): Promise<{ directory: Directory, counts: object, failures: unknown[] }> {
  const directory = new Directory(keyOf(1).peerId)
  const { keep, failures } = keepOn(storage, ...options)
  const counts = await keep.load(directory)
  await keep.close()
  return { directory, counts, failures }
}

test('what many records say is held once, read back from disk as well', async () => {
  const storage = new Disk()
  const { keep } = keepOn(storage)
  for (const record of [bob, signed(keyOf(3), { name: 'carol', agents: [agent('a', notes.hash)] })]) keep.saveRecord(...record)
  await keep.close()
  // Two equal texts look the same, held once or twice: what shows is who was asked for them.
  const asked: string[] = []
  const directory = new Directory(keyOf(1).peerId)
  const { share } = directory
  Object.defineProperty(directory, 'share', { value: (text: string) => { asked.push(text); return share(text) } })
  const { keep: again } = keepOn(storage)
  await again.load(directory)
  assert.equal(asked.filter(text => text === notes.hash), [notes.hash, notes.hash])
  assert.equal([bob, carol].map(([{ peerId }]) => directory.record(peerId)?.record.agents[0]?.catalogue), [notes.hash, notes.hash])
  await again.close()
})

test('what was kept is known after a restart, with every tool, and not living', async () => {
  const disk = new Disk()
  await fill(disk)
  assert.equal([...disk.held.keys()].sort(), [
    `directory/catalogue/${notes.hash}`, `directory/catalogue/${files.hash}`, `directory/record/${bob[0].peerId}`, `directory/record/${carol[0].peerId}`
  ].sort())
  const { directory, counts } = await reload(disk)
  assert.equal(counts, { records: 2, catalogues: 2, damaged: 0, pruned: 0 })
  assert.equal(directory.find({ all: true }).map(({ peerName, tool, available }) => [peerName, tool.name, available]).sort(), [['bob', 'write', false], ['carol', 'list', false]])
  assert.equal(directory.find({}), [])
  assert.is(directory.record(bob[0].peerId)?.wire, bob[1])
})

test('a peer that has shown to be a member makes no room on disk for those that have not', async () => {
  const disk = new Disk()
  const { keep } = keepOn(disk, undefined, { recordsMax: 4 })
  keep.saveRecord(...bob, true)
  const told = Array.from({ length: 6 }, (_, index) => signed(keyOf(50 + index)))
  for (const record of told) keep.saveRecord(...record)
  keep.saveRecord(...bob) // as another tells of it later
  keep.saveRecord(...carol, true)
  for (const record of told.slice(0, 3)) keep.saveRecord(...record)
  await keep.close()
  const kept = [...disk.held.keys()].map(key => key.slice('directory/record/'.length))
  assert.equal(kept.sort(), [bob, carol, ...told.slice(1, 3)].map(([{ peerId }]) => peerId).sort())
  const { keep: full } = keepOn(disk, undefined, { recordsMax: 4 })
  await full.load(new Directory(keyOf(1).peerId))
  for (let seed = 60; seed < 65; seed++) full.saveRecord(...signed(keyOf(seed)), true)
  await full.close()
  assert.is(disk.held.size, 4)
  assert.not.ok(disk.held.has(`directory/record/${keyOf(60).peerId}`), 'among members the oldest goes')
})

test('what was kept for another swarm is dropped', async () => {
  const disk = new Disk()
  await fill(disk)
  const keep = new Keep({ storage: disk, swarmId: 'z'.repeat(26), clock: new VirtualClock(), onFailure: error => { throw error } })
  assert.equal(await keep.load(new Directory(keyOf(1).peerId)), { records: 0, catalogues: 0, damaged: 4, pruned: 0 })
})

test('many changes are written together', async () => {
  const disk = new Disk()
  const clock = new VirtualClock()
  const { keep } = keepOn(disk, clock)
  for (let sequence = 0; sequence < 20; sequence++) keep.saveRecord(...signed(keyOf(2), { name: 'bob', sequence }))
  keep.saveRecord(...carol)
  await clock.advance(KEEP_MS - 1)
  assert.is(disk.writes, 0)
  await clock.advance(1)
  assert.is(disk.writes, 1)
  const { directory } = await reload(disk)
  assert.is(directory.record(bob[0].peerId)?.record.sequence, 19)
})

test('a peer that has left is not kept', async () => {
  const disk = new Disk()
  await fill(disk)
  const { keep } = keepOn(disk)
  await keep.load(new Directory(keyOf(1).peerId))
  keep.saveRecord(...signed(keyOf(2), { name: 'bob', sequence: 2, left: true }))
  await keep.close()
  const { directory, counts } = await reload(disk)
  assert.equal(directory.peers({ all: true }).map(({ name }) => name), ['carol'])
  assert.equal(counts, { records: 1, catalogues: 1, damaged: 0, pruned: 1 }, 'its catalogue is of use to nobody')
})

const key = `directory/record/${bob[0].peerId}`
for (const [name, damage] of [
  ['bytes that are no text', disk => disk.held.set(key, Uint8Array.of(255, 254, 0))],
  ['an empty value', disk => disk.held.set(key, new Uint8Array(0))],
  ['a value without its time', disk => disk.held.set(key, utf8(bob[1]))],
  ['a flipped bit in a record', disk => disk.held.set(key, flip(disk.held.get(key)))],
  ['a record under another peer\'s key', disk => disk.held.set(key, disk.held.get(`directory/record/${carol[0].peerId}`) ?? new Uint8Array(0))],
  ['a record without its checksum', disk => disk.held.set(key, utf8(`1767225600000 ${bob[1]}`))],
  ['a flipped bit in a catalogue', disk => disk.held.set(`directory/catalogue/${notes.hash}`, flip(disk.held.get(`directory/catalogue/${notes.hash}`)))],
  ['a key that is no hash', disk => disk.held.set('directory/catalogue/x', utf8(`1767225600000 ${notes.text}`))]
] as const satisfies readonly (readonly [string, (disk: Disk) => unknown])[]) {
  test(`${name} is dropped and counted, and the rest is taken`, async () => {
    const disk = new Disk()
    await fill(disk)
    damage(disk)
    const { directory, counts, failures } = await reload(disk)
    assert.is((counts as { damaged: number }).damaged, 1)
    assert.equal(failures, [])
    assert.ok(directory.find({ tool: 'list', all: true }).length === 1)
    assert.is(((await reload(disk)).counts as { damaged: number }).damaged, 0, 'it is gone from the disk')
  })
}

function flip (bytes: Uint8Array | undefined): Uint8Array {
  const flipped = Uint8Array.from(bytes ?? [])
  const place = flipped.byteLength - 20
  flipped[place] = (flipped[place] ?? 0) ^ 1
  return flipped
}

test('a disk that fails costs the cache and nothing else', async () => {
  const disk = new Disk()
  await fill(disk)
  disk.failure = new SwarmError('FOLDER_UNUSABLE', 'no space left')
  const { keep, failures } = keepOn(disk)
  assert.equal(await keep.load(new Directory(keyOf(1).peerId)), { records: 0, catalogues: 0, damaged: 0, pruned: 0 })
  keep.saveRecord(...bob)
  await keep.flush()
  assert.equal(failures, [disk.failure, disk.failure])
  disk.failure = undefined
  keep.saveRecord(...signed(keyOf(2), { name: 'bob', sequence: 5 }))
  await keep.close()
  assert.is((await reload(disk)).directory.record(bob[0].peerId)?.record.sequence, 5)
})

test('keeps no more records than its limit, the latest ones', async () => {
  const disk = new Disk()
  const clock = new VirtualClock()
  const { keep } = keepOn(disk, clock, { recordsMax: 3 })
  for (let seed = 2; seed < 7; seed++) {
    keep.saveRecord(...signed(keyOf(seed), { name: `peer-${seed}` }))
    await clock.advance(KEEP_MS)
  }
  keep.saveRecord(...signed(keyOf(4), { name: 'peer-4', sequence: 2 }))
  await clock.advance(KEEP_MS)
  keep.saveRecord(...signed(keyOf(7), { name: 'peer-7' }))
  await keep.close()
  const names = ({ directory }: { directory: Directory }): string[] => directory.peers({ all: true }).map(({ name }) => name).sort()
  assert.equal(names(await reload(disk, clock)), ['peer-4', 'peer-6', 'peer-7'])
  const fewer = await reload(disk, clock, { recordsMax: 2 })
  assert.equal(names(fewer), ['peer-4', 'peer-7'])
  assert.equal(fewer.counts, { records: 2, catalogues: 0, damaged: 0, pruned: 1 })
})

test('keeps no more catalogues than its limit of bytes, the latest ones', async () => {
  const disk = new Disk()
  const clock = new VirtualClock()
  const catalogues = ['one', 'two', 'three', 'four'].map(name => sealed(name))
  const limits = { catalogueBytesMax: 3 * (catalogues[0]?.text.length ?? 0) }
  const { keep } = keepOn(disk, clock, limits)
  keep.saveRecord(...signed(keyOf(2), { agents: catalogues.map(({ hash }, index) => agent(`a${index}`, hash)) }))
  for (const { hash, text } of catalogues) {
    keep.saveCatalogue(hash, text)
    keep.saveCatalogue(hash, text)
    await clock.advance(KEEP_MS)
  }
  await keep.close()
  const tools = ({ directory }: { directory: Directory }): string[] => directory.find({ all: true }).map(({ tool }) => tool.name).sort()
  assert.equal(tools(await reload(disk, clock)), ['four', 'three'])
  assert.equal(tools(await reload(disk, clock, { catalogueBytesMax: limits.catalogueBytesMax / 2 })), ['four'])
})

test('a record that nobody renewed for a month is dropped', async () => {
  const disk = new Disk()
  await fill(disk)
  const clock = new VirtualClock()
  await clock.advance(RECORD_KEPT_MS_MAX)
  const { directory, counts } = await reload(disk, clock)
  assert.equal(counts, { records: 0, catalogues: 0, damaged: 0, pruned: 4 })
  assert.equal(directory.peers({ all: true }), [])
})

test('after its close nothing is written', async () => {
  const disk = new Disk()
  const clock = new VirtualClock()
  const { keep } = keepOn(disk, clock)
  await keep.close()
  keep.saveRecord(...bob)
  await clock.advance(KEEP_MS)
  await keep.flush()
  assert.is(disk.writes, 0)
  assert.is(clock.pending, 0)
})

test.run()
