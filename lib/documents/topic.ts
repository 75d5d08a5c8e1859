/** Which gossip topic a document belongs to: few topics for any number of documents, since gossip keeps a mesh for each. */

/** Topics that all documents share. Part of the protocol: another number would part peers. */
export const BUCKETS = 32

/** @param key of a document: 32 hexadecimal digits */
export function topicOf (swarmId: string, key: string): string {
  return `mcp-swarm/${swarmId}/documents/${bucketOf(key)}`
}

/** The number of that topic. */
export function bucketOf (key: string): number {
  return Number.parseInt(key.slice(0, 2), 16) % BUCKETS
}
