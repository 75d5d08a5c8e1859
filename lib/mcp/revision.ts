/**
 * The revisions of MCP spoken here, and the names they reserve. A request of the stateless revision says so in its own
 * `_meta`; one of the older revision belongs to a session begun with `initialize`.
 */

/** Stateless: every request carries its version and the caller's capabilities. */
export const STATELESS_REVISION = '2026-07-28'

/** Begun with `initialize`, state kept per stream. */
export const SESSION_REVISION = '2025-11-25'

/** Newest first. */
export const REVISIONS = [STATELESS_REVISION, SESSION_REVISION] as const

export type Revision = typeof REVISIONS[number]

/** Keys of `_meta`. Source: MCP 2026-07-28, basic, `_meta`. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  /** Ours: milliseconds the caller will still wait when it sends; what works for it may stop then. */
  timeoutMs: 'mcp-swarm/timeoutMs',
  /** Ours, in a log message: the id of the request it belongs to. */
  requestId: 'mcp-swarm/requestId'
} as const

/** Members of `_meta` that belong to one hop and are set anew on the next. */
const HOP = new Set<string>(['progressToken', META.protocolVersion, META.clientInfo, META.clientCapabilities, META.logLevel])

/** What of a request's `_meta` is meant for whoever answers it in the end. */
export function withoutHop (meta: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(meta).filter(([name]) => !HOP.has(name)))
}

export function isRevision (value: unknown): value is Revision {
  return (REVISIONS as readonly unknown[]).includes(value)
}
