/** One tool of an agent: what is advertised, and how a call becomes a result. */
import type { Stop } from './stop.ts'
import type { CallToolResult } from '@modelcontextprotocol/server'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import { failureResult } from './failure.ts'
import type { Caller, ToolCall } from './host.ts'
import { compileSchema, issuesText, toJson, type ArgumentsOf, type CompiledSchema, type ContentOf, type Issue, type Schema } from './schema.ts'

/** What a tool's name may be. Source: MCP 2025-11-25 and later, tool names. */
export const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

/** Longest description of a tool or an agent, in characters: models read all of them. */
export const DESCRIPTION_MAX = 8_000

export interface ToolOptions<Input = undefined, Output = undefined> {
  /** A name for people. */
  readonly title?: string
  /** What it does and when to use it, for models and people; at most DESCRIPTION_MAX characters. */
  readonly description?: string
  /** Its arguments: a Standard Schema or JSON Schema of an object. Without it any arguments are let through unchecked. */
  readonly input?: Input
  /** Its structured content, checked before it leaves. */
  readonly output?: Output
  /** MCP's hints: `readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint`. */
  readonly annotations?: JsonObject
}

export interface ToolContext {
  /** Fires when the caller gives up or the agent stops: stop working, nobody reads the result. */
  readonly signal: AbortSignal
  /** Tells the caller how far the call is; `progress` must grow. One that does not, or comes after the end, is left out. */
  readonly progress: (progress: number, total?: number, message?: string) => void
  readonly caller: Caller
  /** The request's `_meta` as it came. */
  readonly meta: JsonObject
}

/**
 * Does the work. It may return text, an object (the structured content, where `output` is declared; otherwise shown as
 * JSON text), nothing, or a whole CallToolResult. What it throws becomes a result with `isError`.
 */
export type ToolHandler<Input = undefined, Output = undefined> =
  (args: ArgumentsOf<Input>, context: ToolContext) => Returned<Output> | Promise<Returned<Output>>

type Returned<Output> = CallToolResult | (Output extends undefined ? string | object | void : ContentOf<Output>)

export interface Tool {
  readonly definition: ToolDefinition
  /** @throws SwarmError ABORTED when the signal fired; every other failure is a result */
  readonly run: (call: ToolCall, stop: Stop) => Promise<CallToolResult>
}

/** @throws SwarmError INVALID_OPTION naming what is wrong with the name, description or schema */
export function makeTool<Input extends Schema | undefined, Output extends Schema | undefined> (
  name: string, options: ToolOptions<Input, Output>, handler: ToolHandler<Input, Output>, meta?: JsonObject
): Tool {
  if (!TOOL_NAME.test(name)) throw new SwarmError('INVALID_OPTION', `tool name ${JSON.stringify(name)}: takes 1 to 128 of A-Z a-z 0-9 _ - .`)
  checkDescription(`tool ${name}`, options.description)
  const input = options.input === undefined ? undefined : compileSchema(options.input, 'input', `input of tool ${name}`)
  const output = options.output === undefined ? undefined : compileSchema(options.output, 'output', `output of tool ${name}`)
  const definition: ToolDefinition = {
    name,
    ...options.title !== undefined && { title: options.title },
    ...options.description !== undefined && { description: options.description },
    inputSchema: input?.json ?? { type: 'object' },
    ...output !== undefined && { outputSchema: output.json },
    ...options.annotations !== undefined && { annotations: options.annotations },
    ...meta !== undefined && { _meta: meta }
  }
  return {
    definition,
    async run (call, stop) {
      const checked = input === undefined ? { value: call.arguments } : await input.check(call.arguments)
      if (checked.issues !== undefined) return refuseArguments(name, checked.issues)
      try {
        const returned: unknown = await handler(checked.value as ArgumentsOf<Input>, contextOf(call, stop))
        return await resultOf(name, returned, output)
      } catch (error) {
        if (stop.isAborted) throw new SwarmError('ABORTED', `call of ${name} was given up`, { cause: error })
        return failureResult(error instanceof SwarmError ? error.code : 'TOOL_FAILED', messageOf(error))
      }
    }
  }
}

/** @throws SwarmError INVALID_OPTION */
export function checkDescription (what: string, description: unknown): void {
  if (description === undefined || (typeof description === 'string' && description.length <= DESCRIPTION_MAX)) return
  throw new SwarmError('INVALID_OPTION', `description of ${what}: takes a text of at most ${DESCRIPTION_MAX} characters`)
}

function contextOf (call: ToolCall, stop: Stop): ToolContext {
  let reached = -Infinity
  return {
    get signal () { return stop.signal },
    caller: call.caller,
    meta: call.meta ?? {},
    progress (progress, total, message) {
      if (!(progress > reached)) return
      reached = progress
      call.progress?.({ progress, ...total !== undefined && { total }, ...message !== undefined && { message } })
    }
  }
}

// MCP since 2025-11-25: invalid arguments are a tool error, not a protocol error, so that a model can correct itself
function refuseArguments (name: string, issues: readonly Issue[]): CallToolResult {
  return failureResult('INVALID_ARGUMENTS', `The arguments do not fit the schema of ${name}:\n${issuesText(issues)}`, { issues })
}

async function resultOf (name: string, returned: unknown, output: CompiledSchema | undefined): Promise<CallToolResult> {
  if (output === undefined) {
    if (isResult(returned)) return returned
    return { content: returned === undefined ? [] : [{ type: 'text', text: typeof returned === 'string' ? returned : JSON.stringify(returned) }] }
  }
  const whole = isResult(returned) && (returned.isError === true || 'structuredContent' in returned) ? returned : undefined
  if (whole?.isError === true) return whole
  const checked = await output.check(whole === undefined ? returned : whole.structuredContent)
  if (checked.issues !== undefined) {
    return failureResult('TOOL_FAILED', `Tool ${name} returned what its own output schema refuses:\n${issuesText(checked.issues)}`, { issues: checked.issues })
  }
  const structuredContent = toJson(checked.value) as Record<string, unknown>
  if (whole !== undefined) return { ...whole, structuredContent }
  return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent }
}

function isResult (value: unknown): value is CallToolResult {
  if (typeof value !== 'object' || value === null || !('content' in value) || !Array.isArray(value.content)) return false
  return value.content.every(block => isObject(block) && typeof block['type'] === 'string')
}
