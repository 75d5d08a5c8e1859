/** A tool added at one of ten connected peers: how long until every other one can see it. Real TCP on loopback. */
import { joinSwarm, type Swarm } from 'mcp-swarm'
import { isSmoke, ms, quantile, report, temporaryUser } from './rig.ts'

const PEERS = 10
const rounds = isSmoke ? 10 : 300

Object.assign(process.env, temporaryUser().env)
const swarms: Swarm[] = []
for (let index = 0; index < PEERS; index++) swarms.push(await joinSwarm({ name: `peer-${index}` }))
await Promise.all(swarms.map(async swarm => {
  while (swarm.peers().length < PEERS - 1) await swarm.joined().then(async () => { await new Promise(resolve => setImmediate(resolve)) })
}))
const agents = await Promise.all(swarms.map(async (swarm, index) => {
  const agent = swarm.agent(`agent-${index}`)
  await agent.start()
  return agent
}))

const seen: number[] = []
for (let round = 0; round < rounds; round++) {
  const tool = `tool_${round}`
  const agent = agents[round % PEERS]
  const startMs = performance.now()
  const known = swarms.map(async swarm => {
    while (swarm.find({ tool }).length === 0) {
      await new Promise<void>(resolve => {
        const stop = swarm.on('tools:changed', () => {
          stop()
          resolve()
        })
      })
    }
  })
  agent?.tool(tool, { description: 'A further tool' }, () => tool)
  await Promise.all(known)
  seen.push(performance.now() - startMs)
}

console.log(`tools: ${rounds} tools added, one after the other, at ${PEERS} peers`)
report('a tool added at one peer, known to all: p50', ms(quantile(seen, 0.5)), '')
report('a tool added at one peer, known to all: p99', ms(quantile(seen, 0.99)), 'bar 100 ms')
await Promise.all(swarms.map(async swarm => { await swarm.close() }))
process.exit(0)
