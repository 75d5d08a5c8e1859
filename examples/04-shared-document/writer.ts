/** A second agent at work on the same plan: main.ts starts it, twice. */
import './apart.ts'
import { joinSwarm } from 'mcp-swarm'

const [dir = '', step = '', text = ''] = process.argv.slice(2)

// Discovery off: this process meets nobody, as if its cable had been pulled.
const isOffline = step === 'offline'
const swarm = await joinSwarm({ name: 'writer', dir, discovery: !isOffline })
const plan = await swarm.document('plan')

plan.ydoc.getMap('steps').set(step, text)
await plan.flushed() // from here on it survives a power cut
console.log(`writer, ${step}: wrote ${JSON.stringify(text)}`)

if (!isOffline) {
  await plan.synced({ peers: 1, timeoutMs: 20_000 }) // and now it is on another peer's disk too
  console.log(`writer, ${step}: has ${JSON.stringify(plan.get('steps'))}`)
}
await swarm.close()
