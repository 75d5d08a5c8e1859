// bound: 120 s
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { targetOf, type Client } from '../../lib/cli/client.ts'
import { diff } from '../../lib/cli/diff.ts'
import { BACKUPS_MAX, FILE_BYTES_MAX, readOriginal, rewrite } from '../../lib/cli/rewrite.ts'
import { Home, type Facts, type Outcome } from './home.ts'

const test = suite('install')

/** A user without any file, for each test another. */
let home: Home

test.before.each(() => { home = new Home() })
test.after.each(async () => { await home.close() })

const json = ({ stdout }: Outcome): Facts => JSON.parse(stdout) as Facts
const read = (path: string): string => readFileSync(path, 'utf8')
const modeOf = (path: string): number => statSync(path).mode & 0o777
const pathOf = (client: Client, user = false): string => targetOf(client, user, { platform: process.platform, env: home.env, home: home.path('home'), folder: home.path('work') }).path

function put (path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

async function refused (promise: Promise<unknown>): Promise<SwarmError> {
  return await promise.then(() => { throw new Error('nothing was refused') }, (error: unknown) => {
    if (error instanceof SwarmError) return error
    throw error
  })
}

const PLAIN = { command: 'npx', args: ['-y', 'mcp-swarm', 'connect'] }

for (const [args, expected, next] of [
  [['claude'], { mcpServers: { swarm: PLAIN } }, 'restart Claude Desktop'],
  [['claude-code'], { mcpServers: { swarm: PLAIN } }, 'start claude'],
  [['claude-code', '--user'], { mcpServers: { swarm: PLAIN } }, 'start claude'],
  [['cursor'], { mcpServers: { swarm: PLAIN } }, 'restart Cursor'],
  [['cursor', '--user'], { mcpServers: { swarm: PLAIN } }, 'restart Cursor'],
  [['vscode'], { servers: { swarm: { type: 'stdio', ...PLAIN } } }, 'MCP: List Servers'],
  [['vscode', '--user'], { servers: { swarm: { type: 'stdio', ...PLAIN } } }, 'MCP: List Servers']
] as const) {
  test(`install ${args.join(' ')} writes its file, and says so when the entry is there already`, async () => {
    const [client, user] = args
    const path = pathOf(client, user !== undefined)
    const isOfUser = user !== undefined || client === 'claude'
    if (isOfUser) {
      const outcome = await home.run(['install', ...args])
      assert.is(outcome.code, 2)
      assert.match(outcome.stderr, 'seems not to be installed')
      assert.match(outcome.stderr, path)
      assert.match(outcome.stdout, '+    "swarm": {')
      assert.not.ok(existsSync(path))
      mkdirSync(client === 'claude-code' ? home.path('home', '.claude') : dirname(path), { recursive: true })
    }
    const written = await home.run(['install', ...args])
    assert.is(written.code, 0, written.stderr)
    assert.is(written.stdout, `Wrote swarm to ${path}\n`)
    assert.match(written.stderr, next)
    assert.match(written.stderr, 'mcp-swarm tools')
    const text = read(path)
    assert.equal(JSON.parse(text), expected)
    if (process.platform !== 'win32' && isOfUser) assert.is(modeOf(path), 0o600)
    const again = await home.run(['install', ...args, '--json'])
    assert.is(json(again)['outcome'], 'unchanged')
    assert.is(read(path), text)
    assert.equal(readdirSync(dirname(path)).filter(name => name.startsWith(basename(path)) || name.endsWith('.tmp')), [basename(path)], 'no backup, no draft')
  })
}

test('--dir and --config go into the entry, as paths that hold in any folder', async () => {
  assert.is((await home.run(['install', 'cursor', '--dir', 'peer', '--config', '../desk it.json', '--as', 'desk'])).code, 0)
  const { mcpServers: { desk } } = JSON.parse(read(pathOf('cursor'))) as { mcpServers: { desk: { args: string[] } } }
  assert.equal(desk.args, ['-y', 'mcp-swarm', 'connect', '--dir', home.path('work', 'peer'), '--config', home.path('desk it.json')])
})

test('--dry-run shows the change and writes nothing', async () => {
  const path = pathOf('claude-code')
  const before = '{\n  // mine\n  "mcpServers": {\n    "a": { "command": "a" }\n  }\n}\n'
  put(path, before)
  const outcome = await home.run(['install', 'claude-code', '--dry-run'])
  assert.is(outcome.code, 0, outcome.stderr)
  assert.is(outcome.stdout, [
    path, `--- ${path}`, `+++ ${path}`, '@@ -1,6 +1,14 @@',
    ' {', '   // mine', '   "mcpServers": {', '-    "a": { "command": "a" }', '+    "a": { "command": "a" },',
    '+    "swarm": {', '+      "command": "npx",', '+      "args": [', '+        "-y",', '+        "mcp-swarm",', '+        "connect"', '+      ]', '+    }', '   }', ' }', ''
  ].join('\n'))
  assert.is(read(path), before)
  const cursor = json(await home.run(['install', 'cursor', '--user', '--dry-run', '--json']))
  assert.is(cursor['outcome'], 'planned')
  assert.is(cursor['isInstalled'], false)
  assert.is(cursor['path'], pathOf('cursor', true))
  assert.match(String(cursor['diff']), '--- /dev/null')
  assert.equal([readdirSync(home.path('work')), readdirSync(home.path('home'))], [['.mcp.json'], []])
})

test('--force writes for a client that seems not to be there', async () => {
  assert.is((await home.run(['install', 'vscode', '--user', '--force'])).code, 0)
  assert.ok(existsSync(pathOf('vscode', true)))
})

test('another entry of that name stays, unless --force; each change leaves a copy of what was', async () => {
  const path = pathOf('cursor')
  const first = '\ufeff{ "mcpServers": { "swarm": { "url": "http://127.0.0.1:1/mcp" } /* old */ } }'
  put(path, first)
  const outcome = await home.run(['install', 'cursor'])
  assert.is(outcome.code, 2)
  assert.match(outcome.stderr, 'has another entry named swarm')
  assert.match(outcome.stderr, '--as NAME')
  assert.equal(readdirSync(dirname(path)), ['mcp.json'])
  const replaced = json(await home.run(['install', 'cursor', '--force', '--json']))
  assert.equal([replaced['outcome'], replaced['backup']], ['written', `${path}.bak`])
  const second = read(path)
  assert.is(second, '\ufeff{ "mcpServers": { "swarm": { "command": "npx", "args": [ "-y", "mcp-swarm", "connect" ] } /* old */ } }')
  const third = await home.run(['install', 'cursor', '--as', 'other'])
  assert.match(third.stdout, `Before: ${path}.bak.1`)
  assert.equal([read(`${path}.bak`), read(`${path}.bak.1`)], [first, second])
})

test('a file with an error is told with line and column, and stays', async () => {
  const path = pathOf('claude-code')
  put(path, '{\n  "mcpServers": {\n    "a": {}\n    "b": {}\n  }\n}\n')
  for (const more of [[], ['--force'], ['--dry-run']]) {
    const outcome = await home.run(['install', 'claude-code', ...more])
    assert.is(outcome.code, 1)
    assert.match(outcome.stderr, `CONFIG_INVALID: ${path}:4:5: not JSON: comma expected.`)
  }
  const { error } = json(await home.run(['install', 'claude-code', '--json'])) as { error: Facts }
  assert.equal([error['code'], error['details']], ['CONFIG_INVALID', { path, line: 4, column: 5 }])
  assert.equal(readdirSync(home.path('work')), ['.mcp.json'])
})

if (process.platform !== 'win32') {
  test('a link stays a link, and the file behind it keeps its mode', async () => {
    const [path, real] = [pathOf('claude-code', true), home.path('home', 'dotfiles', 'claude.json')]
    put(real, '{"numStartups":3}')
    chmodSync(real, 0o640)
    symlinkSync(real, path)
    assert.is((await home.run(['install', 'claude-code', '--user'])).code, 0)
    assert.ok(lstatSync(path).isSymbolicLink())
    assert.equal(JSON.parse(read(real)), { numStartups: 3, mcpServers: { swarm: PLAIN } })
    assert.is(read(`${path}.bak`), '{"numStartups":3}')
    assert.equal([modeOf(real), modeOf(`${path}.bak`)], [0o640, 0o640])
    assert.equal(readdirSync(dirname(real)), ['claude.json'], 'no draft is left')
  })

  test('a link to nothing is refused', async () => {
    symlinkSync(home.path('gone.json'), pathOf('claude-code'))
    const outcome = await home.run(['install', 'claude-code'])
    assert.is(outcome.code, 1)
    assert.match(outcome.stderr, 'is a link to a file that is not there')
  })
}

test('a folder that cannot be made is told', async () => {
  home.write('work/.cursor', 'a file where the folder belongs')
  const outcome = await home.run(['install', 'cursor'])
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, `FOLDER_UNUSABLE: cannot write ${pathOf('cursor')}`)
})

