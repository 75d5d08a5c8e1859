/**
 * Which runs of a log belong to it: pure judgement on what was read.
 *
 * Which of two runs that do not fit each other is the wrong one, the chain of hashes decides from its end, where the witness
 * stands: a run whose hash its successor does not know is one that should have been overwritten or deleted, and came back.
 */
import type { Head } from '../lib/base/witness.ts'
import type { Damage } from './damage.ts'
import type { Run } from './run.ts'

/** A run's key, with what lies there. */
export interface Item {
  readonly key: string
  readonly first: number
  /** Undefined for one that cannot be read. */
  readonly run: Run | undefined
}

export interface Judgement {
  readonly good: readonly Run[]
  /** Keys of what cannot be read or does not belong. */
  readonly wrong: readonly string[]
  readonly damage: readonly Damage[]
}

/**
 * Judges the part of a log that was acknowledged.
 *
 * @param body runs that begin at or before the anchor, in the order of their keys
 * @param after the sequence after which the log begins
 * @param anchor its last record
 */
export function judge (body: readonly Item[], after: number, anchor: Head): Judgement {
  const whole = follow(body, { sequence: after, hash: body[0]?.run?.previous ?? anchor.hash })
  const end = whole.runs.at(-1)
  if (whole.rest.length === 0 && end?.sequence === anchor.sequence && isSame(end.hash, anchor.hash)) return { good: whole.runs, wrong: [], damage: [] }
  const good = chain(body.flatMap(({ run }) => run ?? []), anchor)
  const kept = new Set(good)
  const wrong = new Set(body.filter(({ run }) => run === undefined || !kept.has(run)))
  // How far a run goes that cannot be read, nobody knows: up to the next one, it is taken.
  const ranges = body.map(({ first, run }, index) => ({ first, last: Math.min(run?.sequence ?? (body[index + 1]?.first ?? Infinity) - 1, anchor.sequence) }))
  const damage = body.flatMap((item, index): Damage[] => wrong.has(item) ? [{ kind: 'record', ...ranges[index] as { first: number, last: number } }] : [])
  return { good, wrong: [...wrong].map(({ key }) => key), damage: [...damage, ...gaps(after, anchor.sequence, ranges)] }
}

/** Backwards from the anchor: of runs that end where the next one begins, the one whose hash that knows; beyond a hole, the nearest. */
function chain (runs: readonly Run[], anchor: Head): readonly Run[] {
  const good: Run[] = []
  const byEnd = [...runs].sort((left, right) => right.sequence - left.sequence)
  let next: { readonly sequence: number, readonly hash: Uint8Array } = anchor
  for (let index = 0; index < byEnd.length;) {
    const { sequence } = byEnd[index] as Run
    const from = index
    while (byEnd[index]?.sequence === sequence) index++
    const found = sequence > next.sequence
      ? undefined
      : sequence < next.sequence ? byEnd[from] : byEnd.slice(from, index).find(({ hash }) => isSame(hash, next.hash))
    if (found === undefined) continue
    good.push(found)
    next = { sequence: found.first - 1, hash: found.previous }
  }
  return good.reverse()
}

/** What follows on the anchor without a flaw, and the rest. */
export function follow (tail: readonly Item[], anchor: Head): { readonly runs: readonly Run[], readonly rest: readonly Item[] } {
  const runs: Run[] = []
  let last = anchor
  for (const { run } of tail) {
    if (run === undefined || run.first !== last.sequence + 1 || !isSame(run.previous, last.hash)) break
    runs.push(run)
    last = run
  }
  return { runs, rest: runs.length === tail.length ? [] : tail.slice(runs.length) }
}

/** The sequences that none of the ranges holds. */
function gaps (after: number, upTo: number, ranges: readonly { readonly first: number, readonly last: number }[]): Damage[] {
  const found: Damage[] = []
  let next = after + 1
  for (const { first, last } of ranges) {
    if (first > next) found.push({ kind: 'hole', first: next, last: first - 1 })
    next = Math.max(next, last + 1)
  }
  if (next <= upTo) found.push({ kind: 'short', first: next, last: upTo })
  return found
}

export function isSame (left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < left.byteLength; index++) if (left[index] !== right[index]) return false
  return left.byteLength === right.byteLength
}
