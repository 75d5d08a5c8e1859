/**
 * The log of documents: durable appends of many writers, opening with and without a snapshot, and what a million edits leave on disk
 * and in memory. Beside each figure stands what LevelDB or Yjs alone takes for the same, measured in the same run: on a busy machine
 * only the ratio of the two means anything.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import * as Y from 'yjs'
import { openWitness } from '#witness'
import { Committer, type Durability } from '../crdt/committer.ts'
import { documentKey } from '../crdt/name.ts'
import { documentOf, emptyDocument } from '../crdt/state.ts'
import { Wal, type Opened } from '../crdt/wal.ts'
import { systemClock } from '../lib/base/clock.ts'
import { openReopening } from '../lib/storage/reopen.ts'
import { isSmoke, ms, quantile, report, threadCpuMs } from './rig.ts'

const WRITERS = 1_000
const APPENDS = isSmoke ? 5_000 : 300_000
/** Of the floor: puts in one flushed batch, and bytes of each. */
const RAW_PUTS = 512
const RAW_BYTES = 100
const RECORDS = isSmoke ? 2_000 : 100_000
const EDITS = isSmoke ? 5_000 : 1_000_000
const KEYS = isSmoke ? 500 : 50_000
const FLUSHED = 500

const root = mkdtempSync(join(tmpdir(), 'mcp-swarm-wal-'))
process.once('exit', () => { rmSync(root, { recursive: true, force: true }) })

interface Peer { committer: Committer, close: () => Promise<void> }

async function openPeer (folder: string, durability: Durability = 'strict'): Promise<Peer> {
  const storage = await openReopening(folder)
  const witness = await openWitness(folder)
  const committer = new Committer({ storage, witness, clock: systemClock, durability })
  return { committer, close: async () => { await committer.close(); await witness?.close(); await storage.close() } }
}

/** What Yjs takes by itself, in one transaction. */
function yjsAlone ({ snapshot, updates }: Pick<Opened, 'snapshot' | 'updates'>): void {
  const document = new Y.Doc()
  document.transact(() => {
    if (snapshot !== undefined) Y.applyUpdate(document, snapshot)
    for (const { update } of updates) Y.applyUpdate(document, update)
  })
}

const diskBytes = (folder: string): number => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
/** What is held, where `--expose-gc` allows a collection: two, since the first only lets go of buffers. */
const heap = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Puts a second of LevelDB alone, in flushed batches one after the other. */
async function rawPuts (): Promise<number> {
  const level = new Level<string, Uint8Array>(join(root, 'raw'), { valueEncoding: 'view' })
  const value = crypto.getRandomValues(new Uint8Array(RAW_BYTES))
  const batches = isSmoke ? 5 : 300
  await level.open()
  const startMs = performance.now()
  for (let batch = 0; batch < batches; batch++) {
    await level.batch(Array.from({ length: RAW_PUTS }, (_, index) => ({ type: 'put', key: `${batch * RAW_PUTS + index}`.padStart(13, '0'), value })), { sync: true })
  }
  const tookMs = performance.now() - startMs
  await level.close()
  return batches * RAW_PUTS / tookMs * 1_000
}

