/**
 * JSON as people write it, with comments and trailing commas, where every value knows its place in the file: whatever is
 * wrong is told with line and column, whether it breaks the syntax or only the shape.
 */
import { createScanner, findNodeAtLocation, getNodePath, parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser'
import { SwarmError } from '../base/error.ts'
import { JSON_DEPTH_MAX } from '../base/json.ts'

/** Largest config file read, in bytes. Claude Code keeps a history of every project in its own. */
export const CONFIG_BYTES_MAX = 2 ** 24

/** Names of the parser's errors, in words. */
const EXPECTED: Readonly<Record<string, string>> = {
  InvalidSymbol: 'expected a value or a quoted name, not this word',
  InvalidNumberFormat: 'expected a number',
  PropertyNameExpected: 'expected a name in double quotes',
  ValueExpected: 'expected a value',
  ColonExpected: 'expected a colon',
  CommaExpected: 'expected a comma',
  CloseBraceExpected: 'expected a closing brace }',
  CloseBracketExpected: 'expected a closing bracket ]',
  EndOfFileExpected: 'expected the end of the file',
  UnexpectedEndOfComment: 'this comment never ends: expected */',
  UnexpectedEndOfString: 'this text never ends: expected a double quote',
  UnexpectedEndOfNumber: 'expected a digit',
  InvalidUnicode: 'expected four hexadecimal digits after \\u',
  InvalidEscapeCharacter: 'expected one of " \\ / b f n r t u after a backslash',
  InvalidCharacter: 'expected no control character inside a text'
}

/**
 * A value and where it stands.
 *
 * @internal
 */
export class Place {
  readonly #text: string
  readonly #path: string
  readonly #node: Node

  constructor (text: string, path: string, node: Node) {
    this.#text = text
    this.#path = path
    this.#node = node
  }

  /** Where in the document, as code would name it: `mcpServers.notes.args[0]`. */
  get name (): string {
    return getNodePath(this.#node).reduce<string>((name, step) => {
      if (typeof step === 'number') return `${name}[${step}]`
      if (!/^[\w$-]+$/.test(step)) return `${name}[${JSON.stringify(step)}]`
      return name === '' ? step : `${name}.${step}`
    }, '')
  }

  /** Its members in the order of the file; of two with one name the later counts, as in JSON.parse. */
  members (): Map<string, Place> {
    if (this.#node.type !== 'object') throw this.#wrong('an object')
    return new Map((this.#node.children ?? []).flatMap(property => {
      const [key, value] = property.children ?? []
      return key === undefined || value === undefined ? [] : [[String(key.value), this.#at(value)]]
    }))
  }

  /** Its members where it is an object, else none: for what is not ours to judge. */
  get entries (): [string, Place][] {
    return this.#node.type === 'object' ? [...this.members()] : []
  }

  list (): Place[] {
    if (this.#node.type !== 'array') throw this.#wrong('a list')
    return (this.#node.children ?? []).map(node => this.#at(node))
  }

  text (): string {
    if (this.#node.type !== 'string') throw this.#wrong('a text')
    return String(this.#node.value)
  }

  /** Whether it is `false` or `null`: a member that is there and says nothing. */
  get isFalse (): boolean {
    return this.#node.type === 'null' || (this.#node.type === 'boolean' && this.#node.value === false)
  }

  /** An error at this place: `path:line:column: name: what is wrong`. */
  refuse (what: string, options: ErrorOptions & { details?: Record<string, unknown> } = {}): SwarmError {
    return refusal(this.#text, this.#path, this.#node.offset, this.name === '' ? what : `${this.name}: ${what}`, options)
  }

  #wrong (expected: string): SwarmError {
    return this.refuse(`expected ${expected}, not ${kindOf(this.#node)}`)
  }

  #at (node: Node): Place {
    return new Place(this.#text, this.#path, node)
  }
}

/**
 * Reads a document.
 *
 * @internal
 * @param path names the file in errors; it is not opened
 * @throws SwarmError CONFIG_INVALID with line and column (from 1) of the first syntax error, or over CONFIG_BYTES_MAX
 */
export function readDocument (document: string, path: string): Place {
  const text = document.startsWith('\ufeff') ? document.slice(1) : document
  const bytes = text.length > CONFIG_BYTES_MAX ? text.length : new TextEncoder().encode(text).byteLength
  if (bytes > CONFIG_BYTES_MAX) {
    throw new SwarmError('CONFIG_INVALID', `${path} has ${bytes} bytes; limit ${CONFIG_BYTES_MAX}`, { details: { path } })
  }
  checkDepth(text, path)
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const [first] = errors
  if (first !== undefined) {
    const code = printParseErrorCode(first.error)
    throw refusal(text, path, first.offset, EXPECTED[code] ?? `expected JSON (${code})`)
  }
  const node = root === undefined ? undefined : findNodeAtLocation(root, [])
  if (node === undefined) throw refusal(text, path, 0, 'expected an object')
  return new Place(text, path, node)
}

/** The parser recurses: a file of brackets alone must not exhaust the stack. */
function checkDepth (text: string, path: string): void {
  const scanner = createScanner(text, true)
  let depth = 0
  // Kinds of token, numbered by jsonc-parser as a const enum that isolated modules cannot name.
  const [open, close, openList, closeList, end] = [1, 2, 3, 4, 17]
  for (let kind: number = scanner.scan(); kind !== end; kind = scanner.scan()) {
    if (kind === open || kind === openList) depth++
    else if (kind === close || kind === closeList) depth--
    if (depth > JSON_DEPTH_MAX) throw refusal(text, path, scanner.getTokenOffset(), `nested deeper than ${JSON_DEPTH_MAX}`)
  }
}

function refusal (text: string, path: string, offset: number, what: string, options: ErrorOptions & { details?: Record<string, unknown> } = {}): SwarmError {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/)
  const [line, column] = [before.length, (before.at(-1)?.length ?? 0) + 1]
  return new SwarmError('CONFIG_INVALID', `${path}:${line}:${column}: ${what}`, { ...options, details: { path, line, column, ...options.details } })
}

function kindOf (node: Node): string {
  const names: Readonly<Record<string, string>> = { object: 'an object', array: 'a list', string: 'a text', number: 'a number', boolean: 'true or false', null: 'null' }
  return names[node.type] ?? node.type
}
