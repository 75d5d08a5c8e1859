/**
 * Runs the deterministic simulation of shared documents, one world per seed; ends at the first that fails, with its trace.
 *
 *   npm run simulate                                seeds 1 to 200
 *   npm run simulate -- --seed 4127                 that one, with its trace
 *   npm run simulate -- --seed 1 --seeds 20000      that many, from there on
 *
 * Each seed that is 1 more than a multiple of 50 is run twice: the traces must be equal.
 */
import { parseArgs } from 'node:util'
import { simulate, type Outcome } from '../lib/simulate/world.ts'

const REPLAY_EVERY = 50

const { values } = parseArgs({ options: { seed: { type: 'string' }, seeds: { type: 'string' }, replicas: { type: 'string' }, loss: { type: 'string' } } })
const first = numberOf(values.seed, 1)
const count = numberOf(values.seeds, values.seed === undefined ? 200 : 1)
const options = { replicas: numberOf(values.replicas, 5), loss: numberOf(values.loss, 0.3) }

const startedMs = performance.now()
const sums = { virtualMs: 0, events: 0, edits: 0, acknowledged: 0, crashes: 0, sent: 0, lost: 0, alarms: 0 }
let failed: Outcome | undefined
let done = 0
for (let seed = first; seed < first + count && failed === undefined; seed++) {
  const outcome = run(seed)
  done++
  for (const name of ['virtualMs', 'events', 'edits', 'acknowledged', 'crashes', 'sent', 'lost'] as const) sums[name] += outcome[name]
  sums.alarms += outcome.alarms.length
}
const seconds = (performance.now() - startedMs) / 1000
console.log(`${done} seeds in ${seconds.toFixed(1)} s: ${(sums.virtualMs / 3_600_000).toFixed(1)} virtual hours, ${sums.events} events, ${sums.edits} edits, ` +
  `${sums.acknowledged} acknowledged, ${sums.crashes} crashes, ${sums.lost} of ${sums.sent} messages lost, ${sums.alarms} alarms`)
if (failed === undefined) console.log('all converge, byte-equal, with everything acknowledged')
else {
  const { lines, failure, seed, kind, trace } = simulate({ ...options, seed: failed.seed, keepsTrace: true })
  console.log(lines.join('\n'))
  console.log(`seed ${seed} (${kind}): ${failure ?? failed.failure}; trace ${trace}`)
  process.exitCode = 1
}

function run (seed: number): Outcome {
  const outcome = simulate({ ...options, seed, keepsTrace: values.seed !== undefined && count === 1 })
  if (outcome.lines.length > 0) console.log(outcome.lines.join('\n'))
  const isReplayed = seed % REPLAY_EVERY === 1 || count === 1
  if (outcome.failure !== undefined) failed = outcome
  else if (isReplayed && simulate({ ...options, seed }).trace !== outcome.trace) failed = { ...outcome, failure: 'a replay took another course' }
  return outcome
}

function numberOf (text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text)
  if (Number.isFinite(number)) return number
  console.error(`${text} is no number`)
  process.exit(2)
}
