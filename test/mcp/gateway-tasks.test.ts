/** Tasks through a gateway: for clients of 2026-07-28 that can handle them, and for no others. */
import { Client, InMemoryTransport } from '@modelcontextprotocol/client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../lib/base/clock.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { serveGateway } from '../../lib/mcp/gateway.ts'
import type { HostedAgent } from '../../lib/mcp/host.ts'
import { TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { within } from './parts.ts'
import { fake } from './task-parts.ts'
import { viewOf } from './view.ts'
import { catalogueOf, text } from './wire-parts.ts'

for (const [era, mode, extensions] of [
  ['2025', 'legacy', { 'example.org/other': { a: 1 } }],
  ['2026', { pin: '2026-07-28' }, { 'example.org/other': { a: 1 }, [TASKS_EXTENSION]: {} }]
] as const) {
  test(`what a client of ${era} declares of tasks counts only in 2026-07-28`, async () => {
    const agent = fake(() => text('done'))
    const listed: HostedAgent = Object.assign(agent, { catalogue: catalogueOf(['work']) })
    const [near, far] = InMemoryTransport.createLinkedPair()
    const gateway = serveGateway(viewOf([{ agent: listed }]), far, { clock: systemClock, random: seededRandom(1) })
    const declared = { 'example.org/other': { a: 1 }, [TASKS_EXTENSION]: {} }
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode }, capabilities: { extensions: declared } })
    try {
      await within(client.connect(near), 'connect')
      const { tools } = await within(client.listTools(), 'the list')
      await within(client.callTool({ name: tools.find(({ name }) => name.includes('work'))?.name ?? '' }), 'the call')
      assert.equal(agent.calls[0]?.client?.capabilities['extensions'], extensions)
      assert.equal((client.getServerCapabilities() as { extensions?: object }).extensions, era === '2026' ? { [TASKS_EXTENSION]: {} } : undefined)
    } finally {
      await client.close()
      await gateway.close()
    }
  })
}

test.run()
