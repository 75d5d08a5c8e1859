/**
 * Bundles test files, so that each loads in a fraction of the time that its sources and packages take one by one: with 130 files,
 * that was half of what `npm test` cost. They share one build; what is imported stays one module in each process. What they start in
 * processes of their own is bundled as well, into one script each: see kept.ts.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { browserBuild, leanSdk, nodeBuild, scriptBuild } from './build.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Not of use in a bundle: tools that find files beside themselves, and what counts the tests. */
const TOOLS = ['esbuild', 'eslint', 'fast-check', 'playwright-core', 'tsx', 'typescript', 'uvu']

/** What works on documents in a thread, and that thread beside it, as the package has them: from source it would compile each time. */
const ASIDE = join(root, 'crdt/aside.node.ts')
const THREAD = { 'crdt/fold-thread': 'crdt/fold-thread.node.ts' }

/** Time for one command, in milliseconds: many times what it takes on an idle machine. */
const BEGIN_MS_MAX = 30_000

/** What V8 counts is led back to the sources, for which a script has no map. */
const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined

/** @param files below the project @returns by file, what to run instead, below `outdir` */
export async function bundleTests (files: readonly string[], outdir: string): Promise<Map<string, string>> {
  const entryPoints = Object.fromEntries([...files].map(file => [withoutEnding(file), file]))
  await build({
    ...nodeBuild, outdir, entryPoints: { ...entryPoints, ...THREAD }, external: [...nodeBuild.external, ...TOOLS], plugins: [leanSdk, ownUrls(outdir)], metafile: false
  })
  return new Map(files.map(file => [file, join(outdir, `${withoutEnding(file)}.js`)]))
}

/**
 * Bundles what tests start in processes of their own: each one script, whose compiled code is kept (kept.ts). Such a program awaits
 * nothing at its top level.
 *
 * @param files below the project @returns by file, what to run instead, below `outdir`
 */
export async function bundlePrograms (files: readonly string[], outdir: string): Promise<Map<string, string>> {
  if (isCounted) return await bundleTests(files, outdir)
  const entryPoints = Object.fromEntries(files.map(file => [withoutEnding(file), file]))
  await Promise.all([buildThread(outdir, THREAD), buildScripts(entryPoints, outdir, [ownUrls(outdir), ...scriptBuild.plugins])])
  return new Map(files.map(file => [file, join(outdir, `${withoutEnding(file)}.cjs`)]))
}

/** Builds the command line, with the thread that it starts. @returns what to run, below `outdir` */
export async function buildCli (outdir: string): Promise<string> {
  const { cli = '', 'fold-thread': thread = '' } = nodeBuild.entryPoints
  await buildThread(outdir, { 'fold-thread': thread, ...isCounted && { cli } })
  if (isCounted) return join(outdir, 'cli.js')
  await buildScripts({ cli }, outdir, scriptBuild.plugins)
  await begin(join(root, outdir, 'cli.cjs'))
  return join(outdir, 'cli.cjs')
}

/** Builds the script of the tests' page, as an application would: `app.js` and what it loads. */
export async function buildSite (outdir: string): Promise<void> {
  await build({
    ...browserBuild, entryPoints: { app: 'test/browser/page/app.ts' }, outdir, metafile: false,
    external: [], // Yjs as well: an application has its own copy
    sourcemap: false, define: { 'process.env': '{}' }
  })
}

/** The first start of all, which joins and writes: what it leaves compiled is of use to every command. */
async function begin (program: string): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'mcs-'))
  const env = { PATH: process.env['PATH'], HOME: home, XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home, MCP_SWARM_DISCOVERY: 'folder' }
  try {
    await promisify(execFile)(process.execPath, [program, 'doc', 'set', 'notes', 'm/k', '1'], { env, timeout: BEGIN_MS_MAX })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

async function buildThread (outdir: string, entryPoints: Readonly<Record<string, string>>): Promise<void> {
  await build({ ...nodeBuild, outdir, entryPoints, metafile: false })
}

/** Builds programs as scripts, each with what starts it. */
async function buildScripts (entryPoints: Readonly<Record<string, string>>, outdir: string, plugins: Plugin[]): Promise<void> {
  await build({ ...scriptBuild, outdir, entryPoints, plugins, outExtension: { '.js': '.script' }, metafile: false })
  await build({ ...scriptBuild, outdir, entryPoints: Object.fromEntries(Object.keys(entryPoints).map(name => [name, 'scripts/kept.ts'])), plugins: [], banner: {}, metafile: false })
}

function withoutEnding (file: string): string {
  return file.replace(/\.\w+$/, '')
}

/** A source is where it was, whatever it is bundled into: it finds its files, and starts its programs. Its thread is bundled too. */
function ownUrls (outdir: string): Plugin {
  const urlOf = (path: string): URL => pathToFileURL(path === ASIDE ? join(root, outdir, 'crdt', 'aside.js') : path)
  return {
    name: 'own urls',
    setup (build) {
      build.onLoad({ filter: /\.ts$|\/server-[a-z]+\/dist\/.*\.js$/ }, ({ path }) => path.includes('node_modules') && path.endsWith('.ts')
        ? undefined
        : { loader: path.endsWith('.ts') ? 'ts' : 'js', contents: readFileSync(path, 'utf8').replaceAll(/(?<!['"])import\.meta\.url/g, JSON.stringify(urlOf(path).href)) })
    }
  }
}
