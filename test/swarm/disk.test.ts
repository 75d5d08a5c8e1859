// bound: 150 s
/** Documents of a program whose disk, folder or names are at fault: `swarm.document` on a real store, with every acknowledgement flushed. */
import { Disk } from '../support/disk.ts'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NAME_CHARS_MAX, documentKey } from '../../crdt/name.ts'
import { placeOf, runKey } from '../../crdt/place.ts'
import { RECORD_VERSION, roomFor, seal } from '../../crdt/record.ts'
import { HEAL_MS_MAX } from '../../crdt/retry.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { HASH_BYTES } from '../../lib/base/witness.ts'
import type { Document } from '../../lib/documents/document.ts'
import { STORE_VERSION, VERSION_KEY, openEngine } from '../../lib/storage/engine.node.ts'
import { MARK_AT, PAGE_BYTES, WITNESS_VERSION } from '../../lib/storage/page.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { sha256 } from '#hash'
import { needs } from '../support/needs.ts'
import { until, within } from '../support/within.ts'

const MIB = 2 ** 20
/** A value of 100 kB that no store makes smaller. */
const large = (seed: number): string => Array.from({ length: 12_500 }, (_, index) => ((index + 1) * (seed + 7) * 2_654_435_761 % 2 ** 32).toString(16).padStart(8, '0')).join('')

const root = mkdtempSync(join(tmpdir(), 'mcp-swarm-test-'))
test.after(() => { rmSync(root, { recursive: true, force: true }) })

async function failureOf (work: Promise<unknown>): Promise<SwarmError> {
  const error = await within(20_000, 'an end', work.then(() => undefined, (thrown: unknown) => thrown))
  assert.instance(error, SwarmError, String(error))
  return error as SwarmError
}

/** Edits until it is refused. @returns how many edits were made, and why no more of them are on disk */
async function editUntilFull (document: Document): Promise<{ count: number, error: SwarmError }> {
  for (let count = 1; ; count++) {
    document.set(`m/k${count}`, large(count))
    try {
      await within(20_000, 'an end', document.flushed())
    } catch (error) {
      assert.instance(error, SwarmError)
      return { count, error: error as SwarmError }
    }
    assert.ok(count < 1_000, 'never full')
  }
}

/** Resolves as soon as a claim about a document holds, which is looked at whenever it changes. */
async function comes (document: Document, what: string, claim: () => boolean): Promise<void> {
  await within(2 * HEAL_MS_MAX, what, new Promise<void>(resolve => {
    const look = (): void => {
      if (!claim()) return
      document.ydoc.off('update', look)
      resolve()
    }
    document.ydoc.on('update', look)
    look()
  }))
}

/** A test on a disk of its own, with a data folder there. */
function onDisk (name: string, run: (disk: Disk, dir: string, lab: Lab) => Promise<void>): void {
  needs(test, 'mounts')(name, async () => {
    const disk = new Disk(join(root, 'disk'), 64 * MIB)
    const lab = new Lab()
    try {
      await within(100_000, 'all of it', run(disk, join(disk.room, 'alice'), lab).finally(async () => { await lab.close() }))
    } finally {
      disk.end()
    }
  })
}

