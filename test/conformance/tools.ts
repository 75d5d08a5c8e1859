/** Tools that answer at once: each kind of content, logs, progress, errors, headers, schemas, and lists that change. */
import { setTimeout as wait } from 'node:timers/promises'
import { fromJsonSchema, type McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { audio, image, say, text } from './content.ts'
import type { Shared } from './context.ts'

/** Between two things a tool says while it runs, in milliseconds. */
const STEP_MS = 50

/** Between closing a stream and the answer, in milliseconds: the client has come back by then. */
const AWAY_MS = 100

/** Every keyword that a list must carry unchanged, in a schema that makes sense. */
const ADDRESS_BOOK = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object' as const,
  $defs: { address: { $anchor: 'home', type: 'object', properties: { town: { type: 'string' } } } },
  properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' }, by: { enum: ['phone', 'post'] }, phone: { type: 'string' } },
  allOf: [{ anyOf: [{ required: ['address'] }, { required: ['phone'] }] }],
  if: { properties: { by: { const: 'phone' } }, required: ['by'] },
  then: { required: ['phone'] },
  else: { required: ['name'] },
  additionalProperties: false
}

/** Clients repeat its region in the header Mcp-Param-Region. */
const REGION = { type: 'object' as const, properties: { region: { type: 'string' as const, 'x-mcp-header': 'Region' } }, required: ['region'] }

export function addTools (mcp: McpServer, shared: Shared): void {
  mcp.registerTool('test_simple_text', { description: 'Answers with a text' }, () => say('a text'))
  mcp.registerTool('test_image_content', { description: 'Answers with an image' }, () => ({ content: [image] }))
  mcp.registerTool('test_audio_content', { description: 'Answers with a sound' }, () => ({ content: [audio] }))
  mcp.registerTool('test_embedded_resource', { description: 'Answers with a resource' }, () => ({ content: [resource('test://embedded-resource', 'text/plain', 'inside')] }))
  mcp.registerTool('test_multiple_content_types', { description: 'Answers with three kinds of content' }, () => ({
    content: [text('three kinds'), image, resource('test://mixed-content-resource', 'application/json', '{"inside":true}')]
  }))
  mcp.registerTool('test_error_handling', { description: 'Always fails' }, () => ({ ...say('it failed, as it always does'), isError: true }))
  mcp.registerTool('json_schema_2020_12_tool', { description: 'Takes what a demanding schema allows', inputSchema: fromJsonSchema(ADDRESS_BOOK) }, () => say('fits'))
  mcp.registerTool('test_headers', { description: 'Its region travels in a header too', inputSchema: fromJsonSchema<{ region: string }>(REGION) }, ({ region }) => say(`in ${region}`))
  addTelling(mcp)
  addChanging(mcp, shared)
}

function addTelling (mcp: McpServer): void {
  mcp.registerTool('test_tool_with_logging', { description: 'Logs three times' }, async context => {
    await log(context, 'begun')
    await wait(STEP_MS)
    await log(context, 'half done')
    await wait(STEP_MS)
    await log(context, 'done')
    return say('logged')
  })
  mcp.registerTool('test_logging_tool', { description: 'Logs once' }, async context => {
    await log(context, 'here')
    return say('logged, for those who asked')
  })
  mcp.registerTool('test_tool_with_progress', { description: 'Tells its progress three times' }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
      if (progress < 100) await wait(STEP_MS)
    }
    return say('arrived')
  })
  mcp.registerTool('test_reconnection', { description: 'Closes its stream before it answers, where streams can be resumed' }, async ({ http }) => {
    http?.closeSSE?.()
    await wait(AWAY_MS)
    return say('found again')
  })
}

/** A tool and the tool that changes it: only its description, so that lists keep their length. */
function addChanging (mcp: McpServer, { changes, tell }: Shared): void {
  const describe = (): string => `Was changed ${changes.tools} times`
  const changing = mcp.registerTool('test_changing', { description: describe() }, () => say(describe()))
  mcp.registerTool('test_trigger_tool_change', { description: 'Changes the list of tools' }, () => {
    changes.tools++
    if (tell === undefined) changing.update({ description: describe() })
    else tell('tools')
    return say('changed')
  })
}

async function log ({ mcpReq }: ServerContext, words: string): Promise<void> {
  await mcpReq.log('info', words, 'fixture')
}

function resource (uri: string, mimeType: string, text: string): { type: 'resource', resource: { uri: string, mimeType: string, text: string } } {
  return { type: 'resource', resource: { uri, mimeType, text } }
}
