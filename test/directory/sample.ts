/** Peers, records and catalogues for the tests of this folder. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { mintGrant } from '../../lib/access/grant.ts'
import { shortGrant } from '../../lib/access/short-grant.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { sealCatalogue, type SealedCatalogue, type ToolDefinition } from '../../lib/directory/catalogue.ts'
import { LEASE_MS, signRecord, type AgentEntry, type PeerRecord } from '../../lib/directory/record.ts'
import { generateKey, peerIdOf, type PrivateKey } from '../../lib/identity/key.ts'

export const SWARM = 'aaaabbbbccccddddeeeeffff22'

/** Of the swarm that the grants here are of; records name another, which nobody compares. */
export const swarmKey = generateKey(seededRandom(990_990))

/** A grant that never ends, in the short form. */
export function grantOf (key: PrivateKey): string {
  return shortGrant(mintGrant(swarmKey, { peerId: key.peerId, role: 'member', issuedAtMs: 1, memberUntilMs: null }))
}

const keys = new Map<number, PrivateKey>()

/** The key of a number, set up once: that takes longer than a signature. */
export function keyOf (seed: number): PrivateKey {
  const key = keys.get(seed) ?? generateKey(seededRandom(seed))
  keys.set(seed, key)
  return key
}

/** One of very many, on whose bytes nothing depends: `keyOf` takes 2 ms for each. */
export function someKey (): PrivateKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const bytes = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  return { peerId: peerIdOf(bytes), publicKey: bytes, seed: new Uint8Array(32), sign: text => sign(null, text, privateKey) }
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
