/**
 * The whole swarm as one MCP server, on one transport: for a client that knows nothing of swarms.
 *
 * Each connection speaks the revision its client opens with, 2026-07-28 or one of 2025; `serveStdio` of the SDK decides
 * that, over whatever transport it is given. Below it stands the SDK's low-level server over lists that are made once for
 * each change of the swarm: a request costs a look-up. What is answered passes unchanged within a revision; across them
 * gateway-client.ts and the hosting peer (callers.ts) translate.
 *
 * Invariants: a failed call is a result that explains itself and names its provider, never a broken connection; no progress
 * comes after its answer; what one client asks, is asked or hears of, no other does.
 */
import { Server, type JSONRPCRequest, type Result, type ServerContext, type Transport } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { toBase64Url } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { systemRandom, type Random } from '../base/random.ts'
import { VERSION } from '../base/version.ts'
import { announceChanges, tellChanged } from './gateway-changes.ts'
import { GatewayClient } from './gateway-client.ts'
import { handleRequests } from './gateway-requests.ts'
import { Subscriptions } from './gateway-subscriptions.ts'
import { handleTools } from './gateway-tools.ts'
import type { ToolsMode } from './overview.ts'
import { TASKS_CAPABILITY } from './task-error.ts'
import type { GatewayView } from './view.ts'
import { Wire } from './gateway-wire.ts'

const INSTRUCTIONS = 'These tools belong to agents on several machines, which come and go; the list changes with them. ' +
  'swarm_find looks for tools by what they do, swarm_call calls one that is not listed. ' +
  'A tool that fails says which peer was asked, whether anything has run, and what to do.'

/** Random bytes of a client's name in the swarm. */
const NAME_BYTES = 16

export interface GatewayOptions {
  readonly clock: Clock
  /** Names clients towards agents. Default the system's. */
  readonly random?: Random
  /** Which tools are listed. Default `auto`: all while they are few. */
  readonly tools?: ToolsMode
  /** For the client's model: replaces the default. */
  readonly instructions?: string
  /** Hears of bugs and of trouble on the wire that no answer can tell. */
  readonly report?: (error: Error) => void
}

export interface Gateway {
  /** Ends the connection; calls in flight are aborted. */
  close (): Promise<void>
  /** Resolves when the connection has ended, from either side. */
  readonly closed: Promise<void>
}

/** @param transport not started; the gateway's from here on */
export function serveGateway (view: GatewayView, transport: Transport, options: GatewayOptions): Gateway {
  const report = (error: Error): void => { options.report?.(error) }
  const session = nameClient(options)
  const subscriptions = new Subscriptions(view, options.clock, session)
  const wire = new Wire(transport, subscriptions, report)
  const serving = serveStdio(({ era }) => era === 'modern' ? openServer(view, era, options, session) : openSession(view, options, session), { transport: wire, onerror: report })
  return {
    closed: wire.closed,
    async close () {
      wire.finish()
      await serving.close()
    }
  }
}

type Handler = (request: JSONRPCRequest, context: ServerContext) => Promise<Result>

/** The SDK would parse results and drop what it does not know. */
class PlainServer extends Server {
  protected override _wrapHandler (_method: string, handler: Handler): Handler {
    return handler
  }
}

/** A server for one client of 2025, which is told of changes unasked. */
function openSession (view: GatewayView, options: GatewayOptions, session: string): Server {
  const server = openServer(view, 'legacy', options, session)
  let isReady = false
  const { check, stop } = announceChanges(view, options.clock, () => isReady, kinds => { tellChanged(server, kinds, options) })
  server.oninitialized = () => { // before that it need not listen
    isReady = true
    check()
  }
  const { onclose } = server
  server.onclose = () => {
    stop()
    onclose?.()
  }
  return server
}

/**
 * The gateway as a server of the SDK for one client, connected to nothing. It tells of no changed lists by itself.
 *
 * @param session names the client towards agents; without one, a client of 2026-07-28 lives for one request
 */
export function openServer (view: GatewayView, era: 'legacy' | 'modern', options: GatewayOptions, session?: string): Server {
  const server = new PlainServer({ name: 'mcp-swarm', title: 'MCP swarm', version: VERSION }, {
    capabilities: {
      tools: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      prompts: { listChanged: true },
      completions: {},
      logging: {},
      ...era === 'modern' && TASKS_CAPABILITY
    },
    instructions: options.instructions ?? INSTRUCTIONS
  })
  const client = new GatewayClient(view, server, era, { name: session ?? nameClient(options), isBrief: session === undefined && era === 'modern' }, error => { options.report?.(error) })
  handleTools(server, client, view, options)
  handleRequests(server, client, view, options)
  server.onclose = () => { client.close() }
  return server
}

function nameClient ({ random = systemRandom }: GatewayOptions): string {
  return toBase64Url(random.bytes(NAME_BYTES))
}