async function appends (): Promise<void> {
  const raw = await rawPuts()
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
  const rate = APPENDS / tookMs * 1_000
  report(`durable appends, ${WRITERS} writers that each wait`, `${Math.round(rate).toLocaleString('en')}/s`, 'bar 50,000/s')
  report(`  LevelDB alone, flushed batches of ${RAW_PUTS} puts; ratio`, `${Math.round(raw).toLocaleString('en')}/s, ${(rate / raw).toFixed(1)}`, '')
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

/** What an application's edits leave behind: an entry each, or letters, which Yjs keeps together. */
const WORK = {
  entries: (document: Y.Doc, index: number) => { document.getMap('m').set(`key ${index}`, index) },
  letters: (document: Y.Doc, index: number) => { document.getText('t').insert(index, 'x') }
}

async function opens (runRecords: number, work: keyof typeof WORK): Promise<void> {
  const folder = join(root, `opens-${runRecords}-${work}`)
  const key = documentKey('d')
  let peer = await openPeer(folder, 'memory') // quicker, and the same bytes
  const { wal } = await Wal.open(key, { committer: peer.committer })
  const document = new Y.Doc()
  document.on('update', (update: Uint8Array) => { wal.append(update, '') })
  for (let index = 0; index < RECORDS; index++) {
    WORK[work](document, index)
    if (index % runRecords === 0) await wal.flushed()
  }
  await wal.flushed()
  await peer.close()
  for (const [what, bar] of [['its log', 'bar 1 s'], ['its snapshot', 'bar 100 ms']] as const) {
    const took: Record<'level' | 'log' | 'whole' | 'yjs', number[]> = { level: [], log: [], whole: [], yjs: [] }
    for (let round = 0; round < (isSmoke ? 1 : 5); round++) {
      peer = await openPeer(folder)
      const levelMs = performance.now()
      for await (const [name] of peer.committer.storage.entries('crdt/')) if (name === '') break
      const startMs = performance.now()
      const { snapshot, updates } = await Wal.open(key, { committer: peer.committer })
      const readMs = performance.now()
      documentOf(emptyDocument, snapshot, updates)
      const endMs = performance.now()
      yjsAlone({ snapshot, updates })
      took.level.push(startMs - levelMs)
      took.log.push(readMs - startMs)
      took.whole.push(endMs - startMs)
      took.yjs.push(performance.now() - endMs)
      await peer.close()
    }
    const median = (of: keyof typeof took): string => ms(quantile(took[of], 0.5))
    report(`open ${RECORDS} ${work}${runRecords === 1 ? ', each in a run of its own,' : ''} from ${what}`, median('whole'), bar)
    report('  of that to read and check; LevelDB alone; Yjs alone', `${median('log')}; ${median('level')}; ${median('yjs')}`, '')
    if (what !== 'its log') break
    peer = await openPeer(folder)
    const { wal } = await Wal.open(key, { committer: peer.committer })
    const { tookMs, longestMs, longestCpuMs } = await timed(async () => { await wal.compact() })
    report('  folded beside: took, longest turn, most CPU in a turn', `${ms(tookMs)}, ${ms(longestMs)}, ${longestCpuMs === undefined ? 'not known here' : ms(longestCpuMs)}`, 'bar 20 ms')
    await peer.close()
  }
}

async function timed (work: () => Promise<unknown>): Promise<{ tookMs: number, longestMs: number, longestCpuMs: number | undefined }> {
  const startMs = performance.now()
  let [lastMs, longestMs, done] = [startMs, 0, false]
  let [lastCpuMs, longestCpuMs] = [threadCpuMs(), undefined as number | undefined]
  const turn = (): void => {
    const [nowMs, cpuMs] = [performance.now(), threadCpuMs()]
    longestMs = Math.max(longestMs, nowMs - lastMs)
    if (cpuMs !== undefined && lastCpuMs !== undefined) longestCpuMs = Math.max(longestCpuMs ?? 0, cpuMs - lastCpuMs)
    ;[lastMs, lastCpuMs] = [nowMs, cpuMs]
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  done = true
  return { tookMs: performance.now() - startMs, longestMs, longestCpuMs }
}

async function soak (): Promise<void> {
  const folder = join(root, 'soak')
  const peer = await openPeer(folder)
  const { wal } = await Wal.open(documentKey('d'), { committer: peer.committer })
  let map = new Y.Map<number>()
  let [early, compactions] = [0, 0]
  const startMs = performance.now()
  for (let index = 1; index <= EDITS; index++) {
    if (index % KEYS === 1) {
      // A document keeps a trace of all that was overwritten in it: one anew each time, or its own memory would be all that one sees.
      const document = new Y.Doc()
      document.on('update', (update: Uint8Array) => { wal.append(update, '') })
      map = document.getMap('m')
    }
    map.set(`key ${index % KEYS}`, index)
    if (index % FLUSHED !== 0) continue
    await wal.flushed()
    if (index === EDITS / 10) early = heap()
    if (!wal.status().isLong) continue
    compactions++
    await wal.compact()
  }
  await wal.flushed()
  await wal.compact()
  const { snapshotBytes } = wal.status()
  report(`${EDITS} small edits of ${KEYS} keys, ${compactions} foldings`, ms(performance.now() - startMs), '')
  report('  live snapshot, disk after folding', `${mib(snapshotBytes)}, ${mib(diskBytes(folder))}`, 'bar 3 × the snapshot')
  report('  memory after a tenth, at the end', `${mib(early)}, ${mib(heap())}`, 'flat')
  await peer.close()
}

await appends()
await opens(10_000, 'entries')
await opens(10_000, 'letters')
await opens(1, 'entries')
await soak()
