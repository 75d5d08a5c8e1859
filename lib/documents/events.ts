/** What a document tells its application. */
import type { SwarmError } from '../base/error.ts'
import type { Alarm, Replica } from '../../crdt/replica.ts'
import type { Repair } from './status.ts'

/** A Yjs document, of the application's own copy of Yjs. */
export type YDoc = Replica['doc']

export interface DocumentEvents {
  /** What was damaged on this disk has come back from another peer. */
  repaired: Repair
  /** Somebody has said two things under one name: proof for whoever administers the swarm. The peers agree on one of them. */
  alarm: Alarm
  /** Something is wrong with the disk; changes are in memory only until it is over. Or Yjs could not write down a change, which is lost. */
  trouble: SwarmError
  /** `document.ydoc` is another one from now on, the one before is destroyed: bind editors and observers anew. */
  replaced: { readonly ydoc: YDoc }
}
