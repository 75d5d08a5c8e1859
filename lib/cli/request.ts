/**
 * What one command asks of the peer that holds a data folder: one JSON line; replies are lines `{"progress":…}` of a call and
 * `{"changed":…}` of a document that is watched, then one `{"result":…}` or `{"error":{code,message,details}}`. Closing the connection takes the question back.
 */
import type { Socket } from 'node:net'
import { ERROR_CODES, SwarmError, systemClock, type InviteOptions, type Json, type Prefix, type ToolsMode } from 'mcp-swarm'
import { LINE_BYTES_MAX, readLines, writeLine } from './lines.ts'

/** How long a holder may take to answer, in milliseconds, beyond what a call itself may: it may be frozen. */
export const ANSWER_MS_MAX = 5_000

/** How long a call may take unless told otherwise, in milliseconds: as `swarm.call`. */
const CALL_MS_DEFAULT = 60_000

/** When gateway names carry their agent. */
export const PREFIXES: readonly Prefix[] = ['auto', 'always', 'never']

/** Which tools a gateway lists. */
export const TOOLS_MODES: readonly ToolsMode[] = ['auto', 'all', 'search']

/** How a gateway shows the swarm. */
export interface ShowOptions {
  /** Default `auto`. */
  readonly prefix?: Prefix
  /** Default `auto`. */
  readonly tools?: ToolsMode
}

export interface Call {
  readonly do: 'call'
  /** A tool's own name, or its name in the gateway. */
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  readonly agent?: string
  readonly peer?: string
  readonly timeoutMs?: number
}

/** A path is as `Document.get` has it; without a value `doc-set` deletes. */
export type DocumentQuestion =
  | { readonly do: 'doc-get', readonly name: string, readonly path: string }
  | { readonly do: 'doc-set', readonly name: string, readonly path: string, readonly value?: Json }
  | { readonly do: 'doc-watch', readonly name: string, readonly path: string }

export interface Invite {
  readonly do: 'invite'
  readonly options: InviteOptions
}

export type Question = DocumentQuestion | Invite | { readonly do: 'status' } | { readonly do: 'tools', readonly prefix?: Prefix } | Call

/** The first line of a connection. `mcp`: everything after it is MCP with the gateway. */
export type Request = Question | { readonly do: 'mcp' } & ShowOptions

export interface AskOptions {
  readonly signal: AbortSignal
  readonly progress?: (progress: CallProgress) => void
  /** What stands in a document that is watched; a promise holds the next one back. */
  readonly changed?: (news: DocumentNews) => void | Promise<void>
}

export interface DocumentNews {
  readonly name: string
  readonly path: string
  /** Null where nothing stands. */
  readonly value: Json
}

export interface CallProgress {
  readonly progress: number
  readonly total?: number
  readonly message?: string
}

/** @throws SwarmError MALFORMED */
export function readRequest (line: string): Request {
  const request = readObject(line)
  const { do: what, prefix, tools, tool, arguments: values, agent, peer, timeoutMs, name, path, value } = request
  if (what === 'status') return { do: what }
  if (what === 'invite') {
    if (!isObject(request['options'])) throw new SwarmError('MALFORMED', 'a request for a ticket without its options')
    return { do: what, options: request['options'] } // checked where the ticket is made
  }
  if (what === 'tools' || what === 'mcp') {
    if (prefix !== undefined && !PREFIXES.includes(prefix as Prefix)) throw new SwarmError('MALFORMED', 'a request with an unknown prefix')
    if (tools !== undefined && !TOOLS_MODES.includes(tools as ToolsMode)) throw new SwarmError('MALFORMED', 'a request with an unknown mode of tools')
    const shown = { prefix: prefix as Prefix | undefined }
    return what === 'tools' ? { do: what, ...shown } : { do: what, ...shown, tools: tools as ToolsMode | undefined }
  }
  if (what === 'doc-get' || what === 'doc-set' || what === 'doc-watch') {
    if (typeof name !== 'string' || typeof path !== 'string') throw new SwarmError('MALFORMED', 'a request about a document without its name or a path')
    return { do: what, name, path, ...value === undefined ? {} : { value: value as Json } }
  }
  const isText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string'
  if (what !== 'call' || typeof tool !== 'string' || !isObject(values) || !isText(agent) || !isText(peer) || !(timeoutMs === undefined || Number.isFinite(timeoutMs))) {
    throw new SwarmError('MALFORMED', 'a request that is none of status, tools, call, invite, doc-get, doc-set, doc-watch and mcp')
  }
  return { do: what, tool, arguments: values, agent, peer, timeoutMs: timeoutMs as number | undefined }
}

/**
 * Asks the holder behind an open socket.
 *
 * @throws SwarmError as the holder answered; ABORTED; INDETERMINATE when the holder went away with a call of ours, else UNAVAILABLE
 */
export async function ask (socket: Socket, question: Question, { signal, progress, changed }: AskOptions): Promise<unknown> {
  const onAbort = (): void => { socket.destroy() }
  signal.addEventListener('abort', onAbort, { once: true })
  let cause: unknown
  const boundMs = question.do === 'call' ? (question.timeoutMs ?? CALL_MS_DEFAULT) + ANSWER_MS_MAX : question.do === 'doc-watch' ? Infinity : ANSWER_MS_MAX
  const cancel = systemClock.after(boundMs, onAbort)
  try {
    const line = JSON.stringify(question)
    const bytes = Buffer.byteLength(line)
    if (bytes > LINE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a request of ${bytes} bytes; limit ${LINE_BYTES_MAX}`)
    void writeLine(socket, line) // what comes back is read meanwhile: whoever refuses a request reads no more of it
    for await (const line of readLines(socket)) {
      const reply = readObject(line)
      if (isObject(reply['progress'])) progress?.(reply['progress'] as unknown as CallProgress)
      else if (isObject(reply['changed'])) await changed?.(reply['changed'] as unknown as DocumentNews)
      else if (isObject(reply['error'])) throw readError(reply['error'])
      else if ('result' in reply) return reply['result']
    }
  } catch (error) {
    if (error instanceof SwarmError) throw error
    cause = error // the socket broke, or was destroyed here
  } finally {
    signal.removeEventListener('abort', onAbort)
    cancel()
    socket.destroy()
  }
  if (signal.aborted) throw new SwarmError('ABORTED', `${question.do} was given up`, { cause: signal.reason })
  throw question.do === 'call'
    ? new SwarmError('INDETERMINATE', `the peer that was calling ${question.tool} is gone, or frozen`, { cause })
    : new SwarmError('UNAVAILABLE', `the peer that was asked for ${question.do} is gone, or frozen`, { cause })
}

export function errorReply (error: unknown): string {
  if (!(error instanceof SwarmError)) return JSON.stringify({ error: { code: 'UNEXPECTED', message: error instanceof Error ? error.stack : String(error) } })
  return JSON.stringify({ error: { code: error.code, message: error.message, details: error.details } })
}

function readError (error: Readonly<Record<string, unknown>>): Error {
  const message = String(error['message'])
  const code = ERROR_CODES.find(each => each === error['code'])
  if (code === undefined) return new Error(message)
  return new SwarmError(code, message, { details: isObject(error['details']) ? { ...error['details'] } : {} })
}

function readObject (line: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new SwarmError('MALFORMED', 'a line on the control socket is not JSON', { cause })
  }
  if (!isObject(value)) throw new SwarmError('MALFORMED', 'a line on the control socket is not a JSON object')
  return value
}

function isObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
