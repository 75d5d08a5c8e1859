/** An MCP client over a command's standard input and output: for whoever tests or shows a server as its users meet it. */
import { Client, type CallToolResult } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { JsonObject } from '../base/json.ts'
import { VERSION } from '../base/version.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import type { Progress } from './host.ts'
import type { CommandSource } from './link.ts'
import { inOrder } from './order.ts'
import { SESSION_REVISION, STATELESS_REVISION, type Revision } from './revision.ts'

export interface ClientOptions extends CommandSource {
  /** The revision to speak. Default the session revision: what most clients speak. */
  readonly revision?: Revision
  /** Hears that the server's list of tools has changed. */
  readonly onToolsChanged?: () => void
}

export interface ToolClient {
  /** The server's process. */
  readonly pid: number | undefined
  /** What was agreed on. */
  readonly revision: string | undefined
  listTools (): Promise<ToolDefinition[]>
  /** @throws what the SDK throws: a protocol error, a time-out, a closed connection */
  callTool (name: string, args?: JsonObject, options?: ToolClientCall): Promise<CallToolResult>
  close (): Promise<void>
}

export interface ToolClientCall {
  readonly signal?: AbortSignal
  readonly progress?: (progress: Progress) => void
  /** Milliseconds. Default 60,000. */
  readonly timeoutMs?: number
}

/** Starts the command and agrees on a revision with it. Its standard error is passed on to ours. */
export async function connectClient (options: ClientOptions): Promise<ToolClient> {
  const { command, args = [], env, cwd, revision = SESSION_REVISION, onToolsChanged } = options
  const transport = inOrder(new StdioClientTransport({ command, args: [...args], env: env && { ...env }, cwd, stderr: 'inherit' }))
  const client = new Client({ name: 'mcp-swarm', version: VERSION }, {
    versionNegotiation: revision === STATELESS_REVISION ? { mode: { pin: STATELESS_REVISION } } : { mode: 'legacy' },
    ...(onToolsChanged !== undefined && { listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => { onToolsChanged() } } } })
  })
  await client.connect(transport)
  return {
    get pid () { return transport.pid ?? undefined },
    revision: client.getNegotiatedProtocolVersion(),
    listTools: async () => (await client.listTools(undefined, { cacheMode: 'refresh' })).tools as ToolDefinition[],
    callTool: async (name, values = {}, { signal, progress, timeoutMs = 60_000 } = {}) =>
      await client.callTool({ name, arguments: { ...values } }, { signal, timeout: timeoutMs, ...(progress !== undefined && { onprogress: progress, resetTimeoutOnProgress: true }) }),
    close: async () => { await client.close() }
  }
}
