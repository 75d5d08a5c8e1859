/** Runs scripts one after the other, each in a bounded process; says how many passed and failed. */
import { runBounded } from './child.ts'

export interface Sequence {
  readonly paths: readonly string[]
  /** Arguments for each. */
  readonly args: readonly string[]
  readonly boundMs: number
  /** Show output only of those that fail. */
  readonly quiet: boolean
  /** Run against the built package, as its users have it, and not against the source. */
  readonly built?: boolean
}

/** Runs those whose path holds one of the words on the command line, or all; with --help names them. Sets the exit code; none to run is a failure. */
export async function runScripts ({ paths, args, boundMs, quiet, built = false }: Sequence): Promise<void> {
  const words = process.argv.slice(2).filter(word => !word.startsWith('--'))
  const chosen = paths.filter(path => words.length === 0 || words.some(word => path.includes(word))).sort()
  if (process.argv.includes('--help')) {
    console.log(`Runs all, or those whose path holds one of the words given:\n${paths.map(path => `  ${path}`).join('\n')}`)
    return
  }
  let failed = 0
  for (const path of chosen) {
    const end = await runBounded(process.execPath, ['--import', 'tsx', ...built ? [] : ['--conditions=mcp-swarm-source'], path, ...args], {
      cwd: process.cwd(), boundMs, onOutput: text => { if (!quiet) process.stdout.write(text) }
    })
    const passed = end.ending === 'own' && end.code === 0 && end.leftBehind.length === 0
    if (!passed) failed++
    if (!passed && quiet) process.stdout.write(end.output)
    const why = end.ending === 'late' ? `still ran after ${boundMs / 1000} s: killed` : end.leftBehind.length > 0 ? `left processes behind: ${end.leftBehind.join('; ')}` : `ended with ${end.code ?? end.signal}`
    console.log(`${passed ? 'ok  ' : 'FAIL'} ${path}  ${passed ? '' : `${why}  `}${(end.durationMs / 1000).toFixed(1)} s`)
  }
  if (chosen.length === 0) {
    console.log(`nothing to run: no path holds ${words.join(' or ')}; --help names them`)
    failed++
  }
  console.log(`${chosen.length - Math.min(failed, chosen.length)} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
