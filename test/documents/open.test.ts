import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NAME_CHARS_MAX, documentKey } from '../../crdt/name.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { RETRY_MS } from '../../lib/documents/log.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'
import { until, within } from '../support/within.ts'
import { connect, kill, machine, run, untilEqual } from './rig.ts'

async function codeOf (work: Promise<unknown> | (() => unknown)): Promise<string | undefined> {
  try {
    await within(5_000, 'an end', Promise.resolve(typeof work === 'function' ? work() : work))
    return undefined
  } catch (error) {
    return error instanceof SwarmError ? error.code : String(error)
  }
}

for (const [what, name] of [
  ['nothing', ''], ['a line break', 'a\nb'], ['a mark of direction', 'a\u202eb'], ['a space at the end', 'notes '],
  ['too many characters', 'x'.repeat(NAME_CHARS_MAX + 1)], ['another normal form', 'e\u0301']
] as const) {
  test(`a name with ${what} is refused`, async () => {
    const peer = run(new MemoryHub())
    assert.is(await codeOf(peer.documents.open(name)), 'NAME_INVALID')
    await peer.close()
  })
}

test('two opens share one Y.Doc; it is closed with the last handle, flushed', async () => {
  const peer = run(new MemoryHub())
  const [first, second] = await Promise.all([peer.documents.open('notes'), peer.documents.open('notes')])
  assert.ok(first !== second)
  assert.ok(first.ydoc === second.ydoc)
  const { ydoc } = first
  await first.close()
  await first.close()
  assert.is(await codeOf(() => first.ydoc), 'CLOSED')
  assert.is(await codeOf(first.flushed()), 'CLOSED')
  assert.is(await codeOf(first.synced()), 'CLOSED')
  assert.is(await codeOf(() => first.status()), 'CLOSED')
  assert.is(await codeOf(() => first.set('a/b', 1)), 'CLOSED')
  second.ydoc.getMap('m').set('k', 'v')
  await second.close()
  assert.is(await codeOf(() => ydoc.getMap('m').set('k', 'lost')), 'CLOSED')
  const third = await peer.documents.open('notes')
  assert.is(third.ydoc.getMap('m').get('k'), 'v')
  await peer.close()
  assert.is(await codeOf(() => third.ydoc), 'CLOSED')
  assert.is(await codeOf(peer.documents.open('notes')), 'CLOSED')
})

test('a document opened while it is being closed is opened anew behind that', async () => {
  const peer = run(new MemoryHub())
  const first = await peer.documents.open('notes')
  first.ydoc.getMap('m').set('k', 'v')
  const closing = first.close()
  const second = await within(5_000, 'opened', peer.documents.open('notes'))
  await closing
  assert.is(second.ydoc.getMap('m').get('k'), 'v')
  await peer.close()
})

test('a document over the limit is refused until another one is closed', async () => {
  const peer = run(new MemoryHub(), machine(), { openMax: 2 })
  const [first] = await Promise.all([peer.documents.open('a'), peer.documents.open('b')])
  assert.is(await codeOf(peer.documents.open('c')), 'OVERLOADED')
  assert.is(await codeOf(peer.documents.open('a')), undefined)
  await first.close()
  assert.is(await codeOf(peer.documents.open('c')), 'OVERLOADED')
  await peer.close()
})

test('documents are listed by name, open or on disk', async () => {
  const hub = new MemoryHub()
  const peer = run(hub)
  const first = await peer.documents.open('b')
  first.ydoc.getMap('m').set('k', 'v')
  await first.close()
  const open = await peer.documents.open('a')
  assert.equal((await peer.documents.list()).map(({ name, key, status }) => [name, key === documentKey(String(name)), status?.sequence]), [['a', true, 0], ['b', true, undefined]])
  open.set('m/k', 1)
  await open.flushed()
  const status = open.status()
  assert.equal([status.sequence, status.durable, status.log.records, status.failure, status.durability, status.gaps], [1, 1, 1, null, 'strict', { count: 0, bytes: 0 }])
  assert.ok(status.bytes > 0)
  assert.is(peer.documents.status().open.length, 1)
  await peer.close()
})

