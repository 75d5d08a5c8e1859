/**
 * Shares an MCP server that exists already with another peer, which lists its tools and calls one.
 *
 * Both peers are in this one program to keep it short; they would find each other just the same in two.
 */
import './apart.ts'
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { joinSwarm } from 'mcp-swarm'

const SERVER = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))

const desk = await joinSwarm({ name: 'desk' })
const laptop = await joinSwarm({ name: 'laptop' })

try {
  // Any command that speaks MCP on stdin and stdout. It runs here, as it is; nothing of it is copied or changed.
  // Whom `allow` names may use it. Without `allow` that is every member of the swarm; what is not shared, nobody.
  await desk.share({ command: process.execPath, args: [SERVER] }, { name: 'everything', allow: ['role:member'] })
  console.log('desk shares the server "everything"')

  // Another peer needs no address, no registry and no config: it sees what is offered.
  await laptop.offered({ tool: 'get-sum' }, { timeoutMs: 10_000 })
  const tools = laptop.find({ agent: 'everything' })
  console.log(`laptop sees ${tools.length} tools of ${tools[0]?.peerName}: ${tools.map(({ tool }) => tool.name).join(', ')}`)
  assert.ok(tools.length >= 5)
  assert.deepEqual([...new Set(tools.map(({ peerName }) => peerName))], ['desk'])

  const { content } = await laptop.call('get-sum', { a: 2, b: 3 })
  console.log('laptop calls get-sum:', content)
  assert.match(JSON.stringify(content), /\b5\b/)

  // A server that is no longer shared is gone everywhere.
  const gone = new Promise<void>(resolve => { laptop.on('agent:removed', ({ name }) => { if (name === 'everything') resolve() }) })
  await desk.unshare('everything')
  await gone
  assert.deepEqual(laptop.find({ agent: 'everything' }), [])
  console.log('desk no longer shares it, and laptop knows')
} finally {
  await Promise.all([desk.close(), laptop.close()])
}
