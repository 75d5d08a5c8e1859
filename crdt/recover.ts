/**
 * Brings a document back from what lies on disk: pure judgement on what was read, no writing.
 *
 * The witness knows how far the log had come when that was acknowledged. **Beyond it** nothing was acknowledged: records that
 * follow on are taken, and from the first that does not, all is cut, and counted. **Up to it** everything was acknowledged: what
 * is missing, cannot be read or does not belong is damage, which is told, put aside and never cut; all other records are
 * delivered, since updates of Yjs find their order by themselves.
 *
 * Which of two records that do not fit each other is the wrong one, the chain of hashes decides from its end, where the witness
 * stands: a record whose hash its successor does not know is one that should have been overwritten, and came back.
 * Without a witness the last readable record stands for it: a log that lost its end is then taken for whole.
 */
import { textOf, utf8 } from '../lib/base/bytes.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import type { Head } from '../lib/base/witness.ts'
import { recordSequence, type Place } from './place.ts'
import { NO_HASH, newerVersion, openValue, readRecord, sealValue, type LogRecord } from './record.ts'
import { chunkSnapshot, readBase, readLastSnapshot, readSnapshot, type Base } from './snapshot.ts'

/**
 * - `hole`: records are missing from the middle
 * - `short`: records are missing from the end: the witness knows of them
 * - `record`: records that cannot be read, or do not belong where they lie
 * - `snapshot`: the snapshot, or what names it, cannot be read or does not fit the log
 * - `witness`: the witness was lost, so that the log may be short
 * - `note`: what was damaged before was noted, and the note cannot be read
 */
export type DamageKind = 'hole' | 'short' | 'record' | 'snapshot' | 'witness' | 'note'

/** The sequences concerned, the first and the last; 0 where they are not known. */
export interface Damage {
  readonly kind: DamageKind
  readonly first: number
  readonly last: number
}

/** How a document came back from disk. */
export interface Recovery {
  /** Everything that is damaged and was not repaired since, found now or before; at most DAMAGE_MAX entries. */
  readonly damage: readonly Damage[]
  /** Entries put aside just now, under keys of their own. */
  readonly quarantined: number
  /** Records of a torn end, never acknowledged, that were cut. */
  readonly cut: number
  /** Records and chunks that a compaction cut short has left; the next one deletes them. */
  readonly leftover: number
  /** Whether a witness stands for the log's end. */
  readonly isWitnessed: boolean
}

/** Entries of damage told and noted; more are merged into the last. */
export const DAMAGE_MAX = 1_000

export interface Found {
  readonly base: Base | undefined
  readonly snapshot: Uint8Array | undefined
  /** The sequence after which the log begins. */
  readonly after: number
  /** In order; views on bytes that nobody else has. */
  readonly records: readonly LogRecord[]
  /** What the next record follows on. */
  readonly head: Head
  readonly damage: readonly Damage[]
  /** Whether some of it was not noted yet. */
  readonly isNew: boolean
  readonly cut: readonly string[]
  readonly quarantine: readonly string[]
  readonly leftover: number
  readonly isWitnessed: boolean
  /** Whether nothing was ever written. */
  readonly isEmpty: boolean
}

/** @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote any of it, FOLDER_UNUSABLE, CLOSED */
export async function recover (storage: Storage, place: Place, witnessed: Head | 'lost' | undefined): Promise<Found> {
  const noted = await readNote(storage, place)
  const named = await readBase(storage, place)
  const found = named === undefined || named === 'damaged' ? undefined : await readSnapshot(storage, place, named)
  const isBroken = named !== undefined && found === undefined
  const base = isBroken || named === 'damaged' ? undefined : named
  // Where the snapshot is lost, records that it had made needless may still be there, and an older snapshot too.
  const log = await readLog(storage, place, base?.sequence ?? 0)
  const head = witnessed === 'lost' ? undefined : witnessed
  const firstLogged = log.items[0]?.sequence
  const snapshot = found ?? (isBroken || (firstLogged ?? head?.sequence ?? 0) > 1 ? await readLastSnapshot(storage, place) : undefined)
  const damage: Damage[] = []
  const quarantine: string[] = []
  if (isBroken) {
    quarantine.push(place.base, ...named === 'damaged' ? [] : await chunkKeys(storage, place, named.snapshot))
    damage.push({ kind: 'snapshot', first: 1, last: named === 'damaged' ? 0 : named.sequence })
  }
  if (witnessed === 'lost') damage.push({ kind: 'witness', first: 0, last: 0 })

  const unknown = Math.min((firstLogged ?? (head?.sequence ?? 0) + 1) - 1, named === undefined || named === 'damaged' ? Infinity : named.sequence)
  const before: Head = base ?? { sequence: isBroken ? unknown : 0, hash: NO_HASH }
  const anchor = head === undefined ? lastGood(log.items) ?? before : head.sequence >= before.sequence ? head : before
  const body = log.items.filter(({ sequence }) => sequence <= anchor.sequence)
  const tail = log.items.filter(({ sequence }) => sequence > anchor.sequence)

  const wrong = body.filter(({ record }) => record === undefined)
  const [good, foreign] = judge(body, anchor)
  wrong.push(...foreign)
  const fits = (expected: Uint8Array | undefined): boolean => expected === undefined || same(expected, before.hash)
  const first = good[0]
  if (!isBroken && (first === undefined ? anchor.sequence === before.sequence && !fits(anchor.hash) : first.sequence === before.sequence + 1 && !fits(first.previous))) {
    damage.push({ kind: 'snapshot', first: before.sequence, last: before.sequence })
  }
  for (const { sequence } of wrong) damage.push({ kind: 'record', first: sequence, last: sequence })
  damage.push(...gaps(before.sequence, anchor.sequence, body.map(({ sequence }) => sequence)))
  quarantine.push(...wrong.map(({ key }) => key), ...log.foreign)

  const [more, cut] = follow(tail, anchor)
  if (witnessed === 'lost') {
    // Nobody knows whether these were acknowledged.
    quarantine.push(...cut)
    for (const { sequence } of tail.filter(({ key }) => cut.includes(key))) damage.push({ kind: 'record', first: sequence, last: sequence })
  }
  const records = [...good, ...more]
  const end = more.at(-1) ?? anchor
  const all = merge([...noted, ...damage])
  return {
    base, snapshot, after: before.sequence, records, head: { sequence: end.sequence, hash: end.hash }, damage: all, isNew: JSON.stringify(all) !== JSON.stringify(merge(noted)),
    cut: witnessed === 'lost' ? [] : cut, quarantine, leftover: log.leftover, isWitnessed: head !== undefined,
    isEmpty: named === undefined && log.items.length === 0 && witnessed === undefined && noted.length === 0 && snapshot === undefined
  }
}

