/**
 * The gateway as MCP clients meet it: how soon it has its tools, what it adds to a call, how it does when others misbehave,
 * and how it is in a large swarm.
 *
 * `npm run bench -- gateway [--smoke]`; one part alone: `node --import tsx benchmarks/gateway.ts start`, after a build.
 */
import { measureLarge } from './gateway/large.ts'
import { measureOpen } from './gateway/open.ts'
import { measureOverhead } from './gateway/overhead.ts'
import { measureStart } from './gateway/start.ts'

process.setMaxListeners(0) // each process that is started is ended with this one

const PARTS: Readonly<Record<string, () => Promise<void>>> = { start: measureStart, overhead: measureOverhead, open: measureOpen, large: measureLarge }

const asked = process.argv.slice(2).filter(word => Object.hasOwn(PARTS, word))
for (const [name, measure] of Object.entries(PARTS)) {
  if (asked.length === 0 || asked.includes(name)) await measure()
}
process.exit(0)
