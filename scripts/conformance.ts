/**
 * The official conformance suite, run against our own fixture: served directly, which is the measure, and through the mesh, from a
 * gateway on one peer to the fixture that another peer shares. `npm ci --prefix test/interop` first.
 *
 *   npm run conformance                              both, in both revisions
 *   npm run conformance -- --direct                  one of them; or --mesh
 *   npm run conformance -- --revision 2025-11-25     one revision
 *
 * test/conformance/verdict.ts says what passes. Ends with `N passed, N failed`: each scenario of each run counts, the suite's
 * exit code, and that it looked at no less than it did before.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { build } from 'esbuild'
import { bounded, Home } from '../test/cli/home.ts'
import { EXPECTED } from '../test/conformance/expected.ts'
import { judgeRun, type Check, type Leg, type Outcome } from '../test/conformance/verdict.ts'
import { nodeBuild } from './build.ts'
import { runBounded } from './child.ts'

/** One run of the suite, in milliseconds: several times what it takes. */
const SUITE_MS_MAX = 120_000

/** Between two looks at what the gateway knows, in milliseconds. */
const LOOK_MS = 50

/** Checks of required scenarios that succeed, by revision: fewer means that the suite looked at less, and passed it. */
const REQUIRED_CHECKS = new Map([['2025-11-25', 70], ['2026-07-28', 120]])

const root = fileURLToPath(new URL('..', import.meta.url))
const interop = join(root, 'test/interop/node_modules')
const suite = join(interop, '@modelcontextprotocol/conformance/dist/index.js')
/** The suite asks for it; the fixture and the swarm run on whichever runs this. */
const node22 = join(interop, 'node-22/bin/node')

const { values } = parseArgs({ options: { direct: { type: 'boolean' }, mesh: { type: 'boolean' }, revision: { type: 'string', multiple: true, default: [...REQUIRED_CHECKS.keys()] } } })
const legs = (['direct', 'mesh'] as const).filter(leg => values[leg] === true || values.direct === values.mesh)
const totals = { passed: 0, failed: 0 }

