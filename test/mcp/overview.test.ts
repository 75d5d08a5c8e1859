import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isSpecType } from '@modelcontextprotocol/server'
import type { JsonObject } from '../../lib/base/json.ts'
import { gatewayTools, NAME_CHARS_MAX, OWN_PREFIX, type GatewayTool } from '../../lib/mcp/names.ts'
import { answerOwn, FOUND_DEFAULT, FOUND_MAX, isOwnTool, LINE_CHARS_MAX, shownTools, TOOLS_SHOWN_MAX, toolsMaxFor } from '../../lib/mcp/overview.ts'
import { ToolSearch } from '../../lib/mcp/search.ts'
import type { GatewayView } from '../../lib/mcp/view.ts'
import { offeredBy, type Made } from './offered.ts'

type View = Pick<GatewayView, 'tools' | 'search' | 'status'>

function viewOf (...made: readonly Made[]): View {
  const tools = gatewayTools(offeredBy(...made))
  const search = new ToolSearch()
  return { tools: () => tools, search: async (query, limit) => await search.find(tools, query, limit), status: () => ({ agents: [{ agent: 'notes', available: false }] }) }
}

const schema = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] }
const view = viewOf(
  { tools: [{ name: 'read_file', description: 'Reads a file.\n\u001b[31mAll of it. '.padEnd(400, 'x'), inputSchema: schema, outputSchema: schema, annotations: { readOnlyHint: true } }] },
  { agent: 'mail', peer: 'bob', pool: 'post', tools: ['send'], available: false, sinceMs: 0 },
  { agent: 'many', tools: Array.from({ length: FOUND_MAX + 10 }, (_, index) => `count_${index}`) }
)

const calls: [string, JsonObject][] = []
const call = async (tool: GatewayTool, args: JsonObject): Promise<JsonObject> => {
  calls.push([tool.key, args])
  return { content: [{ type: 'text', text: 'called' }], structuredContent: { of: tool.tool.name }, resultType: 'complete' }
}
const ask = async (tool: string, args: JsonObject = {}): Promise<JsonObject> => await answerOwn(view, `${OWN_PREFIX}${tool}`, args, call)
const textOf = ({ content }: JsonObject): string => (content as { text: string }[]).map(({ text }) => text).join('')

test('they are four, well formed, small, and say what they may do', () => {
  const { own } = shownTools(view, 'search')
  assert.equal(own.map(({ name }) => name), ['swarm_find', 'swarm_describe', 'swarm_call', 'swarm_status'])
  for (const tool of own) {
    assert.ok(isSpecType.Tool(tool), JSON.stringify(tool))
    const { name } = tool
    assert.ok(isOwnTool(name) && name.length <= NAME_CHARS_MAX)
    assert.is((tool['inputSchema'] as JsonObject)['$schema'], 'https://json-schema.org/draft/2020-12/schema')
    assert.is((tool['annotations'] as JsonObject)['readOnlyHint'], tool['name'] !== 'swarm_call')
  }
  const chars = JSON.stringify(own).length
  assert.ok(chars < 2_000, `${chars} characters: about a quarter as many tokens, in every conversation`)
  assert.not.ok(isOwnTool('swarm_'))
  assert.not.ok(isOwnTool('swarm_find_'))
})

test('all are listed while they are few, and then only its own', () => {
  const listed = (count: number, mode: 'auto' | 'all' | 'search', max?: number): number[] => {
    const { tools, own } = shownTools(viewOf({ tools: Array.from({ length: count }, (_, index) => `t${index}`) }), mode, max)
    return [tools.length, own.length]
  }
  assert.equal(listed(TOOLS_SHOWN_MAX, 'auto'), [TOOLS_SHOWN_MAX, 4])
  assert.equal(listed(TOOLS_SHOWN_MAX + 1, 'auto'), [0, 4])
  assert.equal(listed(TOOLS_SHOWN_MAX + 1, 'all'), [TOOLS_SHOWN_MAX + 1, 4])
  assert.equal(listed(1, 'search'), [0, 4])
  assert.equal(listed(2, 'auto', 1), [0, 4])
  assert.equal([toolsMaxFor('claude-code'), toolsMaxFor('cursor-vscode'), toolsMaxFor()], [124, 36, 124])
  assert.is(shownTools(view, 'all').tools, view.tools())
})

