/** A peer that serves the swarm to the MCP client which started it, on standard input and output: `mcp-swarm connect` in short. */
import './apart.ts'
import { gatewayView, joinSwarm, systemClock } from 'mcp-swarm'
import { serveGatewayOn } from 'mcp-swarm/mcp/stdio'

const swarm = await joinSwarm({ name: 'gateway' })

// Many clients read the lists once: better to have met the others before the first question is answered.
await Promise.all(['get-sum', 'lend'].map(async tool => await swarm.offered({ tool }, { timeoutMs: 20_000 })))

const gateway = serveGatewayOn(gatewayView(swarm), process.stdin, process.stdout, {
  clock: systemClock,
  report: error => { console.error(error.message) } // standard output is the protocol's
})
await gateway.closed
await swarm.close()
