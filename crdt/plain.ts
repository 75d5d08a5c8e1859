/**
 * A document as plain JSON, by paths: for shells, tools and agents that do not speak Yjs.
 *
 * A path is keys and indices with slashes between them, `~1` for a slash in a key and `~0` for a tilde (RFC 6901, the first slash left
 * out or not). The first key names a shared type, which is made a map where there is none.
 */
import * as Y from 'yjs'
import { SwarmError } from '../lib/base/error.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Keys on one path, and characters of one. */
export const PATH_KEYS_MAX = 64
export const PATH_CHARS_MAX = 4_096

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

/** Puts plain JSON at a path, in one transaction; undefined deletes. @throws SwarmError INVALID_OPTION */
export function writePlain (doc: Y.Doc, path: string, value: Json | undefined): void {
  const keys = keysOf(path)
  const [root, ...rest] = keys
  if (root === undefined) throw invalid(path, 'names no place to write to')
  doc.transact(() => {
    if (rest.length === 0) writeRoot(doc, root, value, path)
    else writeBelow(shared(doc, root) ?? doc.getMap(root), rest, value, path)
  }, 'plain')
}

/**
 * A type in the shape that its content shows: Yjs does not know which one it is until somebody asks for it as one, and then for
 * ever. So nothing is said of one that shows nothing.
 */
function shared (doc: Y.Doc, name: string): Shared | undefined {
  const type = doc.share.get(name)
  if (type === undefined || type.constructor as unknown !== Y.AbstractType) return type as Shared | undefined
  if (type._map.size > 0) return doc.getMap(name)
  for (let item: Y.Item | null = type._start; item !== null; item = item.right) {
    if (item.deleted) continue
    if (item.content instanceof Y.ContentString || item.content instanceof Y.ContentFormat) return doc.getText(name)
    if (item.content instanceof Y.ContentType && (item.content.type instanceof Y.XmlElement || item.content.type instanceof Y.XmlText)) return doc.getXmlFragment(name)
    return doc.getArray(name)
  }
  return undefined
}

function plainOf (value: unknown): Json | undefined {
  if (value instanceof Y.AbstractType) return value.toJSON() as Json
  if (value instanceof Uint8Array) return [...value]
  return value as Json | undefined
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
    clear(held)
    doc.getArray(name).push([...value as unknown[]])
  } else if (typeof value === 'string' && (held === undefined || held instanceof Y.Text)) {
    clear(held)
    doc.getText(name).insert(0, value)
  } else if (isObject(value) && (held === undefined || held instanceof Y.Map)) {
    const map = doc.getMap(name)
    for (const key of [...map.keys()]) if (!Object.hasOwn(value, key)) map.delete(key)
    for (const [key, member] of Object.entries(value)) map.set(key, member)
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
      return put(place, key, changed(member as Json, keys.slice(index + 1), value, path), path)
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

function changed (held: Json, [key, ...rest]: readonly string[], value: Json | undefined, path: string): Json {
  if (key === undefined) throw invalid(path, 'names nothing')
  if (Array.isArray(held)) {
    const at = key === '-' ? held.length : isIndex(key) ? Number(key) : -1
    if (at < 0 || at > held.length) throw invalid(path, `names no place in a list of ${held.length}; - is its end`)
    const next = rest.length === 0 ? value : changed((held[at] ?? {}) as Json, rest, value, path)
    return next === undefined ? held.toSpliced(at, 1) as Json : held.toSpliced(at, 1, next) as Json
  }
  if (!isObject(held)) throw invalid(path, 'leads into a value, which has no members to set')
  const next = rest.length === 0 ? value : changed(Object.hasOwn(held, key) ? held[key] as Json : {}, rest, value, path)
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
