/**
 * The words of `/mcp-swarm/<swarmId>/mcp/1.0.0`.
 *
 * A stream is an ordinary MCP connection to one agent. The caller's first line names it:
 * `{"agent":"notes","revision":"2026-07-28","session":null}`; `revision` is the newest one the caller speaks. From the
 * second line on both ends send newline-delimited JSON-RPC 2.0, as the MCP specification asks of byte streams; the caller
 * need not wait, for a good first line is not answered. A bad one is, with one line that is not JSON-RPC,
 * `{"error":{"code":"UNKNOWN_AGENT","message":"…"}}`, then the end: nothing that was sent has run.
 *
 * An expected failure travels as a JSON-RPC error whose `data` is `{code, executed, details}`: our stable code, and whether
 * the tool may have run. The numbers are the specification's where it has one, else -32000, which it leaves to servers.
 */
import type { Clock } from '../base/clock.ts'
import { isErrorCode, SwarmError, type ErrorCode } from '../base/error.ts'
import { isObject, JSON_DEPTH_MAX, parseObject, type JsonObject } from '../base/json.ts'
import type { LineStream } from '../base/line.ts'
import { isRevision, REVISIONS, STATELESS_REVISION, type Revision } from './revision.ts'

/** Longest name of an agent, in UTF-16 units. */
export const AGENT_NAME_MAX = 128

/** Calls one stream may have running at once; a further one is refused before it runs, at either end. */
export const CALLS_IN_FLIGHT_MAX = 1_024

/** Longest id of a request or session, in UTF-16 units: an id is echoed, and kept while its call runs. */
export const ID_UNITS_MAX = 256

/** How long the other end of a stream that we have ended may take to end its own side, in milliseconds. */
export const LINGER_MS = 1_000

/** Ours, of the caller: the client that this stream is for has gone for good. */
export const LEFT = 'notifications/mcp-swarm/left'

export const RPC = { parse: -32700, request: -32600, method: -32601, params: -32602, internal: -32603, failed: -32000, version: -32022 } as const

export type RpcId = string | number

