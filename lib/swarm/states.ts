/**
 * What a member of a pool bids its client return (`requestState`) is of use to that member alone: so it goes out with the
 * member's name before it, and the retry goes to that one, through whichever gateway, also after a restart. Opaque to clients,
 * as it was; the member gets back its own. A client that makes one up reaches a member it may reach anyway.
 */
import { SwarmError } from '../base/error.ts'
import { isPending } from '../mcp/host.ts'

const MARK = 'mcp-swarm-member:'

/** Neither a peer's id nor an agent's name has a slash or a colon. */
const MARKED = /^mcp-swarm-member:([^/:]{1,256})\/([^/:]{1,128}):/

export interface Member {
  readonly peerId: string
  readonly agent: string
}

/** An answer of a member of a pool, as its caller gets it. */
export function withMember<Answer extends object> (answer: Answer, { agent, peerId }: Member): Answer {
  if (!isPending(answer) || typeof answer['requestState'] !== 'string') return answer
  return { ...answer, requestState: `${MARK}${peerId}/${agent}:${answer['requestState']}` }
}

/** @returns undefined for a state that names no member */
export function memberOf (requestState: string | undefined): { readonly member: Member, readonly requestState: string } | undefined {
  const [mark, peerId, agent] = requestState === undefined ? [] : MARKED.exec(requestState) ?? []
  if (requestState === undefined || mark === undefined || peerId === undefined || agent === undefined) return undefined
  return { member: { peerId, agent }, requestState: requestState.slice(mark.length) }
}

/** The one that asked is no longer there: no other could go on. */
export function memberGone (what: string, { agent, peerId }: Member): SwarmError {
  return new SwarmError('UNAVAILABLE', `agent ${agent} of peer ${peerId}, which asked for more about ${JSON.stringify(what)}, is no longer in its pool: call anew`, { details: { agent, peerId, sent: false } })
}
