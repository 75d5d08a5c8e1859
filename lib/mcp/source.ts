import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { CommandSource, InstanceSource, Link, UrlSource } from './link.ts'

/** Makes an instance for one connection: McpServer or Server of the SDK, v1 or v2. */
export type FactorySource = () => InstanceSource | Promise<InstanceSource>

/** What can be shared. */
export type ServerSource = CommandSource | UrlSource | InstanceSource | FactorySource

export interface Opener {
  readonly open: () => Link | Promise<Link>
  /** It can be opened more than once: started again, or once for each caller. */
  readonly isRepeatable: boolean
}

/** @throws SwarmError INVALID_OPTION */
export function openerOf (name: string, source: ServerSource, clock: Clock): Opener {
  // The SDK's client is loaded when a server is reached: most peers share none, and it takes longer than the rest of a start.
  if (typeof source === 'function') return { open: async () => await (await import('./instance.ts')).openInstance(await source()), isRepeatable: true }
  if ('connect' in source && typeof source.connect === 'function') return { open: async () => await (await import('./instance.ts')).openInstance(source), isRepeatable: false }
  if ('url' in source) return { open: async () => (await import('./url.ts')).openUrl(source), isRepeatable: true }
  if ('command' in source && typeof source.command === 'string' && source.command !== '') return { open: async () => (await import('#command')).openCommand(source, clock), isRepeatable: true }
  throw new SwarmError('INVALID_OPTION', `server ${name}: takes a command, a url, or an McpServer or Server of the MCP SDK, or a function that makes one`)
}
