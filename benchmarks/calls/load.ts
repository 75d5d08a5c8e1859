/** Keeps a fixed number of calls in flight for a while, and tells how fast they were answered. */
import { systemClock } from 'mcp-swarm'

export interface Load {
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** @param inFlight calls kept under way; each asks again as soon as it is answered */
export async function load (call: () => Promise<unknown>, inFlight: number, durationMs: number): Promise<Load> {
  const tookMs: number[] = []
  const startMs = systemClock.nowMs()
  const endMs = startMs + durationMs
  await Promise.all(Array.from({ length: inFlight }, async () => {
    for (let nowMs = systemClock.nowMs(); nowMs < endMs;) {
      await call()
      const doneMs = systemClock.nowMs()
      tookMs.push(doneMs - nowMs)
      nowMs = doneMs
    }
  }))
  const elapsedMs = systemClock.nowMs() - startMs
  const sorted = Float64Array.from(tookMs).sort()
  return { callsPerSecond: tookMs.length / elapsedMs * 1_000, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
}

/** The middle of several rounds, measure by measure. */
export function median (loads: readonly Load[]): Load {
  const middle = (pick: (load: Load) => number): number => quantile(Float64Array.from(loads, pick).sort(), 0.5)
  return { callsPerSecond: middle(load => load.callsPerSecond), p50Ms: middle(load => load.p50Ms), p99Ms: middle(load => load.p99Ms) }
}

function quantile (sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}
