/** Which sequences a log lacks, so that a folding knows how many records it must find. */
import type { Found } from './recover.ts'

export interface Missing { readonly first: number, readonly last: number }

export function missingOf ({ after, records, head }: Pick<Found, 'after' | 'records' | 'head'>): Missing[] {
  const missing: Missing[] = []
  let next = after + 1
  for (const { sequence } of records) {
    if (sequence > next) missing.push({ first: next, last: sequence - 1 })
    next = sequence + 1
  }
  if (next <= head.sequence) missing.push({ first: next, last: head.sequence })
  return missing
}

/** How many sequences over `after`, up to `upTo`, are not missing. */
export function countOf (after: number, upTo: number, missing: readonly Missing[]): number {
  let count = Math.max(0, upTo - after)
  for (const { first, last } of missing) count -= Math.max(0, Math.min(last, upTo) - Math.max(first, after + 1) + 1)
  return count
}
