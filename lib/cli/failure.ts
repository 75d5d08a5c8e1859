/** What failed, for a person: the code, a plain sentence, and what to do; for a program: the same as one JSON line. */
import { SwarmError, type ErrorCode } from 'mcp-swarm'
import { plainLine, plainText } from './text.ts'

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const

/** What to do, by code; of the rest the sentence says all there is. */
const CURES: Partial<Record<ErrorCode, string>> = {
  ADDRESS_INVALID: 'Listen on a multiaddr such as /ip4/127.0.0.1/tcp/4001.',
  AMBIGUOUS: 'Say which one: add --agent NAME, --peer NAME, or both.',
  CLOCK_OFF: 'Set the clock of both machines, and try again.',
  CONFIG_INVALID: 'Correct the file at that place.',
  DISK_FAILED: 'Make room on the disk, or check that it works; then try again.',
  FOLDER_IN_USE: 'See what it does: mcp-swarm status with the same --dir. If that says this too, give both the same XDG_RUNTIME_DIR.',
  FOLDER_UNUSABLE: 'Check who owns the folder, its mode, and the space on its disk, or give another --dir.',
  FORBIDDEN: 'Ask whoever shares it to name this peer under "allow".',
  INDETERMINATE: 'It may have run: look before you call again.',
  INVALID_ARGUMENTS: 'See what the tool takes: mcp-swarm tools NAME --json',
  KEY_EXPOSED: 'Nobody else may read it: chmod 600 the file; if somebody may have read it, delete it and begin anew.',
  KEY_INVALID: 'Restore the file from a copy, or delete it to begin anew with another key.',
  MULTICAST_BLOCKED: 'Do what it says; it is tried again every few seconds, and told when it is over. Peers that a ticket names are reached without.',
  NAME_INVALID: 'Name it with letters, digits and signs, at most 128.',
  NOT_ADMIN: 'See what this peer is: mcp-swarm status',
  NOT_ADMITTED: 'Ask an admin for a ticket, then: mcp-swarm join TICKET. If the membership should count, set the clock of this machine.',
  OVERLOADED: 'Try again in a moment.',
  PORT_IN_USE: 'Stop what uses the port, or listen on port 0 to get a free one.',
  SERVER_FAILED: 'Start the command by hand to see why, and correct it in the config.',
  TICKET_EXPIRED: 'Ask for another ticket: mcp-swarm invite --expires 7d',
  TICKET_INVALID: 'Copy all of the line that mcp-swarm invite printed, or ask for another ticket.',
  TICKET_USED: 'Ask for another ticket, or for one that more may use: mcp-swarm invite --uses 5',
  TIMEOUT: 'Nothing ran: try again, with a longer --timeout if it is slow.',
  UNAVAILABLE: 'Try again in a moment; mcp-swarm status says how its provider is.',
  UNKNOWN_AGENT: 'See who is there: mcp-swarm peers',
  UNKNOWN_PEER: 'See who is there: mcp-swarm peers',
  UNKNOWN_TOOL: 'See what is offered: mcp-swarm tools',
  UNREACHABLE: 'See who is there: mcp-swarm peers',
  VERSION_UNSUPPORTED: 'Update mcp-swarm, here or at the other peer, whichever is older.'
}

/** What to do about a code, if there is anything that its sentence does not say. */
export function cureOf (code: ErrorCode): string | undefined {
  return CURES[code]
}

/** Wrong usage of the command line itself, told as such. */
export class UsageError extends Error {}

export function exitCodeOf (error: unknown): number {
  return error instanceof UsageError || (error instanceof SwarmError && error.code === 'INVALID_OPTION') ? EXIT.usage : EXIT.failed
}

/** The lines for standard error, without a newline at the end. */
export function failureText (error: unknown): string {
  if (error instanceof UsageError) return `mcp-swarm: ${plainText(error.message)}`
  if (error instanceof SwarmError) {
    const cure = error.code === 'AMBIGUOUS' ? choicesOf(error) : todoOf(error)
    const sentence = plainText(error.message)
    return `mcp-swarm: ${error.code}: ${sentence}${/[.?!]$/.test(sentence) ? '' : '.'}${cure === undefined ? '' : `\n${cure}`}`
  }
  return `mcp-swarm: unexpected: ${error instanceof Error ? error.stack ?? error.message : String(error)}`
}

/** Of a ticket whose inviters are not there. */
const NOBODY_LETS_IN = 'Whoever made the ticket must be up (mcp-swarm up) and reachable from this network: try again then with the same ticket, or ask for a newer one.'

function todoOf ({ code, details }: SwarmError): string | undefined {
  if (code === 'UNREACHABLE' && 'inviters' in details) return NOBODY_LETS_IN
  return code === 'CONFIG_INVALID' && details['line'] === undefined ? undefined : CURES[code] // of a whole file its sentence says all
}

/** What to add to the call, choice by choice. */
function choicesOf ({ code, details: { choices } }: SwarmError): string | undefined {
  const flags = (Array.isArray(choices) ? choices : []).flatMap(({ add }: { add?: { agent?: string, peer?: string } }) =>
    add === undefined ? [] : [Object.entries(add).map(([option, value]) => `--${option} ${plainLine(String(value))}`).join(' ')])
  return flags.length === 0 ? CURES[code] : `Say which one, with one of:\n${flags.map(each => `  ${each}`).join('\n')}`
}

/** The one line for a program that asked for JSON. */
export function failureJson (error: unknown): string {
  if (!(error instanceof SwarmError)) return JSON.stringify({ error: { code: error instanceof UsageError ? 'USAGE' : 'UNEXPECTED', message: error instanceof Error ? error.message : String(error) } })
  return JSON.stringify({ error: { code: error.code, message: error.message, todo: todoOf(error), details: error.details } })
}
