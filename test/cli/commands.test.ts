// bound: 150 s
import { chmodSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serverPath } from '../support/servers.ts'
import { Home, type Facts, type Outcome, type Running } from './home.ts'

const FIXTURE = serverPath('v2')
const DIES = serverPath('dies-at-start')
const test = suite('commands')
const home = new Home()

/** One peer for all tests: `desk` shares `sums`, and `gone`, which does not exist. */
let desk: Running
let ready: Facts
const deskFolder = home.path('desk')

test.before(async () => {
  const config = home.write('desk.json', {
    mcpServers: {
      sums: { command: process.execPath, args: [FIXTURE] },
      gone: { command: 'no-such-command-here' },
      dies: { command: process.execPath, args: [DIES] },
      hidden: { command: process.execPath, args: [FIXTURE] }
    },
    swarm: { name: 'desk', share: ['sums', 'gone', 'dies'] }
  })
  desk = home.start(['up', '--json', '--dir', deskFolder, '--config', config])
  ready = await desk.event(({ event }) => event === 'ready', 'ready')
  await desk.serves('sums')
})

test.after(async () => { await home.close() })

function json (outcome: Outcome): Record<string, unknown> {
  return JSON.parse(outcome.stdout) as Record<string, unknown>
}

test('up tells a program first that it is ready, who it is and where', () => {
  assert.is(desk.lines.map(line => JSON.parse(line) as Facts)[0]?.['event'], 'ready')
  assert.match(String(ready['peerId']), /^12D3KooW/)
  assert.match(String((ready['addresses'] as string[])[0]), /^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/)
  assert.match(String(ready['gateway']), /^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
  assert.is(ready['name'], 'desk')
  assert.is(ready['dir'], deskFolder)
})

for (const [what, words] of [['does not exist', 'no-such-command-here'], ['dies at start', 'API_URL is not set']] as const) {
  test(`a server that ${what} costs only itself, and up says why`, async () => {
    const trouble = await desk.event(({ event, message }) => event === 'trouble' && String(message).includes(words), 'trouble')
    assert.is(trouble['code'], 'SERVER_FAILED')
  })
}

test('doctor says what is wrong at a running peer, with its cure, and fails for it', async () => {
  const outcome = await home.run(['doctor', '--dir', deskFolder])
  assert.is(outcome.code, 1, outcome.stderr)
  assert.match(outcome.stdout, /✓ desk .* runs as process \d+/)
  assert.match(outcome.stdout, /! your own swarm.*\n {2}→ To let others in: mcp-swarm init/)
  assert.match(outcome.stdout, /✗ gone cannot serve: .*\n {2}→ Start its command by hand/)
  const { healthy, findings } = json(await home.run(['doctor', '--json', '--dir', deskFolder])) as { healthy: boolean, findings: Facts[] }
  assert.is(healthy, false)
  assert.ok(findings.some(({ level, about }) => level === 'good' && about === 'peer'))
})

test('doctor joins for a moment where no peer runs, and says why it could not', async () => {
  const outcome = await home.run(['doctor', '--dir', home.path('alone')])
  assert.is(outcome.code, 0, outcome.stdout)
  assert.match(outcome.stdout, /no peer runs for folder/)
  assert.match(outcome.stdout, /desk: connected directly at .*, found on this machine/)
  const exposed = home.path('exposed')
  assert.is((await home.run(['status', '--dir', exposed])).code, 0)
  chmodSync(home.path('exposed', 'peer.key'), 0o644)
  const failed = await home.run(['doctor', '--dir', exposed])
  assert.is(failed.code, 1)
  assert.match(failed.stdout, /✗ cannot join: KEY_EXPOSED: .*\n {2}→ Nobody else may read it/)
})

test('status asks the running peer', async () => {
  const outcome = await home.run(['status', '--json', '--dir', deskFolder])
  assert.is(outcome.code, 0, outcome.stderr)
  const { peer, agents, swarm } = json(outcome) as { peer: Facts, agents: Facts[], swarm: Facts }
  assert.is(peer['peerId'], ready['peerId'])
  assert.is(peer['pid'], desk.child.pid)
  assert.is(swarm['kind'], 'local')
  assert.equal(agents.map(({ name, available }) => [name, available]).sort(), [['dies', false], ['gone', false], ['sums', true]])
  const shown = await home.run(['status', '--dir', deskFolder])
  assert.match(shown.stdout, 'desk 12D3KooW')
  assert.match(shown.stdout, /sums +server +\d+ +running/)
  assert.not.match(shown.stdout, '\u001b')
})

test('peers joins for a moment where no peer runs', async () => {
  const outcome = await home.run(['peers', '--json', '--dir', home.path('visitor')])
  assert.is(outcome.code, 0, outcome.stderr)
  const peers = JSON.parse(outcome.stdout) as Facts[]
  assert.equal(peers.map(({ peerId, name, connected }) => [peerId, name, connected]), [[ready['peerId'], 'desk', true]])
  const shown = await home.run(['peers', '--dir', home.path('visitor')])
  assert.match(shown.stdout, /desk +12D3KooW\w+ +direct +\d+ s +on this machine(?:, [a-z ]+)? +dies \(unavailable: .*\), gone \(unavailable: .*\), sums \(\d+ tools\)/)
  assert.match(shown.stderr, 'Next: mcp-swarm tools')
})

test('tools shows what is shared, and only that', async () => {
  const outcome = await home.run(['tools', '--json', '--dir', home.path('visitor')])
  assert.is(outcome.code, 0, outcome.stderr)
  const tools = JSON.parse(outcome.stdout) as Facts[]
  assert.ok(tools.some(({ name }) => name === 'add'))
  assert.ok(tools.every(({ agent }) => agent === 'sums'))
  const found = await home.run(['tools', 'ADDS', '--dir', home.path('visitor')])
  assert.match(found.stdout, /TOOL +FROM +DESCRIPTION\nadd +sums @ desk +Adds\n/)
  assert.not.match(found.stdout, 'steps')
  const none = await home.run(['tools', 'nothing-like-it', '--dir', home.path('visitor')])
  assert.is(none.stdout, '')
  assert.match(none.stderr, 'None of')
})

test('tools says what is still starting', async () => {
  const folder = home.path('slow')
  const slow = home.start(['up', '--json', '--dir', folder, '--config', home.write('slow.json', {
    mcpServers: { sleeper: { command: process.execPath, args: ['-e', 'process.stdin.resume()'] } }, swarm: { share: ['sleeper'] }
  })], { env: { XDG_DATA_HOME: home.path('elsewhere') } })
  await slow.event(({ event }) => event === 'ready', 'ready')
  const { code, stdout, stderr } = await home.run(['tools', '--dir', folder], { env: { XDG_DATA_HOME: home.path('elsewhere') } })
  assert.equal([code, stdout], [0, ''], stderr)
  assert.match(stderr, 'No tool is offered here yet: sleeper is starting.')
  slow.child.kill('SIGTERM')
  await slow.outcome()
})

for (const [where, folder] of [['the running peer', deskFolder], ['a peer that joins for the call', home.path('visitor')]] as const) {
  test(`call goes through ${where}`, async () => {
    const plain = await home.run(['call', 'add', '{"a":2,"b":3}', '--dir', folder])
    assert.equal([plain.code, plain.stdout], [0, '5\n'], plain.stderr)
    const structured = await home.run(['call', 'add', '-', '--json', '--dir', folder], { stdin: '{"a":2,"b":3}' })
    assert.equal(json(structured)['structuredContent'], { sum: 5 })
    const progress = await home.run(['call', 'steps', '{"count":3}', '--dir', folder])
    assert.equal([progress.stdout, progress.stderr.split('\n').slice(0, 3)], ['done\n', ['1/3', '2/3', '3/3']])
    const failed = await home.run(['call', 'fail', '--dir', folder])
    assert.equal([failed.code, failed.stdout], [1, 'it failed\n'])
  })

  test(`call through ${where} says which tools are near an unknown one`, async () => {
    const outcome = await home.run(['call', 'ad', '--dir', folder])
    assert.is(outcome.code, 1)
    assert.match(outcome.stderr, /^mcp-swarm: UNKNOWN_TOOL: .*"add"/)
    assert.match(outcome.stderr, 'See what is offered: mcp-swarm tools')
    const program = json(await home.run(['call', 'ad', '--json', '--dir', folder])) as { error: { code: string, details: { nearest: string[] } } }
    assert.is(program.error.code, 'UNKNOWN_TOOL')
    assert.ok(program.error.details.nearest.includes('add'))
  })
}

test('a call that is interrupted is cancelled where it runs', async () => {
  const calling = home.start(['call', 'wait', '--dir', deskFolder])
  await calling.until(() => calling.stderr.includes('1') ? true : undefined, 'the call to run')
  calling.child.kill('SIGINT')
  const outcome = await calling.outcome()
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'ABORTED')
  const cancelled = async (): Promise<boolean> => (await home.run(['call', 'cancelled', '--dir', deskFolder])).stdout === '1\n'
  for (let tries = 0; !await cancelled(); tries++) assert.ok(tries < 10, 'the server hears of it')
})

