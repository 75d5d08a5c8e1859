/** Our side: an agent at one peer, called by another over TCP and noise. Run by itself it is the process of the agent. */
import { systemClock } from '../../lib/base/clock.ts'
import type { Network } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { MCPAgent } from '../../lib/mcp/agent.ts'
import { Pipes } from '../../lib/mcp/pipe-pool.ts'
import { serveAgent } from '../../lib/mcp/serve.ts'
import { mcpProtocol } from '../../lib/mcp/wire.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'
import { PAYLOAD, serveUntilDone, startSide } from './side.ts'

const PROTOCOL = mcpProtocol('benchmark')

export interface Caller {
  readonly call: () => Promise<unknown>
  readonly stop: () => Promise<void>
}

export async function startPeers (): Promise<Caller> {
  const side = await startSide('peer.ts', 'agent')
  const { peerId, addresses } = side.ready as { peerId: string, addresses: string[] }
  const network = await openAdmitting()
  const connection = await network.dial(peerId, addresses, AbortSignal.timeout(10_000))
  const pipes = new Pipes({ clock: systemClock, open: async (_peerId, signal) => await connection.open(PROTOCOL, signal) })
  return {
    call: async () => await pipes.call(peerId, 'echo', 'say', PAYLOAD),
    stop: async () => {
      pipes.close()
      await network.close()
      await side.stop()
    }
  }
}

/** Admission is not what is measured here: each end lets the other in at once. */
async function openAdmitting (): Promise<Network> {
  const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom })
  network.onConnection(connection => { connection.admit() })
  return network
}

async function runAgent (): Promise<void> {
  const network = await openAdmitting()
  const agent = new MCPAgent('echo')
  agent.tool('say', { description: 'says it back' }, async input => ({ content: [{ type: 'text', text: (input as typeof PAYLOAD).text }] }))
  await agent.start()
  network.handle(PROTOCOL, (stream, connection) => {
    serveAgent(stream, { peerId: connection.peerId, role: 'member' }, () => ({ agent, rules: [{ kind: 'all' }] }), {
      clock: systemClock,
      report: error => { console.error(error) }
    })
  })
  await serveUntilDone({ peerId: network.peerId, addresses: network.addresses() })
  await network.close()
}

if (process.argv[2] === 'agent') await runAgent()
