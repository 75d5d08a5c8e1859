// bound: 180 s
/** A page joins a swarm by a ticket: a real browser, and real peers of Node on WebSocket. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loadKey } from '#keystore'
import { swarmIdOf } from '../../lib/access/grant.ts'
import { readTicket, writeTicket } from '../../lib/access/ticket.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { until } from '../support/within.ts'
import { offerEcho } from '../swarm/stage.ts'
import { FOR_PAGES, openPageStage } from './stage.ts'

const { founded, joined, opened, scene, user } = await openPageStage(test)

scene('a page is let in by a ticket, and it and the peers of Node call each other\'s tools', async () => {
  const { admin } = await founded()
  await offerEcho(admin)
  const page = await opened()
  const { tookMs } = await page.ask<{ tookMs: number }>('join', { ticket: admin.invite().ticket, name: 'page' })
  console.log(`\nnote: a page is let in and ready after ${Math.round(tookMs)} ms`)
  assert.equal(await page.ask('call', { tool: 'say', args: { text: 'hello' } }), [{ type: 'text', text: 'hello' }])
  assert.equal([await page.ask('peers'), await page.ask('tools')], [['admin'], ['say']])
  await page.ask('offer', { tool: 'greet', says: 'good day' })
  await admin.offered({ tool: 'greet' }, { timeoutMs: 5_000 })
  assert.equal((await admin.call('greet', { who: 'Ada' })).content, [{ type: 'text', text: 'good day Ada' }])
  const { swarm } = await page.ask<ReturnType<typeof admin.status>>('status')
  assert.equal([swarm.id, swarm.kind, swarm.role, swarm.words], [admin.id, 'made', 'member', admin.status().swarm.words])
  // Through the admin a third one is known, which the page dials itself.
  const other = await joined({ dir: `${user.home}/third`, ticket: admin.invite().ticket, name: 'third', listen: FOR_PAGES })
  const agent = other.agent('third')
  agent.tool('third', { description: 'Says so', input: { type: 'object' } }, () => 'the third')
  await agent.start()
  assert.equal(await page.ask('call', { tool: 'third', args: {} }), [{ type: 'text', text: 'the third' }])
  await admin.close()
  assert.equal(await page.ask('call', { tool: 'third', args: {} }), [{ type: 'text', text: 'the third' }])
})

scene('two pages call each other through a peer of Node that both have dialled', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite({ uses: 2 })
  const [one, other] = [await opened(), await opened()]
  await one.ask('join', { ticket, name: 'one' })
  await other.ask('join', { ticket, name: 'other' })
  await one.ask('offer', { tool: 'one', says: 'one greets' })
  await other.ask('offer', { tool: 'other', says: 'other greets' })
  const startedMs = performance.now()
  assert.equal(await one.ask('reach', { tool: 'other', args: { who: 'Ada' } }), [{ type: 'text', text: 'other greets Ada' }])
  assert.equal(await other.ask('call', { tool: 'one', args: { who: 'Ada' } }), [{ type: 'text', text: 'one greets Ada' }])
  console.log(`\nnote: two pages have called each other after ${Math.round(performance.now() - startedMs)} ms`)
})

scene('each ticket that lets nobody in has its own code in the page', async () => {
  const { admin, dir } = await founded()
  const { ticket } = admin.invite()
  const page = await opened()
  const codeOf = async (text: string): Promise<string | null> => (await page.fails('join', { ticket: text })).code
  await page.ask('join', { ticket, name: 'first' })
  await page.ask('leave')
  assert.is(await codeOf(ticket), 'TICKET_USED')
  assert.is(await codeOf(`${ticket.slice(0, 40)}${ticket[40] === 'A' ? 'B' : 'A'}${ticket.slice(41)}`), 'TICKET_INVALID')
  assert.is(await codeOf('mcpswarm1-'), 'TICKET_INVALID')

  // Made with another key, as if of this swarm; and of another swarm, whose inviter is of this one by now.
  const { terms: { key: used, ...terms }, inviters, swarmPublicKey } = readTicket(ticket)
  assert.ok(used)
  const stranger = generateKey(systemRandom)
  const forged = writeTicket({ ...stranger, publicKey: swarmPublicKey, sign: bytes => stranger.sign(bytes) }, generateKey(systemRandom), terms, inviters)
  assert.is(await codeOf(forged), 'TICKET_INVALID')
  const foreign = await page.fails('join', { ticket: writeTicket(stranger, generateKey(systemRandom), terms, inviters) })
  assert.equal([foreign.code, foreign.details['reason']], ['TICKET_INVALID', 'foreign'])
  assert.match(foreign.message, `let nobody into swarm ${swarmIdOf(stranger.publicKey)}`)

  const swarmKey = await loadKey(`${dir}/swarm.key`)
  assert.ok(swarmKey)
  const nowMs = systemClock.wallMs()
  assert.is(await codeOf(writeTicket(swarmKey, generateKey(systemRandom), { ...terms, issuedAtMs: nowMs - 3_600_000, joinBeforeMs: nowMs - 600_000 }, inviters)), 'TICKET_EXPIRED')
})

scene('without a ticket a page belongs nowhere', async () => {
  const page = await opened()
  assert.is((await page.fails('join', {})).code, 'NEEDS_TICKET')
  assert.is((await page.fails('join', { dir: 'nowhere' })).code, 'NEEDS_TICKET')
})

scene('a page that cannot dial an inviter says why', async () => {
  const { admin, dir } = await founded()
  const { ticket } = admin.invite()
  await admin.close()
  const page = await opened()
  const gone = await page.fails('join', { ticket })
  assert.is(gone.code, 'UNREACHABLE')
  assert.match(gone.message, /\/ws .*the WebSocket does not open: nothing listens there, or this page may not reach it/)
  const deaf = await joined({ dir, name: 'admin', listen: ['/ip4/127.0.0.1/tcp/0'] })
  const refused = await page.fails('join', { ticket: deaf.invite().ticket })
  assert.is(refused.code, 'UNREACHABLE')
  assert.match(refused.message, /a page dials WebSockets alone/)
})

scene('a page logs what libp2p does where localStorage.debug asks for it, and not otherwise', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite({ uses: 2 })
  const page = await opened('debug.localhost') // a site of its own: what is asked for there stays asked for
  const isHeard = (): boolean => page.said.some(line => line.includes('libp2p:'))
  await page.ask('join', { ticket })
  assert.is(isHeard(), false, page.said.join('\n'))
  await page.ask('debug', { names: 'libp2p*' })
  await page.reload()
  await page.ask('join', { ticket })
  await until('libp2p is heard', isHeard)
})

scene('a tab that is closed is missed by the others, and so is one that crashes', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite({ uses: 2 })
  for (const [how, end] of [['closed', 'close'], ['crashed', 'crash']] as const) {
    const page = await opened()
    await page.ask('join', { ticket, name: how })
    await until('the page is there', () => admin.peers().some(({ name }) => name === how))
    const startedMs = performance.now()
    await page[end]()
    await until('the page is missed', () => admin.peers().every(({ name }) => name !== how), 15_000)
    console.log(`\nnote: a tab that has ${how} is missed after ${Math.round(performance.now() - startedMs)} ms`)
  }
})

test.run()
