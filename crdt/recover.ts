/**
 * Brings a document back from what lies on disk, writing nothing.
 *
 * The witness knows how far the log had come when that was acknowledged. **Beyond it** nothing was acknowledged: runs that
 * follow on are taken, and from the first that does not, all is cut, and counted. **Up to it** everything was acknowledged: what
 * is missing, cannot be read or does not belong is damage, which is told, put aside and never cut; all other records are
 * delivered, since updates of Yjs find their order by themselves.
 *
 * It may claim more, without knowing whether that was acknowledged: a log that has come so far is held to it. One that has not was
 * cut off while it was written (committer.ts), and what was confirmed before counts.
 *
 * Without a witness the last readable run stands for it: a log that lost its end is then taken for whole.
 */
import type { Storage } from '../lib/base/storage.ts'
import type { Head, Standing } from '../lib/base/witness.ts'
import { follow, isSame, judge, type Item } from './chain.ts'
import { mergeDamage, readNote, type Damage } from './damage.ts'
import { isNamed, runFirst, type Place } from './place.ts'
import { newerVersion } from './record.ts'
import { NO_HASH, RUN_RECORDS_MAX, readRun, type LogRecord } from './run.ts'
import { chunkSnapshot, readBase, readLastSnapshot, readSnapshot, type Base } from './snapshot.ts'
import { turn } from './turn.ts'

export type { Damage, DamageKind } from './damage.ts'

/** How a document came back from disk. */
export interface Recovery {
  /** Everything that is damaged and was not repaired since, found now or before; at most DAMAGE_MAX entries. */
  readonly damage: readonly Damage[]
  /** Entries put aside just now, under keys of their own. */
  readonly quarantined: number
  /** Runs of a torn end, never acknowledged, that were cut. */
  readonly cut: number
  /** Runs that a compaction cut short has left; the next one deletes them. */
  readonly leftover: number
  /** Whether a witness stands for the log's end: false also where it claims more than there is. */
  readonly isWitnessed: boolean
}

export interface Found {
  readonly base: Base | undefined
  readonly snapshot: Uint8Array | undefined
  /** The sequence after which the log begins. */
  readonly after: number
  /** In order; views on bytes that nobody else has. */
  readonly records: readonly LogRecord[]
  /** How many runs those lie in. */
  readonly runs: number
  /** What the next run follows on. */
  readonly head: Head
  readonly damage: readonly Damage[]
  /** Whether some of it was not noted yet. */
  readonly isNew: boolean
  readonly cut: readonly string[]
  readonly quarantine: readonly string[]
  readonly leftover: number
  readonly isWitnessed: boolean
  readonly isNamed: boolean
}

/** @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote any of it, FOLDER_UNUSABLE, CLOSED */
export async function recover (storage: Storage, place: Place, witnessed: Standing | 'lost' | undefined): Promise<Found> {
  const noted = await readNote(storage, place)
  const named = await readBase(storage, place)
  const found = named === undefined || named === 'damaged' ? undefined : await readSnapshot(storage, place, named)
  const isBroken = named !== undefined && found === undefined
  const base = isBroken || named === 'damaged' ? undefined : named
  // Where the snapshot is lost, runs that it had made needless may still be there, and an older snapshot too.
  const log = await readLog(storage, place, base?.sequence ?? 0)
  const { sure, claimed }: Partial<Standing> = typeof witnessed === 'object' ? witnessed : {}
  const isTrue = claimed !== undefined && log.items.some(({ run }) => run?.sequence === claimed.sequence && isSame(run.hash, claimed.hash))
  const head = isTrue ? claimed : sure
  const firstLogged = log.items[0]?.first
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
  const { good, wrong, damage: lost } = judge(log.items.filter(({ first }) => first <= anchor.sequence), before.sequence, anchor)
  const oldest = good[0]
  const isForeign = oldest === undefined
    ? anchor.sequence === before.sequence && !isSame(anchor.hash, before.hash)
    : oldest.first === before.sequence + 1 && !isSame(oldest.previous, before.hash)
  if (!isBroken && isForeign) damage.push({ kind: 'snapshot', first: before.sequence, last: before.sequence })
  damage.push(...lost)
  quarantine.push(...wrong, ...log.foreign)

  const { runs, rest } = follow(log.items.filter(({ first }) => first > anchor.sequence), anchor)
  const cut = rest.map(({ key }) => key)
  if (witnessed === 'lost') {
    // Nobody knows whether these were acknowledged.
    quarantine.push(...cut)
    for (const { first, run } of rest) damage.push({ kind: 'record', first, last: run?.sequence ?? first })
  }
  const kept = [...good, ...runs]
  const end = runs.at(-1) ?? anchor
  const all = mergeDamage([...noted, ...damage])
  return {
    base,
    snapshot,
    after: before.sequence,
    records: kept.flatMap(({ records }) => records),
    runs: kept.length,
    head: { sequence: end.sequence, hash: end.hash },
    damage: all,
    isNew: JSON.stringify(all) !== JSON.stringify(mergeDamage(noted)),
    cut: witnessed === 'lost' ? [] : cut,
    quarantine,
    leftover: log.leftover,
    isWitnessed: head !== undefined && (claimed === undefined || isTrue || claimed.sequence <= before.sequence),
    isNamed: await isNamed(storage, place)
  }
}

async function readLog (storage: Storage, place: Place, after: number): Promise<{ items: Item[], foreign: string[], leftover: number }> {
  const items: Item[] = []
  const foreign: string[] = []
  let [leftover, sinceTurn] = [0, 0]
  for await (const [key, value] of storage.entries(place.log)) {
    const first = runFirst(place, key)
    if (first === undefined || first === 0) foreign.push(key)
    else if (first <= after) leftover++
    else {
      const run = readRun(place.bytes, first, value)
      if (run === 'version') throw newerVersion(key, value[0])
      items.push({ key, first, run: typeof run === 'string' ? undefined : run })
      sinceTurn += typeof run === 'string' ? 1 : run.records.length
    }
    if (sinceTurn < RUN_RECORDS_MAX) continue
    sinceTurn = 0
    await turn()
  }
  return { items, foreign, leftover }
}

async function chunkKeys (storage: Storage, place: Place, snapshot: number): Promise<string[]> {
  const keys: string[] = []
  for await (const [key] of storage.entries(place.chunks)) if (chunkSnapshot(place, key) === snapshot) keys.push(key)
  return keys
}

function lastGood (items: readonly Item[]): Head | undefined {
  return items.findLast(({ run }) => run !== undefined)?.run
}
