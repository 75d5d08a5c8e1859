/** Ways to reach other peers: libp2p for real networks, memory for tests and for several peers in one process. */
export { MemoryHub } from './memory/memory.ts'
export type { MemoryHubOptions } from './memory/memory.ts'
export { openNetwork } from '#network'
export type { NetworkOptions } from '#network'
export type { ByteStream, Connection, HandleOptions, Network, StreamHandler, StreamReader } from '../lib/base/network.ts'
