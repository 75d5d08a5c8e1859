/** 300 calls at once to three peers, one of which answers two seconds late: none lost, none reset, the others unaffected. */
import { PeerProcess, isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const CALLS = 300
const LATE_MS = 2_000
const rounds = isSmoke ? 1 : 5

const { env } = temporaryUser()
const names = ['first', 'second', 'late']
const providers = names.map(() => new PeerProcess(env))
const caller = new PeerProcess(env)
for (const [index, provider] of providers.entries()) {
  await provider.ask('join', { name: names[index] })
  await provider.ask('offer', { delayMs: names[index] === 'late' ? String(LATE_MS) : '0' })
}
await caller.ask('join', { name: 'caller' })
await caller.ask('all', { count: names.length })

const ends: { readonly peer: string, readonly code: string, readonly tookMs: number }[] = []
for (let round = 0; round < rounds; round++) ends.push(...await caller.ask<typeof ends>('crowd', { peers: names.join(','), count: CALLS }))
const times = (late: boolean): number[] => ends.filter(({ peer }) => (peer === 'late') === late).map(({ tookMs }) => tookMs)

console.log(`crowd: ${rounds} times ${CALLS} calls at once, a third of them to a peer that answers ${LATE_MS} ms late`)
report('calls answered as they should be', `${ends.filter(({ code }) => code === 'ok').length} of ${ends.length}`, 'bar all')
report('the others, median / worst', `${ms(quantile(times(false), 0.5))} / ${ms(Math.max(...times(false)))}`, 'bar unaffected')
report('the late ones, median / worst', `${ms(quantile(times(true), 0.5))} / ${ms(Math.max(...times(true)))}`, '')
for (const peer of [caller, ...providers]) await peer.end()
process.exit(0)
