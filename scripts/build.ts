/**
 * Builds dist/: node/ and browser/ by esbuild, types/ by tsc, and the licences of what was bundled in.
 *
 *   npm run build            all of it
 *   … scripts/build.ts --quick   node/ alone, in about a second: what `npm run demo` runs
 *
 * Our dependencies are bundled, because loading libp2p and the MCP SDK file by file takes three times as long as loading the
 * bundle (docs/decisions/ has the figures). Left outside: what has native parts, and what must exist only once in a process.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'

interface Manifest { name: string, version: string, license: string, imports: Record<string, { default: string }> }

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

const ENTRIES: Record<string, string> = {
  index: 'lib/index.ts', crdt: 'crdt/index.ts', transports: 'transports/index.ts', mcp: 'lib/mcp/index.ts', testing: 'lib/testing.ts'
}
/** The thread that folds documents is loaded by its path: see crdt/aside.node.ts. */
const NODE_ENTRIES = { ...ENTRIES, 'mcp-stdio': 'lib/mcp/stdio.ts', cli: 'lib/cli/main.ts', 'fold-thread': 'crdt/fold-thread.node.ts' }

/** Native parts (LevelDB, and what ws may use), or one copy per process (Yjs). */
const NODE_EXTERNAL = ['level', 'classic-level', 'memory-level', 'yjs', 'bufferutil', 'utf-8-validate']

/**
 * In the CLI, leads each name imported from 'mcp-swarm' to the file that defines it. esbuild splits by file and knows a file's live
 * imports for all entries together: through the entry, one name of ours would load all of it, and `mcp-swarm --help` with it
 * libp2p and the MCP SDK.
 */
const namesToFiles: Plugin = {
  name: 'names to files',
  setup (build) {
    const lists = new Map([['mcp-swarm', filesOf('lib/index.ts', '../')], ['mcp-swarm/mcp/stdio', filesOf('lib/mcp/stdio.ts', '../mcp/')]])
    build.onLoad({ filter: /\/lib\/cli\/[^/]+\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replaceAll(/^import \{([^}]*)\} from '(mcp-swarm(?:\/mcp\/stdio)?)'$/gm, (_, names: string, entry: string) =>
        // All on one line, so that source maps keep their lines.
        names.split(',').map(name => name.trim()).filter(name => !name.startsWith('type ')).map(name => `import { ${name} } from '${lists.get(entry)?.get(name) ?? entry}'`).join('; '))
    }))
  }
}

/** Where each name that an entry hands on is defined, as seen from lib/cli. */
function filesOf (entry: string, folder: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const [, names = '', from = ''] of readFileSync(join(root, entry), 'utf8').matchAll(/^export \{([^}]*)\} from '([^']+)'/gm)) {
    for (const name of names.split(',')) files.set(name.trim(), from.replace(/^\.\//, folder))
  }
  return files
}

/**
 * Leaves out of the SDK, for Node, what every start would load and few need: its two copies of ajv become one, which is set up when
 * the first schema is compiled, and of zod's languages English stays, in which our messages are.
 */
export const leanSdk: Plugin = {
  name: 'lean SDK',
  setup (build) {
    build.onResolve({ filter: /^@modelcontextprotocol\/(client|server)\/_shims$/ }, () => ({ path: 'shims', namespace: 'lean' }))
    build.onLoad({ filter: /^shims$/, namespace: 'lean' }, () => ({ contents: SHIMS, resolveDir: root }))
    build.onResolve({ filter: /locales\/index\.js$/ }, ({ resolveDir }) =>
      resolveDir.startsWith(join(root, 'node_modules/zod/v4')) ? { path: 'locales', namespace: 'lean' } : undefined)
    build.onLoad({ filter: /^locales$/, namespace: 'lean' }, () => ({ contents: "export { default as en } from 'zod/v4/locales/en.js'", resolveDir: root }))
  }
}

/** What both packages want of their platform; a module that is required is set up at that moment. */
const SHIMS = `
import process from 'node:process'
export { process }
export const CORS_IS_POSSIBLE = false
export class DefaultJsonSchemaValidator {
  #validator
  getValidator (schema) {
    this.#validator ??= new (require('@modelcontextprotocol/server/validators/ajv').AjvJsonSchemaValidator)()
    return this.#validator.getValidator(schema)
  }
}`

const shared = {
  absWorkingDir: root, bundle: true, splitting: true, format: 'esm', sourcemap: true, sourcesContent: false, metafile: true,
  logLevel: 'warning', legalComments: 'none', chunkNames: 'chunk-[hash]', plugins: [namesToFiles]
} satisfies BuildOptions

export const nodeBuild = {
  ...shared, platform: 'node', target: 'node20', outdir: 'dist/node', entryPoints: NODE_ENTRIES,
  conditions: ['mcp-swarm-source', 'node'], external: NODE_EXTERNAL, mainFields: ['module', 'main'], plugins: [namesToFiles, leanSdk],
  // CommonJS packages inside an ES module still ask for Node's own modules with require.
  banner: { js: "import { createRequire as createRequireOfNode } from 'node:module'; const require = createRequireOfNode(import.meta['url']);" }
} satisfies BuildOptions

/**
 * One script, which V8 can keep compiled (lib/cli/launch.ts). LevelDB's JavaScript is in it, since looking for its files takes as
 * long as compiling them; its native part is not.
 */
