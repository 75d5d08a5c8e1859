/** What a test process's end and output say about its tests. */
import type { ChildEnd } from './child.ts'

export interface Totals { readonly total: number, readonly passed: number, readonly skipped: number }

export interface Verdict {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Why the file fails apart from its failed tests, for a person. */
  readonly reasons: readonly string[]
}

/** uvu's closing totals, or undefined before it has printed them. */
export function readTotals (output: string): Totals | undefined {
  // eslint-disable-next-line no-control-regex -- uvu colours its totals when asked to
  const plain = output.replace(/\x1b\[\d+m/g, '')
  const found = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)\n {2}Duration:/m.exec(plain)
  return found === null ? undefined : { total: Number(found[1]), passed: Number(found[2]), skipped: Number(found[3]) }
}

/** Whatever is wrong with a file beside its failed tests counts as one more failure, so that no wrong file reads as green. */
export function judge (end: ChildEnd, boundSeconds: number): Verdict {
  const reasons: string[] = []
  const totals = readTotals(end.output)
  const failedTests = totals === undefined ? 0 : totals.total - totals.passed
  if (totals === undefined) {
    if (end.ending !== 'late') reasons.push(`ended with ${end.code ?? end.signal} before its tests did (is test.run() missing?)`)
  } else if (totals.total + totals.skipped === 0) reasons.push('ran no test')
  const told = end.output.match(/^.*\bFAIL\b.*"/gm)?.length ?? 0
  if (failedTests > told) reasons.push(`${failedTests - told} tests never ran: a before or after hook threw, which uvu keeps to itself`)
  if (end.ending === 'late') reasons.push(`still ran after ${boundSeconds} s: killed`)
  if (end.ending === 'lingering') reasons.push('its tests ended but the process did not: something keeps it alive')
  if (end.leftBehind.length > 0) reasons.push(`left processes behind: ${end.leftBehind.join('; ')}`)
  if (reasons.length === 0 && failedTests === 0 && end.code !== 0) reasons.push(`ended with ${end.code ?? end.signal}`)
  return {
    passed: totals?.passed ?? 0,
    failed: Math.max(failedTests, 0) + (reasons.length > 0 ? 1 : 0),
    skipped: totals?.skipped ?? 0,
    reasons
  }
}
