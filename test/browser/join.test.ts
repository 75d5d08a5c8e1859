// bound: 120 s
/** A page joins a swarm by a ticket: a real browser, and real peers of Node on WebSocket. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { offerEcho } from '../swarm/stage.ts'
import { openPageStage } from './stage.ts'

const { founded, opened, scene } = await openPageStage(test)

scene('a page is let in by a ticket, sees who is there, and calls their tools', async () => {
  const { admin } = await founded()
  await offerEcho(admin)
  const page = await opened()
  await page.ask('join', { options: { ticket: admin.invite().ticket, name: 'page' } })
  await page.ask('meet', { timeoutMs: 5_000 })
  await page.ask('offered', { tool: 'say' })
  assert.equal(await page.ask('call', { tool: 'say', args: { text: 'hello' } }), { content: [{ type: 'text', text: 'hello' }] })
  assert.equal([await page.ask('peers'), await page.ask('tools')], [['admin'], ['say']])
  assert.equal(admin.peers().map(({ name }) => name), ['page'])
})

test.run()
