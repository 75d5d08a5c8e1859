/** Peers in a process of their own, each with an agent: `providers.ts <peers> <tools of each>`. Says `ready` to its parent; ends with it. */
import { joinSwarm } from 'mcp-swarm'
import { makeTools } from './tools.ts'

const [peers, tools] = process.argv.slice(2).map(Number) as [number, number]
for (let index = 0; index < peers; index++) {
  const swarm = await joinSwarm({ name: `peer-${index}` })
  const agent = swarm.agent(`agent-${index}`)
  for (const { name, inputSchema: input, description, annotations } of makeTools(`of_${index}`, tools)) {
    agent.tool(name, { description, input, annotations }, args => args as Record<string, string>)
  }
  agent.tool(`echo_${index}`, { description: 'Answers its text', input: { type: 'object', properties: { text: { type: 'string' } } } }, ({ text }) => text as string)
  await agent.start()
}
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
