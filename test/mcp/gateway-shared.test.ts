// bound: 120 s
/** A server that all share: nobody is asked through it, nobody hears another's logs, and what asks nothing works. And what a client cannot do with what is another's. */
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { serverCommand } from '../support/servers.ts'
import { begin, modern, post } from './http-parts.ts'
import { KINDS, inScene, type Answers } from './through.ts'

const test = suite('shared')
const GARBAGE = serverCommand('garbage', '2025-11-25')
const ABLE: Answers = {
  elicitation: () => ({ action: 'accept', content: { name: 'Ann' } }),
  sampling: () => ({ role: 'assistant', model: 'test', content: { type: 'text', text: 'la' } }),
  roots: () => ({ roots: [] })
}

function chatty (): ServerV1 {
  const server = new ServerV1({ name: 'chatty', version: '1.0.0' }, { capabilities: { tools: {}, logging: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: ['ask', 'sample', 'folders', 'log', 'plain'].map(name => ({ name, inputSchema: { type: 'object' as const } })) }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params: { name } }) => {
    const text = async (): Promise<string> => {
      if (name === 'ask') return JSON.stringify(await server.elicitInput({ message: 'Who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } }))
      if (name === 'sample') return JSON.stringify(await server.createMessage({ messages: [], maxTokens: 1 }))
      if (name === 'folders') return JSON.stringify(await server.listRoots())
      if (name === 'log') await server.sendLoggingMessage({ level: 'emergency', data: 'a secret' })
      return 'plain'
    }
    return { content: [{ type: 'text', text: await text() }] }
  })
  return server
}

for (const kind of KINDS) {
  test(`${kind}: what a server of 2025 asks is refused to it, and the rest works`, inScene(async scene => {
    await scene.share('bob', chatty, { name: 'chatty' })
    const [ann, bea] = [await scene.client(kind, { answers: ABLE }), await scene.client(kind, { answers: ABLE })]
    for (const client of [ann, bea]) if (!client.isModern) await client.logFrom('debug')
    for (const tool of ['ask', 'sample', 'folders']) {
      const said = await ann.text(tool).catch((error: Error) => error.message)
      assert.match(said, /does not support|Method not found/, tool) // the SDK's own, or ours
    }
    for (const client of [ann, bea, ann]) assert.is(await client.text('log', {}, client.isModern ? { logLevel: 'debug' } : {}), 'plain')
    assert.is(await bea.text('plain'), 'plain')
    assert.equal([ann.asked, bea.asked, ann.logs, bea.logs], [[], [], [], []])
  }))

  test(`${kind}: one that asks all the same is told that it cannot`, inScene(async scene => {
    await scene.share('bob', GARBAGE, { name: 'garbage' })
    const client = await scene.client(kind, { answers: ABLE })
    assert.match(await client.text('flood'), /"answered":0,"refused":1000,.*-32601/)
    assert.is(await client.text('who'), 'it is I')
    assert.equal(client.asked, [])
  }))
}

test('over HTTP: no session but one\'s own, no state through it, and none made up', inScene(async scene => {
  await scene.share('bob', chatty, { name: 'chatty', session: 'caller' })
  const gateway = await scene.http()
  const call = (meta: JsonObject, more: JsonObject = {}): { body: JsonObject & { params: JsonObject }, headers: Record<string, string> } => {
    const { body, headers } = modern(7, 'ask') as { body: JsonObject & { params: JsonObject }, headers: Record<string, string> }
    return { body: { ...body, params: { ...body.params, ...more, _meta: { ...body.params['_meta'] as JsonObject, ...meta } } }, headers }
  }
  const answerOf = async (response: Response): Promise<JsonObject> => {
    const text = await response.text()
    const data = text.split('\n').findLast(line => line.startsWith('data: '))
    return JSON.parse(data?.slice(6) ?? text) as JsonObject
  }
  const capable = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } }

  const ann = await begin(gateway)
  for (const id of [`${ann['mcp-session-id'] ?? ''}x`, 'made-up']) {
    const response = await post(gateway, { jsonrpc: '2.0', id: 2, method: 'tools/list' }, { ...ann, 'mcp-session-id': id })
    assert.is(response.status, 404)
  }

  const first = call(capable)
  const { result } = await answerOf(await post(gateway, first.body, first.headers)) as { result: { resultType: string, requestState: string, inputRequests: JsonObject } }
  assert.is(result.resultType, 'input_required')
  const [key = ''] = Object.keys(result.inputRequests)
  const answers = { requestState: result.requestState, inputResponses: { [key]: { action: 'accept', content: { name: 'Mal' } } } }

  // a session of 2025 has no such thing: the call begins anew, and its client, which cannot be asked, is not
  const stolen = await answerOf(await post(gateway, { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'ask', arguments: {}, ...answers } }, ann))
  assert.match(JSON.stringify(stolen), 'does not support')

  const forged = call(capable, { ...answers, requestState: `${result.requestState.slice(0, -2)}xx` })
  assert.match(JSON.stringify(await answerOf(await post(gateway, forged.body, forged.headers))), 'unknown')

  const again = call(capable, answers)
  assert.match(JSON.stringify(await answerOf(await post(gateway, again.body, again.headers))), 'Mal')
  const twice = call(capable, answers)
  assert.match(JSON.stringify(await answerOf(await post(gateway, twice.body, twice.headers))), 'unknown', 'a state is of use once')
}))

test.run()
