/**
 * libp2p's log. It makes a logger for each connection, each stream and each step of a negotiation, and formats names for them, which is a
 * tenth of what a link costs, whether anybody listens or not: so it gets its own loggers only where somebody asks for them, as its
 * documentation says, by `DEBUG=libp2p*` or in a page by `localStorage.debug`.
 */
import type { ComponentLogger, Logger } from '@libp2p/interface'

/** What all of libp2p's names begin with. */
const OWNER = 'libp2p'

/** Takes everything, and is its own scope. */
export const SILENT: Logger = Object.assign(() => {}, { error () {}, trace () {}, enabled: false, newScope: () => SILENT })

const silentLogger: ComponentLogger = { forComponent: () => SILENT }

/** @param names as of `debugNames` @returns what libp2p is to log to; undefined for its own way */
export function loggerFor (names: string): ComponentLogger | undefined {
  return isAsked(names) ? undefined : silentLogger
}

/** Whether one of the names, with its stars, can be one of libp2p's. What is left out by a `-` is for its own loggers to see. */
function isAsked (names: string): boolean {
  return names.split(/[\s,]+/).some(name => {
    const [start = '', ...rest] = name.split('*')
    return start.startsWith(OWNER) || (rest.length > 0 && OWNER.startsWith(start))
  })
}
