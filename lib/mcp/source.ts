import { openCommand } from '#command'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { openInstance } from './instance.ts'
import type { CommandSource, InstanceSource, Link, UrlSource } from './link.ts'
import { openUrl } from './url.ts'

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
  if (typeof source === 'function') return { open: async () => await openInstance(await source()), isRepeatable: true }
  if ('connect' in source && typeof source.connect === 'function') return { open: async () => await openInstance(source), isRepeatable: false }
  if ('url' in source) return { open: () => openUrl(source), isRepeatable: true }
  if ('command' in source && typeof source.command === 'string' && source.command !== '') return { open: () => openCommand(source, clock), isRepeatable: true }
  throw new SwarmError('INVALID_OPTION', `server ${name}: takes a command, a url, or an McpServer or Server of the MCP SDK, or a function that makes one`)
}
