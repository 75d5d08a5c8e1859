import '../../../transports/libp2p/shim.node.ts'
import { identify } from '@libp2p/identify'
import type { Connection as LibConnection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../../lib/base/clock.ts'
import type { Clock } from '../../../lib/base/clock.ts'
import type { Connection, Network } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { openNetwork } from '../../../transports/libp2p/node.ts'
import { within } from '../../support/within.ts'

/** One of ours, on loopback. */
export async function openPeer (clock: Clock = systemClock, listen?: readonly string[]): Promise<Network> {
  return await openNetwork({ key: generateKey(systemRandom), clock, random: systemRandom, listen })
}

/** A libp2p peer as it comes, which knows nothing of admission. */
export async function openStranger (): Promise<Libp2p> {
  return await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxEarlyStreams: 1_000 })],
    connectionManager: { inboundConnectionThreshold: 1_000, maxIncomingPendingConnections: 1_000 },
    connectionMonitor: { enabled: false },
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() }
  })
}

/** A stranger's connection to one of ours, and our end of it. */
export async function knock (stranger: Libp2p, network: Network): Promise<{ theirs: LibConnection, ours: Connection }> {
  const arrived = new Promise<Connection>(resolve => {
    const stop = network.onConnection(connection => {
      stop()
      resolve(connection)
    })
  })
  const theirs = await within(5_000, 'the stranger to dial', stranger.dial(multiaddr(`${network.addresses()[0]}/p2p/${network.peerId}`)))
  return { theirs, ours: await within(5_000, 'our end', arrived) }
}

/** The host and port of a TCP multiaddr. */
export function hostAndPort (address: string): { host: string, port: number } {
  const [, , host = '', , port = ''] = address.split('/')
  return { host, port: Number(port) }
}
