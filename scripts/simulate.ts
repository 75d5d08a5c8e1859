/**
 * Runs the deterministic simulation of shared documents, one world per seed; ends at the first that fails, with its trace.
 *
 *   npm run simulate                                seeds 1 to 200
 *   npm run simulate -- --seed 4127                 that one, with its trace
 *   npm run simulate -- --seed 1 --seeds 20000      that many, from there on
 *   npm run simulate -- --kind parted               only worlds of that kind: see lib/simulate/outcome.ts
 *
 * Each seed that is 1 more than a multiple of 50 is run twice: the traces must be equal. Seeds are shared out to as many
 * processes as there are cores.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { KINDS, type Kind, type Outcome } from '../lib/simulate/outcome.ts'
import { simulate } from '../lib/simulate/world.ts'

const REPLAY_EVERY = 50

/** Seeds that a process runs before it asks for more. */
const SHARE = 20

const SUMS = ['virtualMs', 'events', 'edits', 'acknowledged', 'crashes', 'lies', 'sent', 'lost'] as const
interface Report { readonly seeds: number, readonly sums: Record<typeof SUMS[number] | 'alarms' | 'replays', number>, readonly failed?: { readonly seed: number, readonly failure: string } }

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, replicas: { type: 'string' }, loss: { type: 'string' }, kind: { type: 'string' }, share: { type: 'boolean' } }
})
const kind = KINDS.find(kind => kind === values.kind)
if (values.kind !== undefined && kind === undefined) exit(`${values.kind} is no kind of world: ${KINDS.join(', ')}`)
const options: { replicas: number, loss: number, kind?: Kind } = { replicas: numberOf(values.replicas, 5), loss: numberOf(values.loss, 0.3), ...kind === undefined ? {} : { kind } }
const first = numberOf(values.seed, 1)
const count = numberOf(values.seeds, values.seed === undefined ? 200 : 1)

if (values.share === true) serve()
else if (count === 1) show(first)
else await runAll()

/** Runs the shares that the parent asks for. */
function serve (): void {
  process.on('message', ({ from, seeds }: { from: number, seeds: number }) => { process.send?.(runShare(from, seeds)) })
}

function runShare (from: number, seeds: number): Report {
  const sums = { virtualMs: 0, events: 0, edits: 0, acknowledged: 0, crashes: 0, lies: 0, sent: 0, lost: 0, alarms: 0, replays: 0 }
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = simulate({ ...options, seed })
    for (const name of SUMS) sums[name] += outcome[name]
    sums.alarms += outcome.alarms.length
    const failure = outcome.failure ?? (seed % REPLAY_EVERY === 1 ? differenceOnReplay(outcome) : undefined)
    if (seed % REPLAY_EVERY === 1) sums.replays++
    if (failure !== undefined) return { seeds: seed - from + 1, sums, failed: { seed, failure } }
  }
  return { seeds, sums }
}

function differenceOnReplay ({ seed, trace }: Outcome): string | undefined {
  return simulate({ ...options, seed }).trace === trace ? undefined : 'a replay took another course'
}

async function runAll (): Promise<void> {
  const startedMs = performance.now()
  const reports: Report[] = []
  let next = first
  const isOver = (): boolean => next >= first + count || reports.some(({ failed }) => failed !== undefined)
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), Math.ceil(count / SHARE)) }, async () => {
    const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--share'], { execArgv: process.execArgv })
    const ended = once(child, 'exit').then(() => { throw new Error('a process of the simulation has ended') })
    ended.catch(() => { next = Infinity })
    while (!isOver()) {
      const from = next
      next += SHARE
      child.send({ from, seeds: Math.min(SHARE, first + count - from) })
      const [report] = await Promise.race([once(child, 'message'), ended]) as [Report]
      reports.push(report)
    }
    child.disconnect()
  }))
  const sum = (name: keyof Report['sums']): number => reports.reduce((sum, { sums }) => sum + sums[name], 0)
  const seeds = reports.reduce((sum, { seeds }) => sum + seeds, 0)
  console.log(`${seeds} seeds in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${(sum('virtualMs') / 3_600_000).toFixed(1)} virtual hours, ` +
    `${sum('events')} events, ${sum('edits')} edits, ${sum('acknowledged')} acknowledged, ${sum('crashes')} crashes, ${sum('lies')} after which a disk had lied, ` +
    `${sum('lost')} of ${sum('sent')} messages lost, ${sum('alarms')} alarms`)
  const failed = reports.flatMap(({ failed }) => failed ?? []).sort((left, right) => left.seed - right.seed)[0]
  if (failed === undefined) console.log(`all converge, byte-equal, with everything acknowledged; ${sum('replays')} replays took the same course`)
  else {
    console.log(failed.failure)
    show(failed.seed)
    process.exitCode = 1
  }
}

/** Runs one seed twice and shows what happened. */
function show (seed: number): void {
  const outcome = simulate({ ...options, seed, keepsTrace: true })
  const failure = outcome.failure ?? differenceOnReplay(outcome)
  console.log(outcome.lines.join('\n'))
  console.log(`seed ${seed} (${outcome.kind}): ${failure ?? `equal ${outcome.healMs} ms after all was mended, at most ${outcome.pulls} pulls a peer`}; trace ${outcome.trace}`)
  if (failure !== undefined) process.exitCode = 1
}

function numberOf (text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text)
  return Number.isFinite(number) ? number : exit(`${text} is no number`)
}

function exit (why: string): never {
  console.error(why)
  process.exit(2)
}
