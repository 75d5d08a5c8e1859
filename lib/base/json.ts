import { SwarmError } from './error.ts'

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject { readonly [key: string]: Json | undefined }

/** Deepest nesting accepted from outside: keeps every walk over a value bounded. */
export const JSON_DEPTH_MAX = 64

/**
 * One text for one value: keys sorted by code unit, no white space, members that are undefined left out.
 * For hashes and signatures. The value is plain JSON, at most JSON_DEPTH_MAX deep.
 *
 * @throws SwarmError MALFORMED if nested deeper, or not JSON
 */
export function canonicalJson (value: unknown, depth = 0): string {
  if (depth > JSON_DEPTH_MAX) throw new SwarmError('MALFORMED', `JSON nested deeper than ${JSON_DEPTH_MAX}`)
  if (Array.isArray(value)) return `[${value.map(item => canonicalJson(item ?? null, depth + 1)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    members.sort(([left], [right]) => left < right ? -1 : 1)
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, depth + 1)}`).join(',')}}`
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return JSON.stringify(value)
  throw new SwarmError('MALFORMED', `${typeof value} is not JSON`)
}

/** Parses a text from outside. @throws SwarmError MALFORMED naming `what`, also when it is not an object */
export function parseObject (text: string, what: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `${what} is not JSON`, { cause })
  }
  if (!isObject(value)) throw new SwarmError('MALFORMED', `${what} is not a JSON object`)
  return value
}

export function isObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
