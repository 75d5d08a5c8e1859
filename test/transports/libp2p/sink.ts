/** A process of node.test.ts: a peer that takes what it is sent; or, given another, sends that one something, and closes. */
import { systemClock } from '../../../lib/base/clock.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { openNetwork } from '../../../transports/libp2p/node.ts'

const [peerId, ...addresses] = process.argv.slice(2)
void run()

async function run (): Promise<void> {
  const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom })
  network.onConnection(connection => { connection.admit() })
  network.handle('/sink', stream => { stream.read({ data () {}, ended () {}, closed () {} }) })
  console.log(`ready ${JSON.stringify([network.peerId, network.addresses()])}`)
  if (peerId === undefined) return
  const { signal } = new AbortController()
  const connection = await network.dial(peerId, addresses, signal)
  connection.admit()
  await connection.probe(signal)
  const stream = await connection.open('/sink', signal)
  stream.send(new Uint8Array(100))
  await network.close()
  console.log('closed')
}
