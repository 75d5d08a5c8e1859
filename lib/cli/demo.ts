/**
 * `demo`: the main job on this machine, alone. Peers in processes of their own share real MCP servers and agents; an MCP
 * client that knows nothing of them calls their tools through `connect`. Every step is checked; the exit code says so.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { deadline, SwarmError, systemClock, type CallToolResult } from 'mcp-swarm'
import { connectClient, type ToolClient } from 'mcp-swarm/mcp/stdio'
import { EXIT } from './failure.ts'
import { SELF, Stage, type Actor, type Event } from './demo-stage.ts'
import { askedToEnd } from './signal.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

/** The demo ends by then, whatever happens, in milliseconds. */
export const DEMO_MS_MAX = 60_000

/** One wait for something to happen, in milliseconds. */
const STEP_MS_MAX = 15_000

/** Calls whose median is shown. */
const CALLS = 200

const PUBLISHED = ['everything', 'filesystem', 'memory'] as const
type Published = typeof PUBLISHED[number]

export async function demo (terminal: Terminal): Promise<number> {
  const asked = askedToEnd()
  const { signal, done } = deadline(systemClock, DEMO_MS_MAX, asked)
  const stage = await Stage.open()
  const play = new Play(stage, terminal)
  const stopped = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => { reject(asked.aborted ? new SwarmError('ABORTED', 'the demo was interrupted') : new SwarmError('TIMEOUT', `the demo did not end in ${DEMO_MS_MAX} ms`)) })
  })
  try {
    await Promise.race([play.run(), stopped])
  } finally {
    done()
    await play.close()
    await stage.close()
  }
  play.summarize()
  return EXIT.ok
}

class Play {
  readonly #stage: Stage
  readonly #terminal: Terminal
  readonly #servers = new Map<Published, string>()
  readonly #steps: { readonly step: string, readonly ms: number }[] = []
  readonly #figures: Record<string, number> = {}
  readonly #startMs = systemClock.nowMs()
  #client: ToolClient | undefined
  #toolsChanged = (): void => {}

  constructor (stage: Stage, terminal: Terminal) {
    this.#stage = stage
    this.#terminal = terminal
    for (const name of PUBLISHED) {
      const program = findServer(name)
      if (program !== undefined) this.#servers.set(name, program)
    }
  }