/** The protocol id of agents' streams in one swarm. */
export function mcpProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/mcp/1.0.0`
}

export interface Opening {
  readonly agent: string
  readonly revision: Revision
  /** Names a session to continue; null begins afresh. */
  readonly session: string | null
}

export function openingLine (agent: string, revision: Revision = STATELESS_REVISION, session: string | null = null): string {
  return JSON.stringify({ agent, revision, session } satisfies Opening)
}

/** Reads a stream's first line. @throws SwarmError MALFORMED, VERSION_UNSUPPORTED with `details.supported` */
export function readOpening (line: string): Opening {
  const { agent, revision, session } = parseObject(line, 'the first line of an mcp stream')
  if (typeof agent !== 'string' || agent === '' || agent.length > AGENT_NAME_MAX) {
    throw new SwarmError('MALFORMED', `the first line of an mcp stream names no agent of 1 to ${AGENT_NAME_MAX} characters`)
  }
  if (session !== undefined && session !== null && (typeof session !== 'string' || session.length > ID_UNITS_MAX)) {
    throw new SwarmError('MALFORMED', 'the first line of an mcp stream names a session that is no short text')
  }
  if (!isRevision(revision)) {
    throw new SwarmError('VERSION_UNSUPPORTED', `the first line of an mcp stream asks for revision ${brief(revision)}`, { details: { supported: REVISIONS } })
  }
  return { agent, revision, session: session ?? null }
}

export function refusalLine (error: SwarmError): string {
  return JSON.stringify({ error: { code: error.code, message: error.message } })
}

/** The refusal in a parsed line, or undefined if it is none. What was sent on that stream has provably not run. */
export function readRefusal (message: JsonObject): SwarmError | undefined {
  if ('jsonrpc' in message || !isObject(message.error) || !isErrorCode(message.error.code)) return undefined
  return new SwarmError(message.error.code, `refused: ${textIn(message.error.message)}`, { details: { sent: true, executed: false } })
}

/** The codes with which a provider says by itself that the tool has not run. */
const NOT_EXECUTED: readonly ErrorCode[] = ['AGENT_NOT_RUNNING', 'FORBIDDEN', 'INVALID_ARGUMENTS', 'OVERLOADED', 'UNAVAILABLE', 'UNKNOWN_AGENT', 'UNKNOWN_TOOL', 'VERSION_UNSUPPORTED']

/**
 * An expected failure as a JSON-RPC error member. `details.rpc` of a TOOL_FAILED, `{code, data}` as the server behind
 * answered, passes unchanged.
 */
export function rpcError (error: SwarmError): string {
  const { rpc, executed, sent, ...details } = error.details
  const passed = isObject(rpc) && Number.isInteger(rpc.code) ? rpc : undefined
  const data = { code: error.code, executed: executed ?? (sent !== false && !NOT_EXECUTED.includes(error.code)), details, ...(passed === undefined ? {} : { data: passed.data }) }
  return JSON.stringify({ code: passed?.code ?? numberOf(error.code), message: error.message, data })
}

/** The SwarmError in a JSON-RPC error member from outside; `details.executed` false: it has provably not run. */
export function readRpcError (error: unknown): SwarmError {
  if (!isObject(error) || !Number.isInteger(error.code)) return new SwarmError('MALFORMED', 'an answer that is neither a result nor an error', { details: { sent: true } })
  const message = textIn(error.message)
  const data = isShallow(error.data) ? error.data : undefined
  const rpc = { code: error.code, data: isObject(data) && 'executed' in data ? data.data : data }
  if (isObject(data) && isErrorCode(data.code)) {
    const details = isObject(data.details) ? data.details : {}
    return new SwarmError(data.code, message, { details: { ...details, sent: true, executed: data.executed !== false, ...(data.code === 'TOOL_FAILED' ? { rpc } : {}) } })
  }
  const code = error.code === RPC.params ? 'INVALID_ARGUMENTS' : error.code === RPC.version ? 'VERSION_UNSUPPORTED' : 'TOOL_FAILED'
  return new SwarmError(code, message, { details: { sent: true, executed: code === 'TOOL_FAILED', rpc } })
}

/** Whether a failed call has provably not run, so that trying it elsewhere cannot run it twice. */
export function hasNotRun (error: unknown): boolean {
  return error instanceof SwarmError && (error.details.sent === false || error.details.executed === false)
}

/** Ends our side after what is queued, and the stream a second later if the other end keeps its side open. */
export function endSoon (lines: LineStream, clock: Clock): void {
  void lines.end()
  clock.after(LINGER_MS, () => { lines.abort(new SwarmError('CLOSED', `stream ${lines.protocol} was ended, and the other end kept it open`)) })
}

export function isRpcId (id: unknown): id is RpcId {
  return Number.isSafeInteger(id) || (typeof id === 'string' && id.length <= ID_UNITS_MAX)
}

/** Whether a parsed value is nested at most `depth` deep: what is not would overflow whoever walks it. */
export function isShallow (value: unknown, depth = JSON_DEPTH_MAX): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every(item => isShallow(item, depth - 1))
  for (const key in value) if (!isShallow((value as JsonObject)[key], depth - 1)) return false
  return true
}

function numberOf (code: ErrorCode): number {
  if (code === 'VERSION_UNSUPPORTED') return RPC.version
  if (code === 'MALFORMED') return RPC.request
  if (code === 'UNKNOWN_TOOL' || code === 'INVALID_ARGUMENTS') return RPC.params
  return RPC.failed
}

/** A word from outside for a message of ours: whatever it is, short and harmless. */
export function brief (value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 80) : `(${typeof value})`
}

function textIn (value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 1_000) : 'no reason given'
}
