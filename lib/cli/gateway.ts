import type { Duplex } from 'node:stream'
import { systemClock, type Swarm } from 'mcp-swarm'
import { serveGatewayOn } from 'mcp-swarm/mcp/stdio'
import { ANSWER_MS_MAX, meet } from './meet.ts'
import type { ShowOptions } from './request.ts'
import { viewOf } from './view.ts'

/**
 * Serves the swarm's tools to the MCP client at the other end. Resolves when the connection has ended. A peer that has just
 * joined meets the others first: many clients list the tools once, and never again.
 */
export async function serveGateway (swarm: Swarm, stream: Duplex, { prefix, tools }: ShowOptions): Promise<void> {
  const gone = new AbortController()
  const onClose = (): void => { gone.abort() }
  stream.once('close', onClose)
  await meet(swarm, gone.signal, { answerMs: ANSWER_MS_MAX })
  stream.off('close', onClose)
  const gateway = serveGatewayOn(viewOf(swarm, prefix), stream, stream, {
    clock: systemClock,
    tools,
    report: error => { process.stderr.write(`mcp-swarm: gateway: ${error.message}\n`) }
  })
  await gateway.closed
  stream.destroy()
}
