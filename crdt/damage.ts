/** What a document has lost, as it is told to whoever opens it, and noted on disk until it has come back. */
import { textOf, utf8 } from '../lib/base/bytes.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import type { Place } from './place.ts'
import { openValue, sealValue } from './record.ts'

/**
 * - `hole`: records are missing from the middle
 * - `short`: records are missing from the end: the witness knows of them
 * - `record`: records of runs that cannot be read, or do not belong where they lie
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

/** Entries of damage told and noted; more are merged into the last. */
export const DAMAGE_MAX = 1_000

/** Each once; neighbours of one kind as one range. */
export function mergeDamage (damage: readonly Damage[]): Damage[] {
  const merged: Damage[] = []
  for (const one of [...damage].sort((left, right) => left.kind < right.kind ? -1 : left.kind > right.kind ? 1 : left.first - right.first)) {
    const last = merged.at(-1)
    if (last?.kind === one.kind && one.first <= last.last + 1) merged[merged.length - 1] = { ...last, last: Math.max(last.last, one.last) }
    else if (merged.length < DAMAGE_MAX || last === undefined) merged.push(one)
    else merged[merged.length - 1] = { kind: last.kind, first: Math.min(last.first, one.first), last: Math.max(last.last, one.last) }
  }
  return merged
}

/** The note of what is damaged, which stays until it is repaired. */
export function noteChange (place: Place, damage: readonly Damage[]): Change {
  return { key: place.damage, value: sealValue(place.damage, utf8(JSON.stringify(damage))) }
}

/** What was noted, and not repaired since. */
export async function readNote (storage: Storage, place: Place): Promise<readonly Damage[]> {
  const value = await storage.get(place.damage)
  if (value === undefined) return []
  const body = openValue(place.damage, value)
  return body === undefined ? [{ kind: 'note', first: 0, last: 0 }] : JSON.parse(textOf(body)) as Damage[]
}
