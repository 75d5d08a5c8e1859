/**
 * A document as plain JSON, by paths: for shells, tools and agents that do not speak Yjs.
 *
 * A path is keys and indices with slashes between them, `~1` for a slash in a key and `~0` for a tilde (RFC 6901, the first slash left
 * out or not). The first key names a shared type, which is made a map where there is none.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'
import { VALUE_DEPTH_MAX } from './update.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Keys on one path, and characters of one. */
export const PATH_KEYS_MAX = 64
export const PATH_CHARS_MAX = 4_096

/** A key that whoever reads an object from an update does not get: lib0 puts it to `object[key]`. */
const PROTOTYPE = '__proto__'

type Place = Y.Map<unknown> | Y.Array<unknown>
type Shared = Y.Map<unknown> | Y.Array<unknown> | Y.Text | Y.XmlFragment

/** What stands at a path. @throws SwarmError INVALID_OPTION */
export function readPlain (doc: Y.Doc, path: string): Json | undefined {
  const [root, ...keys] = keysOf(path)
  if (root === undefined) return Object.fromEntries([...doc.share.keys()].sort().flatMap(name => {
    const value = plainOf(shared(doc, name))
    return value === undefined ? [] : [[name, value]]
  }))
  let value: unknown = shared(doc, root)
  for (const key of keys) value = memberOf(value, key)
  return plainOf(value)
}

/** Puts plain JSON at a path, in one transaction; undefined deletes. @throws SwarmError INVALID_OPTION, with nothing changed */
export function writePlain (doc: Y.Doc, path: string, value: Json | undefined): void {
  const keys = keysOf(path)
  const [root, ...rest] = keys
  if (root === undefined) throw invalid(path, 'names no place to write to')
  if (keys.includes(PROTOTYPE)) throw invalid(path, `has the key ${PROTOTYPE}, which is lost on its way to others`)
  // What is put into a plain value lies deeper in it: at most as deep as the path is long.
  const why = unfitness(value, VALUE_DEPTH_MAX - rest.length)
  if (why !== undefined) throw invalid(path, `cannot take this value: it ${why}`)
  const fit = rest.length === 0 ? value : asYjsTakes(value, path)
  doc.transact(() => {
    if (rest.length === 0) writeRoot(doc, root, fit, path)
    else writeBelow(shared(doc, root) ?? doc.getMap(root), rest, fit, path)
  }, 'plain')
}

/**
 * Why a value would come to others as another one, or not at all; undefined where it would not.
 *
 * @param depth how deep it may be nested
 */
function unfitness (value: unknown, depth: number): string | undefined {
  if (depth < 0) return `is nested deeper than ${VALUE_DEPTH_MAX} with its path`
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return `holds a ${typeof value}, which is no JSON`
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined
  if (!Array.isArray(value) && !isPlain(value)) return `holds a ${(value as { constructor?: { name?: string } }).constructor?.name ?? 'thing'}, which is no JSON`
  for (const [key, member] of Object.entries(value)) {
    const why = key === PROTOTYPE ? `has the key ${PROTOTYPE}, which is lost on its way to others` : unfitness(member, depth - 1)
    if (why !== undefined) return why
  }
  return undefined
}

/** Yjs goes by the constructor of what stands right in a shared type, and an object of another realm, or without a prototype, has not the one it knows. */
function asYjsTakes (value: Json | undefined, path: string): Json | undefined {
  if (Array.isArray(value)) return value.constructor === Array ? value as Json : [...value as readonly Json[]]
  if (!isObject(value) || value instanceof Uint8Array || value.constructor as unknown === Object) return value
  if (Object.hasOwn(value, 'constructor')) throw invalid(path, 'cannot take this value: Yjs takes no object with the key constructor; put it into another object or list')
  return { ...value }
}

/** Also of an object of another realm. */
function isPlain (value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * A type in the shape that its content shows: Yjs does not know which one it is until somebody asks for it as one, and then for
 * ever. So nothing is said of one that shows nothing.
 */
function shared (doc: Y.Doc, name: string): Shared | undefined {
  const type = doc.share.get(name)
  if (type === undefined || type.constructor as unknown !== Y.AbstractType) return type as Shared | undefined
  if (type._map.size > 0) return doc.getMap(name)
  let [isEmpty, isXml] = [true, true]
  for (let item: Y.Item | null = type._start; item !== null; item = item.right) {
    if (item.deleted) continue
    const { content } = item
    if (content instanceof Y.ContentString || content instanceof Y.ContentFormat || content instanceof Y.ContentEmbed) return doc.getText(name)
    isEmpty = false
    isXml &&= content instanceof Y.ContentType && (content.type instanceof Y.XmlElement || content.type instanceof Y.XmlText)
  }
  return isEmpty ? undefined : isXml ? doc.getXmlFragment(name) : doc.getArray(name)
}

/** What JSON has no word for becomes what comes nearest. */
function plainOf (value: unknown): Json | undefined {
  if (value instanceof Y.AbstractType) return plainOf(value.toJSON())
  if (value instanceof Uint8Array) return [...value]
  if (value instanceof Y.Doc) return {} // what is in it is not shared: see docs/CONSISTENCY.md
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value !== 'object' || value === null) return value as Json | undefined
  if (Array.isArray(value)) return value.map(plainOf) as Json
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plainOf(member)])) as Json
}

