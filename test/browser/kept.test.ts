// bound: 180 s
/** What a page keeps from one visit to the next: who it is, that it belongs, and its documents. */
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { ELSEWHERE } from '../support/chromium.ts'
import { Program } from '../support/program.ts'
import { programArgs } from '../support/source.ts'
import { until } from '../support/within.ts'
import { offerEcho } from '../swarm/stage.ts'
import { FOR_PAGES, openPageStage } from './stage.ts'

const MEMBER = new URL('../reach/member.ts', import.meta.url)

const { browserOf, founded, joined, opened, scene, user } = await openPageStage(test)

scene('a document is shared both ways, and goes on where the page left it, also while nobody else is there', async () => {
  const { admin, dir, listen } = await founded()
  const { ticket } = admin.invite()
  const page = await opened()
  const { peerId } = await page.ask<{ peerId: string }>('join', { ticket, dir: 'kept', name: 'page' })
  await page.ask('write', { document: 'plan', key: 'page', value: 'from the page' })
  const plan = await admin.document('plan')
  await until('the page\'s text', () => plan.ydoc.getMap('all').get('page') === 'from the page')
  await page.ask('synced', { document: 'plan', peers: 1 })
  plan.ydoc.getMap('all').set('node', 'from Node')
  await plan.synced({ peers: 1, timeoutMs: 5_000 })
  await page.ask('sees', { document: 'plan', key: 'node', value: 'from Node' })
  const both = { page: 'from the page', node: 'from Node' }

  // Loaded anew, by the ticket that is used up.
  await page.reload()
  assert.is((await page.ask<{ peerId: string }>('join', { ticket, dir: 'kept', name: 'page' })).peerId, peerId)
  assert.equal(await page.ask('read', { document: 'plan' }), both)
  await until('the page is there', () => admin.peers().some(({ name }) => name === 'page'))

  // Without a ticket, and with nobody there.
  await admin.close()
  await page.reload()
  assert.is((await page.ask<{ peerId: string }>('join', { dir: 'kept', name: 'page' })).peerId, peerId)
  assert.equal(await page.ask('read', { document: 'plan' }), both)
  await page.ask('write', { document: 'plan', key: 'alone', value: 'meanwhile' })
  const back = await joined({ dir, name: 'admin', listen })
  const again = await back.document('plan')
  await until('what the page wrote alone', () => again.ydoc.getMap('all').get('alone') === 'meanwhile', 15_000)

  // In another run of the browser.
  const browser = browserOf()
  await browser.stop()
  await browser.start()
  const later = await opened()
  assert.is((await later.ask<{ peerId: string }>('join', { dir: 'kept', name: 'page' })).peerId, peerId)
  assert.equal(await later.ask('read', { document: 'plan' }), { ...both, alone: 'meanwhile' })
})

scene('without dir nothing is kept, and each visit is another peer', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite({ uses: 2 })
  const page = await opened()
  const { peerId } = await page.ask<{ peerId: string }>('join', { ticket })
  await page.ask('write', { document: 'plan', key: 'page', value: 'x' })
  await page.reload()
  assert.is.not((await page.ask<{ peerId: string }>('join', { ticket })).peerId, peerId)
})

scene('a peer that leaves and comes back is found again by the page alone', async () => {
  const { admin, dir, listen } = await founded()
  const page = await opened()
  await page.ask('join', { ticket: admin.invite().ticket, name: 'page' })
  await page.ask('offer', { tool: 'greet', says: 'still here,' })
  await admin.offered({ tool: 'greet' }, { timeoutMs: 5_000 })
  await admin.close()
  await page.ask('alone')
  const startedMs = performance.now()
  const back = await joined({ dir, name: 'admin', listen })
  await offerEcho(back)
  assert.equal(await page.ask('call', { tool: 'say', args: { text: 'again' }, timeoutMs: 15_000 }), [{ type: 'text', text: 'again' }])
  console.log(`\nnote: a peer that has come back is called by the page after ${Math.round(performance.now() - startedMs)} ms`)
  await back.offered({ tool: 'greet' }, { timeoutMs: 5_000 })
  assert.equal((await back.call('greet', { who: 'Ada' })).content, [{ type: 'text', text: 'still here, Ada' }])
})

scene('a peer that is killed and started again is found by the page, which nobody can dial', async () => {
  const home = join(user.home, 'killed')
  const start = (): Program => new Program(process.execPath, programArgs(MEMBER), { ...process.env, HOME: home }, child => { child.kill('SIGKILL') })
  let peer = start()
  try {
    await peer.ask('make')
    await peer.ask('join', { name: 'peer', listen: FOR_PAGES, discovery: { folder: false, mdns: false } })
    const { peer: { addresses: listen } } = await peer.ask<ReturnType<Swarm['status']>>('status')
    const page = await opened()
    await page.ask('join', { ticket: await peer.ask('invite', { uses: 1 }), name: 'page' })
    assert.equal(await page.ask('call', { tool: 'whoami', args: {} }), [{ type: 'text', text: 'peer' }])
    await peer.kill()
    await page.ask('alone')
    peer = start()
    await peer.ask('join', { name: 'the same', listen, discovery: { folder: false, mdns: false } })
    assert.equal(await page.ask('call', { tool: 'whoami', args: {}, timeoutMs: 15_000 }), [{ type: 'text', text: 'the same' }])
  } finally {
    await peer.end()
  }
})

scene('one tab at a time is the peer of a dir', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite({ uses: 2 })
  const [one, other] = [await opened(), await opened()]
  const { peerId } = await one.ask<{ peerId: string }>('join', { ticket, dir: 'one' })
  const error = await other.fails('join', { ticket, dir: 'one' })
  assert.is(error.code, 'FOLDER_IN_USE')
  assert.match(error.message, 'another tab of this site')
  assert.is.not((await other.ask<{ peerId: string }>('join', { ticket, dir: 'other' })).peerId, peerId)
  await other.ask('leave')
  await one.close()
  assert.is((await other.ask<{ peerId: string }>('join', { dir: 'one' })).peerId, peerId)
})

scene('a dir belongs to one swarm', async () => {
  const [one, other] = [await founded(), await founded()]
  const page = await opened()
  await page.ask('join', { ticket: one.admin.invite().ticket, dir: 'belongs' })
  await page.ask('leave')
  assert.is((await page.fails('join', { ticket: other.admin.invite().ticket, dir: 'belongs' })).code, 'SWARM_EXISTS')
})

scene('a page in no secure context joins, and is told that it can keep nothing', async () => {
  const { admin } = await founded()
  await offerEcho(admin)
  const { ticket } = admin.invite()
  const page = await opened(ELSEWHERE)
  const error = await page.fails('join', { ticket, dir: 'kept' })
  assert.is(error.code, 'FOLDER_UNUSABLE')
  assert.match(error.message, 'only pages of https or of this machine can')
  await page.ask('join', { ticket })
  assert.equal(await page.ask('call', { tool: 'say', args: { text: 'hello' } }), [{ type: 'text', text: 'hello' }])
})

test.run()
