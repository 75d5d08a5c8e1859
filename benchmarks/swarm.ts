/**
 * Swarms by size: how soon all know all, what a peer costs in memory, and what it costs to say nothing.
 *
 * On the memory network real peers (joinSwarm, an agent each, all with the same tools) share this process, and with it the text of
 * records: what a peer costs is what one more of them adds. Their time is virtual, so that what a thousand peers do in a second
 * may take a processor longer than that, and nobody takes another for dead: times are of that clock, and the part of a core is the
 * processor's time in a second of it. Bytes are those of our own protocols, without what encryption and TCP put around them. Over
 * TCP on loopback the clock is the real one, and bytes are those of the sockets.
 *
 *   npm run bench -- swarm           all of it: some minutes, and 2 GB
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { ByteStream, Network } from '../lib/base/network.ts'
import { joinSwarm } from '../lib/swarm/join.ts'
import type { Swarm } from '../lib/swarm/swarm.ts'
import { Lab, MemoryHub, VirtualClock } from '../lib/testing.ts'
import { isSmoke, ms, report, temporaryUser } from './rig.ts'

const SIZES = isSmoke ? [4, 20] : [10, 100, 1_000]
const TCP_START = isSmoke ? 6 : 50
const TCP_IDLE = isSmoke ? 20 : 100
const IDLE_MS = isSmoke ? 2_000 : 30_000

/** Time for marks to be asked for, and for surplus links to be closed. */
const REST_MS = isSmoke ? 500 : 90_000
const WAIT_MS_MAX = isSmoke ? 60_000 : 600_000

let bytes = 0
const sockets: Socket[] = []
for (const channel of ['net.client.socket', 'net.server.socket']) {
  subscribe(channel, message => { sockets.push((message as { socket: Socket }).socket) })
}
const socketBytes = (): number => sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)

/** Counts what is sent on every stream of a network. */
function counted (network: Network): Network {
  const count = (stream: ByteStream): ByteStream => {
    const send = stream.send.bind(stream)
    stream.send = data => {
      bytes += data.byteLength
      return send(data)
    }
    return stream
  }
  const handle = network.handle.bind(network)
  network.handle = (protocol, handler, options) => { handle(protocol, async (stream, connection) => { await handler(count(stream), connection) }, options) }
  network.onConnection(connection => {
    const open = connection.open.bind(connection)
    connection.open = async (protocol, signal) => count(await open(protocol, signal))
  })
  return network
}

async function rest (lastsMs: number): Promise<void> {
  await new Promise<void>(resolve => { setTimeout(resolve, lastsMs) })
}

/** @returns whether it came true in time */
async function until (isTrue: () => boolean): Promise<boolean> {
  const endMs = performance.now() + WAIT_MS_MAX
  while (!isTrue()) {
    if (performance.now() > endMs) return false
    await rest(50)
  }
  return true
}

async function offer (swarm: Swarm): Promise<void> {
  const agent = swarm.agent('files')
  for (const name of ['read_file', 'write_file', 'list_files']) agent.tool(name, { description: `Does as ${name} says`, input: { type: 'object' } }, () => 'done')
  await agent.start()
}

/** Whether every peer knows every other, and the tools of all. */
function isWhole (swarms: readonly Swarm[]): boolean {
  return swarms.every(swarm => swarm.peers().length === swarms.length - 1) && swarms.every(swarm => swarm.find({ tool: 'read_file' }).length === swarms.length)
}

function isEqual (swarms: readonly Swarm[]): boolean {
  const seen = (swarm: Swarm): string => swarm.agents().map(({ catalogue, name, peerId }) => `${peerId} ${name} ${catalogue}`).join('\n')
  const [first] = swarms
  return first !== undefined && swarms.every(swarm => seen(swarm) === seen(first))
}

function linksOf (swarms: readonly Swarm[]): string {
  const counts = swarms.map(swarm => swarm.status().peers.filter(({ connected }) => connected).length)
  return `${Math.min(...counts)} / ${(counts.reduce((sum, count) => sum + count, 0) / counts.length).toFixed(1)} / ${Math.max(...counts)}`
}

