import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { parseConfig, SERVERS_MAX, type Config } from '../../lib/swarm/config.ts'
import { CONFIG_BYTES_MAX } from '../../lib/swarm/place.ts'

function parse (text: string, env: Record<string, string> = {}): Config {
  return parseConfig(text, { path: '.mcp.json', env })
}

function failure (text: string, env: Record<string, string> = {}): SwarmError {
  try {
    parse(text, env)
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'CONFIG_INVALID') return error
    throw error
  }
  throw new Error('expected CONFIG_INVALID')
}

test('reads what an MCP client reads, with comments, trailing commas and a byte order mark', () => {
  const config = parse(`\ufeff{
    // the notes of the team
    "mcpServers": {
      "notes": { "command": "npx", "args": ["-y", "notes"], "env": { "A": "1" }, "cwd": "/srv", "disabled": false, },
      "web": { "type": "http", "url": "https://example.org/mcp", "headers": { "Authorization": "Bearer x" } },
      "other": { "command": 7 },
    },
    /* ours */
    "swarm": { "name": "desk", "share": ["notes", "web"], "allow": { "notes": ["role:member"] }, "pool": { "notes": "memory" }, "session": { "notes": "caller" } },
    "inputs": [],
  }`)
  assert.equal(config, {
    path: '.mcp.json',
    servers: {
      notes: { command: 'npx', args: ['-y', 'notes'], env: { A: '1' }, cwd: '/srv' },
      web: { url: 'https://example.org/mcp', headers: { Authorization: 'Bearer x' } }
    },
    folders: { notes: '.', web: '.' },
    unshared: ['other'],
    swarm: { name: 'desk', share: ['notes', 'web'], allow: { notes: ['role:member'] }, pool: { notes: 'memory' }, session: { notes: 'caller' } }
  })
})

test('reads the servers of VS Code, and shares nothing that is not listed', () => {
  const config = parse('{ "servers": { "notes": { "command": "notes" } } }')
  assert.equal(config.servers, {})
  assert.equal(config.unshared, ['notes'])
  assert.equal(config.swarm, { share: [], allow: {}, pool: {}, session: {} })
})

test('puts variables into what is shared', () => {
  const text = `{ "mcpServers": { "a": { "command": "\${BIN}/a", "args": ["\${env:ONE}", "\${TWO:-two}", "\${EMPTY:-full}", "$HOME"], "env": { "X": "\${ONE}\${ONE}" } } },
    "swarm": { "share": ["a"] } }`
  assert.equal(parse(text, { BIN: '/bin', ONE: '1', EMPTY: '' }).servers, {
    a: { command: '/bin/a', args: ['1', 'two', 'full', '$HOME'], env: { X: '11' } }
  })
})

test('asks no variable of a server that is not shared', () => {
  const text = '{ "mcpServers": { "a": { "command": "${GONE}" }, "b": { "command": "b" } }, "swarm": { "share": ["b"] } }'
  assert.equal(parse(text).servers, { b: { command: 'b' } })
})