test('swarm_find tells names, a line on each, whose it is, and whether it can be reached', async () => {
  const { structuredContent } = await ask('find', { query: 'read file' }) as { structuredContent: { tools: [JsonObject] } }
  const [tool] = structuredContent.tools
  assert.equal([tool['name'], tool['provider'], tool['available']], ['read_file', { agent: 'notes', peer: 'alice' }, true])
  const line = tool['description'] as string
  assert.ok(line.length === LINE_CHARS_MAX && line.startsWith('Reads a file. [31mAll of it. x') && line.endsWith('x…'), line)
  const post = await ask('find', { query: 'send', limit: 1 })
  assert.equal(post['structuredContent'], {
    tools: [{ name: 'send', description: '1', provider: { pool: 'post' }, available: false, reason: 'exited', since: '1970-01-01T00:00:00.000Z' }], total: FOUND_MAX + 12
  })
  assert.is(textOf(post), 'send: 1 [pool post; cannot be reached: exited]')
  assert.match(textOf(await ask('find', { query: 'zzzzzzz' })), /^None of 62 tools/)
})

test('swarm_find gives as many as asked for, within bounds', async () => {
  const count = async (args: JsonObject): Promise<number> => ((await ask('find', { query: 'count', ...args }))['structuredContent'] as { tools: unknown[] }).tools.length
  assert.equal([await count({}), await count({ limit: 3 }), await count({ limit: FOUND_MAX })], [FOUND_DEFAULT, 3, FOUND_MAX])
})

test('swarm_describe gives a tool whole', async () => {
  const { structuredContent } = await ask('describe', { name: 'read_file' })
  const { name, inputSchema, outputSchema, annotations, provider, available } = structuredContent as JsonObject
  assert.equal({ name, inputSchema, outputSchema, annotations, provider, available }, {
    name: 'read_file', inputSchema: schema, outputSchema: schema, annotations: { readOnlyHint: true }, provider: { agent: 'notes', peer: 'alice' }, available: true
  })
})

test('swarm_call calls what is named, also where it is not listed, and passes the answer on unchanged', async () => {
  calls.length = 0
  assert.equal(await ask('call', { name: 'read_file', arguments: { path: '/a' } }), { content: [{ type: 'text', text: 'called' }], structuredContent: { of: 'read_file' }, resultType: 'complete' })
  await ask('call', { name: 'send' })
  assert.equal(calls.map(([key, args]) => [key.split('\n').at(-1), args]), [['read_file', { path: '/a' }], ['send', {}]])
})

test('swarm_status gives the facts', async () => {
  const { content, structuredContent } = await ask('status')
  assert.equal(structuredContent, { agents: [{ agent: 'notes', available: false }] })
  assert.equal(JSON.parse(textOf({ content })), structuredContent)
})

test('every answer has the form of a result', async () => {
  for (const [tool, args] of [['find', { query: 'a' }], ['describe', { name: 'send' }], ['describe', { name: 'no' }], ['call', { name: 'send' }], ['status', {}]] as const) {
    assert.ok(isSpecType.CallToolResult({ resultType: 'complete', ...await ask(tool, args) }), tool)
  }
})

test('of a name that nothing has, the nearest are told', async () => {
  calls.length = 0
  for (const tool of ['describe', 'call']) {
    const result = await ask(tool, { name: 'read_fiel' })
    assert.is(result['isError'], true)
    assert.equal(result['structuredContent'], { code: 'UNKNOWN_TOOL', nearest: ['read_file'] })
    assert.match(textOf(result), '"read_file"')
  }
  assert.equal(calls, [])
})

for (const [what, tool, args] of [
  ['no query', 'find', {}], ['an empty query', 'find', { query: ' ' }], ['a query that is a number', 'find', { query: 1 }],
  ['a limit of 0', 'find', { query: 'a', limit: 0 }], ['a limit too large', 'find', { query: 'a', limit: FOUND_MAX + 1 }], ['half a limit', 'find', { query: 'a', limit: 1.5 }],
  ['no name', 'describe', {}], ['arguments that are a list', 'call', { name: 'send', arguments: [] }], ['a tool of its own', 'call', { name: 'swarm_call', arguments: {} }]
] as readonly [string, string, JsonObject][]) {
  test(`refuses ${what}`, async () => {
    calls.length = 0
    const result = await ask(tool, args)
    assert.is(result['isError'], true)
    assert.equal(result['structuredContent'], { code: 'INVALID_ARGUMENTS' })
    assert.match(textOf(result), 'Nothing has run')
    assert.equal(calls, [])
  })
}

test.run()
