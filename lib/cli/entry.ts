/**
 * One entry in a file that somebody else wrote. Whatever is not the entry stays as it was, to the byte: comments, order,
 * indentation, ends of lines, a trailing comma, a byte order mark. So an edit only ever inserts, or replaces one value; the
 * formatter of jsonc-parser is not used, since it also lays out anew the line that it inserts into.
 */
import { isDeepStrictEqual } from 'node:util'
import { applyEdits, createScanner, getNodeValue, parseTree, printParseErrorCode, type Edit, type Node, type ParseError } from 'jsonc-parser'
import { SwarmError } from 'mcp-swarm'

/** How deep the file may nest: the parser recurses. */
export const DEPTH_MAX = 200

/** Kinds of token, numbered by jsonc-parser as a const enum that isolated modules cannot name. */
const TOKEN = { open: 1, close: 2, openList: 3, closeList: 4, comma: 5, lineBreak: 14, blank: 15, end: 17 } as const

const BREAK = /\r\n|\r|\n/
const MARK = '\ufeff'

/** Where the entry belongs. */
export interface EntryPlace {
  /** Names the file in errors; it is not opened. */
  readonly path: string
  /** The member of the document that holds the entries. */
  readonly member: string
  readonly name: string
}

export interface Put {
  /** What the file had under that name: nothing, an entry that does the same, or another one. */
  readonly found: 'nothing' | 'same' | 'other'
  /** The document with the entry; unchanged where it has the same. */
  readonly text: string
}

/**
 * Puts an entry into a document, in place of the one of that name if there is one. An entry is the same if each member given
 * is equal in it: it may have others, such as `env`.
 *
 * @throws SwarmError CONFIG_INVALID with line and column (from 1): a syntax error, no object where one belongs, or a name
 *   that stands twice, of which clients may each read another
 */
export function putEntry (document: string, place: EntryPlace, entry: object): Put {
  const mark = document.startsWith(MARK) ? MARK : ''
  const text = document.slice(mark.length)
  const done = (found: Put['found'], edits: Edit[]): Put => ({ found, text: mark + applyEdits(text, edits) })
  if (/^[ \t\r\n]*$/.test(text)) return { found: 'nothing', text: `${mark}${JSON.stringify({ [place.member]: { [place.name]: entry } }, null, 2)}\n` }
  const root = readTree(text, place.path)
  const servers = memberOf(text, place.path, root, place.member)
  if (servers === undefined) return done('nothing', insertion(text, root, root, place.member, { [place.name]: entry }))
  const old = memberOf(text, place.path, servers, place.name)
  if (old === undefined) return done('nothing', insertion(text, root, servers, place.name, entry))
  const value = getNodeValue(old) as unknown
  if (Object.entries(entry).every(([name, part]) => isDeepStrictEqual((value as Record<string, unknown> | null)?.[name], part))) return { found: 'same', text: document }
  const content = BREAK.test(textOf(text, servers)) ? tall(text, root, entry, indentAt(text, old.offset)) : flat(text, entry)
  return done('other', [{ offset: old.offset, length: old.length, content }])
}

function readTree (text: string, path: string): Node {
  const scanner = createScanner(text, true)
  let depth = 0
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    if (kind === TOKEN.open || kind === TOKEN.openList) depth++
    else if (kind === TOKEN.close || kind === TOKEN.closeList) depth--
    if (depth > DEPTH_MAX) throw refusal(text, path, scanner.getTokenOffset(), `nested deeper than ${DEPTH_MAX}`)
  }
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const [first] = errors
  if (first !== undefined || root === undefined) {
    const words = first === undefined ? 'value expected' : printParseErrorCode(first.error).replace(/\B[A-Z]/g, ' $&').toLowerCase()
    throw refusal(text, path, first?.offset ?? 0, `not JSON: ${words}`)
  }
  return root
}

