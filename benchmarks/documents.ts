/** Shared documents between two processes over TCP, with LevelDB and every change flushed to disk before it is shown. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Document } from 'mcp-swarm'
import { Lab } from 'mcp-swarm/testing'
import { PeerProcess, isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const edits = isSmoke ? 50 : 1_000
/** Edits until V8 has compiled what they run through. */
const warmup = isSmoke ? 50 : 3_000
const burst = isSmoke ? 2_000 : 100_000
const entries = isSmoke ? 2_000 : 100_000
/** Edits on each side of a partition, and how long it lasts in milliseconds. */
const apart = isSmoke ? 100 : 1_000
const apartMs = isSmoke ? 1_000 : 10_000
const rounds = isSmoke ? 1 : 5
/** Peers that have one document open. */
const crowd = isSmoke ? 10 : 100

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

/** Edits one after the other, 5 ms apart: of peers that have just started, and of the same ones later. @returns milliseconds of each */
async function latency (): Promise<{ readonly early: readonly number[], readonly late: readonly number[] }> {
  const [here, there] = await pair()
  await Promise.all([here.ask('open'), there.ask('open')])
  await here.ask('fill', { count: '1' })
  await there.ask('filled', { count: '1' })
  const run = async (count: number): Promise<readonly number[]> => {
    const found = there.ask<number[]>('latencies')
    await here.ask('edits', { count: String(count), everyMs: '5' })
    return await found
  }
  await run(50)
  const early = await run(edits)
  await run(warmup)
  const late = await run(edits)
  await end([here, there])
  return { early, late }
}

