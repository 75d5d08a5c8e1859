/** A tool's failure as MCP wants it told: a result that says so, which a model can read, and our code, which a program can. */
import type { CallToolResult } from '@modelcontextprotocol/server'
import type { ErrorCode } from '../base/error.ts'

/** Member of a result's `_meta` that holds the failure: `{ code, …details }`. */
export const ERROR_META = 'mcp-swarm/error'

/** Member of a definition's `_meta` that marks the tools every MCPAgent answers, so that aggregated lists leave them out. */
export const BUILTIN_META = 'mcp-swarm/builtin'

/** Longest text of a failure, in characters: it is read by people and models. */
export const FAILURE_TEXT_MAX = 4_000

/** @param details facts for a program, as plain JSON */
export function failureResult (code: ErrorCode, text: string, details: Readonly<Record<string, unknown>> = {}): CallToolResult {
  return {
    content: [{ type: 'text', text: text.length > FAILURE_TEXT_MAX ? `${text.slice(0, FAILURE_TEXT_MAX)}…` : text }],
    isError: true,
    _meta: { [ERROR_META]: { ...details, code } }
  }
}