function usedBytes (): { readonly heap: number, readonly rss: number } {
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

/** @param pass lets time pass, and resolves with how many seconds it was */
async function measureIdle (count: number, sent: () => number, pass: () => Promise<number>): Promise<{ readonly cpu: number, readonly rate: number }> {
  const [before, from] = [process.cpuUsage(), sent()]
  const seconds = await pass()
  const { system, user } = process.cpuUsage(before)
  return { cpu: (system + user) / 1e6 / seconds / count * 100, rate: (sent() - from) / seconds / count }
}

/** Lets virtual time pass until something has come about. */
async function passing<Value> (clock: VirtualClock, work: Promise<Value>): Promise<Value> {
  let isOver = false
  const over = work.finally(() => { isOver = true })
  while (!isOver) await clock.advance(1)
  return await over
}

/** Peers on the memory network, each joining as soon as the last has. */
async function grow (size: number): Promise<void> {
  const clock = new VirtualClock()
  const lab = new Lab(new MemoryHub({ clock }))
  const warm = new Lab()
  await warm.join('warm') // what is loaded at the first join is not a peer's
  await warm.close()
  const before = usedBytes()
  bytes = 0
  const swarms: Swarm[] = []
  for (let index = 0; index < size; index++) {
    const swarm = await passing(clock, lab.join(`peer ${index}`, { seams: { clock, openNetwork: async ({ key }) => counted(lab.hub.network(key.peerId)) } }))
    await offer(swarm)
    swarms.push(swarm)
  }
  const joinedMs = clock.nowMs()
  while (!isWhole(swarms) && clock.nowMs() < joinedMs + WAIT_MS_MAX) await clock.advance(100)
  report(`${size} peers: all joined / all know all`, `${ms(joinedMs)} / ${isWhole(swarms) ? ms(clock.nowMs()) : 'no'}`, 'bar all')
  report('  their directories', isEqual(swarms) ? 'equal' : 'differ', 'bar equal')
  report('  bytes each until then', `${Math.round(bytes / size / 1_024)} KB`, '')
  await clock.advance(REST_MS)
  const after = usedBytes()
  report('  links each: fewest / mean / most', linksOf(swarms), '')
  report('  memory each: heap / RSS', `${((after.heap - before.heap) / size / 2 ** 20).toFixed(2)} / ${((after.rss - before.rss) / size / 2 ** 20).toFixed(2)} MB`, size < 1_000 ? '' : 'bar <= 2 MB')
  const { cpu, rate } = await measureIdle(size, () => bytes, async () => {
    await clock.advance(IDLE_MS)
    return IDLE_MS / 1_000
  })
  report('  idle, each: sent / of a core', `${Math.round(rate)} B/s / ${cpu.toFixed(2)} %`, '')
  await passing(clock, lab.close())
}

/** Peers over TCP, all at once, behind one address. */
async function crowd (size: number): Promise<Swarm[]> {
  const startMs = performance.now()
  const begun: number[] = []
  const swarms = await Promise.all(Array.from({ length: size }, async (_, index) => {
    begun.push(performance.now() - startMs)
    const swarm = await joinSwarm({ name: `peer ${index}` })
    await offer(swarm)
    return swarm
  }))
  report(`${size} peers over TCP, one address: all began within`, ms(Math.max(...begun)), 'bar 1 s')
  const isComplete = await until(() => isWhole(swarms))
  report('  all joined, and know all', isComplete ? ms(performance.now() - startMs) : 'no', 'bar all')
  const unrepaired = swarms.flatMap(swarm => swarm.status().refusals.filter(({ peerId }) => !swarm.peers().some(peer => peer.peerId === peerId)))
  report('  refusals / of them not repaired', `${swarms.reduce((sum, swarm) => sum + swarm.status().refusals.length, 0)} / ${unrepaired.length}`, 'bar 0 not repaired')
  report('  links each: fewest / mean / most', linksOf(swarms), '')
  return swarms
}

for (const size of SIZES) await grow(size)

Object.assign(process.env, temporaryUser().env)
for (const size of [TCP_START, TCP_IDLE]) {
  const swarms = await crowd(size)
  if (size === TCP_IDLE) {
    await rest(REST_MS)
    report('  links each, later: fewest / mean / most', linksOf(swarms), '')
    const { cpu, rate } = await measureIdle(size, socketBytes, async () => {
      await rest(IDLE_MS)
      return IDLE_MS / 1_000
    })
    report('  idle, each: sent, and as much received', `${Math.round(rate)} B/s`, 'bar < 1 KB/s')
    report('  idle, each: of a core', `${cpu.toFixed(2)} %`, 'bar < 1 %')
  }
  await Promise.all(swarms.map(async swarm => { await swarm.close() }))
}
process.exit(0)
