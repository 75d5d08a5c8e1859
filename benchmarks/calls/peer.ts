/** Our side: an agent at one peer, called by `swarm.call` from another process. Run by itself it is the process of the agent. */
import { joinSwarm } from 'mcp-swarm'
import { temporaryUser } from '../rig.ts'
import { PAYLOAD, serveUntilDone, startSide } from './side.ts'

export interface Caller {
  readonly call: () => Promise<unknown>
  readonly stop: () => Promise<void>
}

export async function startPeers (): Promise<Caller> {
  Object.assign(process.env, temporaryUser().env)
  const side = await startSide(new URL('./peer.ts', import.meta.url), 'agent')
  const swarm = await joinSwarm({ name: 'caller' })
  while (swarm.find({ tool: 'say' }).length === 0) {
    await new Promise<void>(resolve => {
      const stop = swarm.on('tools:changed', () => {
        stop()
        resolve()
      })
    })
  }
  return {
    call: async () => await swarm.call('say', PAYLOAD),
    stop: async () => {
      await swarm.close()
      await side.stop()
    }
  }
}

async function runAgent (): Promise<void> {
  const swarm = await joinSwarm({ name: 'provider' })
  const agent = swarm.agent('echo')
  agent.tool('say', { description: 'says it back' }, async input => ({ content: [{ type: 'text', text: (input as typeof PAYLOAD).text }] }))
  await agent.start()
  await serveUntilDone({ peerId: swarm.peerId })
  await swarm.close()
}

if (process.argv[2] === 'agent') await runAgent()
