// bound: 180 s
/**
 * Fails open: one gateway, twenty clients, and providers of which one is killed, one never answers and one answers garbage. Calls
 * to the others go on, and each failure says whose it is, since when where that is known, and what to do.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serverPath } from '../support/servers.ts'
import { bounded, Home, type Running } from './home.ts'

const TOOLS = serverPath('v2')
const RAW = serverPath('raw')
const KINDS = ['stdio', 'http'] as const
const CLIENTS_OF_KIND = 10

const test = suite('open')
const home = new Home()
const peers = new Map<string, Running>()
test.after(async () => { await home.close() })

interface Answer {
  readonly content: readonly { readonly text?: string }[]
  readonly structuredContent?: Readonly<Record<string, unknown>>
  readonly isError?: boolean
  readonly _meta?: Readonly<Record<string, unknown>>
}

interface Tool {
  readonly name: string
  readonly description?: string
  readonly _meta?: Readonly<Record<string, unknown>>
}

/** What the test asks of an MCP client, whatever it is connected by. */
interface Asker {
  tools (): Promise<readonly Tool[]>
  call (name: string, args: object): Promise<Answer>
}

async function up (name: string, args: readonly string[], flags: readonly string[] = []): Promise<Running> {
  const config = home.write(`${name}.json`, { mcpServers: { [`${name}-tools`]: { command: process.execPath, args } }, swarm: { name, share: [`${name}-tools`] } })
  const peer = home.start(['up', '--json', '--dir', home.path(name), '--config', config, ...flags])
  peers.set(name, peer)
  await peer.serves(`${name}-tools`)
  return peer
}

/** A client that speaks plain lines to `connect`, which relays to the gateway. */
async function connectStdio (): Promise<Asker> {
  const running = home.start(['connect', '--dir', home.path('desk')])
  let ids = 0
  const ask = async (method: string, params: object = {}): Promise<unknown> => {
    const id = ++ids
    running.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    const { result, error } = await running.event(message => message['id'] === id, method)
    if (error !== undefined) throw new Error(JSON.stringify(error))
    return result
  }
  await ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } })
  running.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`)
  return {
    tools: async () => (await ask('tools/list') as { tools: Tool[] }).tools,
    call: async (name, args) => await ask('tools/call', { name, arguments: args }) as Answer
  }
}

async function connectHttp (url: string): Promise<Asker> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await bounded(client.connect(new StreamableHTTPClientTransport(new URL(url))), 'a client to connect')
  return {
    tools: async () => (await bounded(client.listTools(), 'tools/list')).tools,
    call: async (name, args) => await bounded(client.callTool({ name, arguments: args as Record<string, unknown> }), `a call of ${name}`) as Answer
  }
}

/** The gateway's name for a tool of a peer, and that it is listed by now. */
async function named (asker: Asker, peer: string, tool: string): Promise<string> {
  for (let tries = 0; tries < 600; tries++) {
    const found = (await asker.tools()).find(({ name, _meta }) => name.endsWith(tool) && (_meta?.['mcp-swarm/provider'] as { peer?: unknown } | undefined)?.peer === peer)
    if (found !== undefined) return found.name
    await new Promise(resolve => { setTimeout(resolve, 25) })
  }
  throw new Error(`${tool} of ${peer} was never listed`)
}

function textOf ({ content }: Answer): string {
  return content.map(({ text = '' }) => text).join('\n')
}

test('calls to the others go on, and each failure explains itself', async () => {
  const desk = home.start(['up', '--json', '--dir', home.path('desk'), '--name', 'desk', '--port', '0', '--no-token'])
  const { gateway } = await desk.event(({ event }) => event === 'ready', 'the gateway')
  await Promise.all([up('fine', [TOOLS]), up('well', [TOOLS]), up('mute', [TOOLS]), up('liar', [RAW, 'garbage']), up('doomed', [TOOLS])])
  const askers = (await Promise.all(KINDS.map(async kind => await Promise.all(Array.from({ length: CLIENTS_OF_KIND }, async () =>
    kind === 'stdio' ? await connectStdio() : await connectHttp(String(gateway))))))).flat()
  const [first] = askers as [Asker]
  const [fine, well, mute, liar, doomed, soon] = await Promise.all(
    ([['fine', 'add'], ['well', 'add'], ['mute', 'wait'], ['liar', 'act'], ['doomed', 'wait'], ['doomed', 'add']] as const).map(async ([peer, tool]) => await named(first, peer, tool))
  ) as [string, string, string, string, string, string]

  /** Every client, its own sums at both: a mixed-up answer would show. */
  const sums = async (): Promise<void> => {
    await Promise.all(askers.flatMap((asker, index) => [fine, well].map(async (name, at) => {
      const answer = await asker.call(name, { a: 1_000 * index, b: at })
      assert.equal(answer.structuredContent, { sum: 1_000 * index + at }, textOf(answer))
    })))
  }
  await sums()

  const muted = new Set<number>()
  for (const [index, asker] of askers.entries()) void asker.call(mute, {}).then(() => { muted.add(index) }, () => { muted.add(index) }) // never answered: ends with its client
  const lost = Promise.allSettled(askers.map(async asker => await asker.call(doomed, {})))
  await sums()

  const lies = await Promise.all(askers.map(async asker => await asker.call(liar, {})))
  for (const lie of lies) {
    assert.is(lie.isError, true)
    assert.match(textOf(lie), 'liar')
    assert.match(textOf(lie), 'liar-tools')
  }

  const killedMs = Date.now()
  peers.get('doomed')?.child.kill('SIGKILL')
  await sums()
  for (const end of await bounded(lost, 'the calls that were lost')) {
    assert.is(end.status, 'fulfilled', 'reason' in end ? String(end.reason) : '')
    const answer = (end as PromiseFulfilledResult<Answer>).value
    assert.is(answer.isError, true)
    assert.is((answer._meta?.['mcp-swarm/error'] as { code?: unknown } | undefined)?.code, 'INDETERMINATE', textOf(answer))
    assert.match(textOf(answer), 'peer "doomed"')
    assert.match(textOf(answer), 'may or may not have run')
  }
  for (const answer of await Promise.all(askers.map(async asker => await asker.call(soon, { a: 1, b: 2 })))) {
    assert.is(answer.isError, true)
    const text = textOf(answer)
    assert.match(text, 'peer "doomed"')
    assert.match(text, 'Nothing has run')
    const [, since = ''] = /so since (\S+Z)/.exec(text) ?? []
    assert.ok(Math.abs(Date.parse(since) - killedMs) < 60_000, text)
  }
  const listed = (await first.tools()).find(({ name }) => name === soon)
  assert.match(listed?.description ?? '', /^\(Cannot be reached now: peer doomed /, 'it stays listed, and marked')
  await sums()
  assert.is(muted.size, 0, 'who never answers is waited for, and holds nobody else up')
})

test.run()
