// bound: 120 s
/** Every example in the documents is right: JSON is read, commands are parsed by the real command line, programs are compiled. */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, type ParseError } from 'jsonc-parser'
import ts from 'typescript'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES } from '../lib/base/error.ts'
import { CLIENTS, targetOf, type Client } from '../lib/cli/client.ts'
import { program } from '../lib/cli/program.ts'
import { toolsMaxFor } from '../lib/mcp/overview.ts'
import { parseConfig } from '../lib/swarm/config.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')
const within = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith(ending)).map(name => join(folder, name))
const documents = ['README.md', ...within('docs', '.md'), ...within('examples', '.md')]

interface Block { readonly path: string, readonly language: string, readonly text: string }

const blocks = documents.flatMap((path): Block[] =>
  [...textOf(path).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({ path, language, text })))
const of = (...languages: string[]): Block[] => blocks.filter(({ language }) => languages.includes(language))

/** Throws what the command line would say of these arguments; runs nothing. */
function understand (args: readonly string[]): void {
  const silent = { writeErr: () => {}, writeOut: () => {} }
  const line = program(async () => {})
  for (const each of [line, ...line.commands]) each.exitOverride().configureOutput(silent)
  line.parse(args, { from: 'user' })
}

test('there is something to look at', () => {
  assert.ok(of('json', 'jsonc').length >= 12 && of('sh').length >= 10 && of('ts').length >= 4, `${blocks.length} blocks`)
})

for (const { path, text } of of('json', 'jsonc')) {
  for (const [index, document] of text.split(/\n\n(?=\/\/)/).entries()) {
    test(`${path}: JSON ${index} is right: ${document.trim().split('\n')[0]}`, () => {
      const errors: ParseError[] = []
      const value = parse(document, errors, { allowTrailingComma: true }) as { mcpServers?: Record<string, Entry>, servers?: Record<string, Entry>, swarm?: object }
      assert.equal(errors, [])
      if (isConfig(value)) readAsConfig(document)
      for (const { args = [] } of Object.values({ ...value.mcpServers, ...value.servers })) {
        const start = args.indexOf('mcp-swarm')
        if (start !== -1) understand(args.slice(start + 1))
      }
    })
  }
}

const isConfig = (value: { swarm?: unknown, mcpServers?: unknown, servers?: unknown }): boolean => typeof value.swarm === 'object' && (value.mcpServers ?? value.servers) !== undefined

function readAsConfig (document: string): void {
  try {
    parseConfig(document, { path: 'config', env: {} })
  } catch (error) {
    throw new Error((error as Error).message) // uvu takes the details of ours for its own
  }
}

interface Entry { readonly command?: string, readonly args?: readonly string[] }

const PAGES: Readonly<Record<Client, string>> = { claude: 'claude-desktop', 'claude-code': 'claude-code', cursor: 'cursor', vscode: 'vscode' }

for (const client of CLIENTS) {
  for (const platform of ['linux', 'win32'] as const) {
    test(`the page of ${client} shows what install writes on ${platform}`, () => {
      const { member, isTyped, npx: [command, ...before] } = targetOf(client, false, { platform, env: {}, home: '/h', folder: '/f' })
      const expected = { [member]: { swarm: { ...isTyped && { type: 'stdio' }, command, args: [...before, '-y', 'mcp-swarm', 'connect'] } } }
      const shown = of('json').filter(({ path }) => path === `docs/clients/${PAGES[client]}.md`).map(({ text }) => JSON.stringify(parse(text)))
      assert.ok(shown.includes(JSON.stringify(expected)), `${JSON.stringify(expected)}\nnot in\n${shown.join('\n')}`)
    })
  }
}

test('each page says how many tools are shown', () => {
  for (const path of within('docs/clients', '.md')) {
    const client = basename(path, '.md')
    assert.match(textOf(path), new RegExp(`up to ${toolsMaxFor(client)}\\b`, 'i'), path)
  }
})

const lines = [
  ...of('sh').flatMap(({ path, text }) => text.split('\n').map(line => ({ path, line: line.replace(/ +#.*$/, '') }))),
  ...documents.flatMap(path => [...textOf(path).replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, line = '']) => ({ path, line })))
]
const commands = lines.flatMap(({ path, line }) => {
  const [, rest] = /^(?:claude mcp add \S+ -- )?npx (?:-y )?mcp-swarm (.+)$/.exec(line) ?? []
  return rest === undefined ? [] : [{ path, line, args: rest.match(/'[^']*'|\S+/g)?.map(word => word.replaceAll("'", '')) ?? [] }]
})

test('there are commands to look at', () => { assert.ok(commands.length >= 20, `${commands.length} commands`) })

for (const { path, line, args } of commands) {
  test(`${path}: ${line}`, () => { understand(args) })
}

test('the programs compile', () => {
  const folder = join(root, '.tmp', `docs-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  try {
    const paths = of('ts').map(({ text }, index) => {
      const path = join(folder, `${index}.ts`)
      writeFileSync(path, text)
      return path
    })
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), name => readFileSync(name, 'utf8')) as { config: { compilerOptions: object } }
    const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, noEmit: true, skipLibCheck: true, noUnusedLocals: false }, root)
    // Only of the examples themselves: the sources have a check of their own.
    const compiled = ts.createProgram(paths, options)
    const wrong = paths.flatMap((path, index) => ts.getPreEmitDiagnostics(compiled, compiled.getSourceFile(path))
      .map(({ messageText }) => `${of('ts')[index]?.path}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`))
    assert.equal(wrong, [])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const sources = within('lib', '.ts').map(textOf).join('\n').replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…').replaceAll(/\\(['`])/g, '$1').replaceAll('\\…', '…')
const quoted = [...textOf('docs/TROUBLESHOOTING.md').matchAll(/`((?:[A-Z]+_)?[A-Z]+: [^`]+|No [^`]+)`/g)].map(([, message = '']) => message)

test('there are messages to look at', () => { assert.ok(quoted.length >= 12, `${quoted.length} messages`) })

for (const message of quoted) {
  test(`somebody says: ${message}`, () => {
    const [, code] = /^([A-Z_]+): /.exec(message) ?? []
    if (code !== undefined) assert.ok((ERROR_CODES as readonly string[]).includes(code), code)
    const parts = message.replace(/^[A-Z_]+: /, '').split(/…|\$\{[^}]*\}|\b(?:NAME|FILE|LINE|COLUMN|TOKEN)\b|"[^"]*"|\d+|[;:]/).map(part => part.trim()).filter(part => part.length >= 6)
    for (const part of parts) assert.ok(sources.includes(part), `${JSON.stringify(part)} stands in no source`)
  })
}

test.run()
