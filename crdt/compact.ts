/**
 * Folds a log into a snapshot, while appends go on.
 *
 * Read: the snapshot, and the records up to a durable sequence. Fold: see fold.ts. Write: the new chunks, which nothing names yet;
 * then, in one write, the base that names them and the first of what it has made needless; then the rest of that, in writes that
 * keep nobody waiting. Only keys that were read are deleted. Cut short anywhere, the document is whole: before the base is
 * written by the old snapshot and all records, after it by the new one; what is left over goes at the next compaction.
 */
import { SwarmError } from '../lib/base/error.ts'
import type { Head } from '../lib/base/witness.ts'
import type { Committer } from './committer.ts'
import type { Fold } from './fold.ts'
import { runFirst, type Place } from './place.ts'
import { deletions } from './quarantine.ts'
import { RUN_RECORDS_MAX, readRun } from './run.ts'
import { SNAPSHOT_BYTES_MAX, baseChange, chunkCount, chunkSnapshot, chunksOf, hashOf, readBase, readLastSnapshot, readSnapshot, rootOf, type Base } from './snapshot.ts'
import { turn } from './turn.ts'

/** Runs and chunks deleted in one write. */
export const DELETED_AT_ONCE = 512

/** Records read before others have their turn. */
const READ_AT_ONCE = RUN_RECORDS_MAX

/** To read a run takes as long as so many of its records. */
const RUN_RECORDS = 8

export interface Compaction {
  readonly committer: Committer
  readonly place: Place
  /** The last record to fold, the last one of a run: durable, and known to be good. */
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
  let sinceTurn = 0
  for await (const [key, value] of storage.entries(place.log)) {
    const first = runFirst(place, key) ?? Infinity
    if (first > head.sequence) continue
    needless.push(key)
    if (first <= (old?.sequence ?? 0)) continue
    const run = readRun(place.bytes, first, value)
    if (typeof run === 'string') throw damaged(place, `the run from ${first} cannot be read`)
    for (const { update } of run.records) updates.push(update)
    sinceTurn += RUN_RECORDS + run.records.length
    if (sinceTurn < READ_AT_ONCE) continue
    sinceTurn = 0
    await turn()
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

function damaged ({ key }: Place, how: string): SwarmError {
  return new SwarmError('DOCUMENT_DAMAGED', `the log of document ${key} is not as it was written: ${how}. It was left as it is`, { details: { document: key } })
}
