/**
 * The rules of the tree that a compiler does not know: who may import whom, where time and chance come from, what no file
 * may hold. Each rule takes source text and says what breaks it; test/tidy.test.ts runs them all, on planted breaches too.
 */
import { posix } from 'node:path'
import ts from 'typescript'

export interface SourceFile { readonly path: string, readonly text: string }

/** A breach in words that say where and what to do. */
export type Breach = string

/** What package.json's `imports` and `exports` lead to, as paths from the root: every platform's file. */
export type Names = ReadonlyMap<string, readonly string[]>

/** Imports go strictly downwards: to a smaller rank. Parts of one rank are strangers. */
const RANKS = new Map(Object.entries({
  base: 0, identity: 1, access: 2, storage: 2, transports: 2, crdt: 2, directory: 3, message: 3, simulate: 3, mesh: 4, mcp: 5, documents: 5, swarm: 6,
  index: 7, testing: 7, cli: 8, examples: 8, test: 9, benchmarks: 10, scripts: 10
}))

/** A package that only one folder may import, so that its next major version touches only that. */
const LONE_IMPORTERS: readonly (readonly [RegExp, string])[] = [
  [/^(libp2p|@libp2p\/.*|@multiformats\/.*|@chainsafe\/.*)(\/|$)/, 'transports/libp2p/'],
  [/^(yjs|y-protocols|lib0)(\/|$)/, 'crdt/'],
  [/^@modelcontextprotocol\//, 'lib/mcp/']
]

/** Files over this many lines are named, without failing: look for a second subject. */
export const FILE_LINES_HIGH = 300

const CLOCK_FILE = 'lib/base/clock.ts'
const RANDOM_FILE = 'lib/base/random.ts'
const TIMERS = ['setTimeout', 'setInterval', 'setImmediate']
const CLOCK_MEMBERS = ['Date.now', 'Date.UTC', 'performance.now', 'performance.timeOrigin', 'AbortSignal.timeout', 'process.hrtime', 'process.uptime']
const RANDOM_NAMES = ['randomUUID', 'getRandomValues', 'randomBytes', 'randomInt', 'randomFillSync']
const CLOCK_MODULES = ['node:timers', 'node:timers/promises', 'node:perf_hooks']

/** Which part of the tree a file belongs to, or undefined for files of none. */
export function partOf (path: string): string | undefined {
  const [top, second] = path.split('/')
  if (top !== 'lib') return top !== undefined && RANKS.has(top) ? top : undefined
  return second?.endsWith('.ts') === true ? second.replace(/\.ts$/, '') : second
}

export function lineBreaches ({ path, text }: SourceFile): Breach[] {
  const lines = text.split('\n').length - 1
  return lines > FILE_LINES_HIGH ? [`${path} has ${lines} lines`] : []
}

/** Ranks, strangers, and what cli and examples may reach. */
export function importBreaches (file: SourceFile, names: Names): Breach[] {
  const part = partOf(file.path)
  if (part === undefined) return []
  const rank = RANKS.get(part)
  if (rank === undefined) return [`${file.path} lies in a part without a rank: ${part}`]
  const found: Breach[] = []
  for (const specifier of importsOf(file)) {
    for (const target of targetsOf(file.path, specifier, names)) {
      const other = partOf(target)
      if (other === undefined || isOwn(file.path, target) || part === 'test' || part === 'scripts') continue
      if ((part === 'cli' || part === 'examples') && !/^mcp-swarm(\/|$)/.test(specifier)) {
        found.push(`${file.path} imports ${specifier}: ${part} imports only 'mcp-swarm' entries and its own folder`)
      } else if ((RANKS.get(other) ?? Infinity) >= rank) {
        found.push(`${file.path} imports ${specifier}: ${part} may not import ${other}`)
      }
    }
  }
  return found
}

/** Packages with one importer; tests, benchmarks and scripts are free, examples may meet the MCP SDK as users do. */
export function loneImportBreaches (file: SourceFile): Breach[] {
  const part = partOf(file.path)
  if (part === undefined || part === 'test' || part === 'benchmarks' || part === 'scripts') return []
  return importsOf(file).flatMap(specifier => LONE_IMPORTERS
    .filter(([pattern, folder]) => pattern.test(specifier) && !file.path.startsWith(folder) && !(part === 'examples' && folder === 'lib/mcp/'))
    .map(([, folder]) => `${file.path} imports ${specifier}: only ${folder} may`))
}

/** Time and chance read anywhere but in the two files that hand them out. `new Date(ms)` only converts, and is free. */
export function clockBreaches (file: SourceFile): Breach[] {
  if (!/^(lib|transports|crdt)\//.test(file.path) || file.path === CLOCK_FILE || file.path === RANDOM_FILE) return []
  const found: Breach[] = importsOf(file).filter(specifier => CLOCK_MODULES.includes(specifier)).map(specifier => `${file.path} imports ${specifier}: take a Clock`)
  walk(file, node => {
    const name = ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) ? `${node.expression.text}.${node.name.text}` : undefined
    if (name !== undefined && CLOCK_MEMBERS.includes(name)) found.push(`${where(file, node)} reads ${name}: take a Clock`)
    if (name === 'Math.random') found.push(`${where(file, node)} draws Math.random: take a Random`)
    if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Date' && (node.arguments?.length ?? 0) === 0) {
      found.push(`${where(file, node)} reads new Date(): take a Clock`)
    }
    if (!ts.isIdentifier(node) || isOwnName(node)) return
    if (TIMERS.includes(node.text)) found.push(`${where(file, node)} uses ${node.text}: take a Clock`)
    if (RANDOM_NAMES.includes(node.text)) found.push(`${where(file, node)} uses ${node.text}: take a Random`)
  })
  return found
}