for (const [what, hurt, mend, says] of [
  ['a disk that is full', (disk: Disk) => { disk.fill(2 * MIB) }, (disk: Disk) => { disk.empty() }, /No space left/],
  ['a folder that may not be written any more', (_disk: Disk, store: string) => { chmodSync(store, 0o500) }, (_disk: Disk, store: string) => { chmodSync(store, 0o700) }, /Permission denied/]
] as const) {
  onDisk(`${what}: reads go on, writes fail with a code, and all heals with what was edited meanwhile`, async (disk, dir, lab) => {
    const [alice, bob] = [await lab.join('alice', { dir }), await lab.join('bob')]
    const [here, there] = await Promise.all([alice.document('notes'), bob.document('notes')])
    assert.is(here.status().durability, 'strict')
    const before = await alice.document('before')
    before.set('m/k', 'on disk')
    await before.close()
    here.set('m/k', 'seen')
    await within(10_000, 'synced', here.synced())
    const told: string[] = []
    here.on('trouble', ({ code }) => { told.push(code) })

    hurt(disk, join(dir, 'store'))
    const { count, error } = await editUntilFull(here)
    assert.is(error.code, 'DISK_FAILED')
    assert.match(error.message, /documents cannot be written.*Nothing is acknowledged until they can/)
    assert.match(error.message, says)
    assert.equal(told, ['DISK_FAILED'], 'told once')
    assert.equal([here.status().failure?.code, alice.status().documents?.failure?.code], ['DISK_FAILED', 'DISK_FAILED'])
    assert.ok(alice.status().troubles.some(({ code }) => code === 'DISK_FAILED'))
    assert.is(here.get(`m/k${count}`), large(count), 'an edit is read where it was made')
    const [again, other] = [await within(10_000, 'opened', alice.document('before')), await within(10_000, 'opened', alice.document('other'))]
    assert.equal([again.get('m/k'), other.get()], ['on disk', {}], 'documents on disk are read, others begin empty')
    assert.equal((await alice.documents()).map(({ name }) => name), ['before', 'notes', 'other'])
    other.set('m/k', 'other')
    assert.is((await failureOf(other.flushed())).code, 'DISK_FAILED')
    assert.is((await failureOf(other.synced({ timeoutMs: 5_000 }))).code, 'DISK_FAILED')
    there.set('m/theirs', 'read on')
    await comes(here, 'what others write', () => here.get('m/theirs') === 'read on')
    here.set('m/last', 'last')
    assert.equal([there.get(`m/k${count}`), there.get('m/last')], [undefined, undefined], 'nobody sees what is not on disk')

    mend(disk, join(dir, 'store'))
    await comes(there, 'what was edited meanwhile', () => there.get('m/last') === 'last')
    await within(10_000, 'flushed', Promise.all([here.flushed(), other.flushed(), here.synced()]))
    assert.equal([here.status().failure, alice.status().documents?.failure, here.status().durable], [null, null, here.status().sequence])
    await until('no trouble is left', () => alice.status().troubles.every(({ code }) => code !== 'DISK_FAILED'))
    assert.equal(there.get('m'), here.get('m'))
    const all = here.get('m')
    await alice.close()
    await using alone = new Lab()
    const reopened = await alone.join('alice', { dir })
    const [notes, kept] = [await reopened.document('notes'), await reopened.document('other')]
    assert.equal([notes.get('m'), kept.get('m/k'), notes.status().damage], [all, 'other', []])
  })
}

const kept = async (swarm: Swarm, name: string): Promise<unknown> => (await swarm.document(name)).get('m/k')

for (const [what, hurt, mend, says] of [
  ['on a full disk', (disk: Disk) => { disk.fill() }, (disk: Disk) => { disk.empty() }, /space on its disk/],
  ['on a disk that may only be read', (disk: Disk) => { disk.remount('ro') }, (disk: Disk) => { disk.remount('rw') }, /permissions/],
  ['in a folder that may not be written', (_disk: Disk, dir: string) => { for (const name of ['', 'lock', 'store']) chmodSync(join(dir, name), 0o500) }, (_disk: Disk, dir: string) => { for (const name of ['', 'lock', 'store']) chmodSync(join(dir, name), 0o700) }, /permissions/],
  ['in a folder that may not be entered', (_disk: Disk, dir: string) => { chmodSync(dir, 0) }, (_disk: Disk, dir: string) => { chmodSync(dir, 0o700) }, /cannot be made or looked into|permissions/],
  ['with a store that may not be read', (_disk: Disk, dir: string) => { chmodSync(join(dir, 'store'), 0) }, (_disk: Disk, dir: string) => { chmodSync(join(dir, 'store'), 0o700) }, /permissions/]
] as const) {
  onDisk(`a start ${what} says so, and the next one has everything`, async (disk, dir, lab) => {
    const first = await lab.join('alice', { dir })
    const notes = await first.document('notes')
    notes.set('m/k', 'v')
    await first.close()
    hurt(disk, dir)
    const error = await failureOf(lab.join('alice', { dir }))
    mend(disk, dir)
    assert.is(error.code, 'FOLDER_UNUSABLE', error.message)
    assert.match(error.message, says)
    assert.is(await kept(await lab.join('alice', { dir }), 'notes'), 'v')
  })
}

/** Changes a value in the store of a peer that has ended. @returns what was there */
async function put (store: string, key: string, change: (value: Uint8Array) => Uint8Array): Promise<Uint8Array> {
  const engine = await openEngine(store)
  const old = await engine.get(key)
  await engine.put(key, change(old))
  await engine.close()
  return old
}

/** A folder in which two documents were written. */
async function written (dir: string): Promise<void> {
  await using lab = new Lab()
  const first = await lab.join('alice', { dir })
  for (const name of ['notes', 'other']) (await first.document(name)).set('m/k', name)
}

test('a store that a newer release wrote is refused and left as it is', async () => {
  const dir = join(root, 'newer')
  const store = join(dir, 'store')
  await written(dir)
  const version = await put(store, VERSION_KEY, () => Uint8Array.of(STORE_VERSION + 1))
  await using lab = new Lab()
  const error = await failureOf(lab.join('alice', { dir }))
  assert.equal([error.code, error.details['folder']], ['VERSION_UNSUPPORTED', store])
  assert.match(error.message, /format 2; this release reads 1\. Use the release that wrote it, or another folder/)
  await put(store, VERSION_KEY, () => version)
  assert.is(await kept(await lab.join('alice', { dir }), 'notes'), 'notes')
})

