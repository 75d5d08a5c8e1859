/** Of several lists the first ones, then the second ones, and so on, each once: whoever lists many crowds nobody out. */
export function inTurn (lists: readonly (readonly string[])[], limit = Infinity): string[] {
  const rows = Math.max(0, ...lists.map(({ length }) => length))
  const all = Array.from({ length: rows }, (_, row) => lists.flatMap(list => list[row] ?? []))
  return [...new Set(all.flat())].slice(0, limit)
}
