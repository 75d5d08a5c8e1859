/** What an agent answers to requests for its lists: made once per catalogue, in its order, in pages that fit a line. */
import type { JsonObject } from '../base/json.ts'
import type { Catalogue, ToolDefinition } from '../directory/catalogue.ts'

/** A page of a list ends before the entry that would bring it over this, in UTF-16 units. */
export const PAGE_UNITS = 2 ** 20

/** How long a caller may use a list without asking again, in milliseconds; changes are told sooner to who listens. */
export const LIST_TTL_MS = 5_000

/** The member of a result, and of a catalogue, by the method that asks for it. */
export const LISTS = {
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
  'tools/list': 'tools'
} as const

export type ListMember = typeof LISTS[keyof typeof LISTS]

export type ListMethod = keyof typeof LISTS

export function isListMethod (method: string): method is ListMethod {
  return Object.hasOwn(LISTS, method)
}

export interface Pages {
  /** Pages as JSON arrays. */
  readonly stateless: readonly string[]
  /** The same for sessions of 2025-11-25, which know output schemas of objects only. */
  readonly session: readonly string[]
}

const made = new WeakMap<Catalogue, Partial<Record<ListMember, Pages>>>()

/** @returns undefined for a list that the agent does not have */
export function pagesOf (catalogue: Catalogue, member: ListMember): Pages | undefined {
  const entries = catalogue[member]
  if (entries === undefined) return undefined
  const known = made.get(catalogue) ?? {}
  const pages = known[member] ?? { stateless: cut(entries), session: cut(member === 'tools' ? catalogue.tools.map(forSession) : entries) }
  made.set(catalogue, { ...known, [member]: pages })
  return pages
}

/** A client of the older revision refuses the whole list for one output schema that is not an object's. */
function forSession (tool: ToolDefinition): ToolDefinition {
  if (tool.outputSchema === undefined || tool.outputSchema.type === 'object') return tool
  const { outputSchema: _, ...rest } = tool
  return rest
}

function cut (entries: readonly (JsonObject | ToolDefinition)[]): string[] {
  const pages: string[] = []
  let page: string[] = []
  let units = 0
  for (const entry of entries) {
    const text = JSON.stringify(entry)
    if (page.length > 0 && units + text.length > PAGE_UNITS) {
      pages.push(`[${page.join(',')}]`)
      page = []
      units = 0
    }
    page.push(text)
    units += text.length
  }
  return [...pages, `[${page.join(',')}]`]
}
