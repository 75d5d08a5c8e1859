import { distance } from 'fastest-levenshtein'

/** Names compared for one suggestion: bounds the work of a mistyped name in a large swarm. */
export const SUGGEST_NAMES_MAX = 4_000

/** Units of all names compared together: the time grows with the square of their length. */
export const SUGGEST_UNITS_MAX = 64_000

/** Longest name compared, in UTF-16 units; longer ones are passed over. */
export const SUGGEST_NAME_UNITS_MAX = 128

/** Names suggested at most. */
export const SUGGESTIONS_MAX = 3

/** Share of a name that may differ before a suggestion helps nobody. */
const DIFFERENCE_MAX = 0.4

/**
 * The names a person most likely meant, nearest first: by edit distance, blind to case and separators, and a name that
 * holds the wanted one (`read` for `read_file`) counts as near.
 *
 * @param names may repeat; only the first SUGGEST_NAMES_MAX different ones, SUGGEST_UNITS_MAX long together, are looked at
 */
export function nearestNames (wanted: string, names: Iterable<string>): string[] {
  const target = fold(wanted.slice(0, SUGGEST_NAME_UNITS_MAX))
  const seen = new Set<string>()
  const near: { name: string, score: number }[] = []
  let units = 0
  for (const name of names) {
    if (seen.has(name) || name.length > SUGGEST_NAME_UNITS_MAX) continue
    seen.add(name)
    const score = difference(target, fold(name))
    if (score !== undefined) near.push({ name, score })
    units += name.length
    if (seen.size === SUGGEST_NAMES_MAX || units >= SUGGEST_UNITS_MAX) break
  }
  near.sort((left, right) => left.score - right.score || (left.name < right.name ? -1 : 1))
  return near.slice(0, SUGGESTIONS_MAX).map(({ name }) => name)
}

/** The end of an error's sentence: empty, or `; nearest: "a", "b"`. Names are quoted: they come from other peers. */
export function suggestion (names: readonly string[]): string {
  return names.length === 0 ? '' : `; nearest: ${names.map(name => JSON.stringify(name)).join(', ')}`
}

function difference (wanted: string, name: string): number | undefined {
  const differenceMax = Math.max(1, Math.floor(Math.max(wanted.length, name.length) * DIFFERENCE_MAX))
  const holds = wanted.length >= 3 && name.length >= 3 && (name.includes(wanted) || wanted.includes(name))
  if (!holds && Math.abs(wanted.length - name.length) > differenceMax) return undefined
  // Letters in the wrong order are one slip of the fingers, however many edits they count as.
  const edits = sorted(wanted) === sorted(name) ? Math.min(1, distance(wanted, name)) : distance(wanted, name)
  if (holds) return Math.min(edits, 1.5)
  return edits <= differenceMax && edits < Math.max(wanted.length, name.length) ? edits : undefined
}

function sorted (name: string): string {
  return [...name].sort().join('')
}

function fold (name: string): string {
  return name.toLowerCase().replaceAll(/[\s._/-]/g, '')
}
