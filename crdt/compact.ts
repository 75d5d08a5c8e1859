/**
 * Folds a log into a snapshot, while appends go on.
 *
 * Read: the snapshot, and the records up to a durable sequence. Fold: see fold.ts. Write: the new chunks, which nothing names yet;
 * then, in one write, the base that names them and the first of what it has made needless; then the rest of that, in writes that
 * keep nobody waiting. Only keys that were read are deleted. Cut short anywhere, the document is whole: before the base is
 * written by the old snapshot and all records, after it by the new one; what is left over goes at the next compaction.
 */
import { afterTurn } from '../lib/base/clock.ts'
import { SwarmError } from '../lib/base/error.ts'
import type { Change } from '../lib/base/storage.ts'
import type { Head } from '../lib/base/witness.ts'
import type { Committer } from './committer.ts'
import type { Fold } from './fold.ts'
import { recordSequence, type Place } from './place.ts'
import { readRecord } from './record.ts'
import { SNAPSHOT_BYTES_MAX, baseChange, chunkCount, chunkSnapshot, chunksOf, hashOf, readBase, readLastSnapshot, readSnapshot, rootOf, type Base } from './snapshot.ts'

/** Records deleted in one write. */
export const DELETED_AT_ONCE = 512

/** Records read before others have their turn. */
const READ_AT_ONCE = 512

export interface Compaction {
  readonly committer: Committer
  readonly place: Place
  /** The last record to fold: durable, and known to be good. */
  readonly head: Head
  /** How many records there must be after a sequence, up to the head. */
  readonly count: (after: number) => number
  /** Whether something is damaged: then nothing is deleted that may be of use. */
  readonly isDamaged: boolean
  readonly fold: Fold
  /** Throws if the work is to end early. */
  readonly check: () => void
  /** Told as soon as the new base counts. */
  readonly counts: (base: Base) => void
}

/** @throws SwarmError DOCUMENT_DAMAGED if the log cannot be read back as it was written: nothing has changed then; DISK_FAILED, TOO_LARGE */
export async function compact ({ committer, place, head, count, isDamaged, fold, check, counts }: Compaction): Promise<void> {
  const { storage } = committer
  const old = await readBase(storage, place)
  const snapshot = old === undefined || old === 'damaged' ? await readLastSnapshot(storage, place) : await readSnapshot(storage, place, old)
  if (old === 'damaged' || (old !== undefined && snapshot === undefined)) throw damaged(place, 'its snapshot cannot be read')
  const updates: Uint8Array[] = []
  const needless: string[] = []
  for await (const [key, value] of storage.entries(place.log)) {
    const sequence = recordSequence(place, key) ?? Infinity
    if (sequence > head.sequence) continue
    needless.push(key)
    if (sequence <= (old?.sequence ?? 0)) continue
    const record = readRecord(place.bytes, sequence, value)
    if (typeof record === 'string') throw damaged(place, `record ${sequence} cannot be read`)
    updates.push(record.update)
    if (needless.length % READ_AT_ONCE === 0) await turn()
  }
  const written = count(old?.sequence ?? 0)
  if (updates.length !== written) throw damaged(place, `${updates.length} records are there; ${written} were written`)
  check()
  const update = await fold({ snapshot, updates })
  check()
  if (update.byteLength > SNAPSHOT_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a snapshot of ${update.byteLength} bytes; limit ${SNAPSHOT_BYTES_MAX}`)

  let highest = old?.snapshot ?? 0
  for await (const [key] of storage.entries(place.chunks)) {
    const number = chunkSnapshot(place, key) ?? 0
    highest = Math.max(highest, number)
    if (!isDamaged || number === old?.snapshot) needless.push(key)
  }
  const number = highest + 1
  const hashes: Uint8Array[] = []
  for (const chunk of chunksOf(place, number, update)) {
    hashes.push(hashOf(chunk.value))
    await committer.put([chunk])
    check()
  }
  const base: Base = { sequence: head.sequence, hash: head.hash, snapshot: number, bytes: update.byteLength, chunks: chunkCount(update), root: rootOf(hashes) }
  await committer.put([baseChange(place, base), ...deletions(needless.slice(0, DELETED_AT_ONCE))])
  counts(base)
  for (let index = DELETED_AT_ONCE; index < needless.length; index += DELETED_AT_ONCE) await committer.put(deletions(needless.slice(index, index + DELETED_AT_ONCE)))
}

export function deletions (keys: readonly string[]): Change[] {
  return keys.map(key => ({ key, value: undefined }))
}

function damaged ({ key }: Place, how: string): SwarmError {
  return new SwarmError('DOCUMENT_DAMAGED', `the log of document ${key} is not as it was written: ${how}. It was left as it is`, { details: { document: key } })
}

async function turn (): Promise<void> {
  await new Promise<void>(resolve => { afterTurn(resolve) })
}
