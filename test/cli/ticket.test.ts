// bound: 180 s
/** init, invite and join as commands: two users of two homes, on loopback. */
import { existsSync, statSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serverPath } from '../support/servers.ts'
import { Home, type Facts, type Outcome } from './home.ts'

const FIXTURE = serverPath('v2')
const LOOPBACK = { MCP_SWARM_LISTEN: '/ip4/127.0.0.1/tcp/0', MCP_SWARM_DISCOVERY: 'folder' }
const test = suite('ticket')

/** Two machines, as far as files go: neither sees what the other has in its folders. */
const [hers, his] = [new Home(), new Home()]
for (const home of [hers, his]) Object.assign(home.env, LOOPBACK)
const [desk, den] = [hers.path('desk'), his.path('den')]
let made: Facts

test.after(async () => { await Promise.all([hers.close(), his.close()]) })

function json (outcome: Outcome): Record<string, unknown> {
  assert.is(outcome.code, 0, outcome.stderr)
  return JSON.parse(outcome.stdout) as Record<string, unknown>
}

function failure (outcome: Outcome): { code: string, message: string, todo: string } {
  assert.is(outcome.code, 1, outcome.stdout)
  return (JSON.parse(outcome.stdout) as { error: { code: string, message: string, todo: string } }).error
}

test('init makes a swarm once, says its words, and what comes next', async () => {
  made = json(await hers.run(['init', '--json', '--dir', desk]))['swarm'] as Facts
  assert.match(String(made['id']), /^[a-z2-7]{26}$/)
  assert.match(String(made['words']), /^([a-z]+ ){5}[a-z]+$/)
  assert.is(statSync(`${desk}/swarm.key`).mode & 0o777, 0o600)
  assert.is(failure(await hers.run(['init', '--json', '--dir', desk])).code, 'SWARM_EXISTS')
  const shown = await hers.run(['init', '--dir', hers.path('other')])
  assert.match(shown.stdout, 'A swarm was made')
  assert.match(shown.stderr, /Next: mcp-swarm up --dir .*\n +mcp-swarm invite --dir/)
})

test('invite is for those who made a swarm, or are admins of it', async () => {
  const error = failure(await hers.run(['invite', '--json', '--dir', hers.path('nothing')]))
  assert.is(error.code, 'NOT_ADMIN')
  assert.match(error.message, 'mcp-swarm init')
  assert.is((await hers.run(['invite', '--uses', '0', '--dir', desk])).code, 2)
  assert.is((await hers.run(['invite', '--expires', 'soon', '--dir', desk])).code, 2)
  assert.is((await hers.run(['invite', '--expires', '91d', '--dir', desk])).code, 2)
  assert.is((await hers.run(['invite', '--role', 'king', '--dir', desk])).code, 2)
})

test('invite without a running peer prints a ticket, and says what it lacks', async () => {
  const outcome = await hers.run(['invite', '--dir', desk])
  assert.match(outcome.stdout, /^mcpswarm1-[\w-]+\n$/)
  assert.match(outcome.stderr, 'No peer of this folder runs')
  assert.match(outcome.stderr, String(made['words']))
  const error = failure(await his.run(['join', outcome.stdout.trim(), '--json', '--dir', his.path('early')]))
  assert.is(error.code, 'UNREACHABLE')
  assert.match(error.message, 'names no address')
  assert.match(error.todo, 'mcp-swarm up')
})

