// bound: 150 s
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MEET_MS_MAX } from '../../lib/cli/meet.ts'
import { serverPath } from '../support/servers.ts'
import { Home, type Facts, type Running } from './home.ts'

const FIXTURE = serverPath('v2')
const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
const STATELESS = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' }
}
const test = suite('connect')
const home = new Home()
let desk: Running

test.before(async () => {
  const config = home.write('desk.json', { mcpServers: { sums: { command: process.execPath, args: [FIXTURE] } }, swarm: { name: 'desk', share: ['sums'] } })
  desk = home.start(['up', '--json', '--dir', home.path('desk'), '--config', config])
  await desk.serves('sums')
})

test.after(async () => { await home.close() })

/** An MCP client that speaks plain lines. */
class Client {
  readonly running: Running
  #id = 0

  constructor (folder: string, user = home) {
    this.running = user.start(['connect', '--dir', folder])
  }

  send (message: object): void {
    this.running.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  ask (method: string, params: object = {}): number {
    this.send({ id: ++this.#id, method, params })
    return this.#id
  }

  async answer (id: number, what: string): Promise<Facts> {
    return await this.running.event(message => message['id'] === id, what)
  }

  async request (method: string, params: object = {}): Promise<Facts> {
    return await this.answer(this.ask(method, params), method)
  }

  async initialize (): Promise<Facts> {
    const answer = await this.request('initialize', INITIALIZE)
    this.send({ method: 'notifications/initialized' })
    return answer
  }

  async add (a: number, b: number, meta: object = {}): Promise<unknown> {
    const answer = await this.request('tools/call', { name: 'add', arguments: { a, b }, ...meta })
    return (answer['result'] as { structuredContent?: { sum?: unknown } } | undefined)?.structuredContent?.sum ?? answer
  }

  /** Lists until the tool is there: a holder that has just begun knows others a moment later. */
  async untilListed (name: string, params: object = {}): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      const { result } = await this.request('tools/list', params) as { result: { tools: { name: string }[] } }
      if (result.tools.some(tool => tool.name === name)) return
      await new Promise(resolve => { setTimeout(resolve, 50) })
    }
    throw new Error(`${name} was never listed`)
  }

  async end (): Promise<void> {
    this.running.child.stdin.end()
    const { code, stdout, stderr } = await this.running.outcome()
    assert.is(code, 0, stderr)
    for (const line of stdout.split('\n').slice(0, -1)) assert.is((JSON.parse(line) as Facts)['jsonrpc'], '2.0', 'nothing but the protocol on standard output')
  }
}

async function pidOfHolder (folder: string): Promise<number> {
  const { stdout, stderr, code } = await home.run(['status', '--json', '--dir', folder])
  assert.is(code, 0, stderr)
  return ((JSON.parse(stdout) as { peer: { pid: number } }).peer).pid
}

test('becomes the peer where none runs: initialize, list, call, progress', async () => {
  const client = new Client(home.path('alone'))
  const { result } = await client.initialize() as { result: { protocolVersion: string } }
  assert.is(result.protocolVersion, '2025-11-25')
  const first = await client.request('tools/list') as { result: { tools: { name: string }[] } }
  assert.ok(first.result.tools.some(({ name }) => name === 'add'), 'the first list has what others offer: many clients never ask again')
  assert.is(await client.add(2, 3), 5)
  await client.request('tools/call', { name: 'steps', arguments: { count: 3 }, _meta: { progressToken: 'p' } })
  const progress = client.running.lines.map(line => JSON.parse(line) as { method?: string, params?: { progress?: number } }).filter(({ method }) => method === 'notifications/progress')
  assert.equal(progress.map(({ params }) => params?.progress), [1, 2, 3])
  assert.is(await pidOfHolder(home.path('alone')), client.running.child.pid)
  await client.end()
})

test('speaks the stateless revision too', async () => {
  const client = new Client(home.path('stateless'))
  const discovered = await client.request('server/discover', { _meta: STATELESS })
  assert.ok('result' in discovered, JSON.stringify(discovered))
  await client.untilListed('add', { _meta: STATELESS })
  assert.is(await client.add(2, 3, { _meta: STATELESS }), 5)
  await client.end()
})

test('relays to a peer that runs, and outlives it', async () => {
  const folder = home.path('held')
  const holder = home.start(['up', '--json', '--dir', folder, '--name', 'held'])
  await holder.event(({ event }) => event === 'ready', 'ready')
  const clients = [new Client(folder), new Client(folder), new Client(folder)] as const
  for (const client of clients) {
    await client.initialize()
    await client.untilListed('add')
  }
  assert.is(await pidOfHolder(folder), holder.child.pid)
  const [first] = clients
  const lost = first.ask('tools/call', { name: 'wait', arguments: {}, _meta: { progressToken: 'running' } })
  await first.running.event(({ method }) => method === 'notifications/progress', 'the call to run')

  holder.child.kill('SIGKILL')
  const refused = await first.answer(lost, 'the call that was lost') as { error: { data: { code: string } } }
  assert.is(refused.error.data.code, 'INDETERMINATE')
  for (const client of clients) {
    await client.untilListed('add')
    assert.is(await client.add(1, 2), 3)
  }
  const pid = await pidOfHolder(folder)
  assert.is(clients.filter(({ running }) => running.child.pid === pid).length, 1, 'exactly one of them is the peer now')

  const next = clients.find(({ running }) => running.child.pid === pid)
  await next?.end()
  for (const client of clients.filter(each => each !== next)) {
    await client.untilListed('add')
    assert.is(await client.add(3, 4), 7)
    await client.end()
  }
})

test('a request sent while nobody serves waits for the takeover', async () => {
  const folder = home.path('waits')
  const holder = home.start(['up', '--json', '--dir', folder])
  await holder.event(({ event }) => event === 'ready', 'ready')
  const client = new Client(folder)
  await client.initialize()
  holder.child.kill('SIGKILL')
  await holder.outcome()
  const answer = await client.request('ping')
  assert.equal(answer['result'], {}, JSON.stringify(answer))
  await client.end()
})

test('passes a cancellation on, to where the tool runs', async () => {
  const client = new Client(home.path('cancels'))
  await client.initialize()
  await client.untilListed('wait')
  const before = await countCancelled(client)
  const id = client.ask('tools/call', { name: 'wait', arguments: {}, _meta: { progressToken: 'c' } })
  await client.running.event(({ method }) => method === 'notifications/progress', 'the call to run')
  client.send({ method: 'notifications/cancelled', params: { requestId: id } })
  for (let tries = 0; await countCancelled(client) === before; tries++) assert.ok(tries < 1_000, 'the server hears of it')
  await client.end()
})

test('ends with standard input, and answers first what was asked', async () => {
  const { code, stdout, stderr } = await home.run(['connect', '--dir', home.path('piped')], {
    stdin: `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE })}\n`
  })
  assert.is(code, 0, stderr)
  assert.is((JSON.parse(stdout) as Facts)['id'], 1)
})

test('a broken config is told to the client that waits, and on standard error', async () => {
  const running = home.start(['connect', '--dir', home.path('broken'), '--config', home.write('broken.json', '{')])
  running.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE })}\n`)
  const { code, stdout, stderr } = await running.outcome()
  assert.is(code, 1)
  assert.match(stderr, 'CONFIG_INVALID')
  assert.is((JSON.parse(stdout) as { error: { data: { code: string } } }).error.data.code, 'CONFIG_INVALID')
})

test('a peer that is known and frozen holds the first list up no longer than one that is not there', async () => {
  const user = new Home()
  try {
    const config = user.write('ice.json', { mcpServers: { sums: { command: process.execPath, args: [FIXTURE] } }, swarm: { name: 'ice', share: ['sums'] } })
    const ice = user.start(['up', '--json', '--dir', user.path('ice'), '--config', config])
    await ice.serves('sums')
    const first = new Client(user.path('desk'), user)
    await first.initialize()
    await first.untilListed('add')
    await first.end()
    const firstListMs = async (): Promise<number> => {
      const sinceMs = performance.now()
      const client = new Client(user.path('desk'), user)
      await client.initialize()
      const { result } = await client.request('tools/list') as { result: { tools: { name: string, description?: string }[] } }
      const tookMs = performance.now() - sinceMs
      assert.match(result.tools.find(({ name }) => name === 'add')?.description ?? '', /^\(Cannot be reached now: peer ice /)
      await client.end()
      return tookMs
    }
    ice.child.kill('SIGSTOP')
    const frozenMs = Math.min(await firstListMs(), await firstListMs()) // the better of two: others use the machine too
    ice.child.kill('SIGKILL')
    await ice.outcome()
    await firstListMs() // takes what the dead one has left away
    const goneMs = await firstListMs()
    assert.ok(frozenMs - goneMs < MEET_MS_MAX / 2, `${frozenMs} ms, and ${goneMs} ms without it`)
  } finally {
    await user.close()
  }
})

async function countCancelled (client: Client): Promise<string> {
  const { result } = await client.request('tools/call', { name: 'cancelled', arguments: {} }) as { result: { content: { text: string }[] } }
  return result.content[0]?.text ?? ''
}

test.run()
