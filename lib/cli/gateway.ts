import type { Duplex } from 'node:stream'
import { systemClock, type Prefix, type Swarm } from 'mcp-swarm'
import { serveGatewayOn } from 'mcp-swarm/mcp/stdio'
import { viewOf } from './view.ts'

/** Serves the swarm's tools to the MCP client at the other end. Resolves when the connection has ended. */
export async function serveGateway (swarm: Swarm, stream: Duplex, { prefix }: { prefix?: Prefix }): Promise<void> {
  const gateway = serveGatewayOn(viewOf(swarm, prefix), stream, stream, {
    clock: systemClock,
    report: error => { process.stderr.write(`mcp-swarm: gateway: ${error.message}\n`) }
  })
  await gateway.closed
  stream.destroy()
}
