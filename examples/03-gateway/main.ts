/**
 * An MCP client uses what two peers offer, through one gateway: tools, a resource and a prompt, under names of one list.
 *
 * The two peers are in this one program to keep it short; the gateway is a process of its own, started by the client.
 */
import './apart.ts'
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { McpServer } from '@modelcontextprotocol/server'
import { joinSwarm } from 'mcp-swarm'
import { z } from 'zod'

const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))

// A server of this program: shared as it is, like one that is started by a command.
const library = new McpServer({ name: 'library', version: '1.0.0' })
library.registerTool('lend', { description: 'Lends a book', inputSchema: z.object({ title: z.string() }) }, ({ title }) => ({ content: [{ type: 'text', text: `${title} is yours` }] }))
library.registerResource('shelf', 'library://shelf', { description: 'What is there', mimeType: 'text/plain' }, ({ href }) => ({ contents: [{ uri: href, text: 'Emma\nMiddlemarch' }] }))
library.registerPrompt('review', { description: 'Asks for a review', argsSchema: z.object({ title: z.string() }) }, ({ title }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Review ${title}` } }] }))

const [desk, loft] = [await joinSwarm({ name: 'desk' }), await joinSwarm({ name: 'loft' })]
const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })

try {
  await desk.share({ command: process.execPath, args: [EVERYTHING] }, { name: 'everything' })
  await loft.share(library, { name: 'library' })

  // A client knows nothing of a swarm: it starts a command, as for any server. Here it is gateway.ts, elsewhere `npx mcp-swarm connect`.
  await client.connect(new StdioClientTransport({
    command: process.execPath,
    args: [...process.execArgv, fileURLToPath(new URL('./gateway.ts', import.meta.url))],
    env: Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => value === undefined ? [] : [[name, value]])),
    stderr: 'inherit'
  }))

  // Tools keep their names; only where two agents have one of that name do both carry their agent's, as library__lend.
  const { tools } = await client.listTools()
  console.log('tools:', tools.map(({ name }) => name).join(', '))
  const sum = await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })
  console.log('get-sum, at desk:', sum.content)
  assert.match(JSON.stringify(sum.content), /\b5\b/)
  const lent = await client.callTool({ name: 'lend', arguments: { title: 'Emma' } })
  console.log('lend, at loft:', lent.content)
  assert.deepEqual(lent.content, [{ type: 'text', text: 'Emma is yours' }])

  // Resources and prompts go the same way: each is read where its server runs.
  const { resources } = await client.listResources()
  console.log(`${resources.length} resources, among them ${resources.slice(-2).map(({ name }) => name).join(' and ')}`)
  const shelf = await read('shelf')
  console.log('shelf, at loft:', shelf)
  assert.equal(shelf, 'Emma\nMiddlemarch')
  assert.match(await read('features.md'), /\w/)

  const { prompts } = await client.listPrompts()
  console.log('prompts:', prompts.map(({ name }) => name).join(', '))
  const review = await client.getPrompt({ name: 'review', arguments: { title: 'Emma' } })
  console.log('review, at loft:', review.messages[0]?.content)
  assert.deepEqual(review.messages[0]?.content, { type: 'text', text: 'Review Emma' })
  const weather = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo' } })
  console.log('args-prompt, at desk:', weather.messages[0]?.content)
  assert.match(JSON.stringify(weather.messages), /Oslo/)

  async function read (named: string): Promise<string> {
    const uri = resources.find(({ name }) => name === named)?.uri
    assert.ok(uri !== undefined, `a resource named ${named}`)
    const { contents: [content] } = await client.readResource({ uri })
    return content !== undefined && 'text' in content ? content.text : ''
  }
} finally {
  await client.close()
  await Promise.all([desk.close(), loft.close()])
}
