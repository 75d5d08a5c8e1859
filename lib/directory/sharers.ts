/** Who takes part in the same topics of documents. */
import type { Peer } from './peer.ts'
import type { PeerRecord } from './record.ts'

/** Topics, each a bit of what a record says. */
const TOPICS = 32

/** For each topic of documents that a peer takes part in: the other living peers that do too. @param self its own record */
export function sharersOf (self: PeerRecord | undefined, peers: Iterable<Peer>): ReadonlySet<string>[] {
  const own = Number.parseInt(self?.documents ?? '0', 16)
  const groups: Set<string>[] = []
  for (let topic = 0; topic < TOPICS; topic++) if ((own >>> topic & 1) === 1) groups[topic] = new Set()
  if (own === 0) return []
  for (const { absence, record: { documents, peerId } } of peers) {
    if (absence !== undefined || documents === undefined || peerId === self?.peerId) continue
    const shared = (Number.parseInt(documents, 16) & own) >>> 0
    for (let topic = 0; topic < TOPICS; topic++) if ((shared >>> topic & 1) === 1) groups[topic]?.add(peerId)
  }
  return groups.filter(group => group.size > 0)
}
