/** What an agent answers to `tools/list`: made once per catalogue, in its order, in pages that fit a line. */
import type { Catalogue, ToolDefinition } from '../directory/catalogue.ts'

/** A page of a list ends before the tool that would bring it over this, in UTF-16 units. */
export const PAGE_UNITS = 2 ** 20

/** How long a caller may use a list without asking again, in milliseconds; changes are told sooner to who listens. */
export const LIST_TTL_MS = 5_000

export interface ToolPages {
  /** Pages as JSON arrays. */
  readonly stateless: readonly string[]
  /** The same for sessions of 2025-11-25, which know output schemas of objects only. */
  readonly session: readonly string[]
}

const made = new WeakMap<Catalogue, ToolPages>()

export function toolPages (catalogue: Catalogue): ToolPages {
  const known = made.get(catalogue)
  if (known !== undefined) return known
  const pages = { stateless: cut(catalogue.tools), session: cut(catalogue.tools.map(forSession)) }
  made.set(catalogue, pages)
  return pages
}

/** A client of the older revision refuses the whole list for one output schema that is not an object's. */
function forSession (tool: ToolDefinition): ToolDefinition {
  if (tool.outputSchema === undefined || tool.outputSchema.type === 'object') return tool
  const { outputSchema: _, ...rest } = tool
  return rest
}

function cut (tools: readonly ToolDefinition[]): string[] {
  const pages: string[] = []
  let page: string[] = []
  let units = 0
  for (const tool of tools) {
    const text = JSON.stringify(tool)
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