export const scriptBuild = {
  ...nodeBuild, splitting: false, format: 'cjs', outExtension: { '.js': '.cjs' }, sourcemap: false,
  minifyWhitespace: true, lineLimit: 160, // names stay, and lines, for whoever reads a stack
  external: NODE_EXTERNAL.filter(name => !name.endsWith('level')), supported: { 'dynamic-import': false },
  plugins: [namesToFiles, leanSdk, {
    name: 'native part of LevelDB',
    setup (build) {
      build.onResolve({ filter: /^\.\/binding$/ }, ({ resolveDir }) => resolveDir.endsWith('classic-level') ? { path: 'classic-level/binding', external: true } : undefined)
    }
  }],
  banner: { js: "const urlOfFile = require('node:url').pathToFileURL(__filename).href;" }, define: { 'import.meta.url': 'urlOfFile' }
} satisfies BuildOptions

/** Builds the command and what it needs for `connect`, beside the entries in `outdir`. Returns what was bundled. */
export async function buildCommand (outdir: string): Promise<Metafile> {
  const { metafile } = await build({ ...scriptBuild, entryPoints: { connect: 'lib/cli/main.ts' }, outdir })
  await build({ ...launchBuild(hashOfAscii(join(root, outdir, 'connect.cjs'))), outdir })
  chmodSync(join(root, outdir, 'cli.cjs'), 0o755)
  return metafile
}

/** @param scriptHash of connect.cjs */
function launchBuild (scriptHash: string): BuildOptions {
  return {
    ...nodeBuild, entryPoints: { cli: 'lib/cli/launch.ts' }, splitting: false, format: 'cjs', outExtension: { '.js': '.cjs' }, sourcemap: false,
    plugins: [{ name: 'program', setup (build) { build.onResolve({ filter: /^\.\/main\.ts$/ }, () => ({ path: './cli.js', external: true })) } }],
    banner: { js: '#!/usr/bin/env node' }, define: { SCRIPT_HASH: JSON.stringify(scriptHash) }
  }
}

/** How a page's bundle is made; test/bundle.test.ts holds it to what a page has. */
export const browserBuild = {
  ...shared, platform: 'browser', target: 'es2022', minify: true, outdir: 'dist/browser', entryPoints: ENTRIES,
  conditions: ['mcp-swarm-source', 'browser'], external: ['yjs']
} satisfies BuildOptions

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.includes('--quick'))

async function main (quick: boolean): Promise<void> {
  const startedMs = performance.now()
  for (const folder of quick ? ['node'] : ['node', 'browser', 'types']) rmSync(join(dist, folder), { recursive: true, force: true })
  // Source maps of sources that are not shipped would be a third of the package.
  const metafileOf = async (options: typeof nodeBuild | typeof browserBuild): Promise<Metafile> => (await build({ ...options, sourcemap: false, metafile: true })).metafile
  const metafiles = await Promise.all([metafileOf(nodeBuild), buildCommand('dist/node'), ...quick ? [] : [metafileOf(browserBuild)]])
  if (!quick) {
    writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences(metafiles))
    for (const metafile of metafiles) {
      const entries = Object.entries(metafile.outputs).filter(([, { entryPoint }]) => entryPoint !== undefined && Object.values(NODE_ENTRIES).includes(entryPoint))
      for (const [path] of entries) console.log(`${path}  loads ${Math.ceil(bytesAtOnce(metafile, path) / 1024)} KiB`)
    }
    emitTypes()
  }
  console.log(`built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
}

/** The hash of a script, which must be ASCII: that is the quickest to read. */
function hashOfAscii (path: string): string {
  const text = readFileSync(path, 'utf8')
  const stray = /[^\0-\x7f].*/.exec(text)
  if (stray !== null) throw new Error(`${path} is not ASCII: ${stray[0]}`)
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** What loading an entry loads at once: lazy chunks left out. */
function bytesAtOnce (metafile: Metafile, entry: string): number {
  const seen = new Set<string>()
  const add = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { path: next, kind, external } of metafile.outputs[path]?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) add(next)
    }
  }
  add(entry)
  return [...seen].reduce((sum, path) => sum + (metafile.outputs[path]?.bytes ?? 0), 0)
}

/** Declarations, with `#names` turned into the files they lead to: a consumer has our dist/, not our sources. */
function emitTypes (): void {
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
  const { imports } = readManifest(root)
  const types = join(dist, 'types')
  for (const entry of readdirSync(types, { recursive: true, encoding: 'utf8' })) {
    const path = join(types, entry)
    if (!statSync(path).isFile()) continue
    const text = readFileSync(path, 'utf8')
      .replaceAll(/(from |import\()(['"])(#[\w/-]+)\2/g, (_, before: string, quote: string, name: string) => {
        const target = posix.relative(dirname(entry), imports[name]?.default.slice(2) ?? name)
        return `${before}${quote}${target.startsWith('.') ? target : `./${target}`}${quote}`
      })
      .replaceAll(/((?:from |import\(|import )(['"])\.[^'"]*)\.ts\2/g, '$1.js$2')
    writeFileSync(path, text)
  }
}

/** Names and licence texts of every package with code in the bundles: their licences ask for it. */
function licences (metafiles: readonly Metafile[]): string {
  const folders = new Set<string>()
  for (const path of metafiles.flatMap(({ inputs }) => Object.keys(inputs))) {
    const folder = /^(?:\w+:)?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] // a plugin's files have its name in front
    if (folder !== undefined) folders.add(resolve(root, folder))
  }
  return [...folders].sort().map(folder => {
    const { name, version, license } = readManifest(folder)
    const texts = readdirSync(folder, { withFileTypes: true }).filter(file => file.isFile() && /^(licen[cs]e|copying|notice)/i.test(file.name))
    return [`${name} ${version} (${license})`, '', ...texts.map(file => readFileSync(join(folder, file.name), 'utf8').trim())].join('\n')
  }).join(`\n\n${'-'.repeat(80)}\n\n`)
}

function readManifest (folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}
