/**
 * Arguments that a client repeats in headers, so that whoever stands between can route a call without reading its body: one
 * `Mcp-Param-NAME` for each property that the tool's schema marks with `"x-mcp-header": "NAME"`. Whoever reads the body must
 * refuse a call whose header says something else: what stood between believed the header.
 * Source: MCP 2026-07-28, "Transports", custom headers from tool parameters (SEP-2243).
 */
import { textOf } from '../base/bytes.ts'
import { isObject, type JsonObject } from '../base/json.ts'

/** JSON-RPC's number for headers that do not say what the body says. */
export const HEADER_MISMATCH = -32020

/** Properties of one tool that may be marked; further ones are not looked at. */
export const MARKED_MAX = 64

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const TYPES: readonly unknown[] = ['string', 'integer', 'number', 'boolean']
const ENCODED = /^=\?base64\?(.*)\?=$/s
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const NUMBER = /^-?\d+(\.\d+)?$/

interface Marked { readonly path: readonly string[], readonly header: string, readonly isNumber: boolean }

const known = new WeakMap<JsonObject, readonly Marked[]>()

/**
 * @param schema of the tool's arguments, of at most JSON_DEPTH_MAX levels; not changed later
 * @returns what is wrong, for a person, or undefined where headers and arguments agree; a header without an argument is not looked at
 */
export function findMismatch (schema: JsonObject, args: JsonObject, headers: Headers): string | undefined {
  let marked = known.get(schema)
  if (marked === undefined) known.set(schema, marked = [...markedIn(schema, [])].slice(0, MARKED_MAX))
  for (const { header, isNumber, path } of marked) {
    const value = path.reduce<unknown>((inner, key) => isObject(inner) ? inner[key] : undefined, args)
    if (!['string', 'boolean', 'number'].includes(typeof value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) continue
    const [name, shown] = [`Mcp-Param-${header}`, headers.get(`Mcp-Param-${header}`)]
    if (shown === null) return `${name} is missing: the body has a ${path.join('.')}`
    const text = decode(shown)
    if (text === undefined) return `${name} is not the base64 that it says it is`
    if (text !== String(value) && !(isNumber && NUMBER.test(text) && Number(text) === value)) return `${name} says something else than ${path.join('.')} of the body`
  }
  return undefined
}

/** Only what a chain of `properties` leads to can be marked. */
function * markedIn (schema: unknown, path: readonly string[]): Generator<Marked> {
  if (!isObject(schema)) return
  const { properties, type, 'x-mcp-header': header } = schema
  if (path.length > 0 && typeof header === 'string' && TOKEN.test(header) && TYPES.includes(type)) yield { path, header, isNumber: type === 'integer' || type === 'number' }
  if (!isObject(properties)) return
  for (const [key, inner] of Object.entries(properties)) yield* markedIn(inner, [...path, key])
}

/** What a header's value stands for, or undefined where it is marked as base64 and is none, of UTF-8. */
function decode (value: string): string | undefined {
  const [, base64] = ENCODED.exec(value) ?? []
  if (base64 === undefined) return value
  if (!BASE64.test(base64)) return undefined
  try {
    return textOf(Uint8Array.from(atob(base64), character => character.charCodeAt(0)))
  } catch {
    return undefined
  }
}
