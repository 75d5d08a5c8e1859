/**
 * The port through which a peer learns of others it has never met: mDNS on the LAN, the DHT further off. What a discovery
 * says is a hint by anybody: nothing is believed but what a dial proves.
 */
import type { Clock } from './clock.ts'
import type { SwarmError } from './error.ts'
import type { Random } from './random.ts'

/**
 * By what means an address of a peer came here. folder: the rendezvous folder of this machine. mdns, dht: found there. ticket:
 * named by the ticket. remembered: known from last time. record: from the peer's own record, told by others. inbound: it dialled us.
 * asked: given by the program.
 */
export type Source = 'folder' | 'mdns' | 'dht' | 'ticket' | 'remembered' | 'record' | 'inbound' | 'asked'

export interface DiscoveryOptions {
  /** 26 characters; known to members alone, so no outsider may learn it from what is sent. */
  readonly swarmId: string
  readonly peerId: string
  readonly clock: Clock
  readonly random: Random
  /** Called for each peer that is found, and again when its addresses differ: multiaddrs without `/p2p`, not checked. */
  readonly onFound: (peerId: string, addresses: readonly string[]) => void
  /** A peer has said that it leaves. A hint like the others. */
  readonly onGone: (peerId: string) => void
  /** Nobody can be found by this means for now; it goes on trying. Undefined: that is over. */
  readonly onTrouble: (error: SwarmError | undefined) => void
}

export interface Discovery {
  /** Lets others find this peer at these addresses from now on, in place of those before. */
  announce (addresses: readonly string[]): void
  /** Looks anew at once: the network has changed, or the machine has slept. */
  refresh (): void
  /** Tells that this peer leaves, and stops; a second call waits for the first. */
  close (): Promise<void>
}
