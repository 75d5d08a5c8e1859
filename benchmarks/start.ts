/** How soon a peer is ready, and how soon the tools of another can be called: cold (nothing on disk) and warm. */
import { join } from 'node:path'
import { PeerProcess, isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const rounds = isSmoke ? 2 : 15

interface Round { readonly loadMs: number, readonly readyMs: number, readonly callableMs: number }

async function meet (env: NodeJS.ProcessEnv, home: string): Promise<Round> {
  const [provider, caller] = [new PeerProcess(env), new PeerProcess(env)]
  await provider.ask('join', { dir: join(home, 'provider'), name: 'provider' })
  await provider.ask('offer')
  const loadMs = await caller.ask<number>('loaded')
  const readyMs = await caller.ask<number>('join', { dir: join(home, 'caller'), name: 'caller' })
  const callableMs = await caller.ask<number>('callable')
  await Promise.all([provider.end(), caller.end()])
  return { loadMs, readyMs, callableMs }
}

const cold: Round[] = []
const warm: Round[] = []
for (let round = 0; round < rounds; round++) {
  const { home, env } = temporaryUser()
  cold.push(await meet(env, home))
  warm.push(await meet(env, home))
}

const median = (values: readonly Round[], pick: (round: Round) => number): string => ms(quantile(values.map(pick), 0.5))
console.log(`start: medians of ${rounds} pairs of processes`)
report('process started, library loaded (with tsx for the benchmark itself)', median(warm, round => round.loadMs), '')
report('warm: joinSwarm() ready', median(warm, round => round.readyMs), 'bar 150 ms')
report('warm: tools callable after the second peer is ready', median(warm, round => round.callableMs), 'bar 300 ms')
report('cold: joinSwarm() ready', median(cold, round => round.readyMs), '')
report('cold: tools callable, from the start of joinSwarm()', median(cold, round => round.readyMs + round.callableMs), 'bar 1,000 ms')
process.exit(0)
