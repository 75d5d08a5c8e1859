/** A host's script: a peer of a made swarm, which offers the tool `whoami` and calls that of others. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { makeSwarm } from '../../lib/swarm/make.ts'
import type { Means } from '../../lib/swarm/options.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { hosted, tell } from '../support/hosted.ts'

const dir = join(homedir(), 'swarm')
let swarm: Swarm | undefined

const member = (): Swarm => {
  if (swarm === undefined) throw new Error('has not joined')
  return swarm
}

hosted({
  make: async () => await makeSwarm(dir),
  // `startedMs`: when it began, by the clock that all processes of this machine share.
  join: async ({ name, ticket, discovery, listen }) => {
    const startedMs = Date.now()
    const joined = swarm = await joinSwarm({
      dir, name: String(name), ...(ticket === undefined ? {} : { ticket: ticket as string }),
      ...(listen === undefined ? {} : { listen: listen as string[] }), discovery: discovery as Partial<Means>
    })
    joined.on('trouble', ({ code, message }) => { tell('trouble', { code, message }) })
    joined.on('trouble:over', ({ code, message }) => { tell('over', { code, message }) })
    const agent = joined.agent('self')
    agent.tool('whoami', { description: 'Says who this is', input: { type: 'object' } }, () => String(name))
    await agent.start()
    return { peerId: joined.status().peer.peerId, startedMs }
  },
  invite: ({ uses }) => member().invite({ uses: Number(uses) }).ticket,
  /** Calls that peer again and again until it answers; says when. */
  reach: async ({ peer, boundMs }) => {
    const beganMs = performance.now()
    for (;;) {
      try {
        const { content } = await member().call('whoami', {}, { peer: String(peer), timeoutMs: 500 })
        return { at: Date.now(), said: content }
      } catch (error) {
        if (performance.now() - beganMs > Number(boundMs)) throw error
        await new Promise(resolve => { setTimeout(resolve, 10) })
      }
    }
  },
  /** Calls that peer once, for as long as it takes; says when that was over, and how. */
  call: async ({ peer }) => await member().call('whoami', {}, { peer: String(peer) }).then(
    () => ({ at: Date.now(), code: 'OK' }),
    (error: unknown) => ({ at: Date.now(), code: (error as { code?: unknown }).code })
  ),
  status: () => member().status(),
  leave: async () => { await swarm?.close(); swarm = undefined }
}, async () => { await swarm?.close() })
