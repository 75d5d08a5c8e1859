/** Existing MCP servers, offered by this peer. */
import { parseRule, type Rule } from '../access/rule.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { shareServer, type ServerSource, type SharedServer } from '../mcp/share.ts'
import type { SessionMode } from './config.ts'
import { EVERY_MEMBER } from './changes.ts'
import type { Hosting } from './hosting.ts'
import type { Troubles } from './troubles.ts'

export interface ShareOptions {
  /** What the server is called in the swarm: 1 to 64 of `A-Z a-z 0-9 _ - .` */
  readonly name: string
  /** Servers of one pool declare themselves interchangeable where their tools are equal. */
  readonly pool?: string
  readonly description?: string
  /** Who may use it: `all`, `role:member`, `role:admin`, `peer:<peer id>`. Default `role:member`. An empty list: nobody. */
  readonly allow?: readonly string[]
  /**
   * `shared` (default): one connection for everybody, through which a server of MCP 2025-11-25 can ask nobody. `caller`: such a server is
   * started once more for each client that uses it, and may ask it; not for a server instance.
   */
  readonly session?: SessionMode
}

/** Whom an agent serves; every member when nothing is said. @throws SwarmError CONFIG_INVALID for a text that is no rule */
export function rulesOf (allow: readonly string[] = EVERY_MEMBER): readonly Rule[] {
  return allow.map(parseRule)
}

/** What offering a server takes. */
export interface Sharing {
  readonly clock: Clock
  readonly random: Random
  readonly hosting: Hosting
  readonly troubles: Troubles
  /** Fires when the swarm closes: what fails then is no trouble. */
  readonly closing: AbortSignal
}

/** Starts a server and offers it, from its first moment as one that is starting. @throws SwarmError AGENT_EXISTS, TOO_LARGE, CONFIG_INVALID */
export function offerServer (source: ServerSource, { name, pool, description, allow, session }: ShareOptions, { clock, random, hosting, troubles }: Sharing): SharedServer {
  const rules = rulesOf(allow)
  const server = shareServer(name, source, {
    clock, random, pool, description, ...session !== undefined && { session }, report: message => { troubles.note('SERVER_FAILED', message) }
  })
  try {
    hosting.add(server, 'server', rules)
  } catch (error) {
    void server.close()
    throw error
  }
  return server
}
