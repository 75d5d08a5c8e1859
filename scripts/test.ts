/**
 * Runs every test/**\/*.test.ts, each in a child process of its own with a bound on its time: uvu has none.
 *
 *   npm test                 all files
 *   npm test -- mesh line    files whose path holds one of the words
 *   npm test -- interop      those against other implementations, left out otherwise: npm ci --prefix test/interop first
 *   npm test -- proofs       those that damage, kill and cut the power, left out otherwise
 *   npm test -- loads        those that show what many peers or many runs come to, left out unless something of their path is named
 *   npm test -- --quick      leaves out files that ask for more time than the default bound
 *
 * A file passes only if uvu printed its totals, nothing failed, at least one test ran or was skipped by name, the process
 * ended by itself, and nothing that it started still runs. A file may ask for more time in its first line: `// bound: 120 s`; a
 * load says there that it is one: `// bound: 120 s, a load`.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCli, buildSite, bundlePrograms, bundleTests } from './bundle.ts'
import { runBounded } from './child.ts'
import { readTotals, judge } from './verdict.ts'

const BOUND_SECONDS = 60
/** How many times as long as its bound a file is given: bounds are for a quiet machine, and others run beside it. */
const PATIENCE = 2
/** Two more than the cores of a small machine: many files mostly wait. */
const AT_ONCE = 4
/** Folders that run only when they are named. */
const APART = ['interop', 'proofs']
/** The word for all loads. */
const LOADS = 'loads'

const SERVERS = join('test', 'fixtures', 'servers')

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2).filter(word => !word.startsWith('--'))
const quick = process.argv.includes('--quick')

const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.test.ts') && !path.includes('node_modules'))
  .map(path => join('test', path))
  .filter(path => APART.every(folder => words.includes(folder) || !path.startsWith(join('test', folder, '/'))))
  .map(path => ({ path, ...askedBy(path) }))
  .filter(({ path, isLoad }) => (words.length === 0 && !isLoad) || words.some(word => path.includes(word) || (isLoad && word === LOADS)))
  .filter(file => !quick || file.boundSeconds <= BOUND_SECONDS)
  // The slowest first, so that none of them is left running alone at the end.
  .sort((left, right) => right.boundSeconds - left.boundSeconds || (left.path < right.path ? -1 : 1))

// What V8 counts in a bundle is led back to the sources by its map, when all tests have run.
const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined
const bundles = join(isCounted ? 'coverage' : '.tmp', `tests-${process.pid}`)
if (!isCounted) process.on('exit', () => { rmSync(join(root, bundles), { recursive: true, force: true }) })
const programs = programsOf(new Set(files.map(({ path }) => dirname(path))))
const [bundled] = await Promise.all([bundleTests(files.map(({ path }) => path), bundles), bundlePrograms(programs, bundles)])
// Nothing here asks the web for anything, and to read a system's certificates takes each process of Node longer than its own start.
const { NODE_EXTRA_CA_CERTS: _certificates, ...inherited } = process.env
// A swarm that a test makes sends nothing to the LAN, unless the test says otherwise for hosts of its own.
const env: NodeJS.ProcessEnv = { ...inherited, MCP_SWARM_DISCOVERY: 'folder', MCP_SWARM_TEST_PROGRAMS: join(root, bundles) }
if (files.some(({ path }) => /^test.(cli|interop)/.test(path))) env['MCP_SWARM_TEST_CLI'] = join(root, await buildCli(join(bundles, 'command')))
if (files.some(({ path }) => path.startsWith(join('test', 'browser')))) await buildSite(env['MCP_SWARM_TEST_SITE'] = join(root, bundles, 'site'))
const totals = { passed: 0, failed: 0, skipped: 0 }
const queue = [...files]
const startedMs = performance.now()
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runFile(file)
}))

if (files.length === 0) {
  console.log(`no test file matches ${words.join(' ')}`)
  totals.failed++
}
console.log(`${files.length} files in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exitCode = totals.failed === 0 ? 0 : 1

async function runFile ({ path, boundSeconds }: typeof files[number]): Promise<void> {
  const args = ['--enable-source-maps', bundled.get(path) ?? path]
  const end = await runBounded(process.execPath, args, { cwd: root, boundMs: boundSeconds * PATIENCE * 1000, env, doneWhen: output => readTotals(output) !== undefined })
  const verdict = judge(end, boundSeconds * PATIENCE)
  totals.passed += verdict.passed
  totals.failed += verdict.failed
  totals.skipped += verdict.skipped
  const counts = `${verdict.passed} passed${verdict.failed > 0 ? `, ${verdict.failed} failed` : ''}${verdict.skipped > 0 ? `, ${verdict.skipped} skipped` : ''}`
  console.log(`${verdict.failed === 0 ? 'ok  ' : 'FAIL'} ${relative('.', path)}  ${counts}  ${(end.durationMs / 1000).toFixed(1)} s`)
  for (const reason of verdict.reasons) console.log(`     ${reason}`)
  for (const note of end.output.match(/^(needs|note:) .*$/gm) ?? []) console.log(`     ${note}`)
  if (verdict.failed > 0) console.log(end.output.trimEnd().replace(/^/gm, '     | '))
}

function askedBy (path: string): { boundSeconds: number, isLoad: boolean } {
  const asked = /^\/\/ bound: (\d+) s(, a load)?\b/.exec(readFileSync(join(root, path), 'utf8'))
  return { boundSeconds: asked === null ? BOUND_SECONDS : Number(asked[1]), isLoad: asked?.[2] !== undefined }
}

/** Programs that tests beside them start in processes of their own: what they name by its URL, and servers of MCP. */
function programsOf (folders: ReadonlySet<string>): string[] {
  const sources = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map(path => join('test', path)).filter(path => path.endsWith('.ts') && folders.has(dirname(path)))
  const programs = sources.flatMap(path => {
    const text = readFileSync(join(root, path), 'utf8')
    return [
      ...[...text.matchAll(/new URL\('(\.[^']*\.ts)', import\.meta\.url\)/g)].map(([, name = '']) => join(dirname(path), name)),
      ...text.includes('/support/servers.ts') ? readdirSync(join(root, SERVERS)).filter(name => name.endsWith('.mjs')).map(name => join(SERVERS, name)) : []
    ]
  })
  return [...new Set(programs)].filter(path => existsSync(join(root, path)))
}