/** The note of what is damaged, which stays until it is repaired. */
export function noteChange (place: Place, damage: readonly Damage[]): Change {
  return { key: place.damage, value: sealValue(place.damage, utf8(JSON.stringify(damage))) }
}

async function readNote (storage: Storage, place: Place): Promise<readonly Damage[]> {
  const value = await storage.get(place.damage)
  if (value === undefined) return []
  const body = openValue(place.damage, value)
  return body === undefined ? [{ kind: 'note', first: 0, last: 0 }] : JSON.parse(textOf(body)) as Damage[]
}

interface Item {
  readonly key: string
  readonly sequence: number
  /** Undefined for one that cannot be read. */
  readonly record: LogRecord | undefined
}

async function readLog (storage: Storage, place: Place, after: number): Promise<{ items: Item[], foreign: string[], leftover: number }> {
  const items: Item[] = []
  const foreign: string[] = []
  let leftover = 0
  for await (const [key, value] of storage.entries(place.log)) {
    const sequence = recordSequence(place, key)
    if (sequence === undefined || sequence === 0) foreign.push(key)
    else if (sequence <= after) leftover++
    else {
      const record = readRecord(place.bytes, sequence, value)
      if (record === 'version') throw newerVersion(key, value[0])
      items.push({ key, sequence, record: typeof record === 'string' ? undefined : record })
    }
  }
  return { items, foreign, leftover }
}

async function chunkKeys (storage: Storage, place: Place, snapshot: number): Promise<string[]> {
  const keys: string[] = []
  for await (const [key] of storage.entries(place.chunks)) if (chunkSnapshot(place, key) === snapshot) keys.push(key)
  return keys
}

function lastGood (items: readonly Item[]): Head | undefined {
  return items.findLast(({ record }) => record !== undefined)?.record
}

/** Parts what belongs into the log up to the anchor from what does not, from the end backwards. */
function judge (body: readonly Item[], anchor: Head): [good: LogRecord[], foreign: Item[]] {
  const good: LogRecord[] = []
  const foreign: Item[] = []
  let next: { sequence: number, hash: Uint8Array | undefined } = anchor
  for (let index = body.length - 1; index >= 0; index--) {
    const item = body[index] as Item
    const expected = item.sequence === next.sequence ? next.hash : undefined
    const belongs = item.record !== undefined && (expected === undefined || same(item.record.hash, expected))
    if (belongs && item.record !== undefined) good.push(item.record)
    else if (item.record !== undefined) foreign.push(item)
    next = { sequence: item.sequence - 1, hash: belongs ? item.record?.previous : undefined }
  }
  return [good.reverse(), foreign]
}

/** What follows on the anchor without a flaw, and the keys of the rest. */
function follow (tail: readonly Item[], anchor: Head): [records: LogRecord[], cut: string[]] {
  const records: LogRecord[] = []
  let last = anchor
  for (const { record } of tail) {
    if (record === undefined || record.sequence !== last.sequence + 1 || !same(record.previous, last.hash)) break
    records.push(record)
    last = record
  }
  return [records, tail.slice(records.length).map(({ key }) => key)]
}

/** The ranges of sequences that are not there. */
function gaps (after: number, upTo: number, sequences: readonly number[]): Damage[] {
  const found: Damage[] = []
  let next = after + 1
  for (const sequence of sequences) {
    if (sequence > next) found.push({ kind: 'hole', first: next, last: sequence - 1 })
    next = sequence + 1
  }
  if (next <= upTo) found.push({ kind: 'short', first: next, last: upTo })
  return found
}

/** Each once; neighbours of one kind as one range. */
function merge (damage: readonly Damage[]): Damage[] {
  const merged: Damage[] = []
  for (const one of [...damage].sort((left, right) => left.kind < right.kind ? -1 : left.kind > right.kind ? 1 : left.first - right.first)) {
    const last = merged.at(-1)
    if (last?.kind === one.kind && one.first <= last.last + 1) merged[merged.length - 1] = { ...last, last: Math.max(last.last, one.last) }
    else if (merged.length < DAMAGE_MAX || last === undefined) merged.push(one)
    else merged[merged.length - 1] = { kind: last.kind, first: Math.min(last.first, one.first), last: Math.max(last.last, one.last) }
  }
  return merged
}

function same (left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < left.byteLength; index++) if (left[index] !== right[index]) return false
  return left.byteLength === right.byteLength
}
