/** Ways to reach other peers: libp2p for real networks, memory for several peers in one process, simulated for what goes wrong. */
export { MemoryHub } from './memory/memory.ts'
export type { MemoryHubOptions } from './memory/memory.ts'
export { FAIR_WEATHER, SimulatedHub } from './simulated/simulated.ts'
export type { SimulatedHubOptions, Weather } from './simulated/simulated.ts'
export { openNetwork } from '#network'
export type { NetworkOptions } from '#network'
export type { ByteStream, Connection, FindOptions, Gossip, HandleOptions, Judge, Network, RelayOptions, Routing, StreamHandler, StreamReader, Verdict } from '../lib/base/network.ts'
