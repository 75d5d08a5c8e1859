/** What a directory makes of what it is told. */
import type { Absence, AgentView, PeerView } from './peer.ts'

/** What happened, for whoever tells of events: a peer that joins or leaves brings or takes its agents one by one. One that may be made up is not to be looked for any more once it is forgotten. */
export type Change =
  | { readonly kind: 'peer-joined' | 'peer-updated', readonly peer: PeerView }
  | { readonly kind: 'peer-left', readonly peer: PeerView, readonly why: Absence }
  | { readonly kind: 'peer-forgotten', readonly peerId: string }
  | { readonly kind: 'agent-added' | 'agent-changed' | 'agent-removed', readonly agent: AgentView }

export interface Merged {
  /**
   * taken: newer than what was held. revived: no newer, but its peer lives again. renewed: a further lease. known: nothing
   * new. outdated: a newer one is held. own: about this peer. full: no room for a further peer.
   */
  readonly outcome: 'taken' | 'revived' | 'renewed' | 'known' | 'outdated' | 'own' | 'full'
  readonly changes: readonly Change[]
}
