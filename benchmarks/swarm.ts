/**
 * Swarms by size: how soon all know all, what a peer costs in memory, and what it costs to say nothing.
 *
 * On the memory network each size has a process of its own (swarm/memory.ts): all rows have the same window of virtual time. That of a
 * thousand peers takes some minutes, most of it for a million signatures, as each of its peers verifies the records of all others;
 * it is given up after ROW_MS_MAX. Over TCP on loopback peers are parted among a few processes (swarm/tcp.ts), and the clock is the real
 * one.
 *
 *   npm run bench -- swarm                               all of it: some fifteen minutes, and 5 GB
 *   node --import tsx benchmarks/swarm.ts start --why    a part of it, once it is built (memory, start, idle), and what stood in the way
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { IDLE_MS, rangeOf } from './swarm/peers.ts'
import type { Shown, Used } from './swarm/tcp.ts'
import { PeerProcess, isSmoke, ms, report, temporaryUser } from './rig.ts'

const SIZES = isSmoke ? [4, 18] : [10, 100, 1_000]
const TCP_START = 50
const TCP_IDLE = isSmoke ? 6 : 100
const PROCESSES = isSmoke ? 2 : 10

/** For a row on the memory network, and for a swarm over TCP to know itself. */
const ROW_MS_MAX = isSmoke ? 30_000 : 900_000
const WAIT_MS_MAX = isSmoke ? 30_000 : 120_000

/** Time for surplus links to be closed. */
const REST_MS = isSmoke ? 500 : 75_000

async function grow (size: number): Promise<void> {
  const child = spawn(process.execPath, [
    '--expose-gc', '--max-old-space-size=8192', '--import', 'tsx', fileURLToPath(new URL('./swarm/memory.ts', import.meta.url)), String(size), ...isSmoke ? ['--smoke'] : []
  ], { stdio: 'inherit' })
  const timer = setTimeout(() => { child.kill('SIGKILL') }, ROW_MS_MAX)
  const [code] = await once(child, 'exit') as [number | null]
  clearTimeout(timer)
  if (code !== 0) report(`${size} peers`, 'given up', 'bar all')
}

/** Peers over TCP, all at once, behind one address. */
async function crowd (size: number, isIdle: boolean): Promise<void> {
  const { env } = temporaryUser()
  const processes = Array.from({ length: PROCESSES }, () => new PeerProcess(env, './swarm/tcp.ts'))
  const all = async <Answer> (verb: string, what: Record<string, unknown> = {}): Promise<Answer[]> => await Promise.all(processes.map(async each => await each.ask<Answer>(verb, what)))
  await all('loaded')
  const used = async (): Promise<number> => (await all<Used>('used')).reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  const usedMs = await used() // to load the program is not a peer's
  const startMs = Date.now()
  const each = Math.ceil(size / PROCESSES)
  const begun = await Promise.all(processes.map(async (one, index) => await one.ask<number>('join', { first: index * each, count: Math.max(0, Math.min(each, size - index * each)) })))
  report(`${size} peers over TCP, one address, ${PROCESSES} processes: all began in`, ms(Math.max(...begun) - startMs), 'bar 1 s')
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => { timer = setTimeout(() => { resolve(undefined) }, WAIT_MS_MAX) })
  const whole = await Promise.race([all<number>('whole', { size }), late])
  clearTimeout(timer)
  const spent = await used() - usedMs
  report('  all joined, and know all / of the processor each', `${whole === undefined ? 'no' : ms(Math.max(...whole) - startMs)} / ${ms(spent / size)}`, 'bar all')
  const shown = await all<Shown>('show')
  const sum = (count: (of: Shown) => number): number => shown.reduce((total, of) => total + count(of), 0)
  report('  their directories', new Set(shown.flatMap(({ digests }) => digests)).size === 1 ? 'equal' : 'differ', 'bar equal')
  report('  refusals / of them not repaired', `${sum(({ refusals }) => refusals.length)} / ${sum(({ unrepaired }) => unrepaired)}`, 'bar 0 not repaired')
  report('  links each: fewest / mean / most', rangeOf(shown.flatMap(({ links }) => links)), '')
  if (process.argv.includes('--why')) console.log(counted(shown.flatMap(({ refusals }) => refusals)))
  if (isIdle) await idle(size, all)
  await Promise.all(processes.map(async one => { await one.end() }))
}

/** How often each text is there, the commonest first. */
function counted (texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort((left, right) => right[1] - left[1]).slice(0, 12).map(([text, count]) => `    ${count} × ${text}`).join('\n')
}

async function idle (size: number, all: <Answer> (verb: string) => Promise<Answer[]>): Promise<void> {
  const rest = async (lastsMs: number): Promise<void> => { await new Promise<void>(resolve => { setTimeout(resolve, lastsMs) }) }
  await rest(REST_MS)
  report('  links each, later: fewest / mean / most', rangeOf((await all<Shown>('show')).flatMap(({ links }) => links)), '')
  const before = await all<Used>('used')
  const startMs = performance.now()
  await rest(IDLE_MS)
  const after = await all<Used>('used')
  const lastedMs = performance.now() - startMs
  const spent = (of: (used: Used) => number): number => after.reduce((sum, used, index) => sum + of(used) - of(before[index] as Used), 0) / size / lastedMs
  report(`  idle for ${IDLE_MS / 1_000} s, each: sent, and as much received`, `${Math.round(spent(({ bytes }) => bytes) * 1_000)} B/s`, 'bar < 1 KB/s')
  report('  idle, each: of a core', `${(spent(({ cpuMs }) => cpuMs) * 100).toFixed(2)} %`, 'bar < 1 %')
}

const parts = process.argv.slice(2).filter(word => !word.startsWith('--'))
const isChosen = (part: string): boolean => parts.length === 0 || parts.includes(part)
if (isChosen('memory')) for (const size of SIZES) await grow(size)
if (isChosen('start') && !isSmoke) await crowd(TCP_START, false) // the other does all that this one does
if (isChosen('idle')) await crowd(TCP_IDLE, true)
process.exit(0)
