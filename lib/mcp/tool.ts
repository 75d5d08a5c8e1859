/** One tool of an agent: what is advertised, and how a call becomes a result. */
import type { Stop } from './stop.ts'
import { ProtocolError, type CallToolResult } from '@modelcontextprotocol/server'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import { failureResult } from './failure.ts'
import type { Caller, Outcome, TaskMode, ToolCall } from './host.ts'
import { compileSchema, issuesText, toJson, type ArgumentsOf, type CompiledSchema, type ContentOf, type Issue, type Schema } from './schema.ts'

/** What a tool's name may be. Source: MCP 2025-11-25 and later, tool names. */
export const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

/** Longest description of a tool or an agent, in characters: models read all of them. */
export const DESCRIPTION_MAX = 8_000

const TASK_MODES: readonly TaskMode[] = ['required', 'always', 'auto', 'never']

export interface ToolOptions<Input = undefined, Output = undefined> {
  /** A name for people. */
  readonly title?: string
  /** What it does and when to use it, for models and people; at most 8,000 characters. */
  readonly description?: string
  /** Its arguments: a Standard Schema or JSON Schema of an object. Without it any arguments are let through unchecked. */
  readonly input?: Input
  /** Its structured content, checked before it leaves. */
  readonly output?: Output
  /** MCP's hints: `readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint`. */
  readonly annotations?: JsonObject
  /** When a call becomes a task, for clients that can handle one. Default `auto`. */
  readonly task?: TaskMode
}

/** What a handler returns to ask the client something: it is called again, with `input`, once that is answered. */
export interface InputRequired {
  readonly resultType: 'input_required'
  /** By names of the tool's own: `{ method: 'elicitation/create', params }` and the like, of what `capabilities` allow. */
  readonly inputRequests?: Readonly<Record<string, { readonly method: string, readonly params?: JsonObject }>>
  /** Comes back as `input.state`. Outside a task the client holds it meanwhile: what must not be forged has to be sealed. */
  readonly requestState?: string
}

export interface ToolContext {
  /** Fires when the caller gives up or the agent stops: stop working, nobody reads the result. */
  readonly signal: AbortSignal
  /** Tells the caller how far the call is; `progress` must grow. One that does not, or comes after the end, is left out. */
  readonly progress: (progress: number, total?: number, message?: string) => void
  readonly caller: Caller
  /** The request's `_meta` as it came. */
  readonly meta: JsonObject
  /** What the client can be asked for; absent where nobody can be asked. */
  readonly capabilities?: JsonObject
  /** Present when the tool had asked for input: the answers by its own names, and the state it gave. */
  readonly input?: { readonly responses: JsonObject, readonly state?: string }
  /** Answers the caller with a task now, if it can handle one: what is left will take long. The handler just goes on. */
  readonly asTask: () => void
}

/**
 * Does the work. It may return text, an object (the structured content, where `output` is declared; otherwise shown as
 * JSON text), nothing, a whole CallToolResult, or an InputRequired. What it throws becomes a result with `isError`; a
 * ProtocolError of the MCP SDK becomes a protocol error.
 */
export type ToolHandler<Input = undefined, Output = undefined> =
  (args: ArgumentsOf<Input>, context: ToolContext) => Returned<Output> | Promise<Returned<Output>>

type Returned<Output> = CallToolResult | InputRequired | (Output extends undefined ? string | object | void : ContentOf<Output>)

export interface Tool {
  readonly definition: ToolDefinition
  readonly task: TaskMode
  /** @throws SwarmError ABORTED when the signal fired, TOOL_FAILED for a protocol error; every other failure is a result */
  readonly run: (call: ToolCall, stop: Stop) => Promise<Outcome>
}

/** @throws SwarmError INVALID_OPTION naming what is wrong with the name, description or schema */
export function makeTool<Input extends Schema | undefined, Output extends Schema | undefined> (
  name: string, options: ToolOptions<Input, Output>, handler: ToolHandler<Input, Output>, meta?: JsonObject
): Tool {
  if (!TOOL_NAME.test(name)) throw new SwarmError('INVALID_OPTION', `tool name ${JSON.stringify(name)}: takes 1 to 128 of A-Z a-z 0-9 _ - .`)
  checkDescription(`tool ${name}`, options.description)
  const { task = 'auto' } = options
  if (!TASK_MODES.includes(task)) throw new SwarmError('INVALID_OPTION', `task of tool ${name}: takes ${TASK_MODES.join(', ')}`)
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
    task,
    async run (call, stop) {
      const checked = input === undefined ? { value: call.arguments } : await input.check(call.arguments)
      if (checked.issues !== undefined) return refuseArguments(name, checked.issues)
      try {
        const returned: unknown = await handler(checked.value as ArgumentsOf<Input>, contextOf(call, stop))
        return isInputRequired(returned) ? askClient(name, returned, call) : await resultOf(name, returned, output)
      } catch (error) {
        if (stop.isAborted) throw new SwarmError('ABORTED', `call of ${name} was given up`, { cause: error })
        if (error instanceof ProtocolError) throw new SwarmError('TOOL_FAILED', error.message, { cause: error, details: { tool: name, rpc: { code: error.code, data: error.data } } })
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
    capabilities: call.client?.capabilities,
    input: inputOf(call),
    asTask () { call.asTask?.() },
    progress (progress, total, message) {
      if (!(progress > reached)) return
      reached = progress
      call.progress?.({ progress, ...total !== undefined && { total }, ...message !== undefined && { message } })
    }
  }
}

function inputOf ({ client }: ToolCall): ToolContext['input'] {
  if (client?.inputResponses === undefined && client?.requestState === undefined) return undefined
  return { responses: client.inputResponses ?? {}, ...client.requestState !== undefined && { state: client.requestState } }
}

function isInputRequired (value: unknown): value is InputRequired {
  return isObject(value) && value['resultType'] === 'input_required'
}

function askClient (name: string, asked: InputRequired, { client }: ToolCall): Outcome {
  if (client !== undefined) return asked as Outcome
  return failureResult('TOOL_FAILED', `Tool ${name} asks its client for input, and this caller has none that could be asked.`)
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
