/** Peers, records and catalogues for the tests of this folder. */
import { seededRandom } from '../../lib/base/random.ts'
import { sealCatalogue, type SealedCatalogue, type ToolDefinition } from '../../lib/directory/catalogue.ts'
import { LEASE_MS, signRecord, type AgentEntry, type PeerRecord } from '../../lib/directory/record.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'

export const SWARM = 'aaaabbbbccccddddeeeeffff22'

const keys = new Map<number, PrivateKey>()

/** The key of a number, set up once: that takes longer than a signature. */
export function keyOf (seed: number): PrivateKey {
  const key = keys.get(seed) ?? generateKey(seededRandom(seed))
  keys.set(seed, key)
  return key
}

export function tool (name: string, description = `does ${name}`): ToolDefinition {
  return { name, description, inputSchema: { type: 'object', properties: { text: { type: 'string' } } } }
}

export function sealed (...tools: string[]): SealedCatalogue {
  return sealCatalogue({ tools: tools.map(name => tool(name)) })
}

export function agent (name: string, catalogue: string, more: Partial<AgentEntry> = {}): AgentEntry {
  return { name, catalogue, available: true, ...more }
}

export function recordOf (key: PrivateKey, more: Partial<PeerRecord> = {}): PeerRecord {
  return {
    v: 1,
    peerId: key.peerId,
    name: 'alice',
    incarnation: 1,
    sequence: 1,
    leaseMs: LEASE_MS,
    addresses: ['/ip4/127.0.0.1/tcp/4001'],
    agents: [],
    ...more
  }
}

export function signed (key: PrivateKey, more: Partial<PeerRecord> = {}): [PeerRecord, string] {
  const record = recordOf(key, more)
  return [record, signRecord(key, record, SWARM)]
}
