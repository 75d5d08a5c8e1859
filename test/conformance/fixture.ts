/**
 * A server for the official conformance suite, which knows the names of its tools, prompts and resources: what each must do is
 * what the suite's scenarios look at. Written once for both revisions: where it asks, the SDK asks an older client for it.
 *
 * It is served directly (`http.ts`), as the measure, and on stdio (`main.ts`), to be shared through a swarm: what the suite sees
 * must be the same.
 */
import { createRequestStateCodec, McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { addAsking } from './asking.ts'
import type { Refuse, Shared } from './context.ts'
import { addLong } from './long.ts'
import { addPrompts } from './prompts.ts'
import { addResources } from './resources.ts'
import { addTools } from './tools.ts'

/** The key of what a client carries for us from one round to the next. Every process of the fixture has it, and nothing hangs on it. */
const STATE_KEY = 'a key that everybody may know, of the fixture alone'

export function openFixture (shared: Shared): McpServer {
  const codec = createRequestStateCodec<Readonly<Record<string, unknown>>>({ key: STATE_KEY })
  const mcp = new McpServer({ name: 'conformance-fixture', version: '1.0.0' }, {
    capabilities: { logging: {}, resources: { listChanged: true, subscribe: true } }, // it declares what is registered
    requestState: { verify: async (state, context) => await codec.verify(state, context) }
  })
  const refuse = letRefuse(mcp)
  addTools(mcp, shared)
  addAsking(mcp, async state => await codec.mint(state))
  addLong(mcp, refuse, shared)
  addPrompts(mcp, shared)
  addResources(mcp)
  return mcp
}

type Handler = (request: unknown, context: ServerContext) => Promise<unknown>

/** Must be called before the first tool is registered, and where tools are not declared beforehand: McpServer sets its handler then. */
function letRefuse ({ server }: McpServer): Refuse {
  const refused = new WeakMap<ServerContext, Error>()
  const set = server.setRequestHandler.bind(server) as (method: string, handler: Handler) => void
  const wrap = (handler: Handler): Handler => async (request, context) => {
    const result = await handler(request, context)
    const error = refused.get(context)
    if (error !== undefined) throw error
    return result
  }
  server.setRequestHandler = ((method: string, handler: Handler) => { set(method, method === 'tools/call' ? wrap(handler) : handler) }) as typeof server.setRequestHandler
  return (context, error) => {
    refused.set(context, error)
    throw error
  }
}