/** The same way without all that is ours: see floor.ts. @returns milliseconds of each */
async function floor (): Promise<readonly number[]> {
  const { home, env } = temporaryUser()
  const [here, there] = [new PeerProcess(env, './documents/floor.ts'), new PeerProcess(env, './documents/floor.ts')]
  const port = await there.ask<number>('listen', { key: await here.ask<string>('key') })
  await here.ask('send', { port: String(port), file: join(home, 'log'), count: String(50 + edits), everyMs: '5' })
  const found = await there.ask<number[]>('latencies', { count: String(50 + edits) })
  await end([here, there])
  return found.slice(50)
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

async function fresh (): Promise<{ seenMs: number, tookMs: number, aloneMs: number }> {
  const [here, there] = await pair()
  await here.ask('open')
  await here.ask('fill', { count: String(entries) })
  const took = await there.ask<{ seenMs: number, tookMs: number }>('filled', { count: String(entries) })
  const aloneMs = await there.ask<number>('alone')
  await end([here, there])
  return { ...took, aloneMs }
}

/** Both sides edit while they are apart, in one process; answers how long after both are connected again they are equal. */
async function healing (): Promise<number> {
  setInterval(() => {}, 1_000) // peers in memory keep no process alive
  await using lab = new Lab()
  const [here, there] = await Promise.all([lab.join('here'), lab.join('there')])
  const [left, right] = await Promise.all([here.document('bench'), there.document('bench')])
  left.set('entries/first', 0)
  await left.synced()
  lab.hub.cut(here.peerId, there.peerId)
  for (let number = 0; number < apart; number++) {
    left.set(`entries/here ${number}`, number)
    right.set(`entries/there ${number}`, number)
  }
  await new Promise(resolve => { setTimeout(resolve, apartMs) })
  lab.hub.heal(here.peerId, there.peerId)
  const isMet = (): boolean => here.status().peers.some(({ connected }) => connected)
  while (!isMet()) await new Promise(resolve => { setImmediate(resolve) })
  const healedMs = performance.now()
  const sizeOf = (document: typeof left): number => document.ydoc.getMap('entries').size
  while (sizeOf(left) < 2 * apart + 1 || sizeOf(right) < 2 * apart + 1) await new Promise(resolve => { setImmediate(resolve) })
  return performance.now() - healedMs
}

/** Many peers in one process: how long an edit of one takes until it is at all, of several; and one edit of each, made at once. In milliseconds. */
async function spread (): Promise<{ readonly one: readonly number[], readonly each: number }> {
  await using lab = new Lab()
  const swarms = await Promise.all(Array.from({ length: crowd }, async (_, index) => await lab.join(`peer${index}`)))
  const documents = await Promise.all(swarms.map(async swarm => await swarm.document('bench')))
  const untilAll = async (edit: () => void, claim: (document: Document) => boolean): Promise<number> => {
    const startMs = performance.now()
    edit()
    while (!documents.every(claim)) await new Promise(resolve => { setTimeout(resolve, 1) })
    return performance.now() - startMs
  }
  const one: number[] = []
  for (let count = 0; count < (isSmoke ? 3 : 20); count++) {
    one.push(await untilAll(() => { documents[count * 7 % crowd]?.set(`entries/${count}`, count) }, document => document.get(`entries/${count}`) === count))
  }
  const each = await untilAll(() => { documents.forEach((document, index) => { document.set(`each/${index}`, index) }) }, document => document.ydoc.getMap('each').size === crowd)
  return { one, each }
}

/** What the disk alone takes for a change: a small write at the end of a file, flushed. @returns milliseconds of each */
async function flushes (): Promise<readonly number[]> {
  const file = await open(join(temporaryUser().home, 'alone'), 'wx')
  const took: number[] = []
  for (let count = 0; count < edits; count++) {
    const startMs = performance.now()
    await file.write(new Uint8Array(200))
    await file.datasync()
    took.push(performance.now() - startMs)
    await new Promise(resolve => { setTimeout(resolve, 5) })
  }
  await file.close()
  return took
}

const alone = await flushes()
report(`one flush of this disk alone, ${alone.length} times, p50 and p99`, `${ms(quantile(alone, 0.5))}, ${ms(quantile(alone, 0.99))}`, 'for scale')
const { early, late } = await latency()
for (const [what, latencies] of [[`the first ${edits} edits`, early], [`${edits} edits after ${50 + edits + warmup} others`, late]] as const) {
  report(`local edit to visible at another process, ${what}, p50`, ms(quantile(latencies, 0.5)), 'bar 2 ms')
  report('  the same, p99', ms(quantile(latencies, 0.99)), 'bar 10 ms')
}
const least = await floor()
report('  for comparison: one flush, TCP, a signature made and checked', `${ms(quantile(least, 0.5))}, ${ms(quantile(least, 0.99))}`, 'p50 and p99')
const rates: number[] = []
for (let round = 0; round < rounds; round++) rates.push(await bursts())
report(`two processes, ${burst.toLocaleString('en')} updates in a burst, median of ${rounds}`, `${Math.round(quantile(rates, 0.5)).toLocaleString('en')}/s`, 'bar 30,000/s')
const fills: Awaited<ReturnType<typeof fresh>>[] = []
for (let round = 0; round < rounds; round++) fills.push(await fresh())
report(`a new peer takes a document of ${entries.toLocaleString('en')} entries: its observers see them`, ms(quantile(fills.map(({ seenMs }) => seenMs), 0.5)), 'bar 500 ms')
report('  and it has been compared, so that what waits goes on', ms(quantile(fills.map(({ tookMs }) => tookMs), 0.5)), 'bar 500 ms')
report('  for comparison: Yjs alone writes and reads it', ms(quantile(fills.map(({ aloneMs }) => aloneMs), 0.5)), '')
report(`${apartMs / 1_000} s apart, ${apart} edits on each side: equal after they meet again`, ms(await healing()), 'bar 1,000 ms')
const { one, each } = await spread()
report(`${crowd} peers of one process: an edit of one is at all, median and worst of ${one.length}`, `${ms(quantile(one, 0.5))}, ${ms(Math.max(...one))}`, '')
report('  an edit of each, made at once, is at all', ms(each), '')
process.exit(0)
