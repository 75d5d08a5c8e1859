/**
 * A gateway that starts where 1,000 tools are known from disk and nobody can be reached: how soon its first client has them.
 * Three ways to be out of reach: this machine started anew; the peers were killed, and their files are still in the
 * rendezvous folder; they are frozen, so that dialling them gets no answer.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isSmoke, ms, quantile, report, temporaryUser } from '../rig.ts'
import { StdioClient, type Revision, type ToolFacts } from './client.ts'
import { startProviders } from './processes.ts'
import { makeQueries } from './tools.ts'

const PEERS = isSmoke ? 2 : 20
const TOOLS = 49 // and an echo
const ROUNDS = isSmoke ? 1 : 5
const REPEATS = isSmoke ? 2 : 20
const KNOWN = PEERS * (TOOLS + 1)
const OWN = 4

interface Round { readonly empty: number, readonly first: number, readonly cpu: number, readonly later: readonly number[], readonly find: readonly number[] }

export async function measureStart (): Promise<void> {
  const { home, env } = temporaryUser()
  const place = (name: string): string => join(home, name)
  const args = ['connect', '--tools', 'all', '--dir', place('desk')]
  const providers = await startProviders(env, PEERS, TOOLS)
  const collector = new StdioClient(args, env)
  await collector.open()
  while ((await collector.tools()).length < KNOWN + OWN) await new Promise(resolve => { setTimeout(resolve, 20) })
  await collector.end()
  copy(place('desk'), place('desk.kept'))
  copy(place('run'), place('run.kept'))

  const measure = async (revision: Revision, isFolderKept: boolean): Promise<Round> => {
    copy(place('desk.kept'), place('desk'))
    copy(place('run.kept'), place('run'))
    if (!isFolderKept) rmSync(join(place('run'), 'mcp-swarm'), { recursive: true, force: true })
    return await start(args, env, revision)
  }
  console.log(`start: connect with ${KNOWN} tools known from disk, none of them within reach; medians of ${ROUNDS}, worst in brackets`)
  const ways: readonly (readonly [string, boolean, () => void])[] = [
    ['frozen', true, () => { providers.kill('SIGSTOP') }],
    ['killed', true, () => { providers.kill('SIGKILL') }],
    ['machine started anew', false, () => {}]
  ]
  for (const [way, isFolderKept, prepare] of ways) {
    prepare()
    for (const revision of ['2025-11-25', '2026-07-28'] as const) {
      const rounds: Round[] = []
      for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(revision, isFolderKept))
      const show = (values: readonly number[]): string => `${ms(quantile(values, 0.5))} (${ms(Math.max(...values))})`
      report(`${way}, ${revision}: first tools/list since spawn`, show(rounds.map(({ first }) => first)), 'bar 300 ms')
      report('  of it CPU of the gateway; a process of Node that does nothing', `${show(rounds.map(({ cpu }) => cpu))}; ${show(rounds.map(({ empty }) => empty))}`, '')
      report(`${way}, ${revision}: later tools/list`, show(rounds.flatMap(({ later }) => later)), 'bar 50 ms')
      report(`${way}, ${revision}: swarm_find`, show(rounds.flatMap(({ find }) => find)), 'bar 10 ms')
    }
  }
}

async function start (args: readonly string[], env: NodeJS.ProcessEnv, revision: Revision): Promise<Round> {
  const emptyMs = performance.now()
  spawnSync(process.execPath, ['-e', '0'], { env })
  const empty = performance.now() - emptyMs
  const client = new StdioClient(args, env, revision)
  await client.open()
  const { result, atMs } = await client.timed('tools/list')
  const cpu = client.cpuMs()
  check((result as { tools: ToolFacts[] }).tools)
  const later: number[] = []
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const askedMs = performance.now()
    later.push((await client.timed('tools/list')).atMs - askedMs)
  }
  const find: number[] = []
  for (const query of makeQueries(REPEATS)) {
    const askedMs = performance.now()
    const answer = await client.timed('tools/call', { name: 'swarm_find', arguments: { query } })
    find.push(answer.atMs - askedMs)
    if (!JSON.stringify(answer.result).includes('cannot be reached')) throw new Error(`swarm_find ${query} gave nothing`)
  }
  await client.end()
  return { empty, cpu, first: atMs - client.startedMs, later, find }
}

/** Correctness: all are there, and each says that it cannot be reached. */
function check (tools: readonly ToolFacts[]): void {
  const marked = tools.filter(({ description = '', _meta }) => description.startsWith('(Cannot be reached now') && _meta?.['mcp-swarm/provider']?.available === false)
  if (marked.length !== KNOWN || tools.length !== KNOWN + OWN) throw new Error(`${tools.length} tools, ${marked.length} of them marked; ${KNOWN} expected`)
}

/** Makes `to` what `from` is, sockets left out. */
function copy (from: string, to: string): void {
  rmSync(to, { recursive: true, force: true })
  cpSync(from, to, { recursive: true, preserveTimestamps: true, filter: path => !lstatSync(path).isSocket() })
}