test('a wait for others ends with its time, its signal, or the document', async () => {
  const clock = new VirtualClock()
  const peer = run(new MemoryHub(), machine(), { clock })
  const document = await peer.documents.open('notes')
  document.set('m/k', 1)
  await document.synced({ peers: 0 })
  assert.is(await codeOf(document.synced({ peers: 0.5 })), 'INVALID_OPTION')
  for (const timeoutMs of [NaN, -1, '5', null]) assert.is(await codeOf(document.synced({ peers: 0, timeoutMs: timeoutMs as number })), 'INVALID_OPTION')
  const late = codeOf(document.synced({ timeoutMs: 100 }))
  await clock.advance(200)
  assert.is(await late, 'TIMEOUT')
  const giving = new AbortController()
  const given = codeOf(document.synced({ signal: giving.signal }))
  giving.abort()
  assert.is(await given, 'ABORTED')
  const closed = codeOf(document.synced())
  await until('it waits', () => peer.storage.writes.length > 0)
  await document.close()
  assert.is(await closed, 'CLOSED')
  await peer.close()
})

test('with a full disk reads go on, writes say so, nothing is shown, and all heals', async () => {
  const clock = new VirtualClock()
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub, machine(), { clock }), run(hub, machine(), { clock })]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.set('m/k', 1)
  await until('bob has it', () => there.get('m/k') === 1)
  const told: string[] = []
  here.on('trouble', ({ code }) => { told.push(code) })
  alice.storage.fails = true
  here.set('m/k', 2)
  assert.is(await codeOf(here.flushed()), 'DISK_FAILED')
  assert.is(here.get('m/k'), 2)
  assert.is(here.status().failure?.code, 'DISK_FAILED')
  const other = await alice.documents.open('other')
  assert.equal(other.get(), {})
  there.set('m/other', 3)
  await until('reading goes on', () => here.get('m/other') === 3)
  assert.is(there.get('m/k'), 1)
  assert.equal(told, ['DISK_FAILED'])
  assert.ok(alice.troubles.some(trouble => trouble.startsWith('documents DISK_FAILED')), alice.troubles.join('\n'))
  alice.storage.fails = false
  await clock.advance(10 * RETRY_MS)
  await within(5_000, 'flushed', here.flushed())
  assert.is(here.status().failure, null)
  await clock.advance(RETRY_MS)
  await untilEqual(here, there)
  await Promise.all([alice.close(), bob.close()])
})

test('closing on a dead disk says what is not written, and closes all the same', async () => {
  const hub = new MemoryHub()
  const peer = run(hub)
  const document = await peer.documents.open('notes')
  peer.storage.fails = true
  document.set('m/k', 1)
  assert.is(await codeOf(document.close()), 'DISK_FAILED')
  assert.is(await codeOf(() => document.ydoc), 'CLOSED')
  assert.is(await codeOf(peer.close()), 'DISK_FAILED')
})

test('a damaged log is told, and comes back from a peer that has it', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  for (let number = 0; number < 10; number++) {
    here.set(`m/k${number}`, number)
    await here.flushed()
  }
  await within(5_000, 'synced', here.synced())
  // The last is on this disk alone.
  hub.cut(alice.id, bob.id)
  here.set('m/alone', true)
  await here.flushed()
  const on = await kill(alice)
  const logged = [...on.storage.values.keys()].filter(key => key.includes('/log/')).sort()
  assert.ok(logged.length > 4)
  on.storage.values.delete(logged[3] as string)
  hub.heal(alice.id, bob.id)
  const again = run(hub, on, { seed: 9 })
  const after = await again.documents.open('notes')
  assert.is(after.status().damage[0]?.kind, 'hole')
  assert.ok(after.status().gaps.count > 0)
  const repaired = new Promise(resolve => { after.on('repaired', resolve) })
  await connect(again, bob)
  await within(10_000, 'repaired', repaired)
  await untilEqual(after, there)
  assert.is(there.get('m/alone'), true)
  assert.is(after.get('m/k3'), 3)
  assert.equal([after.status().damage, after.status().gaps.count, after.status().lastRepair?.from], [[], 0, bob.id])
  const healed = run(hub, await kill(again), { seed: 10 })
  const last = await healed.documents.open('notes')
  assert.equal([last.status().damage, last.get('m/k3'), last.get('m/alone')], [[], 3, true])
  await Promise.all([healed.close(), bob.close()])
})

test.run()
