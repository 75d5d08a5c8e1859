/**
 * So many peers on the memory network, in this process: how soon all know all, what a peer costs in memory, and what it costs to say
 * nothing. Started by ../swarm.ts, with the number of peers.
 *
 * They are real peers (joinSwarm, an agent each, all with the same tools), which share nothing but the code: each verifies and holds
 * every record itself, as in a process of its own. Their time is virtual, so that what a thousand peers do in a second
 * may take a processor longer than that, and nobody takes another for dead: times are of that clock, and the part of a core is the
 * processor's time in a second of it. Bytes are those of our own protocols, without what encryption and TCP put around them.
 */
import type { ByteStream, Network } from '../../lib/base/network.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab, MemoryHub, VirtualClock } from '../../lib/testing.ts'
import { isSmoke, ms, report } from '../rig.ts'
import { IDLE_MS, isEqual, isWhole, linksOf, offer } from './peers.ts'

const size = Number(process.argv[2])

/** Time for marks to be asked for, and for surplus links to be closed. */
const REST_MS = isSmoke ? 500 : 75_000

/** Virtual time, and the processor's, after which a swarm counts as one that does not come about. */
const WAIT_MS_MAX = 120_000
const CPU_MS_MAX = isSmoke ? 10_000 : 800_000

let bytes = 0

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

function usedBytes (): { readonly heap: number, readonly rss: number } {
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

function cpuMs (): number {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}

/** Lets virtual time pass until something has come about. */
async function passing<Value> (clock: VirtualClock, work: Promise<Value>): Promise<Value> {
  let isOver = false
  const over = work.finally(() => { isOver = true })
  while (!isOver) await clock.advance(1)
  return await over
}

const clock = new VirtualClock()
const lab = new Lab(new MemoryHub({ clock }))
const warm = new Lab()
await warm.join('warm') // what is loaded at the first join is not a peer's
await warm.close()
const before = usedBytes()
const startMs = cpuMs()
const isInTime = (): boolean => cpuMs() - startMs < CPU_MS_MAX
const swarms: Swarm[] = []
const joined = async (index: number): Promise<Swarm> => {
  const openNetwork = async ({ key }: { key: { peerId: string } }): Promise<Network> => counted(lab.hub.network(key.peerId))
  const swarm = await lab.join(`peer ${index}`, { listensLate: true, seams: { clock, openNetwork } })
  await offer(swarm) // before others can find it: so it has but one record
  await swarm.listen()
  return swarm
}
while (swarms.length < size && isInTime()) swarms.push(await passing(clock, joined(swarms.length)))
const joinedMs = clock.nowMs()
const isComplete = (): boolean => swarms.length === size && isWhole(swarms)
while (!isComplete() && clock.nowMs() < joinedMs + WAIT_MS_MAX && isInTime()) await clock.advance(100)
const knownMs = isComplete() ? ms(clock.nowMs()) : 'no'
report(`${size} peers: joined, in / all know all after`, `${swarms.length}, ${ms(joinedMs)} / ${knownMs}`, 'bar all')
report('  their directories', isEqual(swarms) ? 'equal' : 'differ', 'bar equal')
report('  each until then: sent / of the processor', `${Math.round(bytes / size / 1_024)} KB / ${ms((cpuMs() - startMs) / size)}`, '')
if (swarms.length === size) {
  await clock.advance(REST_MS)
  const after = usedBytes()
  report('  links each: fewest / mean / most', linksOf(swarms), '')
  report('  memory each: heap / RSS', `${((after.heap - before.heap) / size / 2 ** 20).toFixed(2)} / ${((after.rss - before.rss) / size / 2 ** 20).toFixed(2)} MB`, size < 1_000 ? '' : 'bar <= 2 MB')
  const [fromBytes, fromMs] = [bytes, cpuMs()]
  await clock.advance(IDLE_MS)
  const [sent, used] = [bytes - fromBytes, cpuMs() - fromMs]
  report(`  idle for ${IDLE_MS / 1_000} s, each: sent / of a core`, `${Math.round(sent / size / IDLE_MS * 1_000)} B/s / ${(used / size / IDLE_MS * 100).toFixed(3)} %`, 'bar < 1 KB/s, < 1 %')
}
process.exit(0) // without taking leave: every peer would tell all others
