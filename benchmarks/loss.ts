/** How soon a provider is out of routing after `kill -9`, and after SIGSTOP; and how calls to a frozen one end. */
import { PeerProcess, isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const rounds = isSmoke ? 1 : 5
const TIMEOUT_MS = 1_000

const killed: number[] = []
const frozen: number[] = []
const ends: { readonly code: string, readonly tookMs: number }[] = []
for (let round = 0; round < rounds; round++) {
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    const { env } = temporaryUser()
    const [provider, caller] = [new PeerProcess(env), new PeerProcess(env)]
    await provider.ask('join', { name: 'provider' })
    await provider.ask('offer')
    await caller.ask('join', { name: 'caller' })
    await caller.ask('callable')
    const sinceMs = Date.now()
    const gone = caller.ask<number>('gone', { name: 'provider', sinceMs })
    provider.kill(signal)
    if (signal === 'SIGSTOP') ends.push(await caller.ask('call', { timeoutMs: TIMEOUT_MS }))
    ;(signal === 'SIGKILL' ? killed : frozen).push(await gone)
    provider.kill('SIGKILL')
    await caller.end()
  }
}

console.log(`loss: ${rounds} providers killed, ${rounds} frozen`)
report('killed (SIGKILL): out of routing, median / worst', `${ms(quantile(killed, 0.5))} / ${ms(Math.max(...killed))}`, 'bar 1,000 ms')
report('frozen (SIGSTOP): out of routing, median / worst', `${ms(quantile(frozen, 0.5))} / ${ms(Math.max(...frozen))}`, 'bar 10,000 ms')
report(`call of a frozen provider, time-out ${TIMEOUT_MS} ms: ends`, `${[...new Set(ends.map(({ code }) => code))].join(', ')} after ${ms(quantile(ends.map(({ tookMs }) => tookMs), 0.5))}`, 'bar INDETERMINATE by its deadline')
process.exit(0)