test('a document that a newer release wrote is refused and left as it is, and others are not touched by it', async () => {
  const dir = join(root, 'newer-document')
  await written(dir)
  const place = placeOf(documentKey('notes'))
  const old = await put(join(dir, 'store'), runKey(place, 1), run => {
    const { sealed, value } = roomFor(place.bytes, run.byteLength - HASH_BYTES)
    value.set(run.subarray(0, -HASH_BYTES))
    value[0] = RECORD_VERSION + 1
    seal(sealed)
    return value
  })
  {
    await using lab = new Lab()
    const [alice, bob] = [await lab.join('alice', { dir }), await lab.join('bob')]
    for (let tries = 0; tries < 2; tries++) {
      const error = await failureOf(alice.document('notes'))
      assert.is(error.code, 'VERSION_UNSUPPORTED')
      assert.match(error.message, /has format 2; this release reads 1\. Use the release that wrote it/)
    }
    assert.equal((await alice.documents()).map(({ name }) => name), ['notes', 'other'])
    const [here, there] = [await alice.document('other'), await bob.document('other')]
    here.set('m/more', 1)
    await within(10_000, 'synced', here.synced())
    assert.equal(there.get('m'), { k: 'other', more: 1 })
  }
  await put(join(dir, 'store'), runKey(place, 1), () => old)
  await using lab = new Lab()
  const again = await lab.join('alice', { dir })
  assert.equal([await kept(again, 'notes'), (await again.document('notes')).status().damage], ['notes', []])
})

test('a witness that a newer release wrote is refused, and left as it is', async () => {
  const dir = join(root, 'newer-witness')
  await written(dir)
  const path = join(dir, 'store', 'witness')
  const old = readFileSync(path)
  const bytes = Buffer.from(old)
  for (const at of [0, PAGE_BYTES]) {
    bytes[at + 4] = WITNESS_VERSION + 1
    bytes.set(sha256(bytes.subarray(at, at + MARK_AT)).subarray(0, HASH_BYTES), at + PAGE_BYTES - HASH_BYTES)
  }
  writeFileSync(path, bytes)
  await using lab = new Lab()
  const swarm = await lab.join('alice', { dir })
  for (let tries = 0; tries < 2; tries++) {
    const error = await failureOf(swarm.document('notes'))
    assert.equal([error.code, error.details['path']], ['VERSION_UNSUPPORTED', path])
  }
  assert.ok(readFileSync(path).equals(bytes))
  writeFileSync(path, old)
  assert.is(await kept(swarm, 'notes'), 'notes', 'as soon as it can be')
})

for (const [what, name, reason] of [
  ['nothing', '', /empty/], ['one character too many', 'x'.repeat(NAME_CHARS_MAX + 1), /more than 128/], ['ten megabytes', 'x'.repeat(10 * MIB), /more than 128/],
  ['a line break', 'a\nb', /cannot be seen/], ['a null', 'a\0b', /cannot be seen/], ['half a pair', 'a\ud800', /cannot be seen/], ['a mark of direction', 'a\u202eb', /cannot be seen/],
  ['a space at the end', 'a ', /space/], ['another normal form', 'e\u0301', /normalize/], ['no text', 7 as unknown as string, /not a text/]
] as const) {
  test(`a name with ${what} is refused, and nothing is made`, async () => {
    await using lab = new Lab()
    const swarm = await lab.join('alice', { dir: join(root, 'names') })
    const error = await failureOf(swarm.document(name))
    assert.is(error.code, 'NAME_INVALID')
    assert.match(error.message, reason)
    assert.ok(error.message.length < 1_000)
    assert.equal(await swarm.documents(), [])
  })
}

test('odd names that can be seen are names as any other, of one document each, in no file', async () => {
  const names = ['.', '..', '../../etc/passwd', 'CON', 'a/b', '"', '`$(id)`', '-x', '__proto__', 'Notes', 'notes', '日本語', '🚀'.repeat(NAME_CHARS_MAX)]
  const dir = join(root, 'odd')
  await using lab = new Lab()
  const first = await lab.join('alice', { dir })
  for (const name of names) (await first.document(name)).set('m/k', name)
  await first.close()
  const swarm = await lab.join('alice', { dir })
  assert.equal((await swarm.documents()).map(({ name }) => name), [...names].sort((left, right) => left < right ? -1 : 1))
  for (const name of names) assert.is(await kept(swarm, name), name)
  assert.is(new Set(names.map(documentKey)).size, names.length)
  assert.equal(readdirSync(dir).sort(), ['holder.json', 'lock', 'peer.key', 'store'])
})

test.run()