function memberOf (value: unknown, key: string): unknown {
  if (value instanceof Y.Map) return value.get(key)
  if (value instanceof Y.Array) return isIndex(key) && Number(key) < value.length ? value.get(Number(key)) : undefined
  if (Array.isArray(value)) return isIndex(key) ? value[Number(key)] : undefined
  if (typeof value === 'object' && value !== null && !(value instanceof Y.AbstractType)) return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
  return undefined
}

function writeRoot (doc: Y.Doc, name: string, value: Json | undefined, path: string): void {
  const held = shared(doc, name)
  if (value === undefined) clear(held)
  else if (Array.isArray(value) && (held === undefined || held instanceof Y.Array)) {
    const members = (value as readonly Json[]).map(member => asYjsTakes(member, path))
    clear(held)
    doc.getArray(name).push(members)
  } else if (typeof value === 'string' && (held === undefined || held instanceof Y.Text)) {
    clear(held)
    doc.getText(name).insert(0, value)
  } else if (isObject(value) && (held === undefined || held instanceof Y.Map)) {
    const members = Object.entries(value).map(([key, member]) => [key, asYjsTakes(member, path)] as const)
    const map = doc.getMap(name)
    for (const key of [...map.keys()]) if (!Object.hasOwn(value, key)) map.delete(key)
    for (const [key, member] of members) map.set(key, member)
  } else throw invalid(path, held === undefined ? 'is a shared type: it takes an object, a list or a text' : `is a shared ${nameOf(held)}, which this value cannot replace`)
}

function clear (type: Shared | undefined): void {
  if (type instanceof Y.Map) type.clear()
  else if (type instanceof Y.Array || type instanceof Y.Text || type instanceof Y.XmlFragment) type.delete(0, type.length)
}

function writeBelow (top: Shared, keys: readonly string[], value: Json | undefined, path: string): void {
  let place: unknown = top
  for (const [index, key] of keys.entries()) {
    if (!(place instanceof Y.Map) && !(place instanceof Y.Array)) throw invalid(path, `leads into a ${place instanceof Y.AbstractType ? nameOf(place as Shared) : 'value'}, which has no members to set`)
    if (index === keys.length - 1) return put(place, key, value, path)
    const member = memberOf(place, key)
    if (member instanceof Y.AbstractType) place = member
    else if (member === undefined) {
      if (value === undefined) return
      const map = new Y.Map()
      put(place, key, map, path)
      place = map
    } else {
      // A plain value counts as a whole: it is written anew, with what is to be in it.
      const next = changed(member as Json, keys.slice(index + 1), value, path)
      return next === member ? undefined : put(place, key, asYjsTakes(next, path), path)
    }
  }
}

function put (place: Place, key: string, value: unknown, path: string): void {
  if (place instanceof Y.Map) {
    if (value === undefined) place.delete(key)
    else place.set(key, value)
    return
  }
  const at = key === '-' ? place.length : isIndex(key) ? Number(key) : -1
  if (at < 0 || at > place.length || (at === place.length && value === undefined)) throw invalid(path, `names no place in a list of ${place.length}; - is its end`)
  if (at < place.length) place.delete(at)
  if (value !== undefined) place.insert(at, [value])
}

/** @returns the same one where there is nothing to delete */
function changed (held: Json, [key, ...rest]: readonly string[], value: Json | undefined, path: string): Json {
  if (key === undefined) throw invalid(path, 'names nothing')
  if (Array.isArray(held)) {
    const at = key === '-' ? held.length : isIndex(key) ? Number(key) : -1
    if (at < 0 || at > held.length || (at === held.length && value === undefined)) throw invalid(path, `names no place in a list of ${held.length}; - is its end`)
    const next = rest.length === 0 ? value : changed((held[at] ?? {}) as Json, rest, value, path)
    return next === undefined ? held.toSpliced(at, 1) as Json : next === held[at] ? held : held.toSpliced(at, 1, next) as Json
  }
  if (!isObject(held)) throw invalid(path, 'leads into a value, which has no members to set')
  const isThere = Object.hasOwn(held, key)
  if (!isThere && value === undefined) return held
  const next = rest.length === 0 ? value : changed(isThere ? held[key] as Json : {}, rest, value, path)
  if (isThere && next === held[key]) return held
  const members = Object.entries(held).filter(([name]) => name !== key)
  return Object.fromEntries(next === undefined ? members : [...members, [key, next]])
}

function keysOf (path: string): string[] {
  if (path === '' || path === '/') return []
  if (path.length > PATH_CHARS_MAX) throw invalid(path.slice(0, 64), `has over ${PATH_CHARS_MAX} characters`)
  const keys = path.replace(/^\//, '').split('/').map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (keys.length > PATH_KEYS_MAX) throw invalid(path.slice(0, 64), `has over ${PATH_KEYS_MAX} keys`)
  return keys
}

function isIndex (key: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(key)
}

function isObject (value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function nameOf (type: Shared): string {
  return type instanceof Y.Map ? 'map' : type instanceof Y.Array ? 'list' : type instanceof Y.Text ? 'text' : 'type'
}

function invalid (path: string, why: string): SwarmError {
  return new SwarmError('INVALID_OPTION', `the path ${JSON.stringify(path)} ${why}`, { details: { path } })
}