for (const [args, words] of [
  [['nobody'], 'Allowed choices are claude, claude-code, cursor, vscode'],
  [[], 'missing required argument'],
  [['cursor', '--as', 'my swarm'], '--as takes 1 to 32 of'],
  [['cursor', '--as', 'a'.repeat(33)], '--as takes 1 to 32 of']
] as const) {
  test(`wrong usage ends with 2: install ${args.join(' ')}`, async () => {
    const outcome = await home.run(['install', ...args])
    assert.is(outcome.code, 2)
    assert.match(outcome.stderr, words)
    assert.equal(readdirSync(home.path('work')), [])
  })
}

test('what was changed by another meanwhile is left to it', async () => {
  const path = home.write('a.json', '{}')
  const original = await readOriginal(path)
  home.write('a.json', '{"theirs":1}')
  assert.is(await rewrite(path, original, '{"ours":1}', 0o600), undefined)
  assert.is(await rewrite(path, undefined, '{"ours":1}', 0o600), undefined, 'nor is a file that was not there a moment ago')
  assert.equal([read(path), readdirSync(home.folder).filter(name => name.includes('a.json'))], ['{"theirs":1}', ['a.json']])
})

test('no backup is ever overwritten, and there is an end to them', async () => {
  const path = home.write('a.json', 'now')
  for (let number = 0; number < BACKUPS_MAX - 1; number++) home.write(`a.json.bak${number === 0 ? '' : `.${number}`}`, `was ${number}`)
  assert.equal(await rewrite(path, await readOriginal(path), 'then', 0o600), { backup: `${path}.bak.${BACKUPS_MAX - 1}` })
  const error = await refused(rewrite(path, await readOriginal(path), 'later', 0o600))
  assert.is(error.code, 'FOLDER_UNUSABLE')
  assert.equal([read(path), read(`${path}.bak`), read(`${path}.bak.${BACKUPS_MAX - 1}`)], ['then', 'was 0', 'now'])
  assert.not.ok(readdirSync(home.folder).some(name => name.endsWith('.tmp')))
})

for (const [name, make, words] of [
  ['a folder', (path: string) => { mkdirSync(path) }, 'is no file'],
  ['UTF-16', (path: string) => { writeFileSync(path, '\ufeff{}', 'utf16le') }, 'is not UTF-8'],
  ['one byte over the limit', (path: string) => {
    writeFileSync(path, '')
    truncateSync(path, FILE_BYTES_MAX + 1)
  }, `limit ${FILE_BYTES_MAX}`]
] as const) {
  test(`refuses ${name} for a file`, async () => {
    make(home.path('a.json'))
    const error = await refused(readOriginal(home.path('a.json')))
    assert.is(error.code, 'CONFIG_INVALID')
    assert.match(error.message, words)
  })
}

test('a long line is shown near its change alone', () => {
  const before = `{"a":"${'x'.repeat(100_000)}","z":1}`
  const shown = diff('f', before, before.replace('"z":1', '"z":2')).split('\n')
  assert.ok(shown.every(line => line.length < 200))
  assert.match(shown.find(line => line.startsWith('+…')) ?? '', '"z":2}')
  assert.is(diff('f', 'a', 'a\nb\n'), '--- f\n+++ f\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b')
})

test.run()
