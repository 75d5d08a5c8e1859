/** The lines a caller writes, and what it takes for a result. */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { isPending, type CallToolResult, type ClientSide, type Outcome } from './host.ts'
import { META, STATELESS_REVISION } from './revision.ts'
import { brief, isShallow } from './wire.ts'

export interface LineOptions {
  readonly timeoutMs: number
  readonly hasProgress: boolean
  readonly meta: JsonObject | undefined
  readonly client: ClientSide | undefined
}

const ENVELOPE = `"${META.protocolVersion}":"${STATELESS_REVISION}","${META.clientCapabilities}":{}`

/** @param args JSON text of an object */
export function callLine (id: number, name: string, args: string, options: LineOptions): string {
  const head = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${JSON.stringify(name)},"arguments":${args},"_meta":`
  const { client, hasProgress, meta, timeoutMs } = options
  if (meta !== undefined || client !== undefined) return `${head}${JSON.stringify(metaOf(id, options))}${retryOf(client)}}}`
  return `${head}{${ENVELOPE},"${META.timeoutMs}":${wholeMs(timeoutMs)}${hasProgress ? `,"progressToken":${id}` : ''}}}}`
}

/** @throws SwarmError INVALID_ARGUMENTS for parameters that are not JSON */
export function requestLine (id: number, method: string, params: JsonObject, options: LineOptions): string {
  try {
    return `${JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: metaOf(id, options) } }).slice(0, -2)}${retryOf(options.client)}}}`
  } catch (cause) {
    throw new SwarmError('INVALID_ARGUMENTS', `parameters of ${method} are not JSON`, { cause })
  }
}

function metaOf (id: number, { client, hasProgress, meta, timeoutMs }: LineOptions): object {
  return {
    [META.protocolVersion]: STATELESS_REVISION,
    [META.clientCapabilities]: client?.capabilities ?? {},
    [META.timeoutMs]: wholeMs(timeoutMs),
    ...client?.logLevel !== undefined && { [META.logLevel]: client.logLevel },
    ...meta,
    ...hasProgress && { progressToken: id }
  }
}

/** Further members of the parameters, where a request is tried again with what was asked for. */
function retryOf (client: ClientSide | undefined): string {
  const { inputResponses, requestState } = client ?? {}
  return `${inputResponses === undefined ? '' : `,"inputResponses":${JSON.stringify(inputResponses)}`}${requestState === undefined ? '' : `,"requestState":${JSON.stringify(requestState)}`}`
}

function wholeMs (timeoutMs: number): number {
  return Math.min(Math.ceil(timeoutMs), Number.MAX_SAFE_INTEGER)
}

/** Checks what a provider calls the result of a tool. The wire's `resultType` is taken off; content is always there. */
export function readResult (result: unknown, hasClient: boolean): Outcome | SwarmError {
  const read = readAnswer(result, hasClient)
  if (read instanceof SwarmError || isPending(read)) return read
  const { content, structuredContent } = read
  if (content === undefined && structuredContent !== undefined) return { ...read, content: [] }
  if (!Array.isArray(content) || !content.every(isBlock)) return malformed('a result without content')
  if (read['isError'] !== undefined && typeof read['isError'] !== 'boolean') return malformed('an isError that is no boolean')
  return read as unknown as CallToolResult
}

/** Checks what a provider answers to any request. @param hasClient whether it may answer that it needs more, or takes longer */
export function readAnswer (result: unknown, hasClient: boolean): JsonObject | SwarmError {
  if (!isObject(result) || !isShallow(result)) return malformed('no result, or one nested too deep')
  const { resultType, ...rest } = result
  if (resultType === undefined || resultType === 'complete') return rest
  if (hasClient && isPending(result)) return result
  return malformed(`a result of the kind ${brief(resultType)}, which was not asked for`)
}

function isBlock (block: unknown): boolean {
  return isObject(block) && typeof block['type'] === 'string'
}

function malformed (what: string): SwarmError {
  return new SwarmError('MALFORMED', `the provider answered with ${what}`, { details: { sent: true } })
}