test('a time-out after the call was sent is indeterminate', async () => {
  const outcome = await home.run(['call', 'wait', '--timeout', '0.3', '--dir', home.path('visitor')])
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'mcp-swarm: INDETERMINATE: ')
})

test('a tool that two agents offer needs to be told which', async () => {
  const config = home.write('loft.json', { mcpServers: { numbers: { command: process.execPath, args: [FIXTURE] } }, swarm: { name: 'loft', share: ['numbers'] } })
  const loft = home.start(['up', '--json', '--dir', home.path('loft'), '--config', config])
  await loft.serves('numbers')
  await desk.event(({ event, name, available }) => String(event).startsWith('agent:') && name === 'numbers' && available === true, 'desk to hear of it')
  const outcome = await home.run(['call', 'add', '{"a":1,"b":1}', '--dir', deskFolder])
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'AMBIGUOUS')
  assert.match(outcome.stderr, '--agent numbers')
  for (const flags of [['--agent', 'numbers'], ['--peer', 'loft']]) {
    const chosen = await home.run(['call', 'add', '{"a":1,"b":1}', '--dir', deskFolder, ...flags])
    assert.equal([chosen.code, chosen.stdout], [0, '2\n'], chosen.stderr)
  }
  const tools = JSON.parse((await home.run(['tools', '--json', '--dir', deskFolder])).stdout) as Facts[]
  const prefixed = tools.find(({ agent, tool }) => agent === 'numbers' && (tool as Facts)['name'] === 'add')
  assert.is.not(prefixed?.['name'], 'add')
  const byGatewayName = await home.run(['call', String(prefixed?.['name']), '{"a":2,"b":2}', '--dir', deskFolder])
  assert.equal([byGatewayName.code, byGatewayName.stdout], [0, '4\n'], byGatewayName.stderr)
  loft.child.kill('SIGINT')
  assert.is((await loft.outcome()).code, 0)
  await desk.event(({ event, name }) => event === 'peer:left' && name === 'loft', 'desk to hear that it left')
})

