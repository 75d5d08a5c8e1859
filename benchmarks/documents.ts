/** Shared documents between two processes over TCP, with LevelDB and every change flushed to disk before it is shown. */
import { join } from 'node:path'
import { PeerProcess, isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const edits = isSmoke ? 50 : 1_000
const burst = isSmoke ? 2_000 : 100_000
const entries = isSmoke ? 2_000 : 100_000
const rounds = isSmoke ? 1 : 5

/** Two peers that have met, with one document open at both. */
async function pair (): Promise<[PeerProcess, PeerProcess]> {
  const { home, env } = temporaryUser()
  const peers: [PeerProcess, PeerProcess] = [new PeerProcess(env, './documents/peer.ts'), new PeerProcess(env, './documents/peer.ts')]
  await Promise.all(peers.map(async (peer, index) => { await peer.ask('join', { dir: join(home, `peer${index}`), name: `peer${index}` }) }))
  await Promise.all(peers.map(async peer => { await peer.ask('met') }))
  return peers
}

async function end (peers: readonly PeerProcess[]): Promise<void> {
  await Promise.all(peers.map(async peer => { await peer.end() }))
}

async function latency (): Promise<readonly number[]> {
  const [here, there] = await pair()
  await Promise.all([here.ask('open'), there.ask('open')])
  await here.ask('fill', { count: '1' })
  await there.ask('filled', { count: '1' })
  const warm = there.ask('latencies')
  await here.ask('edits', { count: '50', everyMs: '5' })
  await warm
  const found = there.ask<number[]>('latencies')
  await here.ask('edits', { count: String(edits), everyMs: '5' })
  const latencies = await found
  await end([here, there])
  return latencies
}

async function bursts (): Promise<number> {
  const [here, there] = await pair()
  await Promise.all([here.ask('open'), there.ask('open')])
  await here.ask('fill', { count: '1' })
  await there.ask('filled', { count: '1' })
  const half = String(burst / 2)
  const seen = Promise.all([here.ask<number>('length', { list: 'there', count: half }), there.ask<number>('length', { list: 'here', count: half })])
  const starts = await Promise.all([here.ask<number>('burst', { list: 'here', count: half }), there.ask<number>('burst', { list: 'there', count: half })])
  const lastMs = Math.max(...await seen) - Math.min(...starts)
  await Promise.all([here.ask('synced'), there.ask('synced')])
  await end([here, there])
  return burst / lastMs * 1_000
}

async function fresh (): Promise<number> {
  const [here, there] = await pair()
  await here.ask('open')
  await here.ask('fill', { count: String(entries) })
  const tookMs = await there.ask<number>('filled', { count: String(entries) })
  await end([here, there])
  return tookMs
}

const latencies = await latency()
report(`local edit to visible at another process, ${latencies.length} edits, p50`, ms(quantile(latencies, 0.5)), 'bar 2 ms')
report('the same, p99', ms(quantile(latencies, 0.99)), 'bar 10 ms')
const rates: number[] = []
for (let round = 0; round < rounds; round++) rates.push(await bursts())
report(`two processes, ${burst.toLocaleString('en')} updates in a burst, median of ${rounds}`, `${Math.round(quantile(rates, 0.5)).toLocaleString('en')}/s`, 'bar 30,000/s')
const fills: number[] = []
for (let round = 0; round < rounds; round++) fills.push(await fresh())
report(`a new peer takes a document of ${entries.toLocaleString('en')} entries`, ms(quantile(fills, 0.5)), 'bar 500 ms')
process.exit(0)
