import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../../lib/base/bytes.ts'
import type { Connection, Gossip, Network } from '../../../lib/base/network.ts'
import { seededRandom, systemRandom } from '../../../lib/base/random.ts'
import { FAIR_WEATHER, RESEND_MS, SimulatedHub } from '../../../transports/simulated/simulated.ts'
import type { Weather } from '../../../transports/simulated/simulated.ts'
import { VirtualClock } from '../../support/clock.ts'
import { fails, never } from '../conformance/arena.ts'
import { readAll, sendText } from '../reading.ts'

const TOPIC = 'mcp-swarm/test/documents/1'
const seed = Math.floor(systemRandom.next() * 2 ** 32)
console.log(`\nnote: seed ${seed}`)

interface Peer { readonly network: Network, readonly gossip: Gossip, readonly seen: { word: string, atMs: number }[] }

interface World { readonly clock: VirtualClock, readonly hub: SimulatedHub, readonly peers: Peer[] }

/** Peers of which each is connected with each, in a topic, in fair weather; then the weather changes. */
async function world (count: number, weather: Partial<Weather> = {}, from = seed): Promise<World> {
  const clock = new VirtualClock()
  const hub = new SimulatedHub({ clock, random: seededRandom(from) })
  const peers: Peer[] = []
  for (let index = 0; index < count; index++) {
    const network = hub.network(`peer ${index}`)
    network.onConnection(connection => { connection.admit() })
    const gossip = await network.gossip()
    const seen: Peer['seen'] = []
    gossip.join(TOPIC, ({ bytes }) => {
      seen.push({ word: new TextDecoder().decode(bytes), atMs: clock.nowMs() })
      return 'accept'
    })
    for (const other of peers) await passing(clock, connect({ clock, hub, peers }, network, other.network))
    peers.push({ network, gossip, seen })
  }
  await clock.advance(100)
  for (const { gossip } of peers) assert.is(gossip.peers(TOPIC).length, count - 1)
  hub.weather = weather
  return { clock, hub, peers }
}

async function connect ({ clock }: World, a: Network, b: Network): Promise<Connection> {
  return await passing(clock, a.dial(b.peerId, b.addresses(), never()))
}

/** Lets time pass until work is done: 20 simulated seconds at most. */
async function passing<Value> (clock: VirtualClock, work: Promise<Value>): Promise<Value> {
  let isDone = false
  const done = work.finally(() => { isDone = true })
  done.catch(() => undefined) // the caller hears of it
  for (let passedMs = 0; !isDone && passedMs < 20_000; passedMs += 5) await clock.advance(5)
  assert.ok(isDone, 'done within 20 simulated seconds')
  return await done
}

/** What one peer saw of a hundred messages of another, over a simulated second. */
async function hundred ({ clock, peers }: World): Promise<string[]> {
  const [author, reader] = [peers[0] as Peer, peers[1] as Peer]
  for (let index = 0; index < 100; index++) {
    await author.gossip.publish(TOPIC, utf8(`${index}`))
    await clock.advance(10)
  }
  await clock.advance(1_000)
  return reader.seen.map(({ word }) => word)
}

const ALL = Array.from({ length: 100 }, (_, index) => `${index}`)

test('fair weather brings every message, in order, within the delays', async () => {
  const simulated = await world(2, { delayMs: [3, 30] })
  assert.equal(await hundred(simulated), ALL)
  const [author, reader] = simulated.peers as [Peer, Peer]
  const sentMs = simulated.clock.nowMs()
  await author.gossip.publish(TOPIC, utf8('last'))
  await simulated.clock.advance(100)
  const tookMs = (reader.seen.at(-1)?.atMs ?? 0) - sentMs
  assert.ok(tookMs >= 3 && tookMs <= 30, `${tookMs} ms`)
})

