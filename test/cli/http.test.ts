// bound: 120 s
/** `up` serves the gateway over HTTP: its address, its token, its port. */
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serverPath } from '../support/servers.ts'
import { bounded, Home, type Facts, type Running } from './home.ts'

const FIXTURE = serverPath('v2')
const test = suite('http')
const home = new Home()
test.after(async () => { await home.close() })

async function up (name: string, flags: readonly string[] = []): Promise<{ peer: Running, ready: Facts, url: string }> {
  const config = home.write(`${name}.json`, { mcpServers: { sums: { command: process.execPath, args: [FIXTURE] } }, swarm: { name, share: ['sums'] } })
  const peer = home.start(['up', '--json', '--dir', home.path(name), '--config', config, ...flags])
  const ready = await peer.event(({ event }) => event === 'ready', 'ready')
  return { peer, ready, url: String(ready['gateway']) }
}

async function stop (peer: Running): Promise<void> {
  peer.child.kill('SIGTERM')
  assert.is((await peer.outcome()).code, 0)
}

async function toolsAt (url: string, headers: Record<string, string> = {}): Promise<{ names: string[], sum: unknown }> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await bounded(client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })), 'the client to connect')
  const { tools } = await client.listTools()
  const names = tools.map(({ name }) => name)
  const { structuredContent } = await client.callTool({ name: names.find(name => name.endsWith('add')) ?? '', arguments: { a: 2, b: 3 } })
  await client.close()
  return { names, sum: structuredContent }
}

/** A port that somebody else has for as long as the work takes. */
async function withBusyPort (work: (port: number) => Promise<void>): Promise<void> {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  try {
    await work((server.address() as AddressInfo).port)
  } finally {
    server.close()
  }
}

test('a client with the token has the tools at once, those that start with the peer among them', async () => {
  const { peer, url } = await up('desk', ['--port', '0'])
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
  const path = home.path('desk', 'gateway.token')
  if (process.platform !== 'win32') assert.is(statSync(path).mode & 0o777, 0o600)
  const token = readFileSync(path, 'utf8').trim()
  const { names, sum } = await toolsAt(url, { authorization: `Bearer ${token}` })
  assert.ok(names.includes('add'), names.join())
  assert.equal(sum, { sum: 5 })
  assert.is((await fetch(url, { method: 'POST' })).status, 401)
  const status = JSON.parse((await home.run(['status', '--json', '--dir', home.path('desk')])).stdout) as Facts
  assert.is(status['gateway'], url)
  assert.match((await home.run(['status', '--dir', home.path('desk')])).stdout, `gateway  ${url}`)
  await stop(peer)
  const refused = await fetch(url).then(() => undefined, (error: unknown) => error)
  assert.instance(refused, Error, 'nobody listens any more')
  const again = await up('desk', ['--port', '0'])
  assert.ok((await toolsAt(again.url, { authorization: `Bearer ${token}` })).names.length > 0, 'the token stays')
  await stop(again.peer)
  assert.not.match(peer.lines.join('') + peer.stderr + again.peer.lines.join(''), token)
})

test('without a token where told so, and with the prefix asked for', async () => {
  const { peer, url } = await up('open', ['--port', '0', '--no-token', '--prefix', 'always'])
  const { names, sum } = await toolsAt(url)
  assert.ok(names.includes('sums__add'), names.join())
  assert.equal(sum, { sum: 5 })
  assert.throws(() => statSync(home.path('open', 'gateway.token')), /ENOENT/)
  await stop(peer)
})

test('a named port that is busy is an error, and nobody stays behind', async () => {
  await withBusyPort(async port => {
    const outcome = await home.run(['up', '--dir', home.path('port'), '--port', String(port)])
    assert.is(outcome.code, 1)
    assert.match(outcome.stderr, `mcp-swarm: PORT_IN_USE: the gateway cannot listen on 127.0.0.1 port ${port}`)
    const other = await home.run(['peers', '--dir', home.path('port')])
    assert.is(other.code, 0, other.stderr)
  })
})

test('two peers without a named port both serve', async () => {
  const [first, second] = [await up('first'), await up('second')]
  assert.is.not(first.url, second.url)
  for (const { url } of [first, second]) assert.is((await fetch(url, { method: 'POST' })).status, 401)
  await stop(first.peer)
  await stop(second.peer)
})

test('a person is told the address, where the token lies, and a command that a shell makes whole', async () => {
  const peer = home.start(['up', '--dir', home.path('a desk'), '--port', '0'])
  await peer.until(() => peer.stderr.includes('--header') ? true : undefined, 'the command')
  const said = peer.lines.join('\n')
  const [, url] = /gateway +(http:\S+)/.exec(said) ?? []
  const path = home.path('a desk', 'gateway.token')
  assert.match(said, `token   ${path}`)
  const token = readFileSync(path, 'utf8').trim()
  assert.not.match(said + peer.stderr, token)
  const command = peer.stderr.split('\n').find(line => line.includes('claude mcp add')) ?? ''
  if (process.platform !== 'win32') {
    const words = spawnSync('sh', ['-c', command.trim().replace(/^claude/, 'printf \'%s\\n\'')], { encoding: 'utf8' }).stdout.trim().split('\n')
    assert.equal(words, ['mcp', 'add', '--transport', 'http', 'swarm', String(url), '--header', `Authorization: Bearer ${token}`])
  }
  await stop(peer)
})

test.run()
