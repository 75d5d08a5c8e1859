/**
 * Schemas of tools, in either form an author may have: a Standard Schema object (zod ≥ 4.2, valibot, arktype), which also
 * types the handler, or plain JSON Schema. Source: standardschema.dev, and MCP 2026-07-28, "Tool": JSON Schema 2020-12 by default.
 */
import { fromJsonSchema, type StandardSchemaV1 } from '@modelcontextprotocol/server'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, type Json, type JsonObject } from '../base/json.ts'

export type Schema = StandardSchemaV1 | JsonObject

/** What a handler gets for an input schema. */
export type ArgumentsOf<Input> = Input extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<Input> : JsonObject

/** What a handler returns for an output schema. */
export type ContentOf<Output> = Output extends StandardSchemaV1 ? StandardSchemaV1.InferInput<Output> : object

/** Most problems named for one value: a long list helps nobody. */
export const ISSUES_MAX = 20

/** What is wrong with a value, and where: `path` is dotted, empty for the whole. */
export interface Issue {
  readonly path: string
  readonly problem: string
}

export type Checked = { readonly value: unknown, readonly issues?: undefined } | { readonly issues: readonly Issue[] }

export interface CompiledSchema {
  /** As advertised; its root is an object. */
  readonly json: JsonObject
  /** Validates, fills defaults, and transforms where the schema does so. */
  readonly check: (value: unknown) => Checked | Promise<Checked>
}

/**
 * @param side what is advertised: the shape before (`input`) or after (`output`) a schema's transforms
 * @param what names the schema in errors
 * @throws SwarmError INVALID_OPTION if it is no schema, cannot be shown as JSON Schema, or does not describe an object
 */
export function compileSchema (schema: Schema, side: 'input' | 'output', what: string): CompiledSchema {
  const standard = isStandard(schema) ? schema : compileJson(schema, what)
  const json = advertise(standard, side, what)
  return { json, check: value => readOutcome(standard['~standard'].validate(value)) }
}

/** Every problem on a line of its own, for people and models. */
export function issuesText (issues: readonly Issue[]): string {
  const lines = issues.slice(0, ISSUES_MAX).map(({ path, problem }) => path === '' ? `- ${problem}` : `- ${path}: ${problem}`)
  if (issues.length > ISSUES_MAX) lines.push(`- and ${issues.length - ISSUES_MAX} more`)
  return lines.join('\n')
}

function isStandard (schema: unknown): schema is StandardSchemaV1 {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null || !('~standard' in schema)) return false
  return typeof (schema['~standard'] as { validate?: unknown } | undefined)?.validate === 'function'
}

function compileJson (schema: unknown, what: string): StandardSchemaV1 {
  if (!isObject(schema)) throw new SwarmError('INVALID_OPTION', `${what} takes a Standard Schema object or a JSON Schema object`)
  const { $id: _, ...rest } = schema // validators keep schemas by $id for ever: a changed schema would be checked by the old one
  try {
    return fromJsonSchema({ type: 'object', ...rest })
  } catch (cause) {
    throw new SwarmError('INVALID_OPTION', `${what} is not a JSON Schema that can be checked: ${messageOf(cause)}`, { cause })
  }
}

function advertise (schema: StandardSchemaV1, side: 'input' | 'output', what: string): JsonObject {
  const { vendor } = schema['~standard']
  const convert = (schema['~standard'] as { jsonSchema?: Record<typeof side, (options: { target: string }) => unknown> }).jsonSchema?.[side]
  if (convert === undefined) {
    throw new SwarmError('INVALID_OPTION', `${what}: this ${vendor} schema cannot be shown as JSON Schema; take zod 4.2 or newer, ` +
      'arktype, valibot through toStandardJsonSchema, or plain JSON Schema')
  }
  let json: unknown
  try {
    json = convert({ target: 'draft-2020-12' })
  } catch (cause) {
    throw new SwarmError('INVALID_OPTION', `${what} cannot be shown as JSON Schema: ${messageOf(cause)}`, { cause })
  }
  if (!isObject(json) || (json['type'] ?? 'object') !== 'object') throw new SwarmError('INVALID_OPTION', `${what} must describe an object`)
  return { type: 'object', ...json }
}

function readOutcome (outcome: ReturnType<StandardSchemaV1['~standard']['validate']>): Checked | Promise<Checked> {
  if (outcome instanceof Promise) return outcome.then(readResult)
  return readResult(outcome)
}

function readResult (result: StandardSchemaV1.Result<unknown>): Checked {
  if (result.issues === undefined) return { value: result.value }
  return { issues: result.issues.flatMap(readIssue) }
}

function readIssue ({ path, message }: StandardSchemaV1.Issue): Issue[] {
  if (path !== undefined) {
    return [{ path: path.map(part => String(typeof part === 'object' ? part.key : part)).join('.'), problem: message }]
  }
  // JSON Schema validators put every problem into one text: "data/a/b must …, data must …" or "#/a/b: …; #: …"
  return message.split(/, (?=data[/ ])|; (?=#)/).map(problem => {
    const [, pointer = '', rest = problem] = /^(?:data|#)(\/\S*?)?:? (.*)$/s.exec(problem) ?? []
    return { path: pointer.slice(1).replaceAll('/', '.'), problem: rest }
  })
}

/** A value as plain JSON, the way it will cross the wire. @throws TypeError if it cannot */
export function toJson (value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}
