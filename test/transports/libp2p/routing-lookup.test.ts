/** One lookup among peers that answer, keep silent, or name others that are not there. */
import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { ASKS_MAX, AWAITED, NARROW, UNHURRIED, lookup } from '../../../transports/libp2p/routing-lookup.ts'
import { REPLICAS } from '../../../transports/libp2p/routing-table.ts'
import { VirtualClock } from '../../support/clock.ts'

const someone = (): PeerId => peerIdFromString(generateKey(systemRandom).peerId)
const infos = (peers: readonly PeerId[]): PeerInfo[] => peers.map(id => ({ id, multiaddrs: [] }))
const TARGET = systemRandom.bytes(32)

interface Scene { readonly clock: VirtualClock, readonly asked: string[], readonly run: (start: readonly PeerId[], signal?: AbortSignal) => Promise<{ readonly found: string[], readonly tookMs: number }> }

/** @param answer whom a peer names, undefined for one that is not there, null for one that never answers */
function scene (answer: (peer: PeerId) => readonly PeerId[] | undefined | null, mayTry: (peer: PeerId, namedBy: PeerId) => boolean = () => true): Scene {
  const clock = new VirtualClock()
  const asked: string[] = []
  const run: Scene['run'] = async (start, signal = new AbortController().signal) => {
    let tookMs: number | undefined
    const looking = lookup({
      target: TARGET, own: someone(), clock, start, signal, pace: AWAITED,
      mayTry: ({ id }, namedBy) => mayTry(id, namedBy),
      ask: async (peer, signal) => {
        asked.push(peer.toString())
        const named = answer(peer)
        if (named === undefined) throw new Error('nobody there')
        if (named === null) await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true }) })
        return { closer: infos(named ?? []) }
      }
    }).finally(() => { tookMs = clock.nowMs() })
    looking.catch(() => undefined)
    for (let step = 0; step < 1_000 && tookMs === undefined; step++) await clock.advance(10)
    return { found: (await looking).map(String), tookMs: tookMs ?? Infinity }
  }
  return { clock, asked, run }
}

test('in a swarm of up to so many peers everybody is asked, also along a line', async () => {
  const line = Array.from({ length: REPLICAS }, someone)
  const { asked, run } = scene(peer => line.filter((_, index) => Math.abs(index - line.findIndex(each => each.equals(peer))) === 1))
  const { found } = await run(line.slice(0, 1))
  assert.equal([new Set(asked).size, asked.length, new Set(found).size], [REPLICAS, REPLICAS, REPLICAS])
})

test('those that are slow hold nobody up, and are not waited for when the others have answered', async () => {
  // So many are asked at once: some rounds until the silent ones are known to be slow, and then what they are waited for.
  const [silent, honest] = [Array.from({ length: 7 }, someone), Array.from({ length: 6 }, someone)]
  const { asked, run } = scene(peer => silent.includes(peer) ? null : honest)
  const { found, tookMs } = await run([...silent, honest[0] as PeerId])
  assert.equal(new Set(found), new Set(honest.map(String)))
  assert.ok(tookMs <= Math.ceil(silent.length / AWAITED.asksAtOnce) * AWAITED.slowMs + AWAITED.lastMs, `${tookMs} ms`)
  assert.is(asked.length, silent.length + honest.length)
})

test('whatever is named, so many are asked', async () => {
  const { asked, run } = scene(() => Array.from({ length: 50 }, someone))
  await run([someone()])
  assert.ok(asked.length <= ASKS_MAX && asked.length > REPLICAS, `${asked.length} asks`)
})

test('of one answer so many peers are taken', async () => {
  const named: PeerId[] = []
  const first = someone()
  const { run } = scene(peer => peer === first ? Array.from({ length: 100 }, someone) : [], peer => {
    named.push(peer)
    return false
  })
  await run([first])
  assert.is(named.length, REPLICAS + 1)
})

test('a peer that was not where a liar said is asked when another says where it is', async () => {
  const [liar, honest, peer] = [someone(), someone(), someone()]
  const asked: string[] = []
  let isTold = false
  const clock = new VirtualClock()
  const looking = lookup({
    target: TARGET, own: someone(), clock, start: [liar, honest], signal: new AbortController().signal, pace: AWAITED, mayTry: () => true,
    ask: async each => {
      asked.push(each.toString())
      if (each.equals(liar)) return { closer: infos([peer]) }
      if (each.equals(honest)) { // answers after the dial on the liar's word has failed
        await new Promise<void>(resolve => { clock.after(200, resolve) })
        isTold = true
        return { closer: infos([peer]) }
      }
      if (!isTold) throw new Error('nobody there')
      return { closer: [] }
    }
  })
  await clock.advance(1_000)
  assert.ok((await looking).some(each => each.equals(peer)))
  assert.is(asked.filter(each => each === peer.toString()).length, 2)
})

for (const [name, pace] of Object.entries({ AWAITED, NARROW, UNHURRIED })) {
  test(`a lookup that is ${name} asks so many at once`, async () => {
    const clock = new VirtualClock()
    let [asking, most] = [0, 0]
    const looking = lookup({
      target: TARGET, own: someone(), clock, start: Array.from({ length: REPLICAS }, someone), signal: new AbortController().signal, pace, mayTry: () => true,
      ask: async () => {
        most = Math.max(most, ++asking)
        await new Promise<void>(resolve => { clock.after(100, resolve) })
        asking -= 1
        return { closer: [] }
      }
    })
    await clock.advance(1_000)
    assert.is((await looking).length, REPLICAS)
    assert.is(most, pace.asksAtOnce)
  })
}

test('of those known to be there a narrow lookup asks the nearest alone; of others everybody, so that nobody who is made up is told anything', async () => {
  const [linked, real, madeUp] = [6, 2, 4].map(count => Array.from({ length: count }, someone)) as [PeerId[], PeerId[], PeerId[]]
  const asked: string[] = []
  const clock = new VirtualClock()
  const looking = lookup({
    target: TARGET, own: someone(), clock, start: linked, signal: new AbortController().signal, pace: NARROW, mayTry: () => true,
    isKnown: peer => linked.includes(peer),
    ask: async peer => {
      asked.push(peer.toString())
      if (madeUp.some(each => each.equals(peer))) throw new Error('nobody there')
      return { closer: infos([...real, ...madeUp]) }
    }
  })
  await clock.advance(1_000)
  const found = new Set((await looking).map(String))
  assert.equal(found, new Set([...linked, ...real].map(String)))
  assert.ok(real.every(peer => asked.includes(peer.toString())), 'whoever was only named')
  const known = linked.filter(peer => asked.includes(peer.toString())).length
  assert.ok(known >= 1 && known <= NARROW.width, `${known} of those that are linked`)
})

test('ends with its signal', async () => {
  const giveUp = new AbortController()
  const { clock, run } = scene(() => null)
  clock.after(50, () => { giveUp.abort(new Error('given up')) })
  await run([someone()], giveUp.signal).then(() => assert.unreachable('it was given up'), (error: unknown) => { assert.match(String(error), /given up/) })
})

test.run()
