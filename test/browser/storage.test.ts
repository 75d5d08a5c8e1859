// bound: 180 s
/** A page's disk: IndexedDB in a real browser. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Callback, Test } from 'uvu'
import { testStorage } from '../storage/conformance.ts'
import { until } from '../support/within.ts'
import { openPageStage } from './stage.ts'

/** What a site may keep, and what one edit brings. */
const ROOM_BYTES = 2 ** 21
const EDIT_BYTES = 2 ** 18

const { founded, opened, scene } = await openPageStage(test)

scene('IndexedDB does what every storage does', async () => {
  const names: string[] = []
  testStorage(((name: string, _run: Callback) => { names.push(name) }) as Test, 'IndexedDB', async () => { throw new Error('opened in the page alone') })
  const page = await opened()
  assert.equal(await page.ask('checks'), names)
  for (const name of names) await page.ask('check', { name })
  const { writeMs, listMs, listed } = await page.ask<{ writeMs: number, listMs: number, listed: number }>('figures', { entries: 5_000, bytes: 200 })
  assert.is(listed, 5_000)
  console.log(`\nnote: 5,000 entries of 200 bytes are flushed in ${Math.round(writeMs)} ms and listed in ${Math.round(listMs)} ms`)
})

scene('what is flushed is written with strict durability, and the rest is not', async () => {
  const { admin } = await founded()
  const page = await opened()
  await page.ask('noteDurability')
  await page.ask('join', { ticket: admin.invite().ticket, dir: 'durable' })
  assert.is((await page.ask<string[]>('durabilities', { kind: 'strict' }))[0], 'strict') // its key, before anybody hears of it
  await page.ask('write', { document: 'plan', key: 'a', value: 'b' })
  const [first, ...rest] = await page.ask<string[]>('durabilities', { kind: 'strict' })
  assert.equal([first, rest.at(-1)], ['relaxed', 'strict'], 'an edit is written, and flushed a moment later')
})

scene('a page whose site has no room left says so, loses nothing, and goes on when there is', async () => {
  const { admin } = await founded()
  const page = await opened('localhost') // a site that keeps nothing yet: later the browser counts only now and then
  await page.limit(ROOM_BYTES)
  await page.ask('join', { ticket: admin.invite().ticket, dir: 'full' })
  const plan = await admin.document('plan')
  const failed = await page.ask<{ written: number, code: string }>('fill', { document: 'plan', bytes: EDIT_BYTES, edits: 4 * ROOM_BYTES / EDIT_BYTES })
  assert.is(failed.code, 'DISK_FAILED')
  assert.is(plan.ydoc.getMap('all').has(`edit ${failed.written}`), false, 'shown to nobody before it is written')
  await page.limit(undefined)
  await page.ask('flushed', { document: 'plan' }, 40_000)
  await until('all of it', () => plan.ydoc.getMap('all').size === failed.written + 1)
  await page.reload()
  await page.ask('join', { dir: 'full' })
  assert.equal(Object.keys(await page.ask('read', { document: 'plan' })).length, failed.written + 1)
})

scene('what a page kept and cannot read is told, and never replaced', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite()
  const page = await opened()
  const { peerId } = await page.ask<{ peerId: string }>('join', { ticket, dir: 'damaged' })
  await page.ask('leave')
  for (const [path, harm, code] of [
    ['damaged/peer.key', (text: string) => text.slice(0, 30), 'KEY_INVALID'],
    ['damaged/peer.key', (text: string) => text.replace('"v":1', '"v":2'), 'VERSION_UNSUPPORTED'],
    ['damaged/swarm.json', (text: string) => text.slice(0, 30), 'FOLDER_UNUSABLE'],
    ['damaged/swarm.json', (text: string) => text.replace('"v":1', '"v":2'), 'VERSION_UNSUPPORTED']
  ] as const) {
    const text = await page.ask<string>('readText', { path })
    await page.ask('writeText', { path, text: harm(text) })
    const error = await page.fails('join', { dir: 'damaged' })
    assert.is(error.code, code, `${path}: ${error.message}`)
    assert.not.match(JSON.stringify(error), text.slice(60, 90))
    await page.ask('writeText', { path, text })
  }
  assert.is((await page.ask<{ peerId: string }>('join', { dir: 'damaged' })).peerId, peerId)
  await page.ask('leave')
  await page.ask('age', { folder: 'damaged' })
  assert.is((await page.fails('join', { dir: 'damaged' })).code, 'VERSION_UNSUPPORTED')
})

test.run()
