/**
 * Every code an expected failure can carry: stable, listed with its cure in docs/ERRORS.md.
 * A bug breaks an assert instead and is never one of these.
 */
export const ERROR_CODES = [
  'ABORTED', // the caller's signal fired
  'ADDRESS_INVALID', // an address that is no multiaddr, or no transport speaks it
  'AGENT_EXISTS', // this peer already hosts an agent of that name
  'AGENT_NOT_RUNNING', // the agent is not started, or has stopped
  'AGENT_STATUS', // start or stop, in a status that does not allow it
  'AMBIGUOUS', // several providers outside one pool: name the agent or the peer
  'CLOCK_OFF', // the clocks of this machine and of an inviter differ too much
  'CLOSED', // the swarm, connection or stream was closed
  'CONFIG_INVALID', // a config file with a syntax error, a wrong type or an unknown name
  'DISK_FAILED', // documents cannot be written: nothing is acknowledged until they can
  'DOCUMENT_DAMAGED', // a document's log is not on disk as it was written, or a change could not be written down
  'FOLDER_IN_USE', // another process holds the data folder
  'FOLDER_UNUSABLE', // the folder cannot be made, read or written, or others may write to it
  'FORBIDDEN', // the provider's allow list does not name this peer
  'INDETERMINATE', // sent, but no answer: it may or may not have run
  'INVALID_ARGUMENTS', // the arguments do not fit the tool's schema
  'INVALID_OPTION', // a setting out of range or of the wrong type
  'KEY_EXPOSED', // a key file that other users may read
  'KEY_INVALID', // a key file that holds no key
  'MALFORMED', // bytes from outside that break their format
  'MULTICAST_BLOCKED', // peers on the LAN cannot be found: multicast cannot be sent, or is not heard
  'NAME_INVALID', // a text that no document may have as its name
  'NEEDS_TICKET', // a page has no local swarm to join
  'NOT_ADMIN', // only a peer with the swarm's key may do this
  'NOT_ADMITTED', // no valid grant for this swarm, or none in time
  'OVERLOADED', // a stated limit on queues or calls in flight is reached
  'PORT_IN_USE', // the address to listen on is taken
  'RECORD_INVALID', // a record with a wrong signature or over its limits
  'SERVER_FAILED', // a shared server's command does not exist, or dies at start
  'SWARM_EXISTS', // the data folder belongs to a swarm already
  'TICKET_EXPIRED', // nobody joins by this ticket any more
  'TICKET_INVALID', // no ticket, a damaged one, or not of the swarm that was asked
  'TICKET_USED', // a ticket that has let in as many as it may
  'TIMEOUT', // nothing was sent in time: safe to try again
  'TOOL_FAILED', // the tool, or the server behind it, answered with a protocol error
  'TOO_LARGE', // over a named limit of bytes or entries
  'UNAVAILABLE', // the provider is known but cannot serve now
  'UNKNOWN_AGENT', // no living agent of that name
  'UNKNOWN_PEER', // no living peer of that id or name
  'UNKNOWN_TOOL', // no living provider of that tool
  'UNREACHABLE', // no address of the peer answered: nothing was sent
  'VERSION_UNSUPPORTED' // the other side speaks no version that we do
] as const

export type ErrorCode = typeof ERROR_CODES[number]

/** An expected failure: a stable code, and what was being done to what. */
export class SwarmError extends Error {
  override readonly name = 'SwarmError'
  readonly code: ErrorCode
  /** Facts a program can act on, as plain JSON; names are given in docs/ERRORS.md beside the code. */
  readonly details: Readonly<Record<string, unknown>>

  constructor (code: ErrorCode, message: string, options: ErrorOptions & { details?: Record<string, unknown> } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }
}

/** Whether a value from outside is one of our codes. */
export function isErrorCode (value: unknown): value is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(value)
}

/** Holds in every correct program; a break is a bug and is never caught. */
export function assert (claim: unknown, message: string): asserts claim {
  if (!claim) throw new Error(`bug: ${message}`)
}

/** What was thrown, in words for a person. */
export function messageOf (thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
