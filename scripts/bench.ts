/**
 * Runs the benchmarks, one after the other: two at once would measure each other.
 *
 *   npm run bench                    all
 *   npm run bench -- calls           those whose name holds the word
 *   npm run bench -- --smoke         each for a moment only, to see that it works: its figures say nothing
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runScripts } from './sequence.ts'

/** What the benchmarks are made of, beside the benchmarks. */
const PARTS = ['rig.ts', 'peer.ts', 'verbs.ts']

// What users run is measured: the built package.
if (!process.argv.includes('--help')) execFileSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts', '--quick'], { stdio: 'inherit' })

const smoke = process.argv.includes('--smoke')
await runScripts({
  paths: readdirSync('benchmarks').filter(name => name.endsWith('.ts') && !PARTS.includes(name)).map(name => join('benchmarks', name)),
  args: smoke ? ['--smoke'] : [],
  boundMs: smoke ? 90_000 : 1_800_000,
  quiet: false,
  built: true
})