function memberOf (text: string, path: string, object: Node, name: string): Node | undefined {
  if (object.type !== 'object') throw refusal(text, path, object.offset, `expected an object, to put ${JSON.stringify(name)} into`)
  const [first, second] = (object.children ?? []).filter(({ children }) => children?.[0]?.value === name)
  if (second !== undefined) throw refusal(text, path, second.offset, `${JSON.stringify(name)} stands here a second time: keep one`)
  return first?.children?.[1]
}

/** As the last member, behind whatever comments end the object. */
function insertion (text: string, root: Node, object: Node, name: string, value: object): Edit[] {
  const close = object.offset + object.length - 1
  const last = object.children?.at(-1)
  const from = last === undefined ? object.offset + 1 : last.offset + last.length
  const { end, hasComma } = readTail(text, from, close)
  const property = (gap: string, written: string): string => `${JSON.stringify(name)}:${gap}${written}${hasComma ? ',' : ''}`
  const edits = last === undefined || hasComma ? [] : [{ offset: from, length: 0, content: ',' }]
  const isTall = BREAK.test(textOf(text, object)) || (last === undefined && (object === root || BREAK.test(textOf(text, root))))
  if (!isTall) return [...edits, { offset: end, length: 0, content: `${last === undefined ? '' : gapOf(text)}${property(gapOf(text), flat(text, value))}` }]
  const outer = indentAt(text, object.offset)
  const sibling = object.children?.findLast(({ offset }) => startsLine(text, offset))
  const inner = sibling === undefined ? outer + unitOf(text, root) : indentAt(text, sibling.offset)
  const eol = eolOf(text)
  const closing = BREAK.test(text.slice(end, close)) ? '' : eol + outer
  return [...edits, { offset: end, length: 0, content: `${eol}${inner}${property(' ', tall(text, root, value, inner))}${closing}` }]
}

/** What stands between the last member and the closing brace: where its last word ends, and whether there is a comma. */
function readTail (text: string, from: number, close: number): { end: number, hasComma: boolean } {
  const scanner = createScanner(text.slice(from, close), false)
  let [end, hasComma] = [from, false]
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    if (kind === TOKEN.lineBreak || kind === TOKEN.blank) continue
    if (kind === TOKEN.comma) hasComma = true
    end = from + scanner.getTokenOffset() + scanner.getTokenLength()
  }
  return { end, hasComma }
}

/** A value over several lines, the first of which begins at `indent`. */
function tall (text: string, root: Node, value: object, indent: string): string {
  return JSON.stringify(value, null, unitOf(text, root)).replaceAll('\n', eolOf(text) + indent)
}

/** A value on one line, with blanks where the document has some. */
function flat (text: string, value: object): string {
  return gapOf(text) === '' ? JSON.stringify(value) : JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ')
}

function gapOf (text: string): string {
  return /":\s/.test(text) ? ' ' : ''
}

/** One step of indentation, as the first member of the document shows it. */
function unitOf (text: string, root: Node): string {
  const first = root.children?.[0]
  return first !== undefined && startsLine(text, first.offset) ? indentAt(text, first.offset).slice(indentAt(text, root.offset).length) : '  '
}

function eolOf (text: string): string {
  return BREAK.exec(text)?.[0] ?? '\n'
}

function lineStart (text: string, offset: number): number {
  return offset === 0 ? 0 : Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1
}

function startsLine (text: string, offset: number): boolean {
  return lineStart(text, offset) > 0 && /^[ \t]*$/.test(text.slice(lineStart(text, offset), offset))
}

function indentAt (text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(lineStart(text, offset), offset))?.[0] ?? ''
}

function textOf (text: string, { offset, length }: Node): string {
  return text.slice(offset, offset + length)
}

function refusal (text: string, path: string, offset: number, what: string): SwarmError {
  const before = text.slice(0, offset).split(BREAK)
  const [line, column] = [before.length, (before.at(-1)?.length ?? 0) + 1]
  return new SwarmError('CONFIG_INVALID', `${path}:${line}:${column}: ${what}`, { details: { path, line, column } })
}
