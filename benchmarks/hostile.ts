/** What a member gone bad can do to a peer's event loop: forged gaps, one message in which everything waits for everything, mutated updates. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import * as Y from 'yjs'
import { mergeAside } from '#aside'
import { clientOf } from '../crdt/author.ts'
import { REBUILD_MS_MIN, REBUILD_MS_PER_MIB } from '../crdt/pace.ts'
import { fromHex } from '../crdt/cursor.ts'
import { Digester, equalDigests } from '../crdt/digest.ts'
import { signEnvelope } from '../crdt/envelope.ts'
import { layOut, type Merged } from '../crdt/merge.ts'
import { Replica, type Effect } from '../crdt/replica.ts'
import { canonicalState, emptyDocument, encodeState } from '../crdt/state.ts'
import { CLIENTS_MAX } from '../crdt/update.ts'
import { equalBytes } from '../lib/base/bytes.ts'
import { systemClock } from '../lib/base/clock.ts'
import { seededRandom } from '../lib/base/random.ts'
import { generateKey } from '../lib/identity/key.ts'
import { forgeCircle, forgeGap, mutate } from '../lib/simulate/hostile.ts'
import { isSmoke, ms, quantile, report, threadCpuMs } from './rig.ts'

const GAPS = isSmoke ? 200 : 2_000
const MUTANTS = isSmoke ? 1_000 : 20_000
const CLIENTS = isSmoke ? 2_000 : CLIENTS_MAX
const YJS_GAPS = isSmoke ? 50 : 500
const ENTRIES = isSmoke ? 2_000 : 100_000

const document = '00112233445566778899aabbccddeeff'
const random = seededRandom(1)
const [honest, mallory] = [generateKey(random), generateKey(random)]
const client = clientOf(fromHex(document), mallory.publicKey, 0)
let sequence = 0

function victim (): Replica {
  const replica = new Replica({ document, swarmId: 'bench', signer: honest, random, doc: new Y.Doc(), makeDoc: emptyDocument, sequence: 0 })
  replica.doc.getText('text').insert(0, 'honest work')
  replica.doc.getMap('map').set('key', [1, { a: 'b' }])
  return replica
}

function signed (updates: Uint8Array[]): Uint8Array {
  return signEnvelope(mallory, 'bench', { document, incarnation: 0, sequence: ++sequence, previous: sequence - 1, keyId: 0, updates })
}

/** Runs each step in turn; how long the longest took, of that this thread alone, and all. */
function timed (steps: readonly (() => void)[]): string {
  const took = steps.map(step => {
    const [startMs, startCpuMs] = [performance.now(), threadCpuMs()]
    step()
    const cpuMs = threadCpuMs()
    return { wallMs: performance.now() - startMs, cpuMs: cpuMs === undefined || startCpuMs === undefined ? Number.NaN : cpuMs - startCpuMs }
  })
  const [walls, cpus] = [took.map(({ wallMs }) => wallMs), took.map(({ cpuMs }) => cpuMs)]
  return `${ms(quantile(walls, 1))}, CPU ${ms(quantile(cpus, 1))}, of ${ms(walls.reduce((sum, one) => sum + one, 0))}`
}

function isUntouched (replica: Replica, before: Uint8Array): string {
  return equalBytes(encodeState(replica.doc), before) ? 'document unchanged' : 'DOCUMENT CHANGED'
}

const gaps = Array.from({ length: GAPS }, (_, index) => forgeGap(client, 10_000 + 2_000 * index, 1_000))
let replica = victim()
let before = encodeState(replica.doc)
report(`${GAPS} forged gaps of 1 KB, an envelope each: longest of all`, timed(gaps.map(gap => {
  const envelope = signed([gap])
  return () => { replica.received(mallory.peerId, envelope, 0) }
})), `bar 100 ms; ${isUntouched(replica, before)}`)
const merged = Y.mergeUpdates(gaps)
report('  the same in one message of a peer that was asked', timed([() => {
  replica.message(mallory.peerId, have(merged), 0)
}]), `bar 100 ms; ${isUntouched(replica, before)}`)

const circle = forgeCircle(CLIENTS)
report(`${CLIENTS} clients that wait in a circle, ${(circle.byteLength / 2 ** 20).toFixed(1)} MiB: one message`, timed(Array.from({ length: 5 }, () => () => {
  replica.message(mallory.peerId, have(circle), 0)
})), `bar 100 ms; ${isUntouched(replica, before)}`)