test('a ticket goes from one machine to the other, and the tools with it', async () => {
  const config = hers.write('desk.json', { mcpServers: { sums: { command: process.execPath, args: [FIXTURE] } }, swarm: { name: 'desk', share: ['sums'] } })
  const up = hers.start(['up', '--json', '--dir', desk, '--config', config])
  const ready = await up.event(({ event }) => event === 'ready', 'ready')
  assert.equal((ready['swarm'] as Facts)['words'], made['words'])
  await up.serves('sums')

  const invitation = json(await hers.run(['invite', '--json', '--uses', '2', '--expires', '2h', '--dir', desk]))
  assert.equal([invitation['up'], invitation['uses'], invitation['role']], [true, 2, 'member'])
  const ticket = String(invitation['ticket'])
  assert.is.not(ticket.length > 1_024, true)

  const broken = `  ${ticket.slice(0, 76)}\n${ticket.slice(76)}\n`
  const outcome = await his.run(['join', '-', '--name', 'den', '--dir', den], { stdin: broken })
  assert.is(outcome.code, 0, outcome.stderr)
  assert.match(outcome.stdout, String(made['words']))
  assert.match(outcome.stdout, /met +desk/)
  assert.match(outcome.stderr, `Next: mcp-swarm up --dir ${den}`)

  const called = await his.run(['call', 'add', '{"a":1,"b":2}', '--dir', den])
  assert.is(called.code, 0, called.stderr)
  assert.match(called.stdout, '3')
  const status = json(await his.run(['status', '--json', '--dir', den]))['swarm'] as Facts
  assert.equal([status['kind'], status['role'], status['id']], ['made', 'member', made['id']])
  assert.match((await his.run(['status', '--dir', den])).stdout, `words    ${String(made['words'])}`)

  // Again by the same folder: it belongs already. By another, by the variable: the second use. By a third: no more.
  json(await his.run(['join', ticket, '--json', '--dir', den]))
  json(await his.run(['join', '--json', '--dir', his.path('shed')], { env: { MCP_SWARM_TICKET: ticket } }))
  const used = failure(await his.run(['join', ticket, '--json', '--dir', his.path('barn')]))
  assert.equal([used.code, used.message], ['TICKET_USED', 'this ticket has let in all it may: 2 peers'])
  assert.not(existsSync(his.path('barn', 'swarm.json')))

  const other = failure(await his.run(['join', String(json(await hers.run(['invite', '--json', '--dir', hers.path('other')]))['ticket']), '--json', '--dir', den]))
  assert.is(other.code, 'SWARM_EXISTS')
  const slip = failure(await his.run(['join', ticket.slice(0, -5), '--json', '--dir', his.path('barn')]))
  assert.equal([slip.code, slip.message], ['TICKET_INVALID', 'this ticket is cut short or mistyped: copy all of it'])
  assert.is((await his.run(['join', '--json', '--dir', den])).code, 2)
  assert.is(failure(await his.run(['invite', '--json', '--dir', den])).code, 'NOT_ADMIN')
})

test('up joins by a ticket too, and then lets others in if it is one for an admin', async () => {
  const { ticket } = json(await hers.run(['invite', '--json', '--role', 'admin', '--dir', desk])) as { ticket: string }
  const loft = his.path('loft')
  const up = his.start(['up', '--json', '--ticket', ticket, '--name', 'loft', '--dir', loft])
  const ready = await up.event(({ event }) => event === 'ready', 'ready')
  assert.equal([(ready['swarm'] as Facts)['role'], (ready['swarm'] as Facts)['id']], ['admin', made['id']])
  await up.event(({ event, name }) => event === 'peer:joined' && name === 'desk', 'the other admin')
  const invitation = json(await his.run(['invite', '--json', '--dir', loft]))
  assert.is((invitation['inviters'] as Facts[]).length, 2)
  const joined = json(await hers.run(['join', String(invitation['ticket']), '--json', '--dir', hers.path('porch')]))
  assert.ok((joined['met'] as string[]).length >= 1)
})

test('who is looked for and not reached is listed, and the next step leads to why', async () => {
  await Promise.all([hers.end(), his.end()])
  const peers = await his.run(['peers', '--dir', den])
  assert.match(peers.stderr, 'No other peer is here.')
  assert.match(peers.stdout, /desk +12D\w+ +not reached +- +by ticket/)
  assert.match(peers.stderr, 'Next: mcp-swarm doctor')
  const status = await his.run(['status', '--dir', den])
  assert.match(status.stdout, /peers +0 connected of 0; \d looked for and not reached/)
  assert.match((await his.run(['doctor', '--dir', den])).stdout, /desk cannot be reached after .* \(found by ticket, from last time\): .* refuses connections/)
  const alone = await hers.run(['peers', '--dir', hers.path('other')])
  assert.match(alone.stderr, /Next: mcp-swarm invite --dir .*, or mcp-swarm doctor/)
})

test.run()