/** A catch that does nothing, as a clause or as a callback. */
export function emptyCatchBreaches (file: SourceFile): Breach[] {
  const found: Breach[] = []
  walk(file, node => {
    if (ts.isCatchClause(node) && node.block.statements.length === 0) found.push(`${where(file, node)} has an empty catch`)
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression) || node.expression.name.text !== 'catch') return
    const handler = node.arguments[0]
    if (handler === undefined || !(ts.isArrowFunction(handler) || ts.isFunctionExpression(handler))) return
    if (ts.isBlock(handler.body) && handler.body.statements.length === 0) found.push(`${where(file, node)} has an empty catch`)
  })
  return found
}

/** A test file that uvu would pass unrun, or run in part. */
export function testFileBreaches (file: SourceFile): Breach[] {
  if (!file.path.endsWith('.test.ts')) return []
  const found: Breach[] = []
  let runs = false
  walk(file, node => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return
    if (node.expression.name.text === 'run' && node.arguments.length === 0) runs = true
    if (node.expression.name.text === 'only') found.push(`${where(file, node)} runs only one test`)
  })
  return runs ? found : [...found, `${file.path} has no .run(): uvu would pass it unrun`]
}

/** What no file of the project may hold, of whatever kind. */
export function textBreaches ({ path, text }: SourceFile): Breach[] {
  const found: Breach[] = []
  text.split('\n').forEach((line, index) => {
    if (/(^|[^\w.-])\/(work|root)\//.test(line)) found.push(`${path}:${index + 1} names a path of one machine`)
    if (/\b(TO[D]O|FIX[M]E|XX[X])\b/.test(line)) found.push(`${path}:${index + 1} leaves something to do`)
  })
  return found
}

/** Error codes without a heading or a table row of their own. */
export function undocumentedCodes (codes: readonly string[], text: string): Breach[] {
  return codes.filter(code => !new RegExp(`^(#+ |\\| *)\`?${code}\`?( |$)`, 'm').test(text)).map(code => `docs/ERRORS.md does not explain ${code}`)
}

/**
 * Packages imported but not declared, and run-time dependencies that nothing imports. What the build bundles is a development
 * dependency; that nothing else is missing at run time, scripts/package.ts shows.
 */
export function dependencyBreaches (files: readonly SourceFile[], declared: { dependencies: readonly string[], all: readonly string[] }): Breach[] {
  const used = new Map<string, string>()
  for (const file of files) {
    if (partOf(file.path) === undefined) continue
    for (const specifier of importsOf(file)) {
      if (/^(\.|#|node:|mcp-swarm(\/|$))/.test(specifier)) continue
      const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
      if (!/^(test|benchmarks|scripts|examples)\//.test(file.path) || !used.has(name)) used.set(name, file.path)
    }
  }
  return [
    ...[...used].filter(([name]) => !declared.all.includes(name)).map(([name, path]) => `${path} imports ${name}, which package.json does not name`),
    ...declared.dependencies.filter(name => !/^(lib|transports|crdt)\//.test(used.get(name) ?? '')).map(name => `nothing in lib, transports or crdt imports the dependency ${name}`)
  ]
}

/** Every module a file asks for: static, dynamic, type-only, re-exported, resolved. */
export function importsOf (file: SourceFile): string[] {
  const found: string[] = []
  walk(file, node => {
    const specifier = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
        ? node.arguments[0]
        : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier.text)
  })
  return found
}

function targetsOf (path: string, specifier: string, names: Names): readonly string[] {
  if (specifier.startsWith('.')) return [posix.join(posix.dirname(path), specifier)]
  return names.get(specifier) ?? []
}

/** Examples are strangers to each other; every other part is one folder. */
function isOwn (path: string, target: string): boolean {
  if (partOf(path) !== partOf(target)) return false
  return partOf(path) !== 'examples' || path.split('/')[1] === target.split('/')[1]
}

/** A name that is only declared, or the member of something else: `clock.setTimeout` is not the platform's. */
function isOwnName (node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) {
    return !(ts.isIdentifier(parent.expression) && ['globalThis', 'window', 'self', 'crypto'].includes(parent.expression.text))
  }
  return (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isMethodSignature(parent) || ts.isPropertySignature(parent)) && parent.name === node
}

const parsed = new WeakMap<SourceFile, ts.SourceFile>()

function walk (file: SourceFile, visit: (node: ts.Node) => void): void {
  const source = parsed.get(file) ?? ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true)
  parsed.set(file, source)
  const step = (node: ts.Node): void => {
    visit(node)
    ts.forEachChild(node, step)
  }
  step(source)
}

function where (file: SourceFile, node: ts.Node): string {
  const source = node.getSourceFile()
  return `${file.path}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}`
}