for (const [name, text, place, words] of [
  ['an empty file', '', '1:1', 'expected a value'],
  ['a missing comma', '{\n  "mcpServers": {}\n  "swarm": {}\n}', '3:3', 'expected a comma'],
  ['a missing brace', '{\n  "mcpServers": {', '2:18', 'closing brace'],
  ['a name without quotes', '{\r\n  mcpServers: {}\r\n}', '2:3', 'quoted name'],
  ['a text without end', '{ "mcpServers": "x', '1:17', 'never ends'],
  ['something after the end', '{}\n{}', '2:1', 'end of the file'],
  ['a list at the top', '[]', '1:1', 'expected an object, not a list'],
  ['servers in a list', '{ "mcpServers": [] }', '1:17', 'mcpServers: expected an object, not a list'],
  ['share as a text', '{ "swarm": { "share": "notes" } }', '1:23', 'swarm.share: expected a list, not a text'],
  ['a number in share', '{ "swarm": { "share": [7] } }', '1:24', 'swarm.share[0]: expected a text, not a number'],
  ['an unknown setting', '{ "swarm": { "shares": [] } }', '1:24', 'Did you mean share?'],
  ['an unknown name in share', '{ "mcpServers": { "notes": {} },\n  "swarm": { "share": ["nots"] } }', '2:24', 'no server is named nots. Did you mean notes?'],
  ['an unknown name in allow', '{ "mcpServers": { "notes": {} },\n  "swarm": { "allow": { "note": ["all"] } } }', '2:33', 'Did you mean notes?'],
  ['an unknown name in pool', '{ "swarm": { "pool": { "notes": "x" } } }', '1:33', 'The file lists none'],
  ['an unknown selector', '{ "mcpServers": { "notes": {} },\n  "swarm": { "allow": { "notes": ["role:boss"] } } }', '2:35', 'swarm.allow.notes[0]'],
  ['an empty pool', '{ "mcpServers": { "n": {} }, "swarm": { "pool": { "n": "" } } }', '1:56', '1 to 64'],
  ['a server without a command', '{ "mcpServers": { "n": {} }, "swarm": { "share": ["n"] } }', '1:24', 'needs a command or a url'],
  ['a server with both', '{ "mcpServers": { "n": { "command": "a", "url": "b" } }, "swarm": { "share": ["n"] } }', '1:24', 'both'],
  ['a command of the wrong type', '{ "mcpServers": { "n": { "command": ["a"] } }, "swarm": { "share": ["n"] } }', '1:37', 'mcpServers.n.command: expected a text, not a list'],
  ['a url that is none', '{ "mcpServers": { "n": { "url": "ftp://x" } }, "swarm": { "share": ["n"] } }', '1:33', 'expected an http or https url'],
  ['a missing variable', '{ "mcpServers": { "n": { "command": "a", "env": { "T": "${TOKEN}" } } }, "swarm": { "share": ["n"] } }', '1:56', 'the variable TOKEN is not set'],
  ['a variable that VS Code asks for', '{ "servers": { "n": { "command": "${input:api-key}" } }, "swarm": { "share": ["n"] } }', '1:34', 'write ${env:API_KEY}, and set that variable'],
  ['a variable of the editor', '{ "servers": { "n": { "command": "${command:pick}" } }, "swarm": { "share": ["n"] } }', '1:34', '${command:pick} is not a variable of the environment'],
  ['a variable in a default', '{ "mcpServers": { "n": { "command": "${A:-${B}}" } }, "swarm": { "share": ["n"] } }', '1:37', 'a default holds no variable'],
  ['the home folder where none is known', '{ "mcpServers": { "n": { "command": "${userHome}" } }, "swarm": { "share": ["n"] } }', '1:37', 'the variable userHome is not set'],
  ['an unknown session', '{ "mcpServers": { "n": {} }, "swarm": { "session": { "n": "calller" } } }', '1:59', 'expected shared or caller, not "calller". Did you mean caller?'],
  ['a session that is no text', '{ "mcpServers": { "n": {} }, "swarm": { "session": { "n": true } } }', '1:59', 'expected a text'],
  ['an unknown name in session', '{ "mcpServers": { "notes": {} }, "swarm": { "session": { "note": "caller" } } }', '1:66', 'Did you mean notes?'],
  ['the old SSE transport', '{ "servers": { "n": { "type": "sse", "url": "http://h/sse" } }, "swarm": { "share": ["n"] } }', '1:31', 'streamable HTTP'],
  ['an unknown transport', '{ "servers": { "n": { "type": "ws", "url": "http://h/ws" } }, "swarm": { "share": ["n"] } }', '1:31', 'no transport is called ws'],
  ['http without a url', '{ "servers": { "n": { "type": "http", "command": "n" } }, "swarm": { "share": ["n"] } }', '1:31', 'http needs a url'],
  ['stdio without a command', '{ "servers": { "n": { "type": "stdio", "url": "http://h" } }, "swarm": { "share": ["n"] } }', '1:31', 'stdio needs a command'],
  ['a socket of VS Code', '{ "servers": { "n": { "type": "http", "url": "unix:///tmp/s.sock" } }, "swarm": { "share": ["n"] } }', '1:46', 'expected an http or https url'],
  ['a sandbox', '{ "servers": { "n": { "command": "n", "sandboxEnabled": true } }, "swarm": { "share": ["n"] } }', '1:57', 'outside the sandbox'],
  ['headers that a command prints', '{ "mcpServers": { "n": { "url": "http://h", "headersHelper": "x" } }, "swarm": { "share": ["n"] } }', '1:62', 'write them under headers'],
  ['a sign-in of Cursor', '{ "mcpServers": { "n": { "url": "http://h", "auth": { "CLIENT_ID": "x" } } }, "swarm": { "share": ["n"] } }', '1:53', 'nobody can sign in'],
  ['a sign-in of Claude Code', '{ "mcpServers": { "n": { "url": "http://h", "oauth": { "clientId": "x" } } }, "swarm": { "share": ["n"] } }', '1:54', 'nobody can sign in'],
  ['a file of variables where none can be read', '{ "servers": { "n": { "command": "n", "envFile": ".env" } }, "swarm": { "share": ["n"] } }', '1:50', 'write its variables under env'],
  ['a name that two projects have', '{ "projects": { "/a": { "mcpServers": { "n": {} } }, "/b": { "mcpServers": { "n": {} } } },\n  "swarm": { "share": ["n"] } }', '2:24', 'several projects have a server named n'],
  ['brackets without end', '['.repeat(100_000), '1:65', 'nested deeper than 64']
] as const) {
  test(`refuses ${name}, with its place`, () => {
    const error = failure(text)
    assert.match(error.message, `.mcp.json:${place}: `)
    assert.match(error.message, words)
    const [line, column] = place.split(':').map(Number)
    assert.equal([error.details['line'], error.details['column']], [line, column])
  })
}

