/**
 * Calls of a tool between two processes: how many a second, and how long each takes; and NATS request and reply with the
 * same payload in the same run, in turns, because figures of two runs on one machine do not compare.
 *
 * `npm run bench -- calls [--smoke]`. Nothing is asserted: a figure is a fact about a machine.
 */
import { load, median, type Load } from './calls/load.ts'
import { startNats } from './rivals/nats.ts'
import { startPeers, type Caller } from './calls/peer.ts'

const smoke = process.argv.includes('--smoke')
const ROUND_MS = smoke ? 200 : 2_000
const WARM_MS = smoke ? 200 : 1_500
const ROUNDS = smoke ? 1 : 5

const peers = await startPeers()
const nats = await startNats()
if (typeof nats === 'string') console.log(`NATS left out: ${nats}`)
const sides: readonly (readonly [string, Caller])[] = typeof nats === 'string' ? [['mcp-swarm', peers]] : [['mcp-swarm', peers], ['NATS', nats]]

try {
  for (const [, side] of sides) await load(side.call, 64, WARM_MS)
  for (const inFlight of [1, 64, 256]) {
    const rounds = sides.map((): Load[] => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, [, side]] of sides.entries()) rounds[index]?.push(await load(side.call, inFlight, ROUND_MS))
    }
    const results = rounds.map(median)
    for (const [index, [name]] of sides.entries()) print(name, inFlight, results[index])
    const [ours, theirs] = results
    if (ours !== undefined && theirs !== undefined) {
      console.log(`  ratio mcp-swarm / NATS at ${inFlight}: calls/s ${(ours.callsPerSecond / theirs.callsPerSecond).toFixed(2)}, p50 ${(ours.p50Ms / theirs.p50Ms).toFixed(2)}`)
    }
  }
} finally {
  for (const [, side] of sides) await side.stop()
}

function print (name: string, inFlight: number, result: Load | undefined): void {
  if (result === undefined) return
  const { callsPerSecond, p50Ms, p99Ms } = result
  console.log(`${name.padEnd(10)} ${String(inFlight).padStart(4)} in flight  ${callsPerSecond.toFixed(0).padStart(7)} calls/s  p50 ${p50Ms.toFixed(3)} ms  p99 ${p99Ms.toFixed(3)} ms`)
}
