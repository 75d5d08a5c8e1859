import { isPage } from '#platform'
import type { Means, Settings } from './options.ts'

/** local: this user's own swarm on this machine. made: one that people were let into. */
export type SwarmKind = 'local' | 'made'

/** Where a peer listens, and by what means it finds others. */
export interface Reach {
  readonly kind: SwarmKind
  readonly listen: readonly string[]
  readonly means: Means
}

/** This machine only, on a free port. */
const LOOPBACK = ['/ip4/127.0.0.1/tcp/0'] as const

/** Every interface, for peers and for pages. */
const EVERYWHERE = ['/ip4/0.0.0.0/tcp/0', '/ip4/0.0.0.0/tcp/0/ws', '/ip6/::/tcp/0'] as const

/** How far a peer reaches where its settings leave that open: no traffic leaves this machine for the user's own swarm. */
export function reachOf ({ listen, discovery }: Pick<Settings, 'listen' | 'discovery'>, kind: SwarmKind): Reach {
  const isMade = kind === 'made'
  const means: Means = { folder: !isPage, mdns: isMade && !isPage, dht: isMade, ...discovery }
  return { kind, listen: listen ?? (isPage ? [] : isMade ? EVERYWHERE : LOOPBACK), means }
}
