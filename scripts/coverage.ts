/**
 * Runs the tests as `npm test` does, with V8 counting lines in every process they start, and holds line coverage of lib/,
 * crdt/ and transports/ at LINES_PERCENT_MIN or more. Files that no test loads count as not covered.
 *
 *   npm run coverage                 tests, then the report; coverage/index.html has it line by line
 *   npm run coverage -- --report     the report alone, of a run of `npm test` with NODE_V8_COVERAGE=coverage/raw
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'

const LINES_PERCENT_MIN = 80
/** Absolute, because tests start processes in other folders. */
const RAW = resolve('coverage/raw')

const run = (args: readonly string[], env = process.env): number => spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1

const tests = process.argv.includes('--report') ? 0 : runTests()
const report = run(['node_modules/c8/bin/c8.js', 'report', '--temp-directory', RAW, '--reports-dir', 'coverage', '--merge-async',
  '--all', '--exclude-after-remap', ...['lib', 'crdt', 'transports'].flatMap(folder => ['--src', folder, '--include', `${folder}/**/*.ts`]), '--extension', '.ts',
  '--reporter', 'text', '--reporter', 'html', '--check-coverage', '--lines', String(LINES_PERCENT_MIN), '--branches', '0', '--functions', '0', '--statements', '0'])
process.exitCode = tests === 0 ? report : tests

function runTests (): number {
  rmSync('coverage', { recursive: true, force: true })
  return run(['--import', 'tsx', 'scripts/test.ts'], { ...process.env, NODE_V8_COVERAGE: RAW })
}
