/** What one edit changes, as `diff -u` shows it. Source: POSIX.1-2024, diff, "Diff Unified Output Format". */
import { shorten } from './text.ts'

const CONTEXT_LINES = 3

/** A longer line is cut, near what changes: some clients write megabytes on one line. */
const LINE_CHARS_MAX = 160
const LEAD_CHARS = 40

/** @param before undefined: there was no file */
export function diff (path: string, before: string | undefined, after: string): string {
  const [old, now] = [linesOf(before ?? ''), linesOf(after)]
  const same = common(old.length, now.length, index => old[index] === now[index])
  const end = common(old.length - same, now.length - same, index => old.at(-1 - index) === now.at(-1 - index))
  const [removed, added] = [old.slice(same, old.length - end), now.slice(same, now.length - end)]
  const [head, tail] = [old.slice(Math.max(0, same - CONTEXT_LINES), same), old.slice(old.length - end).slice(0, CONTEXT_LINES)]
  const [left = '', right = ''] = [removed[0], added[0]]
  const skip = Math.max(0, common(left.length, right.length, index => left[index] === right[index]) - LEAD_CHARS)
  const changed = (line: string): string => line.length > LINE_CHARS_MAX && skip > 0 ? `…${shorten(line.slice(skip), LINE_CHARS_MAX)}` : shorten(line, LINE_CHARS_MAX)
  const range = (count: number): string => `${same - head.length + (count === 0 ? 0 : 1)},${count}`
  return [
    `--- ${before === undefined ? '/dev/null' : path}`,
    `+++ ${path}`,
    `@@ -${range(head.length + removed.length + tail.length)} +${range(head.length + added.length + tail.length)} @@`,
    ...head.map(line => ` ${shorten(line, LINE_CHARS_MAX)}`),
    ...removed.map(line => `-${changed(line)}`),
    ...added.map(line => `+${changed(line)}`),
    ...tail.map(line => ` ${shorten(line, LINE_CHARS_MAX)}`)
  ].join('\n')
}

function linesOf (text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/)
  const last = lines.pop() ?? ''
  return last === '' ? lines : [...lines, `${last}\n\\ No newline at end of file`]
}

/** How many fit in a row, up to the shorter length. */
function common (left: number, right: number, isEqual: (index: number) => boolean): number {
  let count = 0
  while (count < Math.min(left, right) && isEqual(count)) count++
  return count
}
