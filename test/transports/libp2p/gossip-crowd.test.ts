// bound: 240 s, a load
/** Many peers behind one address, over real TCP: an office, or a laptop full of agents. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../../lib/base/bytes.ts'
import { systemClock } from '../../../lib/base/clock.ts'
import type { Gossip, Network } from '../../../lib/base/network.ts'
import { seededRandom, systemRandom } from '../../../lib/base/random.ts'
import { until, within } from '../../support/within.ts'
import { openPeer } from './peers.ts'

const PEERS = 25
const TOPIC = 'mcp-swarm/test/documents/1'

/** Bound on the dials, in milliseconds: some seconds on an idle machine, ten times that on one with many tests at once. */
const STEP_MS_MAX = 60_000

/** Bound on what gossip does, in milliseconds: to know all neighbours, and to bring everything to all. */
const SPREAD_MS_MAX = 15_000

/** Dials in progress in one test process. */
const DIALS_AT_ONCE = 4

interface Member { readonly network: Network, readonly gossip: Gossip, readonly seen: Map<string, number> }

/** Peers in one topic, each of which dials some of those before it. */
async function crowd (dials: (index: number) => readonly number[]): Promise<Member[]> {
  const members: Member[] = await Promise.all(Array.from({ length: PEERS }, async () => {
    const network = await openPeer()
    network.onConnection(connection => { connection.admit() })
    const gossip = await network.gossip()
    const seen = new Map<string, number>()
    gossip.join(TOPIC, ({ bytes }) => {
      const word = new TextDecoder().decode(bytes)
      seen.set(word, (seen.get(word) ?? 0) + 1)
      return 'accept'
    })
    return { network, gossip, seen }
  }))
  const pairs = members.flatMap((member, index) => dials(index).map(other => [member.network, (members[other] as Member).network] as const))
  await within(STEP_MS_MAX, `${pairs.length} dials`, Promise.all(Array.from({ length: DIALS_AT_ONCE }, async () => {
    for (let pair = pairs.shift(); pair !== undefined; pair = pairs.shift()) {
      await pair[0].dial(pair[1].peerId, pair[1].addresses(), new AbortController().signal)
    }
  })))
  const neighbours = members.map((_, index) => new Set([...dials(index), ...members.flatMap((_, other) => dials(other).includes(index) ? [other] : [])]).size)
  await until('every neighbour', () => members.every(({ gossip }, index) => gossip.peers(TOPIC).length === neighbours[index]), SPREAD_MS_MAX)
  return members
}

/** Every peer publishes at once. @returns milliseconds until everyone has everything */
async function allReachAll (members: readonly Member[], each: number): Promise<number> {
  const startMs = systemClock.nowMs()
  await Promise.all(members.map(async ({ gossip }, index) => {
    for (let round = 0; round < each; round++) assert.ok(await gossip.publish(TOPIC, utf8(`${index} ${round}`)) > 0)
  }))
  const missing = (): number => members.reduce((sum, { seen }) => sum + (PEERS - 1) * each - seen.size, 0)
  await until('all updates to reach all', () => missing() === 0, SPREAD_MS_MAX).catch((error: unknown) => {
    throw new Error(`${missing()} of ${PEERS * (PEERS - 1) * each} deliveries missing`, { cause: error })
  })
  assert.ok(members.every(({ seen }) => [...seen.values()].every(times => times === 1)), 'once each')
  return systemClock.nowMs() - startMs
}

test('all updates of 25 peers behind one address reach all', async () => {
  const seed = Math.floor(systemRandom.next() * 2 ** 32)
  const random = seededRandom(seed)
  const chosen = Array.from({ length: PEERS }, (_, index) => {
    const others = new Set<number>()
    while (others.size < Math.min(index, 3)) others.add(Math.floor(random.next() * index))
    return [...others]
  })
  const members = await crowd(index => chosen[index] ?? [])
  const tookMs = await allReachAll(members, 4)
  console.log(`\nnote: seed ${seed}: ${PEERS * (PEERS - 1) * 4} deliveries in ${tookMs.toFixed(0)} ms`)
  await Promise.all(members.map(async ({ network }) => { await network.close() }))
})

test('all updates of 25 peers of which 24 know only one reach all', async () => {
  const members = await crowd(index => index === 0 ? [] : [0])
  const tookMs = await allReachAll(members, 4)
  console.log(`\nnote: ${PEERS * (PEERS - 1) * 4} deliveries in ${tookMs.toFixed(0)} ms`)
  await Promise.all(members.map(async ({ network }) => { await network.close() }))
})

test.run()
