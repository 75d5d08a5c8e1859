/** Two peers that meet, gossip and part: whatever libp2p logs of that goes to stderr. */
import { systemClock } from '../../../lib/base/clock.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { openNetwork } from '../../../transports/libp2p/node.ts'

void run()

async function run (): Promise<void> {
  const [one, other] = await Promise.all([1, 2].map(async () => {
    const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom })
    network.onConnection(connection => { connection.admit() })
    await Promise.all([network.gossip(), network.routing()])
    return network
  }))
  if (one === undefined || other === undefined) throw new Error('two peers')
  const connection = await one.dial(other.peerId, other.addresses(), new AbortController().signal)
  await connection.probe(new AbortController().signal)
  await Promise.all([one.close(), other.close()])
}