test('a second peer is told who holds the folder', async () => {
  const outcome = await home.run(['up', '--dir', deskFolder])
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'mcp-swarm: FOLDER_IN_USE: ')
  assert.match(outcome.stderr, String(desk.child.pid))
  const program = json(await home.run(['up', '--json', '--dir', deskFolder])) as { error: { details: { holder: Facts } } }
  assert.is(program.error.details.holder['pid'], desk.child.pid)
})

test('a port in use is refused', async () => {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  const outcome = await home.run(['up', '--dir', home.path('port'), '--listen', `/ip4/127.0.0.1/tcp/${port}`])
  server.close()
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'mcp-swarm: PORT_IN_USE: ')
  assert.match(outcome.stderr, String(port))
})

for (const [name, config, words] of [
  ['a syntax error', '{\n  "mcpServers": {}\n  "swarm": {}\n}', ':3:3: expected a comma'],
  ['an unknown name in share', '{\n  "mcpServers": { "notes": {} },\n  "swarm": { "share": ["note"] }\n}', ':3:24: swarm.share[0]: no server is named note. Did you mean notes?'],
  ['an unknown name in allow', '{\n  "mcpServers": { "notes": {} },\n  "swarm": { "allow": { "note": [] } }\n}', ':3:33: swarm.allow.note: no server is named note. Did you mean notes?'],
  ['an unknown selector', '{\n  "mcpServers": { "notes": {} },\n  "swarm": { "allow": { "notes": ["role:boss"] } }\n}', ':3:35: swarm.allow.notes[0]: "role:boss"']
] as const) {
  test(`a config with ${name} is refused with its place`, async () => {
    const path = home.write('broken.json', config)
    const outcome = await home.run(['up', '--config', path])
    assert.is(outcome.code, 1)
    assert.match(outcome.stderr, `mcp-swarm: CONFIG_INVALID: ${path}${words}`)
    assert.is(outcome.stdout, '')
  })
}

test('a config file that is not there is refused, with no line to correct', async () => {
  const outcome = await home.run(['up', '--config', home.path('none.json')])
  assert.is(outcome.code, 1)
  assert.is(outcome.stderr, `mcp-swarm: CONFIG_INVALID: there is no config file ${home.path('none.json')}.\n`)
})

