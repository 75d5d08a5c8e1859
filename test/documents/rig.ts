/** Peers with documents and nothing else, on a memory network: admitted at once, with storages that can be kept, failed and cut. */
import { Documents } from '../../lib/documents/documents.ts'
import type { Document } from '../../lib/documents/document.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { Network } from '../../lib/base/network.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { Links } from '../../lib/mesh/links.ts'
import type { MemoryHub } from '../../transports/memory/memory.ts'
import type { Durability } from '../../crdt/committer.ts'
import { encodeState } from '../../crdt/state.ts'
import { FaultyStorage, FaultyWitness } from '../support/faulty.ts'
import { until } from '../support/within.ts'

export const SWARM = 'test-swarm'

export interface Machine {
  readonly key: PrivateKey
  readonly storage: FaultyStorage
  readonly witness: FaultyWitness
}

export function machine (): Machine {
  return { key: generateKey(systemRandom), storage: new FaultyStorage(), witness: new FaultyWitness() }
}

export interface Peer extends Machine {
  readonly id: string
  readonly network: Network
  readonly links: Links
  readonly documents: Documents
  readonly troubles: string[]
  close (): Promise<void>
}

export interface Changes {
  readonly durability?: Durability
  readonly clock?: Clock
  readonly seed?: number
  readonly openMax?: number
  /** Takes a network's place, as a way to break it. */
  readonly wrap?: (network: Network) => Network
}

/** A peer that runs on a machine. */
export function run (hub: MemoryHub, on: Machine = machine(), { durability = 'strict', clock = systemClock, seed = 1, openMax, wrap = network => network }: Changes = {}): Peer {
  const network = wrap(hub.network(on.key))
  const random = seededRandom(seed)
  const links = new Links({ peerId: on.key.peerId, clock, random })
  network.onConnection(connection => {
    connection.admit()
    links.add(connection)
  })
  const troubles: string[] = []
  const documents = new Documents({
    swarmId: SWARM, key: on.key, network, links, storage: on.storage, witness: on.witness, durability, clock, random,
    isMember: () => true, ...openMax === undefined ? {} : { openMax },
    onTrouble: (subject, code, message) => { if (message !== undefined) troubles.push(`${subject} ${code} ${message}`) }
  })
  return {
    ...on, id: on.key.peerId, network, links, documents, troubles,
    close: async () => {
      try {
        await documents.close()
      } finally {
        links.close()
        await network.close()
      }
    }
  }
}

/** As if the process had been killed: nothing more goes out, nothing more is written. */
export async function kill (peer: Peer): Promise<Machine> {
  peer.storage.gate = new Promise(() => {})
  peer.links.close()
  await peer.network.close()
  const storage = new FaultyStorage()
  for (const [key, value] of peer.storage.values) storage.values.set(key, value)
  storage.flushed = new Map(peer.storage.flushed)
  return { key: peer.key, storage, witness: peer.witness }
}

export async function connect (from: Peer, to: Peer): Promise<void> {
  await from.network.dial(to.id, to.network.addresses(), new AbortController().signal)
}

/** The same state at all, byte for byte. */
export function areEqual (...documents: readonly Document[]): boolean {
  const [first, ...others] = documents.map(({ ydoc }) => Buffer.from(encodeState(ydoc)))
  return others.every(other => first?.equals(other) === true)
}

export async function untilEqual (...documents: readonly Document[]): Promise<void> {
  await until('all are equal', () => areEqual(...documents))
}
