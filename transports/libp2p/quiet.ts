/**
 * What libp2p says to its log, for nobody: it makes a logger for each connection, each stream and each step of a negotiation, and
 * formats names for them, which is a tenth of what a link costs, whether anybody listens or not.
 */
import type { ComponentLogger, Logger } from '@libp2p/interface'

/** Takes everything, and is its own scope. */
export const SILENT: Logger = Object.assign(() => {}, { error () {}, trace () {}, enabled: false, newScope: () => SILENT })

export const silentLogger: ComponentLogger = { forComponent: () => SILENT }
