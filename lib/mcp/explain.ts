/** A failed call in words that a person, or a model, can act on: what, whose, since when, and what to do. */
import { SwarmError, type ErrorCode } from '../base/error.ts'
import { failureResult } from './failure.ts'
import type { CallToolResult } from './host.ts'
import type { GatewayTool } from './names.ts'
import type { Target } from './view.ts'

const ADVICE: Partial<Record<ErrorCode, string>> = {
  AGENT_NOT_RUNNING: 'Nothing has run. Ask its owner to start it.',
  AMBIGUOUS: 'Nothing has run. List the tools again: their names have changed.',
  FORBIDDEN: 'Nothing has run. Its owner has to allow this peer ("allow" in the config there).',
  INDETERMINATE: 'It may or may not have run: look before you repeat it.',
  MALFORMED: 'It may have run. Whoever runs it has to mend what it answers.',
  NOT_ADMITTED: 'Nothing has run. This peer is no member of the swarm any more.',
  OVERLOADED: 'Nothing has run. Try again in a moment.',
  TIMEOUT: 'Nothing has run. Try again.',
  TOO_LARGE: 'Ask for less at once.',
  UNAVAILABLE: 'Nothing has run. It is started again by itself; try later, or look at its log there.',
  UNKNOWN_AGENT: 'Nothing has run. It has left the swarm; list the tools again.',
  UNKNOWN_PEER: 'Nothing has run. It has left the swarm; list the tools again.',
  UNKNOWN_TOOL: 'Nothing has run. It is no longer offered; list the tools again.',
  UNREACHABLE: 'Nothing has run. That machine may be asleep or off the network; try again later.'
}

/** What failed, whose it is, since when, and what to do. */
export function explainText ({ code, details, message }: SwarmError, target: Target, what = 'asked'): string {
  const where = target.pool === undefined
    ? `agent ${JSON.stringify(target.agent)} of peer ${JSON.stringify(target.peerName)} (${target.peerId})`
    : `pool ${JSON.stringify(target.pool)}`
  const sinceMs = details['sinceMs'] ?? (target.available ? undefined : target.sinceMs)
  const since = typeof sinceMs === 'number' && Number.isFinite(sinceMs) ? `, so since ${new Date(sinceMs).toISOString()}` : ''
  return `${message.replace(/\.$/, '')}. ${what === 'asked' ? 'Asked was' : 'It is a tool of'} ${where}${since}. ${ADVICE[code] ?? ''}`.trimEnd()
}

export function explainFailure (error: SwarmError, tool: GatewayTool): CallToolResult {
  const { code, details } = error
  const whose = tool.pool === undefined ? { peer: tool.peerName, peerId: tool.peerId } : { pool: tool.pool }
  return failureResult(code, explainText(error, tool, 'a tool'), { ...details, tool: tool.tool.name, agent: tool.agent, ...whose })
}

/** A provider that lies: its answer is no result of a tool. */
export function explainGarbage (tool: GatewayTool): CallToolResult {
  return explainFailure(new SwarmError('MALFORMED', `what came back from ${tool.name} is not the result of a tool`), tool)
}
