import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { CommandSource, Link } from './link.ts'

/** A page starts no processes. */
export function openCommand (source: CommandSource, _clock: Clock): Link {
  throw new SwarmError('INVALID_OPTION', `a page cannot start the command ${source.command}: share a URL or a server instance`)
}
