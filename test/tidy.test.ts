import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES } from '../lib/base/error.ts'
import {
  type Breach, type Names, type SourceFile, clockBreaches, dependencyBreaches, emptyCatchBreaches, importBreaches, lineBreaches,
  loneImportBreaches, testFileBreaches, textBreaches, undocumentedCodes
} from '../scripts/tidy.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = new Set(['node_modules', 'dist', 'coverage', '.git', '.tmp'])

interface Manifest {
  imports: Record<string, Record<string, string>>
  exports: Record<string, string | Record<string, string>>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  peerDependencies?: Record<string, string>
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const files = list('').filter(path => /\.(ts|js|mjs|json|md|yml|sh|html)$|^\.ci\/run$/.test(path))
  .map((path): SourceFile => ({ path, text: readFileSync(join(root, path), 'utf8') }))
const sources = files.filter(({ path }) => /\.(ts|js|mjs)$/.test(path))
const names: Names = new Map([
  ...Object.entries(manifest.imports).map(([name, targets]) => [name, Object.values(targets).map(pathOf)] as const),
  ...Object.entries(manifest.exports).map(([name, targets]) =>
    [join('mcp-swarm', name), typeof targets === 'string' ? [] : [pathOf(targets['mcp-swarm-source'] ?? '')]] as const)
])

function list (folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    if (LEFT_OUT.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? list(path) : [path]
  })
}

