import { Client, InMemoryTransport, type JSONRPCMessage } from '@modelcontextprotocol/client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inOrder } from '../../lib/mcp/order.ts'
import { within } from './parts.ts'

/** A server of 2025 that takes longer to start than the client's probe waits: it answers all it was sent, in order. */
async function slowServer (): Promise<{ transport: InMemoryTransport, heard: string[] }> {
  const [transport, theirs] = InMemoryTransport.createLinkedPair()
  const heard: string[] = []
  const waiting: JSONRPCMessage[] = []
  const answer = async (message: JSONRPCMessage): Promise<void> => {
    if (!('method' in message) || !('id' in message)) return
    const { id, method } = message
    if (method !== 'initialize') return await theirs.send({ jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } })
    await theirs.send({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'slow', version: '1' } } })
  }
  theirs.onmessage = message => {
    waiting.push(message)
    if (!('method' in message)) return
    heard.push(message.method)
    if (message.method === 'initialize') void (async () => { for (const each of waiting) await answer(each) })()
  }
  await theirs.start()
  return { transport, heard }
}

test('a probe that is answered after it was given up is no error', async () => {
  const { transport, heard } = await slowServer()
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto', probe: { timeoutMs: 10 } } })
  const errors: string[] = []
  client.onerror = error => { errors.push(error.message) }
  // what the SDK takes for a pipe: there, silence means a server of 2025
  await within(client.connect(inOrder(Object.assign(transport, { pid: 1, stderr: null }))), 'the connection')
  assert.equal(heard.slice(0, 2), ['server/discover', 'initialize'])
  assert.is(client.getProtocolEra(), 'legacy')
  assert.equal(errors, [])
  await client.close()
})

test('a probe that is answered in time is handed on', async () => {
  const [transport, theirs] = InMemoryTransport.createLinkedPair()
  const ordered = inOrder(transport)
  const got: JSONRPCMessage[] = []
  ordered.onmessage = message => { got.push(message) }
  await ordered.start()
  const answer: JSONRPCMessage = { jsonrpc: '2.0', id: 'p', result: {} }
  await ordered.send({ jsonrpc: '2.0', id: 'p', method: 'server/discover' })
  await theirs.send(answer)
  assert.equal(got, [answer])
})

test.run()
