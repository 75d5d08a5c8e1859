/** The log of documents: durable appends of many writers, opening with and without a snapshot, and what a million edits leave on disk and in memory. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Y from 'yjs'
import { openWitness } from '#witness'
import { Committer } from '../crdt/committer.ts'
import { documentKey } from '../crdt/name.ts'
import { Wal, type Opened } from '../crdt/wal.ts'
import { systemClock } from '../lib/base/clock.ts'
import { openReopening } from '../lib/storage/reopen.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const WRITERS = 1_000
const APPENDS = isSmoke ? 5_000 : 300_000
const RECORDS = isSmoke ? 2_000 : 100_000
const EDITS = isSmoke ? 5_000 : 1_000_000
const KEYS = isSmoke ? 500 : 50_000

const root = mkdtempSync(join(tmpdir(), 'mcp-swarm-wal-'))
process.once('exit', () => { rmSync(root, { recursive: true, force: true }) })

interface Peer { committer: Committer, close: () => Promise<void> }

async function openPeer (folder: string): Promise<Peer> {
  const storage = await openReopening(folder)
  const witness = await openWitness(folder)
  const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
  return { committer, close: async () => { await committer.close(); await witness?.close(); await storage.close() } }
}

function documentOf ({ snapshot, updates }: Opened): Y.Doc {
  const document = new Y.Doc()
  document.transact(() => {
    if (snapshot !== undefined) Y.applyUpdate(document, snapshot)
    for (const { update } of updates) Y.applyUpdate(document, update)
  })
  return document
}

const diskBytes = (folder: string): number => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const rss = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().rss
}

async function appends (): Promise<void> {
  const peer = await openPeer(join(root, 'appends'))
  const wals: Wal[] = []
  for (let index = 0; index < 10; index++) wals.push((await Wal.open(documentKey(`d${index}`), { committer: peer.committer })).wal)
  const update = crypto.getRandomValues(new Uint8Array(30))
  const waits: number[] = []
  const startMs = performance.now()
  await Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
    const wal = wals[writer % wals.length] as Wal
    for (let count = 0; count < APPENDS / WRITERS; count++) {
      const atMs = performance.now()
      wal.append(update, '')
      await wal.flushed()
      waits.push(performance.now() - atMs)
    }
  }))
  const tookMs = performance.now() - startMs
  report(`durable appends, ${WRITERS} writers that each wait`, `${Math.round(APPENDS / tookMs * 1_000).toLocaleString('en')}/s`, 'bar 50,000/s')
  report('  an append until it is durable: p50, p99', `${ms(quantile(waits, 0.5))}, ${ms(quantile(waits, 0.99))}`, '')
  const alone: number[] = []
  for (let count = 0; count < (isSmoke ? 20 : 500); count++) {
    const atMs = performance.now()
    wals[0]?.append(update, '')
    await wals[0]?.flushed()
    alone.push(performance.now() - atMs)
  }
  report('  one writer alone: p50, p99', `${ms(quantile(alone, 0.5))}, ${ms(quantile(alone, 0.99))}`, '')
  await peer.close()
}

async function opens (): Promise<void> {
  const folder = join(root, 'opens')
  const key = documentKey('d')
  let peer = await openPeer(folder)
  const { wal } = await Wal.open(key, { committer: peer.committer })
  const document = new Y.Doc()
  document.on('update', (update: Uint8Array) => { wal.append(update, '') })
  for (let index = 0; index < RECORDS; index++) {
    document.getMap('m').set(`key ${index}`, index)
    if (index % 10_000 === 0) await wal.flushed()
  }
  await wal.flushed()
  await peer.close()
  for (const [what, bar] of [['its log', 'bar 1 s'], ['its snapshot', 'bar 100 ms']] as const) {
    const [log, whole]: [number[], number[]] = [[], []]
    for (let round = 0; round < (isSmoke ? 1 : 5); round++) {
      peer = await openPeer(folder)
      const startMs = performance.now()
      const opened = await Wal.open(key, { committer: peer.committer })
      log.push(performance.now() - startMs)
      documentOf(opened)
      whole.push(performance.now() - startMs)
      await peer.close()
    }
    report(`open ${RECORDS} records from ${what}: read and checked`, ms(quantile(log, 0.5)), bar)
    report('  and applied to a Y.Doc', ms(quantile(whole, 0.5)), '')
    if (what !== 'its log') break
    peer = await openPeer(folder)
    const { wal } = await Wal.open(key, { committer: peer.committer })
    const { tookMs, longestMs } = await timed(async () => { await wal.compact() })
    report('  folded beside: took, longest turn of others', `${ms(tookMs)}, ${ms(longestMs)}`, 'bar 20 ms')
    await peer.close()
  }
}

async function timed (work: () => Promise<unknown>): Promise<{ tookMs: number, longestMs: number }> {
  const startMs = performance.now()
  let [lastMs, longestMs, done] = [startMs, 0, false]
  const turn = (): void => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  done = true
  return { tookMs: performance.now() - startMs, longestMs }
}

async function soak (): Promise<void> {
  const folder = join(root, 'soak')
  const peer = await openPeer(folder)
  const { wal } = await Wal.open(documentKey('d'), { committer: peer.committer })
  const document = new Y.Doc()
  document.on('update', (update: Uint8Array) => { wal.append(update, '') })
  let [early, diskMost, compactions] = [0, 0, 0]
  const startMs = performance.now()
  for (let index = 1; index <= EDITS; index++) {
    document.getMap('m').set(`key ${index % KEYS}`, index)
    if (index % 2_000 !== 0) continue
    await wal.flushed()
    diskMost = Math.max(diskMost, diskBytes(folder))
    if (index === EDITS / 10) early = rss()
    const { bytes, snapshotBytes } = wal.status()
    if (bytes > 4 * Math.max(2 ** 20, snapshotBytes)) {
      compactions++
      await wal.compact()
    }
  }
  await wal.flushed()
  await wal.compact()
  const { snapshotBytes } = wal.status()
  report(`${EDITS} edits of ${KEYS} keys, ${compactions} foldings`, ms(performance.now() - startMs), '')
  report('  live snapshot, disk after folding, most disk', `${mib(snapshotBytes)}, ${mib(diskBytes(folder))}, ${mib(diskMost)}`, 'bar 3 × the snapshot')
  report('  memory after a tenth, at the end', `${mib(early)}, ${mib(rss())}`, 'flat')
  await peer.close()
}

await appends()
await opens()
await soak()