for (const [args, words] of [
  [['nope'], 'unknown command'],
  [['peer'], 'Did you mean peers?'],
  [['call'], /^mcp-swarm: missing required argument 'tool'\nmcp-swarm call --help says what it takes\.\n$/],
  [['doc'], 'Usage: mcp-swarm doc'],
  [['doc', 'get'], /^mcp-swarm: missing required argument 'name'\nmcp-swarm doc get --help says what it takes\.\n$/],
  [['doc', 'set', 'plan', '--bogus'], "unknown option '--bogus'"],
  [['call', 'add', '{broken'], 'the arguments are not JSON'],
  [['call', 'add', '[]'], 'the arguments are a JSON object'],
  [['call', 'add', '--timeout', 'soon'], 'a number of seconds'],
  [['tools', '--prefix', 'sometimes'], 'Allowed choices are auto, always, never'],
  [['up', '--listen', 'localhost'], 'INVALID_OPTION'],
  [['up', '--port', '65536'], 'a number from 0 to 65535'],
  [['up', '--port', '0x50'], 'a number from 0 to 65535'],
  [['up', '--prefix', 'sometimes'], 'Allowed choices are auto, always, never']
] as const) {
  test(`wrong usage ends with 2: ${args.join(' ')}`, async () => {
    const outcome = await home.run(args)
    assert.is(outcome.code, 2, outcome.stderr)
    assert.match(outcome.stderr, words)
    assert.is(outcome.stdout, '')
  })
}

for (const args of [['nope', '--json'], ['call', '--json'], ['doc', 'get', '--json'], ['invite', '--expires', 'soon', '--json']]) {
  test(`wrong usage is told to a program as JSON: ${args.join(' ')}`, async () => {
    const outcome = await home.run([...args])
    assert.is(outcome.code, 2)
    const { error } = json(outcome) as { error: { code: string, message: string } }
    assert.is(error.code, 'USAGE')
    assert.not.match(error.message, /^error: /)
    assert.is(outcome.stderr, '')
  })
}

test('a key that others may read is refused, with what to do', async () => {
  const other = new Home()
  assert.is((await other.run(['peers', '--dir', other.path('peer')])).code, 0)
  const key = other.path('data', 'mcp-swarm', 'local.key')
  chmodSync(key, 0o644)
  const outcome = await other.run(['peers', '--dir', other.path('peer')])
  await other.close()
  assert.is(outcome.code, 1)
  assert.match(outcome.stderr, 'mcp-swarm: KEY_EXPOSED: ')
  assert.match(outcome.stderr, key)
})

test('help and version are results', async () => {
  const help = await home.run(['--help'])
  assert.is(help.code, 0)
  for (const command of ['up', 'connect', 'peers', 'tools', 'call', 'status', 'doctor', 'init', 'invite', 'join', 'demo']) assert.match(help.stdout, new RegExp(`^  ${command}\\b`, 'm'))
  assert.not.match(help.stdout, 'demo-agent')
  assert.match((await home.run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  assert.is((await home.run([])).code, 0)
})

test('up shows a person what it offers and what comes and goes, and leaves when asked', async () => {
  home.write('work/.mcp.json', { mcpServers: { sums: { command: process.execPath, args: [FIXTURE] } }, swarm: { name: 'shelf', share: ['sums'] } })
  const shelf = home.start(['up'])
  await shelf.until(() => /✓ sums: \d+ tools offered/.test(shelf.lines.join('\n')) ? true : undefined, 'its server to run')
  await shelf.until(() => shelf.lines.some(line => line.includes('desk offers sums')) ? true : undefined, 'desk to be seen')
  const status = json(await home.run(['status', '--json'])) as { peer: Facts }
  assert.is(status.peer['pid'], shelf.child.pid, 'without --dir the folder belongs to the config file')
  shelf.child.kill('SIGTERM')
  const outcome = await shelf.outcome()
  assert.is(outcome.code, 0)
  assert.match(outcome.stdout, /^shelf is up/)
  assert.match(outcome.stderr, /claude mcp add --transport http swarm http:\/\/127\.0\.0\.1:\d+\/mcp --header "Authorization: Bearer \$\(cat .*gateway\.token\)"/)
  await desk.event(({ event, name }) => event === 'peer:left' && name === 'shelf', 'desk to hear that it left')
})

test.run()