test('loss takes messages of gossip, and delays streams', async () => {
  const simulated = await world(2, { loss: 0.3 })
  const { clock, hub, peers } = simulated
  const count = (await hundred(simulated)).length
  assert.ok(count > 40 && count < 95, `${count} of 100`)
  hub.weather = { loss: 1 }
  const [a, b] = peers as [Peer, Peer]
  b.network.handle('/echo', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended () {}, closed () {} }) })
  const connection = await connect(simulated, a.network, b.network)
  const startMs = clock.nowMs()
  const stream = await passing(clock, connection.open('/echo', never()))
  const heard = readAll(stream)
  for (let index = 0; index < 20; index++) sendText(stream, `${index} `)
  await clock.advance(5_000)
  assert.is(heard.text(), Array.from({ length: 20 }, (_, index) => `${index} `).join(''))
  assert.ok(clock.nowMs() - startMs >= 2 * RESEND_MS)
})

test('all gossip lost is all gossip lost, until the weather changes', async () => {
  const simulated = await world(3, { loss: 1 })
  assert.equal(await hundred(simulated), [])
  simulated.hub.weather = FAIR_WEATHER
  assert.equal(await hundred(simulated), ALL)
})

test('duplication shows messages twice, and invents none', async () => {
  const seen = await hundred(await world(2, { duplication: 0.3 }))
  assert.ok(seen.length > 105 && seen.length < 160, `${seen.length} of 100`)
  assert.equal(new Set(seen).size, 100)
  assert.ok(ALL.every(word => seen.filter(other => other === word).length <= 2))
})

test('reordering mixes messages, and loses none', async () => {
  const seen = await hundred(await world(2, { reordering: 0.3, delayMs: [1, 20] }))
  assert.is(seen.length, 100)
  assert.not.equal(seen, ALL)
  assert.equal(seen.toSorted((left, right) => Number(left) - Number(right)), ALL)
})

test('breaking ends connections, which can be made again', async () => {
  const simulated = await world(2)
  const { clock, hub, peers: [a, b] } = simulated as World & { peers: [Peer, Peer] }
  const first = await connect(simulated, a.network, b.network)
  let isClosed = false
  first.onClose(() => { isClosed = true })
  hub.weather = { breaking: 1 }
  const opening = first.open('/none', never()).then(() => 'opened', () => 'failed')
  await clock.advance(100)
  assert.ok(isClosed)
  assert.is(await opening, 'failed')
  hub.weather = FAIR_WEATHER
  assert.is.not((await connect(simulated, a.network, b.network)).id, first.id)
  await clock.advance(100)
  assert.equal(await hundred(simulated), ALL)
})

test('cut parts two peers, and heal lets them meet again; others carry gossip between them', async () => {
  const simulated = await world(3)
  const { hub, clock, peers: [a, b] } = simulated as World & { peers: [Peer, Peer, Peer] }
  hub.cut(a.network.peerId, b.network.peerId)
  await clock.advance(10)
  await fails('UNREACHABLE', /nothing listens/, connect(simulated, a.network, b.network))
  assert.is(a.gossip.peers(TOPIC).length, 1)
  assert.equal((await hundred(simulated)).toSorted(), ALL.toSorted())
  hub.heal(a.network.peerId, b.network.peerId)
  await connect(simulated, a.network, b.network)
  await clock.advance(100)
  assert.is(a.gossip.peers(TOPIC).length, 2)
})

test('isolate parts one peer from all, newcomers too, until heal', async () => {
  const simulated = await world(3)
  const { hub, clock, peers: [a, b, c] } = simulated as World & { peers: [Peer, Peer, Peer] }
  hub.isolate(b.network.peerId)
  await clock.advance(10)
  assert.equal(await hundred(simulated), [])
  assert.is(c.seen.length, 100)
  const late = hub.network('a newcomer')
  await fails('UNREACHABLE', /nothing listens/, connect(simulated, late, b.network))
  await connect(simulated, late, a.network)
  hub.heal()
  await connect(simulated, late, b.network)
  await connect(simulated, a.network, b.network)
  await clock.advance(100)
  assert.equal(await hundred(simulated), ALL)
})

test('one seed is one history', async () => {
  const weather = { delayMs: [1, 50] as const, loss: 0.2, duplication: 0.2, reordering: 0.2 }
  const run = async (from: number): Promise<Peer['seen'][]> => {
    const simulated = await world(4, weather, from)
    await hundred(simulated)
    return simulated.peers.map(({ seen }) => seen)
  }
  assert.equal(await run(seed), await run(seed))
  assert.not.equal(await run(seed), await run(seed + 1))
})

test.run()
