/**
 * A server for the official conformance suite, which knows the names of its tools, prompts and resources: what each must do is
 * what the suite's scenarios look at. Written once for both revisions: where it asks, the SDK asks an older client for it.
 *
 * It is served directly (`http.ts`), as the measure, and on stdio (`main.ts`), to be shared through a swarm: what the suite sees
 * must be the same.
 */
import { createRequestStateCodec, McpServer } from '@modelcontextprotocol/server'
import { addAsking } from './asking.ts'
import type { Shared } from './context.ts'
import { addPrompts } from './prompts.ts'
import { addResources } from './resources.ts'
import { addTools } from './tools.ts'

/** The key of what a client carries for us from one round to the next. Every process of the fixture has it, and nothing hangs on it. */
const STATE_KEY = 'a key that everybody may know, of the fixture alone'

export function openFixture (shared: Shared): McpServer {
  const codec = createRequestStateCodec<Readonly<Record<string, unknown>>>({ key: STATE_KEY })
  const mcp = new McpServer({ name: 'conformance-fixture', version: '1.0.0' }, {
    capabilities: { logging: {}, resources: { listChanged: true, subscribe: true } }, // the others come with what is registered
    requestState: { verify: async (state, context) => await codec.verify(state, context) }
  })
  addTools(mcp, shared)
  addAsking(mcp, async state => await codec.mint(state))
  addPrompts(mcp, shared)
  addResources(mcp)
  return mcp
}
