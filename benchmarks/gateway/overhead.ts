/** What the gateway adds to a call: the same tool of another peer, by `swarm.call` and by a client on stdio, in turns, one call at a time. */
import { joinSwarm } from 'mcp-swarm'
import { isSmoke, ms, quantile, report, temporaryUser } from '../rig.ts'
import { StdioClient, type Revision } from './client.ts'
import { startProviders } from './processes.ts'

const ROUNDS = isSmoke ? 2 : 20
const CALLS = isSmoke ? 10 : 100
const TOOL = 'echo_0'

export async function measureOverhead (): Promise<void> {
  const { home, env } = temporaryUser()
  Object.assign(process.env, env)
  const provider = await startProviders(env, 1, 0)
  const swarm = await joinSwarm({ name: 'caller' })
  await swarm.offered({ tool: TOOL })
  const gateways = await Promise.all((['2025-11-25', '2026-07-28'] as const).map(async revision => await open(revision, `${home}/${revision}`, env)))
  const ways: readonly (readonly [string, (text: string) => Promise<unknown>])[] = [
    ['swarm.call', async text => await swarm.call(TOOL, { text })],
    ...gateways.map(([revision, client]) => [`gateway on stdio, ${revision}`, async (text: string) => await client.call(TOOL, { text })] as const)
  ]
  const took = ways.map((): number[] => [])
  for (let round = -1; round < ROUNDS; round++) { // the first warms up
    for (const [index, [way, call]] of ways.entries()) {
      for (let count = 0; count < CALLS; count++) {
        const [text, askedMs] = [`${round} ${count}`, performance.now()]
        const answer = await call(text)
        if (round >= 0) took[index]?.push(performance.now() - askedMs)
        if (!JSON.stringify(answer).includes(`"text":"${text}"`)) throw new Error(`${way}: ${JSON.stringify(answer)}`)
      }
    }
  }
  console.log(`overhead: ${ROUNDS} times ${CALLS} calls of each, one at a time, in turns`)
  const direct = quantile(took[0] ?? [], 0.5)
  for (const [index, [way]] of ways.entries()) {
    const values = took[index] ?? []
    const p50 = quantile(values, 0.5)
    report(`${way}: p50 / p99`, `${ms(p50)} / ${ms(quantile(values, 0.99))}`, '')
    if (index > 0) report(`${way}: added to swarm.call, p50`, `${ms(p50 - direct)} (${(p50 / direct).toFixed(2)} times)`, 'bar 1 ms')
  }
  for (const [, client] of gateways) await client.end()
  await swarm.close()
  provider.kill('SIGKILL')
}

async function open (revision: Revision, dir: string, env: NodeJS.ProcessEnv): Promise<readonly [Revision, StdioClient]> {
  const client = new StdioClient(['connect', '--dir', dir], env, revision)
  await client.open()
  while (!(await client.tools()).some(({ name }) => name === TOOL)) await new Promise(resolve => { setTimeout(resolve, 20) })
  return [revision, client]
}