function pathOf (target: string): string {
  return target.replace(/^\.\//, '')
}

function holds (rule: (file: SourceFile) => Breach[], all: readonly SourceFile[] = sources): void {
  const breaches = all.flatMap(rule)
  assert.is(breaches.length, 0, `\n${breaches.join('\n')}`)
}

const plant = (path: string, text: string): SourceFile => ({ path, text })
const imports = (file: SourceFile): Breach[] => importBreaches(file, names)

test('there is something to look at', () => {
  assert.ok(sources.length > 20, `${sources.length} sources`)
  assert.ok(names.size > 5, `${names.size} names`)
})

test('imports go strictly downwards, and strangers do not meet', () => { holds(imports) })
test('packages with one importer have one', () => { holds(loneImportBreaches) })
test('time and chance come from two files', () => { holds(clockBreaches) })
test('no catch is empty', () => { holds(emptyCatchBreaches) })
test('every test file runs, and runs whole', () => { holds(testFileBreaches) })
test('no file names a path of one machine or leaves something to do', () => { holds(textBreaches, files) })

test('every error code is explained', () => {
  assert.equal(undocumentedCodes(ERROR_CODES, readFileSync(join(root, 'docs/ERRORS.md'), 'utf8')), [])
})

test('what is imported is declared, and what is declared is imported', () => {
  const dependencies = Object.keys(manifest.dependencies)
  const all = [...dependencies, ...Object.keys(manifest.devDependencies), ...Object.keys(manifest.peerDependencies ?? {})]
  holds(() => dependencyBreaches(sources.filter(({ path }) => !hasOwnManifest(path)), { dependencies, all }), sources.slice(0, 1))
})

/** Whether a folder above the file, below the root, is a package of its own. */
function hasOwnManifest (path: string): boolean {
  return files.some(file => file.path.endsWith('/package.json') && path.startsWith(file.path.slice(0, -'package.json'.length)))
}

for (const note of sources.flatMap(lineBreaches)) console.log(`\nnote: ${note}`)

for (const [name, rule, bad, good] of [
  ['an import upwards', imports,
    plant('lib/identity/a.ts', "import { b } from '../mesh/b.ts'"), plant('lib/mesh/a.ts', "import { b } from '../identity/b.ts'")],
  ['an import of types upwards', imports,
    plant('lib/base/a.ts', "import type { B } from '../mcp/b.ts'"), plant('lib/base/a.ts', "import type { B } from './b.ts'")],
  ['a lazy import upwards', imports,
    plant('lib/base/a.ts', "const b = await import('../mcp/b.ts')"), plant('lib/mcp/a.ts', "const b = await import('../base/b.ts')")],
  ['an imported type upwards', imports,
    plant('lib/base/a.ts', "let b: import('../mcp/b.ts').B"), plant('lib/mcp/a.ts', "let b: import('../base/b.ts').B")],
  ['a re-export upwards', imports,
    plant('lib/mcp/a.ts', "export { b } from '../swarm/b.ts'"), plant('lib/index.ts', "export { b } from './swarm/b.ts'")],
  ['strangers', imports,
    plant('lib/storage/a.ts', "import '../access/b.ts'"), plant('lib/storage/a.ts', "import './access.ts'")],
  ['strangers in different trees', imports,
    plant('transports/memory/a.ts', "import '../../lib/storage/b.ts'"), plant('transports/memory/a.ts', "import '../libp2p/b.ts'")],
  ['an import upwards through a #name', imports,
    plant('lib/mesh/a.ts', "import '#command'"), plant('lib/swarm/a.ts', "import '#command'")],
  ['an import upwards by the package’s own name', imports,
    plant('lib/swarm/a.ts', "import { joinSwarm } from 'mcp-swarm'"), plant('lib/cli/a.ts', "import { joinSwarm } from 'mcp-swarm'")],
  ['a test reached from the library', imports,
    plant('lib/swarm/a.ts', "import '../../test/support/b.ts'"), plant('test/swarm/a.ts', "import '../support/b.ts'")],
  ['cli past the entries', imports,
    plant('lib/cli/a.ts', "import '../base/error.ts'"), plant('lib/cli/a.ts', "import './b.ts'; import 'mcp-swarm/mcp'; import 'node:fs'; import 'commander'")],
  ['an example past the entries', imports,
    plant('examples/01-a/main.ts', "import '../../lib/index.ts'"), plant('examples/01-a/main.ts', "import './b.ts'; import 'mcp-swarm'")],
  ['an example that reaches into another', imports,
    plant('examples/01-a/main.ts', "import '../02-b/b.ts'"), plant('examples/01-a/main.ts', "import './b.ts'")],
  ['a part without a rank', imports, plant('lib/helpers/a.ts', ''), plant('lib/mesh/a.ts', '')],
  ['libp2p elsewhere', loneImportBreaches,
    plant('lib/swarm/a.ts', "import type { Libp2p } from '@libp2p/interface'"), plant('transports/libp2p/a.ts', "import { createLibp2p } from 'libp2p'")],
  ['multiaddrs elsewhere', loneImportBreaches,
    plant('transports/memory/a.ts', "import '@multiformats/multiaddr'"), plant('test/a.ts', "import '@multiformats/multiaddr'")],
  ['yjs elsewhere', loneImportBreaches,
    plant('lib/swarm/a.ts', "await import('yjs')"), plant('crdt/a.ts', "import * as Y from 'yjs'")],
  ['the MCP SDK elsewhere', loneImportBreaches,
    plant('lib/cli/a.ts', "import '@modelcontextprotocol/client'"), plant('examples/01-a/b.ts', "import '@modelcontextprotocol/server'")],
  ['Date.now', clockBreaches, plant('lib/mesh/a.ts', 'Date.now()'), plant('lib/base/clock.ts', 'Date.now()')],
  ['new Date()', clockBreaches, plant('lib/cli/a.ts', 'new Date()'), plant('lib/cli/a.ts', 'new Date(wallMs).toISOString()')],
  ['Math.random', clockBreaches, plant('crdt/a.ts', 'Math.random()'), plant('lib/base/random.ts', 'Math.random()')],
  ['performance.now', clockBreaches, plant('transports/memory/a.ts', 'performance.now()'), plant('test/a.test.ts', 'performance.now()')],
  ['setTimeout', clockBreaches, plant('lib/mcp/a.ts', 'setTimeout(f, 1)'), plant('lib/mcp/a.ts', 'clock.setTimeout(f, 1)')],
  ['setTimeout handed on', clockBreaches, plant('lib/mcp/a.ts', 'run(setTimeout)'), plant('lib/mcp/a.ts', 'run({ setTimeout: f })')],
  ['globalThis.setInterval', clockBreaches, plant('lib/mcp/a.ts', 'globalThis.setInterval(f)'), plant('lib/mcp/a.ts', 'interval(f)')],
  ['setImmediate', clockBreaches, plant('lib/mcp/a.ts', 'setImmediate(f)'), plant('benchmarks/a.ts', 'setImmediate(f)')],
  ['AbortSignal.timeout', clockBreaches, plant('lib/mcp/a.ts', 'AbortSignal.timeout(9)'), plant('lib/mcp/a.ts', 'AbortSignal.any([])')],
  ['node:timers', clockBreaches, plant('lib/mcp/a.ts', "import { setTimeout as wait } from 'node:timers/promises'"), plant('lib/mcp/a.ts', "import 'node:fs'")],
  ['crypto.randomUUID', clockBreaches, plant('lib/mcp/a.ts', 'crypto.randomUUID()'), plant('lib/mcp/a.ts', 'random.next()')],
  ['getRandomValues', clockBreaches, plant('lib/mcp/a.ts', 'crypto.getRandomValues(b)'), plant('lib/mcp/a.ts', 'crypto.subtle')],
  ['randomBytes', clockBreaches, plant('lib/mcp/a.ts', "import { randomBytes } from 'node:crypto'"), plant('lib/mcp/a.ts', "import { sign } from 'node:crypto'")],
  ['an empty catch', emptyCatchBreaches, plant('lib/a.ts', 'try { f() } catch { /* why not */ }'), plant('lib/a.ts', 'try { f() } catch { return 1 }')],
  ['an empty catch callback', emptyCatchBreaches, plant('lib/a.ts', 'f().catch(() => {})'), plant('lib/a.ts', 'f().catch(error => { log(error) })')],
  ['a test file that never runs', testFileBreaches, plant('test/a.test.ts', "test('a', f) // test.run()"), plant('test/a.test.ts', 'test.run()')],
  ['a test file that runs one test', testFileBreaches, plant('test/a.test.ts', "test.only('a', f); test.run()"), plant('test/support/a.ts', '')],
  ['a path of one machine', textBreaches, plant('docs/A.md', `see /${'root'}/x`), plant('docs/A.md', 'see https://example.org/root/x, framework/root')],
  ['something left to do', textBreaches, plant('lib/a.ts', `// TO${'DO'}: later`), plant('lib/a.ts', '// a to-do list')],
  ['a file of many lines', lineBreaches, plant('lib/a.ts', 'a\n'.repeat(301)), plant('lib/a.ts', 'a\n'.repeat(300))],
  ['an unexplained code', ({ text }: SourceFile) => undocumentedCodes(['TOO_LARGE', 'CLOSED'], text),
    plant('docs/ERRORS.md', '| `TOO_LARGE` | more |\nCLOSED is told'), plant('docs/ERRORS.md', '## TOO_LARGE\n| `CLOSED` | shut |')],
  ['an undeclared package', (file: SourceFile) => dependencyBreaches([file], { dependencies: [], all: ['zod'] }),
    plant('lib/a.ts', "import 'level'"), plant('lib/a.ts', "import 'zod/v4'; import './level.ts'; import 'node:fs'")],
  ['an unused dependency', (file: SourceFile) => dependencyBreaches([file], { dependencies: ['@a/b'], all: ['@a/b'] }),
    plant('test/a.ts', "import '@a/b'"), plant('lib/a.ts', "import '@a/b/c'")]
] as const) {
  test(`finds ${name}`, () => {
    assert.ok(rule(bad).length > 0, 'finds nothing')
    assert.equal(rule(good), [])
  })
}

test.run()
