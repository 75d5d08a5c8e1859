import type { Network } from '../../lib/base/network.ts'
import { openOver } from './open.ts'
import type { NetworkOptions } from './open.ts'
import { calmWebSockets } from './websocket.ts'

export type { NetworkOptions } from './open.ts'

/**
 * Opens a page's network: it dials WebSocket addresses and listens on nothing.
 *
 * @throws SwarmError ADDRESS_INVALID if `listen` names an address: a page cannot be dialled
 */
export async function openNetwork (options: NetworkOptions): Promise<Network> {
  return await openOver([calmWebSockets(options.clock)], options.listen ?? [], options)
}
