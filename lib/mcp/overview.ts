/**
 * The gateway's own tools: to look for tools by what they do, to see one whole, to call one that is not listed, and to see
 * how the swarm is. They are there for clients that cap the number of tools, and for those that read the list once and do
 * not hear that it has changed.
 */
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { isObject, type JsonObject } from '../base/json.ts'
import { nearestNames, suggestion } from '../mesh/suggest.ts'
import { OWN_PREFIX, type GatewayTool } from './names.ts'
import type { GatewayView, Target } from './view.ts'

/**
 * Tools of agents that `auto` lists at most: with the gateway's own four they are 128, what OpenAI and VS Code take. Past a
 * client's cap tools are dropped with no word said; one that is to be looked for serves better.
 */
export const TOOLS_SHOWN_MAX = 124

/** The same for clients with a lower cap, by what they call themselves: Cursor takes 40 over all its servers. */
const LOWER_CAPS: readonly (readonly [RegExp, number])[] = [[/cursor/i, 36]]

/** How many tools of agents a client gets listed in `auto`. @param name as the client calls itself */
export function toolsMaxFor (name = ''): number {
  return LOWER_CAPS.find(([pattern]) => pattern.test(name))?.[1] ?? TOOLS_SHOWN_MAX
}

/** Tools that one `swarm_find` gives, by default and at most. */
export const FOUND_DEFAULT = 10
export const FOUND_MAX = 50

/** Characters of a description in a list of what was found. */
export const LINE_CHARS_MAX = 120

/** Which tools a gateway lists: `all` known and its own; `search`: its own alone; `auto`: all while they are few. */
export type ToolsMode = 'auto' | 'all' | 'search'

export interface ShownTools {
  readonly tools: readonly GatewayTool[]
  /** The gateway's own, as a client gets to see them. */
  readonly own: readonly JsonObject[]
}

const text = (description: string, more: JsonObject = {}): JsonObject => ({ type: 'string', description, ...more })
const reading = { readOnlyHint: true, openWorldHint: false }

function define (name: string, description: string, properties: JsonObject, required: readonly string[], annotations: JsonObject): JsonObject {
  const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object', properties, required, additionalProperties: false }
  return { name: `${OWN_PREFIX}${name}`, description, inputSchema: schema, annotations }
}

const OWN: readonly JsonObject[] = [
  define('find', 'Find tools in the swarm by words.', {
    query: text('What it should do', { minLength: 1 }),
    limit: { type: 'integer', minimum: 1, maximum: FOUND_MAX, default: FOUND_DEFAULT }
  }, ['query'], reading),
  define('describe', 'Show a tool whole: schemas, provider, whether it can be reached.', { name: text('As swarm_find gives it') }, ['name'], reading),
  define('call', 'Call any tool of the swarm.', { name: text('As swarm_find gives it'), arguments: { type: 'object', description: 'As swarm_describe shows' } }, ['name'],
    { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true }),
  define('status', 'Who is in the swarm, and what cannot be reached.', {}, [], reading)
]

const NAMES: ReadonlySet<unknown> = new Set(OWN.map(({ name }) => name))

/** @param toolsMax how many tools of agents `auto` lists at most */
export function shownTools (view: Pick<GatewayView, 'tools'>, mode: ToolsMode, toolsMax = TOOLS_SHOWN_MAX): ShownTools {
  const tools = view.tools()
  return { tools: mode === 'all' || (mode === 'auto' && tools.length <= toolsMax) ? tools : [], own: OWN }
}

export function isOwnTool (name: string): boolean {
  return NAMES.has(name)
}

/**
 * Answers one of the gateway's own tools.
 *
 * @param call calls a tool of the list; its answer passes unchanged
 * @returns also that arguments do not fit: a result with `isError`, as of any tool
 */
