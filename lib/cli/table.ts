import type { Paint } from './paint.ts'
import { shorten } from './text.ts'

/** Narrowest last column, in characters: below that cutting would leave nothing worth reading. */
const LAST_MIN = 20

/**
 * Rows under dim headings, columns aligned by two spaces.
 *
 * @param rows cells that are plain text already
 * @param width characters of a line: the last column is cut to fit; undefined cuts nothing
 */
export function table (headings: readonly string[], rows: readonly (readonly string[])[], paint: Paint, width?: number): string {
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map(row => lengthOf(row[column] ?? ''))))
  const before = widths.slice(0, -1).reduce((sum, each) => sum + each + 2, 0)
  const line = (cells: readonly string[]): string => cells.map((cell, column) => {
    if (column < headings.length - 1) return cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell) + 2)
    return width === undefined ? cell : shorten(cell, Math.max(LAST_MIN, width - before))
  }).join('').trimEnd()
  return [paint('dim', line(headings)), ...rows.map(line)].join('\n')
}

function lengthOf (text: string): number {
  return [...text].length
}
