import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openWitness } from '#witness'
import { Committer } from '../../crdt/committer.ts'
import { documentKey } from '../../crdt/name.ts'
import { Wal } from '../../crdt/wal.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { openReopening } from '../../lib/storage/reopen.ts'
import { FaultyStorage, FaultyWitness } from '../support/faulty.ts'
import { needs } from '../support/needs.ts'
import { within } from '../support/within.ts'

const root = mkdtempSync(join(tmpdir(), 'swarm-disk-'))
const code = async (work: Promise<unknown>): Promise<unknown> => await within(30_000, 'an end', work.then(() => undefined, (error: unknown) => (error as SwarmError).code ?? String(error)))
const [FIRST, SECOND] = [documentKey('first'), documentKey('second')]

async function openPeer (folder: string): Promise<{ committer: Committer, close: () => Promise<void> }> {
  const storage = await openReopening(folder)
  const witness = await openWitness(folder)
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  return { committer, close: async () => { await committer.close(); await witness?.close(); await storage.close() } }
}

needs(test, 'root', 'linux')('a disk that is full: documents are read, edits fail with a code, and all of them are there once there is room', async () => {
  const disk = join(root, 'disk')
  mkdirSync(disk, { mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=700', 'tmpfs', disk])
  try {
    const [folder, ballast] = [join(disk, 'store'), join(disk, 'ballast')]
    let peer = await openPeer(folder)
    const { wal } = await Wal.open(FIRST, { committer: peer.committer })
    const { wal: other } = await Wal.open(SECOND, { committer: peer.committer })
    other.append(Uint8Array.of(7), '')
    await other.close()
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(ballast, new Uint8Array(bavail * bsize - 2 * 2 ** 20))
    const failed = code((async () => {
      for (;;) {
        wal.append(new Uint8Array(100_000).fill(wal.status().sequence + 1), '')
        await wal.flushed()
      }
    })())
    assert.is(await failed, 'DISK_FAILED')
    const { durable, sequence } = wal.status()
    assert.ok(durable > 5 && sequence === durable + 1, `${durable} of ${sequence}`)
    assert.is(await code(wal.compact(async () => Uint8Array.of(0, 0))), 'DISK_FAILED')
    const read = await Wal.open(SECOND, { committer: peer.committer })
    assert.equal(read.updates.map(({ update }) => [...update]), [[7]], 'reads go on')
    assert.is(await code(Wal.open(FIRST, { committer: peer.committer })), 'DISK_FAILED', 'what is on disk of it is not all')
    wal.append(Uint8Array.of(1), '')
    assert.equal([await code(wal.flushed()), wal.durable], ['DISK_FAILED', durable])
    const healed = within(40_000, 'healed', new Promise<void>(resolve => { wal.onDurable(now => { if (now === sequence + 1) resolve() }) }))
    rmSync(ballast)
    await healed
    assert.is(wal.status().failed, undefined)
    await wal.close()
    await peer.close()
    peer = await openPeer(folder)
    const { updates, recovery } = await Wal.open(FIRST, { committer: peer.committer })
    assert.equal([updates.length, recovery.damage, recovery.cut], [sequence + 1, [], 0])
    assert.ok(updates.slice(0, -1).every(({ update, sequence }) => update.byteLength === 100_000 && update.every(byte => byte === (sequence & 255))))
    await peer.close()
  } finally {
    execFileSync('umount', ['-l', disk])
  }
})

test('a disk that fails is read, but for documents with something that is not on it', async () => {
  const [storage, witness] = [new FaultyStorage(), new FaultyWitness()]
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  const { wal } = await Wal.open(SECOND, { committer })
  wal.append(Uint8Array.of(7), '')
  await wal.flushed()
  const { wal: first } = await Wal.open(FIRST, { committer })
  storage.fails = true
  first.append(Uint8Array.of(1), '')
  assert.is(await code(first.flushed()), 'DISK_FAILED')
  assert.is((await Wal.open(SECOND, { committer })).updates.length, 1)
  assert.is(await code(Wal.open(FIRST, { committer })), 'DISK_FAILED')
  storage.fails = false
  await within(10_000, 'healed', committer.heal())
  assert.is((await Wal.open(FIRST, { committer })).updates.length, 1)
  await committer.close()
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
