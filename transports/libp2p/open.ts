/**
 * Composes a libp2p peer for our port, on whatever transports the platform has.
 *
 * Everything of libp2p that acts on its own is off: no bootstrap, no discovery, no redial, no connection monitor (it pings
 * every connection every 10 s and cuts the slow ones, admitted or not; who is healthy is decided above, in lib/mesh, which
 * knows its own lateness), no public resolver, no version in what identify tells.
 */
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { MultiaddrConnection } from '@libp2p/interface'
import type { ICryptoInterface } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { createLibp2p } from 'libp2p'
import type { Libp2pOptions } from 'libp2p'
import { debugNames } from '#platform'
import { concatBytes } from '../../lib/base/bytes.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError, assert, messageOf } from '../../lib/base/error.ts'
import type { Network, RelayOptions } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import type { PrivateKey } from '../../lib/identity/key.ts'
import { isSecureWebSocket, readAddress } from './address.ts'
import { Guard } from './guard.ts'
import type { Components } from './guard.ts'
import { guardedYamux } from './muxer.ts'
import { Libp2pNetwork } from './network.ts'
import { promptNoise } from './noise.ts'
import { MemoryPeerStore } from './peer-store.ts'
import { loggerFor } from './quiet.ts'
import { HANDSHAKES_MAX, HANDSHAKE_MS_MAX, Waiting } from '../strangers.ts'

/** Connections open at once, both directions; at the limit inbound ones are refused. */
export const CONNECTIONS_MAX = 1_000

/** Inbound connections of one host within a second: an office, or a laptop full of peers, starts at once. */
const CONNECTIONS_PER_HOST_MAX = 1_000

/** Pings a connection may have in flight. */
const PINGS_MAX = 16

export interface NetworkOptions {
  readonly key: PrivateKey
  /** Multiaddrs to listen on. Default: a free TCP port on loopback; nothing in a page. */
  readonly listen?: readonly string[]
  /** Multiaddrs where others can dial this peer besides, as a proxy or a router before it passes on what comes there. Default: none. */
  readonly announce?: readonly string[]
  /** Names the protocols of the swarm's gossip and hash table. Absent: those of peers that belong to none. */
  readonly swarmId?: string
  /** Connections through other members. Absent: none are offered and none used, but those that somebody dials. */
  readonly relay?: RelayOptions
  readonly clock: Clock
  readonly random: Random
}

/** @internal */
export type TransportFactory = NonNullable<Libp2pOptions['transports']>[number]

/**
 * @internal
 * @param crypto the arithmetic of handshakes; by default @libp2p/noise's own
 * @throws SwarmError ADDRESS_INVALID, PORT_IN_USE
 */
export async function openOver (transports: readonly TransportFactory[], listen: readonly string[], options: NetworkOptions, crypto?: ICryptoInterface): Promise<Network> {
  for (const address of listen) checkListen(address)
  const announce = (options.announce ?? []).map(readAddress)
  const guard = new Guard()
  const handshakes = new Waiting(HANDSHAKES_MAX, 'shake hands')
  let components: Components | undefined
  const [first, ...rest] = transports
  assert(first !== undefined, 'a network needs a transport')
  const privateKey = privateKeyFromRaw(concatBytes(options.key.seed, options.key.publicKey))
  privateKey.sign = message => options.key.sign(message.subarray()) // libp2p sets the key up anew for each signature
  const logger = loggerFor(debugNames())
  const node = await createLibp2p({
    privateKey,
    start: false,
    ...logger !== undefined && { logger },
    nodeInfo: { name: 'mcp-swarm', version: '', userAgent: 'mcp-swarm' },
    addresses: { listen: [...listen], appendAnnounce: announce.map(String) },
    transports: [made => {
      // The first factory to run after the registrar and the store are made: whatever comes later meets these instead.
      guard.install(made)
      made.peerStore = new MemoryPeerStore(made)
      components = made
      return first(made)
    }, ...rest],
    connectionEncrypters: [promptNoise(crypto)],
    streamMuxers: [guardedYamux(guard, options.clock)],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      inboundConnectionThreshold: CONNECTIONS_PER_HOST_MAX,
      maxIncomingPendingConnections: Infinity, // HANDSHAKES_MAX bounds them, oldest out
      inboundUpgradeTimeout: HANDSHAKE_MS_MAX,
      reconnectRetries: 0,
      resolvers: {}
    },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyInboundConnection: socket => {
        handshakes.add(socket)
        socket.addEventListener('close', () => { handshakes.delete(socket) }, { once: true })
        return false
      },
      denyInboundUpgradedConnection: (_peerId: unknown, socket: MultiaddrConnection) => {
        handshakes.delete(socket)
        return false
      }
    },
    services: {
      identify: identify({ runOnConnectionOpen: false }),
      ping: ping({ maxInboundStreams: PINGS_MAX, maxOutboundStreams: PINGS_MAX })
    }
  })
  assert(components !== undefined && node.peerId.toString() === options.key.peerId, 'the peer id belongs to the key')
  const network = new Libp2pNetwork({ node, guard, components, identify: node.services.identify, announce, swarmId: options.swarmId, relay: options.relay, clock: options.clock, random: options.random })
  try {
    await node.start()
  } catch (cause) {
    throw listenError(listen, cause)
  }
  return network
}

/** What the system and libp2p say of an address that cannot be listened on, in words. */
const PLAIN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/EADDRNOTAVAIL/, 'this machine has no such address'],
  [/EACCES|EPERM/, 'the system does not allow this user that port: those below 1024 mostly'],
  [/ENOTFOUND|EAI_AGAIN/, 'its name cannot be resolved'],
  [/UnsupportedListenAddress|No transport was configured/, 'a peer listens by TCP (…/tcp/4001) and by WebSocket (…/tcp/4001/ws)']
]

/** Longest text of somebody else's in an error, in characters. */
const WORDS_CHARS_MAX = 200

function listenError (listen: readonly string[], cause: unknown): SwarmError {
  const text = messageOf(cause)
  const failed = listen.filter(address => text.includes(`${address}: `)) // libp2p has a line for each
  const on = `listen on ${(failed.length === 0 ? listen : failed).join(', ')}`
  if (text.includes('EADDRINUSE')) return new SwarmError('PORT_IN_USE', `${on}: another process has that port`, { cause })
  const words = PLAIN_WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? text.replaceAll(/\s+/g, ' ').trim().slice(0, WORDS_CHARS_MAX)
  return new SwarmError('ADDRESS_INVALID', `${on}: ${words}`, { cause })
}

/** @throws SwarmError ADDRESS_INVALID */
function checkListen (address: string): void {
  if (!isSecureWebSocket(readAddress(address))) return
  throw new SwarmError('ADDRESS_INVALID', `listen on ${address}: a peer has no certificate. Listen on …/ws, let a proxy that has one pass wss on to it, and announce its address`)
}
