/**
 * Gossip over real TCP on loopback, all peers in this one process: what two peers can exchange, how long a message takes to reach
 * 24 others, and what it costs to say nothing.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { systemClock } from '../lib/base/clock.ts'
import type { Gossip, Network } from '../lib/base/network.ts'
import { systemRandom } from '../lib/base/random.ts'
import { generateKey } from '../lib/identity/key.ts'
import { openNetwork } from '../transports/libp2p/node.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const TOPIC = 'mcp-swarm/benchmark/documents/1'
const MESSAGE_BYTES = 200
const BURST = isSmoke ? 500 : 20_000
const CROWD = isSmoke ? 6 : 25
const CROWD_BURST = isSmoke ? 20 : 300
const PACED = isSmoke ? 20 : 300
const PACE_MS = 20
const IDLE_MS = isSmoke ? 500 : 20_000
const WAIT_MS_MAX = 60_000

/** Dials of each peer in the crowd to those before it. */
const DIALS = 4

interface Member { network: Network, gossip: Gossip, heard: (sentMs: number) => void, count: number }

const sockets: Socket[] = []
for (const channel of ['net.client.socket', 'net.server.socket']) {
  subscribe(channel, message => { sockets.push((message as { socket: Socket }).socket) })
}
const bytesSent = (): number => sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)

async function open (): Promise<Member> {
  const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom })
  network.onConnection(connection => { connection.admit() })
  const member: Member = { network, gossip: await network.gossip(), heard: () => {}, count: 0 }
  member.gossip.join(TOPIC, ({ bytes }) => {
    member.count += 1
    member.heard(new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0))
    return 'accept'
  })
  return member
}

async function meet (members: readonly Member[], dials: (index: number) => readonly number[]): Promise<void> {
  for (const [index, { network }] of members.entries()) {
    for (const other of dials(index)) {
      const target = (members[other] as Member).network
      await network.dial(target.peerId, target.addresses(), new AbortController().signal)
    }
  }
  await until(() => members.every(({ gossip }, index) => gossip.peers(TOPIC).length >= Math.max(1, dials(index).length)))
  await rest(2_000) // two heartbeats: the mesh has formed
}

/** A message that says when it was sent. */
function message (): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_BYTES)
  new DataView(bytes.buffer).setFloat64(0, performance.now())
  return bytes
}

async function rest (delayMs: number): Promise<void> {
  const keepAlive = setInterval(() => {}, 1_000)
  await new Promise<void>(resolve => { systemClock.after(delayMs, resolve) })
  clearInterval(keepAlive)
}

async function until (claim: () => boolean): Promise<void> {
  const startMs = performance.now()
  while (!claim()) {
    if (performance.now() - startMs > WAIT_MS_MAX) throw new Error(`not within ${WAIT_MS_MAX} ms`)
    await rest(1)
  }
}

/** One at a time, at a pace. @returns milliseconds to each who heard it */
async function latencies (members: readonly Member[]): Promise<number[]> {
  const took: number[] = []
  for (const member of members) member.heard = sentMs => { took.push(performance.now() - sentMs) }
  const [author] = members as [Member]
  for (let index = 0; index < PACED; index++) {
    await author.gossip.publish(TOPIC, message())
    await rest(PACE_MS)
  }
  await until(() => took.length >= PACED * (members.length - 1))
  for (const member of members) member.heard = () => {}
  return took
}

/** All at once. @returns milliseconds until everyone has everything */
async function burst (members: readonly Member[], count: number): Promise<number> {
  for (const member of members) member.count = 0
  const [author, ...others] = members as [Member, ...Member[]]
  const startMs = performance.now()
  for (let index = 0; index < count; index++) await author.gossip.publish(TOPIC, message())
  await until(() => others.every(member => member.count >= count))
  return performance.now() - startMs
}

async function close (members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(async ({ network }) => { await network.close() }))
}

const figures = (took: readonly number[]): string => `p50 ${ms(quantile(took, 0.5))}, p99 ${ms(quantile(took, 0.99))}`
const rate = (count: number, tookMs: number): string => `${Math.round(count / tookMs * 1_000).toLocaleString('en')}/s`

const pair = [await open(), await open()]
await meet(pair, index => index === 0 ? [] : [0])
await burst(pair, BURST / 10) // warm
report(`two peers, ${MESSAGE_BYTES} bytes, ${PACED} messages at a pace`, figures(await latencies(pair)), 'for scale')
report(`two peers, ${MESSAGE_BYTES} bytes, a burst of ${BURST}`, rate(BURST, await burst(pair, BURST)), 'unsigned gossipsub: 4-10k/s')
await close(pair)

sockets.length = 0
const crowd = await Promise.all(Array.from({ length: CROWD }, open))
await meet(crowd, index => Array.from({ length: Math.min(index, DIALS) }, (_, dial) => index - 1 - dial * dial).filter(other => other >= 0))
report(`${CROWD} peers, one publishes, time to each other`, figures(await latencies(crowd)), 'all in one process')
const tookMs = await burst(crowd, CROWD_BURST)
report(`${CROWD} peers, a burst of ${CROWD_BURST} to all`, `${rate(CROWD_BURST, tookMs)}, ${rate(CROWD_BURST * (CROWD - 1), tookMs)} delivered`, 'all reach all')
await rest(isSmoke ? 100 : 5_000) // what the burst leaves to say
const before = bytesSent()
await rest(IDLE_MS)
report(`${CROWD} peers, nothing to say, bytes sent by each`, `${Math.round((bytesSent() - before) / IDLE_MS * 1_000 / CROWD)} B/s`, 'over about 7 connections')
await close(crowd)
process.exit() // sockets that linger after a close keep nobody waiting