  async run (): Promise<void> {
    const missing = PUBLISHED.filter(name => !this.#servers.has(name))
    if (missing.length > 0) this.#terminal.note(`Not installed here: ${missing.map(name => `@modelcontextprotocol/server-${name}`).join(', ')}. Agents made with the library stand in.`)
    const { desk, shelf, bench } = await this.#openPeers()
    const loft = await this.#openLast()
    await this.#step('the peers find each other, with no registry', async () => {
      const met = [[desk, 'shelf'], [shelf, 'desk'], [shelf, 'bench']] as const
      await Promise.all(met.map(async ([peer, name]) => await peer.event('peer:joined', STEP_MS_MAX, event => event['name'] === name)))
      this.#figures['tools callable after ready'] = Number((await loft.event('callable', STEP_MS_MAX))['ms'])
    })
    const client = await this.#openClient()
    await this.#callServers(client)
    await this.#watchProgress(client)
    await this.#measure(client)
    await this.#learn(client, bench)
    await this.#write([bench, loft])
    await this.#failOver(client, [bench, loft])
  }

  summarize (): void {
    const totalMs = systemClock.nowMs() - this.#startMs
    if (this.#terminal.json) return this.#terminal.print(JSON.stringify({ ok: true, totalMs, servers: [...this.#servers.keys()], steps: this.#steps, figures: this.#figures }))
    const rows = Object.entries(this.#figures).map(([what, ms]) => [what, `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`])
    this.#terminal.print(`\n${table(['MEASURED', 'TIME'], rows, this.#terminal.paint)}\n\n${this.#terminal.paint('green', `All ${this.#steps.length} steps verified`)} in ${(totalMs / 1_000).toFixed(1)} s.`)
    this.#terminal.note(this.#terminal.paint('dim', '\nNext: mcp-swarm up in a folder with a .mcp.json that shares something'))
  }

  async close (): Promise<void> {
    await this.#client?.close()
  }

  async #openPeers (): Promise<{ desk: Actor, shelf: Actor, bench: Actor }> {
    return await this.#step('three peers start, each a process of its own', async () => {
      const desk = await this.#up('desk', ['everything', 'filesystem'])
      const shelf = await this.#up('shelf', ['memory'])
      const bench = this.#agent('bench')
      const ready = await Promise.all([desk, shelf, bench].map(async peer => await peer.event('ready', STEP_MS_MAX)))
      this.#figures['a peer is ready'] = median(ready.map(event => Number(event['readyMs'])))
      return { desk, shelf, bench }
    })
  }

  /** A peer that comes when the others are there: what it takes until it can call their tools. */
  async #openLast (): Promise<Actor> {
    const probe = this.#servers.has('everything') ? 'get-sum' : 'shout_bench'
    return await this.#step('a fourth comes later, and calls a tool of another', async () => {
      const loft = this.#agent('loft', ['--probe', probe])
      await loft.event('callable', STEP_MS_MAX)
      return loft
    })
  }

  async #openClient (): Promise<ToolClient> {
    return await this.#step('an MCP client sees every tool through connect', async () => {
      const [command = '', ...args] = SELF
      const client = this.#client = await connectClient({
        command, args: [...args, 'connect', '--dir', this.#stage.path('connect'), '--config', await this.#stage.write('connect.json', {})],
        env: this.#stage.env,
        onToolsChanged: () => { this.#toolsChanged() }
      })
      const wanted = ['who_serves', 'shout_bench', 'shout_loft', ...this.#servers.has('everything') ? ['echo'] : [], ...this.#servers.has('filesystem') ? ['read_text_file'] : [], ...this.#servers.has('memory') ? ['read_graph'] : []]
      await this.#untilListed(client, wanted)
      return client
    })
  }

  async #callServers (client: ToolClient): Promise<void> {
    if (this.#servers.has('everything')) {
      await this.#step('it calls the "everything" server at desk', async () => {
        check(textOf(await client.callTool('echo', { message: 'good day' })).includes('good day'), 'echo says what it was told')
      })
    }
    if (this.#servers.has('filesystem')) {
      await this.#step('it writes a file at desk, and reads it', async () => {
        const path = this.#stage.path('files', 'note.txt')
        await client.callTool('write_file', { path, content: 'written through the swarm' })
        check(await readFile(path, 'utf8') === 'written through the swarm', 'the file is on the disk')
        check(textOf(await client.callTool('read_text_file', { path })).includes('written through the swarm'), 'the file reads as it was written')
      })
    }
    if (this.#servers.has('memory')) {
      await this.#step('it keeps a fact at shelf, and finds it again', async () => {
        await client.callTool('create_entities', { entities: [{ name: 'demo', entityType: 'proof', observations: ['it was here'] }] })
        check(textOf(await client.callTool('read_graph')).includes('it was here'), 'the fact is in the graph')
      })
    }
    await this.#step('it calls an agent made with the library, at bench', async () => {
      check(textOf(await client.callTool('shout_bench', { text: 'louder' })) === 'LOUDER', 'the text comes back in capitals')
    })
  }

  async #watchProgress (client: ToolClient): Promise<void> {
    await this.#step('it sees how far a long call is', async () => {
      const heard: number[] = []
      const progress = { progress: ({ progress }: { progress: number }) => { heard.push(progress) } }
      if (this.#servers.has('everything')) await client.callTool('trigger-long-running-operation', { duration: 0.6, steps: 5 }, progress)
      else await client.callTool('count_bench', { steps: 5 }, progress)
      check(heard.length >= 4 && heard.every((value, index) => index === 0 || value > (heard[index - 1] as number)), `progress grew: ${heard.join(', ')}`)
    })
  }

  async #measure (client: ToolClient): Promise<void> {
    await this.#step(`${CALLS} calls, one after the other`, async () => {
      const times: number[] = []
      for (let count = 0; count < CALLS; count++) {
        const startMs = systemClock.nowMs()
        check(textOf(await client.callTool('shout_loft', { text: `call ${count}` })) === `CALL ${count}`, 'each call is answered with its own text')
        times.push(systemClock.nowMs() - startMs)
      }
      this.#figures['a call, client to provider and back'] = median(times)
    })
  }

  async #learn (client: ToolClient, bench: Actor): Promise<void> {
    await this.#step('an agent learns a tool; the client hears, and calls it', async () => {
      const startMs = systemClock.nowMs()
      bench.send('learn')
      await this.#untilListed(client, ['whisper_bench'])
      this.#figures['a new tool is seen by the client'] = systemClock.nowMs() - startMs
      check(textOf(await client.callTool('whisper_bench', { text: 'SOFTER' })) === 'softer', 'the new tool works')
    })
  }

  async #write (peers: readonly Actor[]): Promise<void> {
    await this.#step('two peers edit one document at once, and it comes out the same', async () => {
      for (const peer of peers) peer.send('plan')
      await Promise.all(peers.map(async peer => await peer.event('opened', STEP_MS_MAX)))
      for (const peer of peers) peer.send('write')
      const isWhole = ({ text }: Event): boolean => peers.every(({ name }) => String(text).includes(`${name} was here`))
      const texts = await Promise.all(peers.map(async peer => (await peer.event('plan', STEP_MS_MAX, isWhole))['text']))
      check(texts.every(text => text === texts[0]), `both read the same: ${texts.join(' / ')}`)
    })
  }

  async #failOver (client: ToolClient, pool: readonly Actor[]): Promise<void> {
    await this.#step('one of a pool is killed; the next call goes to the other', async () => {
      const first = pidOf(await client.callTool('who_serves'))
      const victim = pool.find(({ pid }) => pid === first)
      check(victim !== undefined, 'a member of the pool answered')
      const startMs = systemClock.nowMs()
      victim.kill()
      const second = pidOf(await client.callTool('who_serves'))
      this.#figures['failover, kill -9 to the next answer'] = systemClock.nowMs() - startMs
      check(second !== first && pool.some(({ pid }) => pid === second), 'the other member answered')
    })
  }

  async #up (name: string, wanted: readonly Published[]): Promise<Actor> {
    const shared = wanted.filter(server => this.#servers.has(server))
    const config = await this.#stage.write(`${name}.json`, {
      mcpServers: Object.fromEntries(shared.map(server => [server, {
        command: process.execPath,
        args: [this.#servers.get(server), ...server === 'filesystem' ? [this.#stage.path('files')] : []],
        env: { MEMORY_FILE_PATH: this.#stage.path('memory.jsonl') }
      }])),
      swarm: { name, share: shared }
    })
    return this.#stage.play(name, ['up', '--json', '--dir', this.#stage.path(name), '--config', config])
  }

  #agent (name: string, more: readonly string[] = []): Actor {
    return this.#stage.play(name, ['demo-agent', '--dir', this.#stage.path(name), '--name', name, ...more])
  }

  /** Lists tools again whenever the server says that they changed, until all of these are there. */
  async #untilListed (client: ToolClient, names: readonly string[]): Promise<void> {
    const { signal, done } = deadline(systemClock, STEP_MS_MAX)
    try {
      for (;;) {
        const changed = new Promise<void>((resolve, reject) => {
          this.#toolsChanged = resolve
          signal.addEventListener('abort', () => { reject(new SwarmError('TIMEOUT', `the tools ${names.join(', ')} were not all listed in ${STEP_MS_MAX} ms`)) })
        })
        const listed = new Set((await client.listTools()).map(({ name }) => name))
        if (names.every(name => listed.has(name))) return
        await changed
      }
    } finally {
      done()
    }
  }

  async #step<Result> (step: string, act: () => Promise<Result>): Promise<Result> {
    const startMs = systemClock.nowMs()
    const { paint } = this.#terminal
    const took = (): number => systemClock.nowMs() - startMs
    try {
      const result = await act()
      this.#steps.push({ step, ms: took() })
      if (!this.#terminal.json) this.#terminal.print(`${paint('green', '✓')} ${step} ${paint('dim', `${took().toFixed(0)} ms`)}`)
      return result
    } catch (error) {
      if (!this.#terminal.json) this.#terminal.print(`${paint('red', '✗')} ${step} ${paint('dim', `${took().toFixed(0)} ms`)}`)
      throw error
    }
  }
}

/** The program of a published server, or undefined where it is not installed. */
function findServer (name: Published): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${name}/package.json`)
    const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> }
    const [program] = Object.values(bin)
    return program === undefined ? undefined : join(dirname(manifest), program)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

function check (claim: unknown, what: string): asserts claim {
  if (!claim) throw new SwarmError('TOOL_FAILED', `not as it should be: ${what}`)
}

function textOf ({ content, isError }: CallToolResult): string {
  const text = content.map(part => part.type === 'text' ? part.text : '').join('\n')
  check(isError !== true, `a call succeeds; it said ${text}`)
  return text
}

function pidOf (result: CallToolResult): number {
  return Number((JSON.parse(textOf(result)) as { pid: unknown }).pid)
}

function median (values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? NaN
}
