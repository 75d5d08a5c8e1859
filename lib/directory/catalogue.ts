/**
 * What one agent offers, with its schemas, known by its hash.
 *
 * On the wire and on disk a catalogue is a JSON text in the provider's own order, which MCP clients get to see. The hash
 * ignores that order (and white space, and the order of members): every list is sorted by the name of its entries first,
 * so a server that lists the same tools in another order after a restart has the same catalogue. Members that we do not
 * know pass unchanged and count in the hash.
 *
 * Names of tools are taken as they come, within bounds: the character set that MCP recommends is a SHOULD, and shared
 * servers do use others.
 */
import { toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { sha256 } from '#hash'
import { canonicalJson, isObject, parseObject, type JsonObject } from '../base/json.ts'

/** Longest catalogue, in bytes of its JSON text. */
export const CATALOGUE_BYTES_MAX = 4 * 2 ** 20

/** Entries in each list of a catalogue. */
export const TOOLS_MAX = 10_000

/** Characters in the name of a tool. Source: MCP 2025-11-25, tool names. */
export const TOOL_NAME_CHARS_MAX = 128

/** Characters in what names a resource, a template or a prompt. */
export const ENTRY_NAME_CHARS_MAX = 2_048

export interface ToolDefinition {
  readonly name: string
  readonly title?: string
  readonly description?: string
  readonly inputSchema: JsonObject
  readonly outputSchema?: JsonObject
  readonly annotations?: JsonObject
  readonly [key: string]: unknown
}

export interface Catalogue {
  /** No two of one name. */
  readonly tools: readonly ToolDefinition[]
  readonly resources?: readonly JsonObject[]
  readonly resourceTemplates?: readonly JsonObject[]
  readonly prompts?: readonly JsonObject[]
  readonly instructions?: string
  /** What the server has declared of itself, as MCP has it: `completions`, `logging`, `resources: { subscribe }` and the like. */
  readonly capabilities?: JsonObject
  /** `caller`: each session has a server of its own. Without it one server is there for everybody. */
  readonly session?: 'caller'
}

/** A catalogue ready to be announced: its hash goes into the record, its text to whoever asks. */
export interface SealedCatalogue {
  readonly hash: string
  readonly text: string
  readonly catalogue: Catalogue
}

const LISTS = { tools: 'name', resources: 'uri', resourceTemplates: 'uriTemplate', prompts: 'name' } as const
type ListName = keyof typeof LISTS

/** SHA-256, base64url, 43 characters; equal for equal content in whatever order it is listed. */
export function catalogueHash (catalogue: Catalogue): string {
  const ordered: Record<string, unknown> = { ...catalogue }
  for (const [list, key] of Object.entries(LISTS) as [ListName, string][]) {
    const entries = catalogue[list] as readonly Record<string, string>[] | undefined
    if (entries !== undefined) ordered[list] = entries.toSorted((left, right) => (left[key] ?? '') < (right[key] ?? '') ? -1 : 1)
  }
  return hashOf(ordered)
}

/** The definition hash: two tools with one hash take the same arguments and promise the same. */
export function toolHash (tool: ToolDefinition): string {
  return hashOf(tool)
}

/** Whether a text has the form of our hashes. */
export function isHash (value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value)
}

/**
 * Checks a catalogue of this peer against what every other peer will check, and freezes it into its text.
 *
 * @throws SwarmError TOO_LARGE, MALFORMED naming the entry at fault
 */
export function sealCatalogue (catalogue: Catalogue): SealedCatalogue {
  const text = JSON.stringify(catalogue)
  const read = parse(text)
  return { hash: catalogueHash(read), text, catalogue: read }
}

/**
 * Reads a catalogue that came from a peer or from disk.
 *
 * @param hash what it was asked for by
 * @throws SwarmError TOO_LARGE over a limit, MALFORMED if it is not a catalogue or has another hash
 */
export function readCatalogue (text: string, hash: string): Catalogue {
  const catalogue = parse(text)
  if (catalogueHash(catalogue) !== hash) throw new SwarmError('MALFORMED', `a catalogue does not have the hash ${hash}`)
  return catalogue
}

/**
 * Reads a catalogue that had its hash when it came, and was kept where nobody else writes: the hash is not worked out again.
 *
 * @throws SwarmError TOO_LARGE, MALFORMED
 */
export function recallCatalogue (text: string): Catalogue {
  return parse(text)
}

function parse (text: string): Catalogue {
  const bytes = text.length > CATALOGUE_BYTES_MAX ? text.length : utf8(text).byteLength
  if (bytes > CATALOGUE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `a catalogue of ${bytes} bytes; limit ${CATALOGUE_BYTES_MAX}`)
  const value = parseObject(text, 'a catalogue')
  for (const list of Object.keys(LISTS) as ListName[]) {
    if (list === 'tools' || value[list] !== undefined) checkList(list, value[list])
  }
  if (value.instructions !== undefined && typeof value.instructions !== 'string') throw malformed('its instructions are not a text')
  if (value.capabilities !== undefined && !isObject(value.capabilities)) throw malformed('its capabilities are not an object')
  if (value.session !== undefined && value.session !== 'caller') throw malformed('its session is not "caller"')
  return value as unknown as Catalogue
}

function checkList (list: ListName, entries: unknown): void {
  if (!Array.isArray(entries)) throw malformed(`its ${list} are not a list`)
  if (entries.length > TOOLS_MAX) throw new SwarmError('TOO_LARGE', `a catalogue with ${entries.length} ${list}; limit ${TOOLS_MAX}`)
  const charsMax = list === 'tools' ? TOOL_NAME_CHARS_MAX : ENTRY_NAME_CHARS_MAX
  const seen = new Set<string>()
  for (const entry of entries as unknown[]) {
    if (!isObject(entry)) throw malformed(`one of its ${list} is not an object`)
    const name = entry[LISTS[list]]
    if (!isPlainText(name, charsMax)) throw malformed(`one of its ${list} has no ${LISTS[list]} of 1 to ${charsMax} printable characters`)
    if (seen.has(name)) throw malformed(`it lists ${JSON.stringify(name)} twice among its ${list}`)
    seen.add(name)
    if (list === 'tools') checkTool(name, entry)
  }
}

function checkTool (name: string, tool: JsonObject): void {
  if (!isObject(tool.inputSchema)) throw malformed(`tool ${JSON.stringify(name)} has no inputSchema`)
  for (const member of ['outputSchema', 'annotations']) {
    if (tool[member] !== undefined && !isObject(tool[member])) throw malformed(`${member} of tool ${JSON.stringify(name)} is not an object`)
  }
  for (const member of ['title', 'description']) {
    if (tool[member] !== undefined && typeof tool[member] !== 'string') throw malformed(`${member} of tool ${JSON.stringify(name)} is not a text`)
  }
}

/** Whether a value is a text of 1 to `charsMax` characters without control characters, so that it may be shown on a terminal. */
export function isPlainText (value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= charsMax && !/\p{Cc}/u.test(value)
}

function hashOf (value: unknown): string {
  return toBase64Url(sha256(utf8(canonicalJson(value))))
}

function malformed (reason: string): SwarmError {
  return new SwarmError('MALFORMED', `a catalogue breaks its format: ${reason}`)
}
