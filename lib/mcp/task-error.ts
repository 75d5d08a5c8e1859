/** The errors of the tasks extension: JSON-RPC errors with the specification's numbers, which pass a gateway unchanged. */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { RPC } from './wire.ts'

/** The extension's name. Source: MCP 2026-07-28, extension Tasks (SEP-2663). */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'

/** What a peer says in `server/discover` of its tasks: merged into the capabilities. */
export const TASKS_CAPABILITY = { extensions: { [TASKS_EXTENSION]: {} } } as const

/** JSON-RPC's number for a client capability that a request needs and does not declare. */
export const MISSING_CAPABILITY = -32021

/** An error with a number of the specification; nothing has run. */
export function refusal (code: number, message: string, options: { readonly cause?: unknown, readonly data?: JsonObject } = {}): SwarmError {
  const rpc = { code, ...options.data !== undefined && { data: options.data } }
  return new SwarmError('TOOL_FAILED', message, { ...options.cause !== undefined && { cause: options.cause }, details: { executed: false, rpc } })
}

/** Whether a request's `clientCapabilities` say that the client can handle tasks. */
export function declaresTasks (capabilities: JsonObject | undefined): boolean {
  return isObject(capabilities?.extensions) && isObject(capabilities.extensions[TASKS_EXTENSION])
}

/** What a client of 2025 declares, for agents: there the extension means nothing, whatever it says. */
export function withoutTasks (capabilities: JsonObject): JsonObject {
  if (!declaresTasks(capabilities)) return capabilities
  const { [TASKS_EXTENSION]: _, ...extensions } = capabilities.extensions as JsonObject
  return { ...capabilities, extensions }
}

/** @throws SwarmError with `-32021` unless the client declares the extension on this request */
export function expectTasks (capabilities: JsonObject | undefined, what: string): void {
  if (declaresTasks(capabilities)) return
  throw refusal(MISSING_CAPABILITY, `${what} needs a client that declares ${TASKS_EXTENSION}`, { data: { requiredCapabilities: TASKS_CAPABILITY } })
}

/** @param why what may have become of it */
export function unknownTask (why = 'it has expired, or the peer that ran it has restarted'): SwarmError {
  return refusal(RPC.params, `unknown task: ${why}`)
}