test('refuses a file over the limit, and takes one at the limit', () => {
  const padded = (bytes: number): string => '{} //'.padEnd(bytes, ' ') // of blanks the parser makes a string, one by one
  assert.equal(parse(padded(CONFIG_BYTES_MAX)).servers, {})
  assert.match(failure(padded(CONFIG_BYTES_MAX + 1)).message, `limit ${CONFIG_BYTES_MAX}`)
})

test('refuses more servers than the limit', () => {
  const listing = (count: number): string => JSON.stringify({ mcpServers: Object.fromEntries(Array.from({ length: count }, (_, index) => [`s${index}`, {}])) })
  assert.is(parse(listing(SERVERS_MAX)).unshared.length, SERVERS_MAX)
  assert.match(failure(listing(SERVERS_MAX + 1)).message, `limit ${SERVERS_MAX}`)
})

test('refuses to share more servers than the limit, of however many projects', () => {
  const names = Array.from({ length: SERVERS_MAX + 1 }, (_, index) => `s${index}`)
  const sharing = (count: number): string => JSON.stringify({
    projects: Object.fromEntries(names.map(name => [`/${name}`, { mcpServers: { [name]: { command: 'x' } } }])), swarm: { share: names.slice(0, count) }
  })
  assert.is(parse(sharing(SERVERS_MAX)).swarm.share.length, SERVERS_MAX)
  assert.match(failure(sharing(SERVERS_MAX + 1)).message, `limit ${SERVERS_MAX}`)
})

test('a server named like a part of every object stays a name', () => {
  const config = parse('{ "mcpServers": { "__proto__": { "command": "x" } }, "swarm": { "share": ["__proto__"] } }')
  assert.equal(Object.keys(config.servers), ['__proto__'])
  assert.is(({} as { command?: string }).command, undefined)
})

test.run()
