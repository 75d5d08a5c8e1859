/**
 * Twenty clients of one gateway, ten on stdio and ten over HTTP, that call healthy providers; first alone, then while each of them
 * also calls one that never answers, one that answers garbage, and one that is killed meanwhile.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { isSmoke, ms, quantile, report, temporaryUser } from '../rig.ts'
import { CLI, StdioClient, type CallAnswer, type ToolFacts } from './client.ts'

const CLIENTS_OF_KIND = isSmoke ? 2 : 10
const PHASE_MS = isSmoke ? 300 : 4_000
const PAIRS = isSmoke ? 1 : 3
/** Pause between two calls of one client to what is broken, in milliseconds: what is measured is not how much that costs. */
const BROKEN_EVERY_MS = 250

const TOOLS = fileURLToPath(new URL('../../test/fixtures/servers/v2.mjs', import.meta.url))
const RAW = fileURLToPath(new URL('../../test/fixtures/servers/raw.mjs', import.meta.url))

interface Asker {
  readonly call: (name: string, args: object) => Promise<CallAnswer>
}

export async function measureOpen (): Promise<void> {
  const { home, env } = temporaryUser()
  const peers = new Map<string, ChildProcess>()
  const start = async (name: string, args: readonly string[], server?: readonly string[]): Promise<string> => {
    const config = join(home, `${name}.json`)
    writeFileSync(config, JSON.stringify({ mcpServers: server === undefined ? {} : { [`${name}-tools`]: { command: process.execPath, args: server } }, swarm: { name, share: server === undefined ? [] : [`${name}-tools`] } }))
    const peer = spawn(process.execPath, [CLI, 'up', '--json', '--dir', join(home, name), '--config', config, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    process.once('exit', () => { peer.kill('SIGKILL') })
    peers.set(name, peer)
    for await (const line of createInterface({ input: peer.stdout })) {
      const { event, gateway } = JSON.parse(line) as { event: string, gateway?: string }
      if (event !== 'ready') continue
      peer.stdout.resume()
      return String(gateway)
    }
    throw new Error(`${name} has ended`)
  }
  const url = await start('desk', ['--port', '0', '--no-token'])
  for (const [name, server] of [['fine', [TOOLS]], ['well', [TOOLS]], ['mute', [TOOLS]], ['liar', [RAW, 'garbage']], ['doomed', [TOOLS]]] as const) await start(name, [], server)
  const stdio = await Promise.all(Array.from({ length: CLIENTS_OF_KIND }, async () => {
    const client = new StdioClient(['connect', '--dir', join(home, 'desk')], env)
    await client.open()
    return client
  }))
  const http = await Promise.all(Array.from({ length: CLIENTS_OF_KIND }, async (): Promise<Asker> => {
    const client = new Client({ name: 'bench', version: '1' }, { versionNegotiation: { mode: 'auto' } })
    await client.connect(new StreamableHTTPClientTransport(new URL(url)))
    return { call: async (name, args) => await client.callTool({ name, arguments: args as Record<string, unknown> }) as CallAnswer }
  }))
  const askers: readonly Asker[] = [...stdio, ...http]
  const named = async (peer: string, tool: string): Promise<string> => {
    for (;;) {
      const found = (await (stdio[0] as StdioClient).tools()).find(({ name, _meta }: ToolFacts) => name.endsWith(tool) && _meta?.['mcp-swarm/provider']?.peer === peer)
      if (found !== undefined) return found.name
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
  }
  const healthy = [await named('fine', 'add'), await named('well', 'add')]
  const [mute, liar, doomed] = [await named('mute', 'wait'), await named('liar', 'act'), await named('doomed', 'add')]
  let isOver = false
  const failures: string[] = []

  /** Each client calls the healthy ones by turns, one call after the other. @returns how long each took */
  const phase = async (): Promise<number[]> => {
    const took: number[] = []
    const endMs = performance.now() + PHASE_MS
    await Promise.all(askers.map(async (asker, index) => {
      for (let count = 0; performance.now() < endMs; count++) {
        const askedMs = performance.now()
        const { structuredContent } = await asker.call(healthy[count % healthy.length] as string, { a: index, b: count })
        took.push(performance.now() - askedMs)
        if (structuredContent?.['sum'] !== index + count) throw new Error(`a wrong answer: ${JSON.stringify(structuredContent)}`)
      }
    }))
    return took
  }
  const callBroken = async (asker: Asker): Promise<void> => {
    while (!isOver) {
      for (const [name, args] of [[liar, {}], [doomed, { a: 1, b: 2 }]] as const) {
        const { content, isError } = await asker.call(name, args)
        if (isError === true) failures.push(content.map(({ text = '' }) => text).join('\n'))
        await new Promise(resolve => { setTimeout(resolve, BROKEN_EVERY_MS) })
      }
    }
  }

  const [without, within]: [number[], number[]] = [[], []]
  await phase() // warms up
  for (let pair = 0; pair < PAIRS; pair++) {
    isOver = false
    without.push(...await phase())
    if (pair === 0) for (const asker of askers) asker.call(mute, {}).catch(() => undefined) // never answered, from here to the end
    const breaking = Promise.all(askers.map(callBroken))
    if (pair === 0) setTimeout(() => { peers.get('doomed')?.kill('SIGKILL') }, PHASE_MS / 2)
    within.push(...await phase())
    isOver = true
    await breaking
  }
  const explained = failures.filter(text => /(liar|doomed)/.test(text) && /(run|again|look|mend|list)/.test(text))
  if (explained.length < failures.length) throw new Error(`not explained: ${failures.find(text => !explained.includes(text)) ?? ''}`)
  const [p50, p50Bad, p99, p99Bad] = [quantile(without, 0.5), quantile(within, 0.5), quantile(without, 0.99), quantile(within, 0.99)]
  console.log(`open: ${askers.length} clients of one gateway at once, ${PAIRS} times ${PHASE_MS} ms without and with broken providers; ${failures.length} failures, all explained`)
  report('healthy calls alone: p50 / p99', `${ms(p50)} / ${ms(p99)}`, '')
  report('healthy calls beside broken ones: p50 / p99', `${ms(p50Bad)} / ${ms(p99Bad)}`, '')
  report('ratio of the two: p50 / p99', `${(p50Bad / p50).toFixed(2)} / ${(p99Bad / p99).toFixed(2)}`, 'bar unaffected')
  report('calls a second, alone / beside', `${(without.length / PAIRS / PHASE_MS * 1_000).toFixed(0)} / ${(within.length / PAIRS / PHASE_MS * 1_000).toFixed(0)}`, '')
  await Promise.all(stdio.map(async client => { await client.end() }))
  await Promise.all([...peers].filter(([name]) => name !== 'doomed').map(async ([, peer]) => {
    const ended = once(peer, 'exit')
    peer.kill('SIGKILL')
    await ended
  }))
}
