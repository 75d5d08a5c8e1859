/** Two agents edit one document: offline on both sides, then together; what they wrote is merged, and there after a restart. */
import './apart.ts'
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { joinSwarm } from 'mcp-swarm'

const folder = String(process.env['MCP_SWARM_EXAMPLE'])

// Offline: another process writes to its own disk, and ends.
await writer('offline', 'buy flour')

{
  // This one has never heard of it, and writes too.
  await using swarm = await joinSwarm({ name: 'planner', dir: join(folder, 'planner') })
  const plan = await swarm.document('plan')
  plan.ydoc.getMap('steps').set('planned', 'bake bread')
  await plan.flushed()

  // `ydoc` is a plain Y.Doc: whatever works with Yjs works with it.
  plan.ydoc.on('update', () => { console.log('planner sees', JSON.stringify(plan.get('steps'))) })

  // The writer starts again from its disk, and is online now: both find the other's step in their own document.
  await writer('online', 'eat it')
  assert.deepEqual(plan.get('steps'), { offline: 'buy flour', planned: 'bake bread', online: 'eat it' })

  const { open } = swarm.status().documents ?? { open: [] }
  console.log('planner:', open.map(({ name, bytes, durability }) => ({ name, bytes, durability })))
}

// All of it is on this disk, too.
await using again = await joinSwarm({ name: 'planner', dir: join(folder, 'planner'), discovery: false })
const plan = await again.document('plan')
console.log('planner, started again:', JSON.stringify(plan.get('steps')))
assert.deepEqual(plan.get('steps'), { offline: 'buy flour', planned: 'bake bread', online: 'eat it' })

async function writer (step: string, text: string): Promise<void> {
  const child = fork(new URL('./writer.ts', import.meta.url), [join(folder, 'writer'), step, text])
  const [code] = await once(child, 'exit') as [number | null]
  assert.equal(code, 0, `the writer ended with ${code}`)
}