if (!existsSync(suite) || !existsSync(node22)) throw new Error('the suite is not here: npm ci --prefix test/interop')
const home = new Home()
try {
  const measures = new Map<string, Outcome>()
  for (const leg of legs) {
    const url = leg === 'direct' ? await serveDirectly() : await serveThroughMesh()
    for (const revision of values.revision) {
      const { outcome, ...run } = await runSuite(leg, url, revision)
      if (leg === 'direct') measures.set(revision, outcome)
      report(leg, revision, { outcome, ...run }, leg === 'mesh' ? measures.get(revision) : undefined)
    }
  }
} finally {
  await home.close()
}
console.log(`${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1

async function serveDirectly (): Promise<string> {
  const { url } = await home.startNode([await fixture(), '--http']).event(({ event }) => event === 'ready', 'the fixture to be served')
  return String(url)
}

async function serveThroughMesh (): Promise<string> {
  const config = home.write('sharing.json', {
    mcpServers: { fixture: { command: process.execPath, args: [await fixture()] } },
    swarm: { name: 'sharing', share: ['fixture'], session: { fixture: 'caller' } }
  })
  const sharing = home.start(['up', '--json', '--dir', home.path('sharing'), '--config', config])
  const isThere = ({ available, event, name }: Readonly<Record<string, unknown>>): boolean => event === 'agent:changed' && name === 'fixture' && available === true
  await sharing.event(isThere, 'the fixture to run')
  await home.startNode(['--import', import.meta.resolve('tsx'), '--conditions=mcp-swarm-source', join(root, 'test/conformance/peer.ts')]).event(({ event }) => event === 'ready', 'the worker')
  const gateway = home.start(['up', '--json', '--dir', home.path('gateway'), '--prefix', 'never', '--no-token', '--port', '0'])
  const { gateway: url } = await gateway.event(({ event }) => event === 'ready', 'the gateway')
  await bounded(knows(String(url), ['test_simple_text', 'greet']), 'the gateway to know all tools')
  return String(url)
}

async function knows (url: string, names: readonly string[]): Promise<void> {
  const client = new Client({ name: 'conformance', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  for (;;) {
    const { tools } = await client.listTools(undefined, { cacheMode: 'bypass' })
    if (names.every(name => tools.some(tool => tool.name === name))) break
    await wait(LOOK_MS)
  }
  await client.close()
}

/** Bundled: for each session of a client one is started. */
async function fixture (): Promise<string> {
  const { outputFiles: [bundled] } = await build({ ...nodeBuild, entryPoints: [join(root, 'test/conformance/main.ts')], outdir: undefined, outfile: 'fixture.mjs', splitting: false, sourcemap: false, write: false, metafile: false })
  if (bundled === undefined) throw new Error('the fixture was not bundled')
  return home.write('fixture.mjs', bundled.text)
}

interface SuiteRun {
  readonly outcome: Outcome
  readonly unscored: ReadonlySet<string>
  readonly durationMs: number
  /** Why the suite itself is not content, if it is not. */
  readonly complaint: string | undefined
}

async function runSuite (leg: Leg, url: string, revision: string): Promise<SuiteRun> {
  const folder = home.path(`${leg}-${revision}`)
  mkdirSync(folder)
  const { code, durationMs, ending, output } = await runBounded(node22, [suite, 'server', '--url', url, '--requirements', revision, '--output-dir', folder], { cwd: folder, boundMs: SUITE_MS_MAX, env: home.env })
  const [, ...last] = output.split(/^Not scored for /m)
  const unscored = new Set([...last.join('').matchAll(/^ {2}\S (\S+) \([a-z-]+\)$/gm)].map(([, scenario = '']) => scenario))
  const complaint = ending === 'late' ? `still ran after ${SUITE_MS_MAX / 1000} s` : code === 0 ? undefined : `ended with ${code}`
  return { outcome: readChecks(folder), unscored, durationMs, complaint }
}

/** The suite writes a folder for each scenario: server-NAME-TIME/checks.json */
function readChecks (folder: string): Outcome {
  return new Map(readdirSync(folder).flatMap(name => {
    const [, scenario] = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name) ?? []
    const path = join(folder, name, 'checks.json')
    return scenario === undefined || !existsSync(path) ? [] : [[scenario, JSON.parse(readFileSync(path, 'utf8')) as Check[]] as const]
  }))
}

function report (leg: Leg, revision: string, { complaint, durationMs, outcome, unscored }: SuiteRun, measure: Outcome | undefined): void {
  const verdicts = judgeRun({ leg, revision, outcome, unscored }, measure, EXPECTED)
  const required = verdicts.filter(({ scenario }) => !unscored.has(scenario))
  const count = (scenarios: readonly { scenario: string }[], wanted: Check['status']): number =>
    scenarios.flatMap(({ scenario }) => outcome.get(scenario) ?? []).filter(({ status }) => status === wanted).length
  const figures = (scenarios: readonly { scenario: string }[]): string =>
    `${count(scenarios, 'SUCCESS')} checks succeed, ${count(scenarios, 'FAILURE')} fail, ${count(scenarios, 'WARNING')} warn`
  console.log(`\n${revision} ${leg === 'direct' ? 'directly' : 'through the mesh'} in ${(durationMs / 1000).toFixed(1)} s
     ${required.filter(({ passed }) => passed).length} of ${required.length} required scenarios: ${figures(required)}
     ${unscored.size} not scored: ${figures([...unscored].map(scenario => ({ scenario })))}`)
  for (const { notes, passed, scenario } of verdicts) tell(passed, `${scenario}${unscored.has(scenario) ? ' (not scored)' : ''}`, notes)
  tell(complaint === undefined, 'the suite', complaint === undefined ? [] : [complaint])
  const [seen, wanted] = [count(required, 'SUCCESS'), REQUIRED_CHECKS.get(revision) ?? Infinity]
  tell(seen >= wanted, 'what is required', seen >= wanted ? [] : [`${seen} checks succeed; ${wanted} did`])
}

function tell (passed: boolean, what: string, notes: readonly string[]): void {
  totals[passed ? 'passed' : 'failed']++
  if (passed && notes.length === 0) return
  console.log(`${passed ? 'ok  ' : 'FAIL'} ${what}`)
  for (const note of notes) console.log(`     ${note}`)
}
