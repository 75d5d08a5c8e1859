/**
 * The package as its users get it: packed from dist/ (build first), installed into an empty project, typechecked there strictly in
 * both ways of resolving modules, run, bundled for a page. Ends with `N passed, N failed`.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { runBounded } from './child.ts'

interface Manifest { version: string, exports: Record<string, string | Record<string, string>>, devDependencies: Record<string, string>, dependencies: Record<string, string> }

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const place = mkdtempSync(join(tmpdir(), 'mcp-swarm-package-'))
process.once('exit', () => { rmSync(place, { recursive: true, force: true }) })
const home = join(place, 'home')
const env = { ...process.env, HOME: home, XDG_DATA_HOME: join(home, 'data'), XDG_RUNTIME_DIR: join(home, 'run'), npm_config_update_notifier: 'false' }

let [passed, failed] = [0, 0]

async function check (name: string, run: () => Promise<string>): Promise<void> {
  const startedMs = performance.now()
  try {
    const note = await run()
    passed++
    console.log(`ok   ${name}  ${note}  ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}\n${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Runs a command in the user's project. @throws with its output if it fails */
async function inProject (boundMs: number, command: string, ...args: readonly string[]): Promise<string> {
  const end = await runBounded(command, args, { cwd: place, boundMs, env })
  if (end.ending !== 'own' || end.code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${end.ending === 'own' ? end.code ?? end.signal : end.ending}\n${end.output}`)
  if (end.leftBehind.length > 0) throw new Error(`left processes behind: ${end.leftBehind.join('; ')}`)
  return end.output
}

const versionOf = (name: string): string => manifest.dependencies[name] ?? manifest.devDependencies[name] ?? '*'

mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 })
const [packed] = JSON.parse(execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', place], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [{ filename: string, size: number, files: { path: string }[] }]

await check('the package holds the build and no sources', async () => {
  const paths = packed.files.map(({ path }) => path)
  for (const [entry, targets] of Object.entries(manifest.exports)) {
    for (const [condition, target] of typeof targets === 'string' ? [['default', targets]] as const : Object.entries(targets)) {
      if (condition !== 'mcp-swarm-source' && !paths.includes(target.slice(2))) throw new Error(`${entry} leads to ${target}, which is not packed`)
    }
  }
  const stray = paths.filter(path => path.endsWith('.map') || !/^(dist\/|docs\/([A-Z]+|(clients|decisions)\/[a-z-]+)\.md$|[A-Z]+(\.md)?$|package\.json$)/.test(path))
  if (stray.length > 0) throw new Error(`packed though nobody needs it: ${stray.join(', ')}`)
  return `${paths.length} files, ${Math.ceil(packed.size / 1024)} KiB packed`
})

await check('it installs', async () => {
  writeFileSync(join(place, 'package.json'), JSON.stringify({
    name: 'user', private: true, type: 'module', dependencies: { 'mcp-swarm': `file:./${packed.filename}`, zod: versionOf('zod'), '@types/node': versionOf('@types/node') }
  }))
  await inProject(300_000, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error')
  const sizes = readdirSync(join(place, 'node_modules'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile()).map(entry => statSync(join(entry.parentPath, entry.name)).size)
  const packages = Object.keys((JSON.parse(readFileSync(join(place, 'node_modules/.package-lock.json'), 'utf8')) as { packages: object }).packages).length
  return `${packages} packages, ${Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20)} MiB with zod and @types/node`
})

writeFileSync(join(place, 'main.ts'), `
import { joinSwarm, MCPAgent, SwarmError, type Swarm } from 'mcp-swarm'
import { documentKey, Replica, Wal, type WalStatus } from 'mcp-swarm/crdt'
import * as mcp from 'mcp-swarm/mcp'
import * as transports from 'mcp-swarm/transports'
import * as testing from 'mcp-swarm/testing'
import { z } from 'zod'

const swarm: Swarm = await joinSwarm({ name: 'user' })
const agent: MCPAgent = swarm.agent('analyst', { description: 'Reads text' })
agent.tool('count_words', { description: 'Counts words', input: z.object({ text: z.string() }) }, ({ text }) => \`\${text.split(' ').length} words\`)
await agent.start()
for (let turn = 0; turn < 200 && swarm.find({ tool: 'count_words' }).length === 0; turn++) await new Promise(resolve => setTimeout(resolve, 10))
const result = await swarm.call('count_words', { text: 'a b c' })
// @ts-expect-error a tool is called by its name
await swarm.call(1).catch((error: unknown) => { if (error === undefined) throw error })
if (!JSON.stringify(result.content).includes('3 words')) throw new Error(JSON.stringify(result))
const refused = await swarm.call('no_such_tool', {}).then(() => 'answered', (error: unknown) => error instanceof SwarmError ? error.code : String(error))
if (refused !== 'UNKNOWN_TOOL') throw new Error(refused)
for (const [name, entry] of Object.entries({ mcp, transports, testing })) if (Object.keys(entry).length === 0) throw new Error(name + ' exports nothing')
const status: Partial<WalStatus> = {}
if (documentKey('notes').length !== 32 || typeof Wal.open !== 'function' || typeof Replica !== 'function' || status.failed !== undefined) throw new Error('crdt')
await swarm.close()
console.log('used')
`)

for (const [resolution, module] of [['nodenext', 'nodenext'], ['bundler', 'esnext']] as const) {
  await check(`it typechecks strictly, resolved as ${resolution}`, async () => {
    writeFileSync(join(place, 'tsconfig.json'), JSON.stringify({
      compilerOptions: { module, moduleResolution: resolution, target: 'es2023', lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable'], strict: true, skipLibCheck: false, types: ['node'], outDir: 'out', rootDir: '.' }, files: ['main.ts']
    }))
    await inProject(120_000, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.')
    return ''
  })
}

await check('it runs', async () => {
  const output = await inProject(30_000, process.execPath, 'out/main.js')
  if (!output.includes('used')) throw new Error(output)
  return ''
})

await check('its command runs', async () => {
  const output = await inProject(30_000, join('node_modules', '.bin', 'mcp-swarm'), '--version')
  if (!output.includes(manifest.version)) throw new Error(output)
  return ''
})

await check('it bundles for a page', async () => {
  const { outputFiles } = await build({
    stdin: { contents: "export { joinSwarm } from 'mcp-swarm'; export { Wal } from 'mcp-swarm/crdt'", resolveDir: place }, bundle: true, platform: 'browser', format: 'esm', minify: true, write: false, logLevel: 'silent'
  })
  return `${Math.ceil((outputFiles[0]?.contents.byteLength ?? 0) / 1024)} KiB`
})

console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
