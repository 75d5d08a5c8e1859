/** Ways to reach other peers: libp2p for real networks, memory for tests and for several peers in one process. */
export { MemoryHub } from './memory/memory.ts'
export type { MemoryHubOptions } from './memory/memory.ts'
export { openNetwork } from '#network'
export type { NetworkOptions } from '#network'
export type { ByteStream, Connection, Gossip, HandleOptions, Judge, Network, StreamHandler, StreamReader, Verdict } from '../lib/base/network.ts'
