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
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  /** Ours: milliseconds the caller will still wait when it sends; what works for it may stop then. */
  timeoutMs: 'mcp-swarm/timeoutMs'
} as const

export function isRevision (value: unknown): value is Revision {
  return (REVISIONS as readonly unknown[]).includes(value)
}
