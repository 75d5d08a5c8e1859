/** What the fixture's tools know beside their arguments. */
import { CLIENT_CAPABILITIES_META_KEY, type ClientCapabilities, type ServerContext } from '@modelcontextprotocol/server'

/** What servers made in one process share: some live for one request only. */
export interface Shared {
  /** How often each list was changed. */
  readonly changes: { tools: number, prompts: number }
  /** Tells whoever listens. Without it the server itself tells its client. */
  readonly tell?: (list: keyof Shared['changes']) => void
}

/** Seals what a handler must know in the next round. */
export type Seal = (state: Readonly<Record<string, unknown>>) => Promise<string>

/** What the caller of this request says that it can do; nothing on connections of 2025-11-25, where it says so once. */
export function capabilitiesOf ({ mcpReq }: ServerContext): ClientCapabilities {
  return (mcpReq.envelope as Record<string, ClientCapabilities> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] ?? {}
}