const yjs = new Y.Doc()
const forClients = Array.from({ length: YJS_GAPS }, (_, index) => forgeGap(1_000 + index, 10_000, 1_000))
report(`  for comparison: Yjs alone, ${YJS_GAPS} gaps of as many clients`, timed([() => { for (const gap of forClients) Y.applyUpdate(yjs, gap) }]), '')

replica = victim()
before = encodeState(replica.doc)
const source = new Y.Doc()
source.clientID = client
const updates: Uint8Array[] = []
source.on('update', update => { updates.push(update) })
source.getText('text').insert(0, 'Grüße 😀')
source.getText('text').format(0, 3, { bold: true })
source.getMap('map').set('values', [1, -7, 2.5, true, null, 'ß', { deep: [[]] }])
source.getMap('map').set('inner', new Y.Map())
source.getMap('map').delete('values')
source.getArray('list').push([1, new Y.XmlElement('p'), Uint8Array.of(1, 2)])
let taken = 0
const figure = timed(Array.from({ length: MUTANTS }, () => {
  const mutant = mutate(updates[Math.floor(random.next() * updates.length)] as Uint8Array, random)
  const envelope = signed([mutant])
  return () => {
    const digest = replica.digest
    const { verdict } = replica.received(mallory.peerId, envelope, 0)
    // What is well-formed is her own text, as good as any other; it is taken whole, and a fresh victim takes its place.
    if (equalDigests(replica.digest, digest)) return
    if (verdict !== 'accept') report('  refused, and yet', 'DOCUMENT CHANGED', '')
    taken++
    replica = victim()
    before = encodeState(replica.doc)
  }
}))
report(`${MUTANTS} signed mutants: longest of all, signatures included`, figure, `bar 100 ms; ${taken} well-formed, of the rest none changed anything; ${isUntouched(replica, before)}`)
if (!equalBytes(canonicalState(before), before)) report('  the last document', 'is not what it says', '')

// Two say different things under one clientID and clock, in a large document: found out, merged, and made anew.
const base = new Y.Doc()
base.transact(() => { for (let number = 0; number < ENTRIES; number++) base.getMap('map').set(`key ${number}`, `value ${number}`) })
const branches = ['another', 'one'].map(word => {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, encodeState(base))
  doc.clientID = client
  doc.getMap('map').set('key', word)
  return doc
}) as [Y.Doc, Y.Doc]
const forked = new Replica({ document, swarmId: 'bench', signer: honest, random, doc: branches[0], makeDoc: emptyDocument, sequence: 0 })
const state = encodeState(branches[1])
const { digest } = new Digester(branches[1])
forked.ask(mallory.peerId) // a state comes where a digest was told
let begun: Effect[] = []
let one: Merged | undefined
const found = (): void => { begun = forked.message(mallory.peerId, { kind: 'state', digest, hop: 0, update: state }, 0) }
const put = (): void => { forked.merged(one, 0) }
report(`two branches of a document of ${ENTRIES.toLocaleString('en')} entries become one: found out`, timed([found]), `bar 100 ms; at most once in ${Math.round((REBUILD_MS_MIN + state.byteLength / 2 ** 20 * REBUILD_MS_PER_MIB) / 1_000)} s`)
const [merge] = begun
if (merge?.kind === 'merge') {
  const stalled = monitorEventLoopDelay({ resolution: 1 })
  const startMs = performance.now()
  stalled.enable()
  one = await mergeAside(systemClock)(merge.merging)
  stalled.disable()
  report('  merged aside, in', ms(performance.now() - startMs), `the event loop meanwhile late by at most ${ms(stalled.max / 1e6)}`)
  const steps = layOut(one, emptyDocument)
  const lay = (): void => {
    const step = steps.next()
    if (step.done === true) one = step.value
  }
  report('  laid out in slices: longest turn', timed(one.parts.map(() => lay)), 'bar 100 ms')
  report('  put in place, in one turn', timed([put]), 'bar 100 ms')
  report('  its digest, in a later turn', timed([() => forked.digest]), 'bar 100 ms')
}
report('  for comparison: Yjs alone, the document read once', timed([() => { Y.applyUpdate(new Y.Doc(), state) }]), '')

function have (update: Uint8Array): Parameters<Replica['message']>[1] {
  return { kind: 'have', vector: Uint8Array.of(0), digest: replica.digest, mark: 0, hop: 0, update }
}
process.exit(0)
