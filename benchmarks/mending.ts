/**
 * How soon an edit is seen again after gossip has broken under a document: two peers over real TCP on loopback, in this one process. The
 * edit is made at once after the break, so that it is gossip, or what makes up for it, that has to bring it.
 */
import '../transports/libp2p/shim.node.ts'
import type { Connection as LibConnection, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { systemClock } from '../lib/base/clock.ts'
import { systemRandom } from '../lib/base/random.ts'
import { MemoryWitness } from '../lib/base/witness.ts'
import type { Document } from '../lib/documents/document.ts'
import { Documents } from '../lib/documents/documents.ts'
import { generateKey } from '../lib/identity/key.ts'
import { Links } from '../lib/mesh/links.ts'
import { openStorage } from '../lib/storage/level.ts'
import { RPC_BYTES_MAX } from '../transports/libp2p/gossip-frames.ts'
import { gossipProtocol } from '../transports/libp2p/gossip-lanes.ts'
import { openOver } from '../transports/libp2p/open.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const SWARM = 'benchmark'
const ROUNDS = isSmoke ? 2 : 10
const WAIT_MS_MAX = 30_000

interface Peer { readonly network: Awaited<ReturnType<typeof openOver>>, readonly document: Document, /** Our stream, where there is one. */ readonly gossip: () => Stream | undefined, readonly close: () => Promise<void> }

async function open (): Promise<Peer> {
  let connections = (): LibConnection[] => []
  const tap = (made: Parameters<ReturnType<typeof tcp>>[0] & { connectionManager?: { getConnections: () => LibConnection[] } }): ReturnType<ReturnType<typeof tcp>> => {
    connections = () => made.connectionManager?.getConnections() ?? []
    return tcp()(made)
  }
  const key = generateKey(systemRandom)
  const network = await openOver([tap as never], ['/ip4/127.0.0.1/tcp/0'], { key, swarmId: SWARM, clock: systemClock, random: systemRandom })
  const links = new Links({ peerId: key.peerId, clock: systemClock, random: systemRandom })
  network.onConnection(connection => {
    connection.admit()
    links.add(connection)
  })
  const storage = await openStorage(undefined)
  const documents = new Documents({
    swarmId: SWARM, key, network, links, storage, witness: new MemoryWitness(), durability: 'strict',
    clock: systemClock, random: systemRandom, isMember: () => true, onTrouble: () => {}
  })
  const document = await documents.open('bench')
  return {
    network,
    document,
    gossip: () => connections().flatMap(({ streams }) => streams)
      .findLast(({ protocol, direction, status }) => protocol === gossipProtocol(SWARM) && direction === 'outbound' && status === 'open'),
    close: async () => {
      await documents.close()
      links.close()
      await network.close()
      await storage.close()
    }
  }
}

async function until (claim: () => boolean): Promise<void> {
  const startMs = performance.now()
  while (!claim()) {
    if (performance.now() - startMs > WAIT_MS_MAX) throw new Error(`not within ${WAIT_MS_MAX} ms`)
    await new Promise(resolve => { setTimeout(resolve, 1) })
  }
}

const [here, there] = [await open(), await open()]
await here.network.dial(there.network.peerId, there.network.addresses(), new AbortController().signal)
let count = 0

/** One edit. @returns milliseconds until the other has it */
async function edit (): Promise<number> {
  const startMs = performance.now()
  here.document.set('m/last', ++count)
  await until(() => there.document.get('m/last') === count)
  return performance.now() - startMs
}

async function after (breakIt: (stream: Stream) => void): Promise<number[]> {
  const took: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await until(() => here.gossip() !== undefined)
    while (await edit() > 200) { /* gossip is not there yet */ }
    await new Promise(resolve => { setTimeout(resolve, 300) })
    breakIt(here.gossip() as Stream)
    took.push(await edit())
  }
  return took
}

const figures = (took: readonly number[]): string => `p50 ${ms(quantile(took, 0.5))}, most ${ms(Math.max(...took))}`
await edit()
report('an edit seen at the other peer, gossip sound', figures(await after(() => {})), 'for scale')
report(`after a reset gossip stream, ${ROUNDS} times`, figures(await after(stream => { stream.abort(new Error('reset by the benchmark')) })), 'bar 2,000 ms')
/** A length that nobody takes: what follows it cannot be told apart. */
const tooLong = new Uint8Array(4)
for (let index = 0, rest = 2 * RPC_BYTES_MAX; index < 4; index++, rest = Math.floor(rest / 128)) tooLong[index] = rest % 128 + (index < 3 ? 128 : 0)
report(`after a message too large, ${ROUNDS} times`, figures(await after(stream => { stream.send(tooLong.slice()) })), 'bar 2,000 ms')
await Promise.all([here.close(), there.close()])
process.exit() // sockets that linger after a close keep nobody waiting
