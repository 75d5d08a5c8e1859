import './shim.node.ts'
import { tcp } from '@libp2p/tcp'
import type { Network } from '../../lib/base/network.ts'
import { nodeNoiseCrypto } from './noise-crypto.node.ts'
import { openOver } from './open.ts'
import type { NetworkOptions } from './open.ts'
import { calmWebSockets } from './websocket.ts'

export type { NetworkOptions } from './open.ts'

/**
 * Opens this peer's network: encrypted streams over TCP, and over WebSocket for pages (`/ip4/…/tcp/…/ws`).
 *
 * @param options `listen` defaults to a free TCP port on loopback
 * @throws SwarmError PORT_IN_USE, ADDRESS_INVALID
 */
export async function openNetwork (options: NetworkOptions): Promise<Network> {
  return await openOver([tcp(), calmWebSockets(options.clock)], options.listen ?? ['/ip4/127.0.0.1/tcp/0'], options, nodeNoiseCrypto)
}