export async function answerOwn<Answer> (
  view: Pick<GatewayView, 'tools' | 'search' | 'status'>, name: string, args: JsonObject, call: (tool: GatewayTool, args: JsonObject) => Promise<Answer>
): Promise<Answer | JsonObject> {
  switch (name.slice(OWN_PREFIX.length)) {
    case 'find': return await find(view, args)
    case 'describe': return withTool(view, args, describe)
    case 'call': return await callOne(view, args, call)
    case 'status': return plainly(view.status())
    default: throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${JSON.stringify(name)}`)
  }
}

async function find (view: Pick<GatewayView, 'search' | 'tools'>, { query, limit = FOUND_DEFAULT }: JsonObject): Promise<JsonObject> {
  if (typeof query !== 'string' || query.trim() === '') return refuse('query takes words that say what the tool should do')
  if (!Number.isInteger(limit) || limit as number < 1 || limit as number > FOUND_MAX) return refuse(`limit takes 1 to ${FOUND_MAX}`)
  const found = await view.search(query, limit as number)
  const tools = found.map(tool => ({ name: tool.name, description: lineOf(tool), ...provided(tool) }))
  const lines = found.map(tool => `${tool.name}: ${lineOf(tool)} [${whose(tool)}]`)
  const total = view.tools().length
  return answer(lines.length > 0 ? lines.join('\n') : `None of ${total} tools fits these words. Try others, or fewer.`, { tools, total })
}

function describe (tool: GatewayTool): JsonObject {
  return plainly({ ...tool.tool as JsonObject, name: tool.name, ...provided(tool) })
}

async function callOne<Answer> (view: Pick<GatewayView, 'tools'>, args: JsonObject, call: (tool: GatewayTool, args: JsonObject) => Promise<Answer>): Promise<Answer | JsonObject> {
  const inner = args['arguments'] ?? {}
  if (!isObject(inner)) return refuse('arguments takes an object, as swarm_describe shows')
  return await withTool<Promise<Answer | JsonObject> | JsonObject>(view, args, async tool => await call(tool, inner))
}

/** With a name that nothing has, an answer that names the nearest: the model can do something about it. */
function withTool<Result> (view: Pick<GatewayView, 'tools'>, { name }: JsonObject, act: (tool: GatewayTool) => Result): Result | JsonObject {
  if (typeof name !== 'string') return refuse('name takes the name of a tool, as swarm_find gives it')
  if (isOwnTool(name)) return refuse(`${name} is called by itself`)
  const tools = view.tools()
  const tool = tools.find(one => one.name === name)
  if (tool !== undefined) return act(tool)
  const nearest = nearestNames(name, tools.map(one => one.name))
  return { ...answer(`There is no tool ${JSON.stringify(name)}${suggestion(nearest)}. Nothing has run. Look for it with swarm_find.`, { code: 'UNKNOWN_TOOL', nearest }), isError: true }
}

function answer (shown: string, structuredContent: JsonObject): JsonObject {
  return { content: [{ type: 'text', text: shown }], structuredContent }
}

function plainly (facts: JsonObject): JsonObject {
  return answer(JSON.stringify(facts, undefined, 1), facts)
}

/** A result and no protocol error: a model that reads it can do better. Source: MCP 2025-11-25, tools, error handling. */
function refuse (message: string): JsonObject {
  return { ...answer(`${message}. Nothing has run.`, { code: 'INVALID_ARGUMENTS' }), isError: true }
}

function provided ({ agent, available, peerName, pool, reason, sinceMs }: Target): JsonObject {
  return {
    provider: pool === undefined ? { agent, peer: peerName } : { pool },
    available,
    ...reason !== undefined && { reason },
    ...sinceMs !== undefined && { since: new Date(sinceMs).toISOString() }
  }
}

function whose ({ agent, available, peerName, pool, reason }: Target): string {
  const provider = pool === undefined ? `${agent} at ${peerName}` : `pool ${pool}`
  return available ? provider : `${provider}; cannot be reached: ${reason ?? 'not available'}`
}

function lineOf ({ tool: { description, title } }: GatewayTool): string {
  const line = (description ?? title ?? '').replaceAll(/[\s\p{Cc}]+/gu, ' ').trim()
  return line.length <= LINE_CHARS_MAX ? line : `${line.slice(0, LINE_CHARS_MAX - 1)}…`
}
