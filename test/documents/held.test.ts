// bound: 60 s
/** What an application may do to its Y.Doc, and what must not come of it: a change that looks like one, and is nowhere. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import type { SwarmError } from '../../lib/base/error.ts'
import type { Document } from '../../lib/documents/document.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { until, within } from '../support/within.ts'
import { connect, kill, run, untilEqual, type Peer } from './rig.ts'

interface Pair { readonly hub: MemoryHub, readonly alice: Peer, readonly bob: Peer, readonly here: Document, readonly there: Document }

async function pair (): Promise<Pair> {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub, undefined, { seed: 2 })]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.set('m/first', 0)
  await within(5_000, 'synced', here.synced())
  return { hub, alice, bob, here, there }
}

function messageOf (act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

async function codeOf (promise: Promise<unknown>): Promise<string | undefined> {
  return await promise.then(() => undefined, (error: unknown) => (error as SwarmError).code)
}

/** What nobody catches meanwhile. */
async function uncaught (during: () => Promise<void>): Promise<string[]> {
  const told: string[] = []
  const onError = (error: Error): void => { told.push(error.message) }
  process.on('uncaughtException', onError)
  try {
    await during()
  } finally {
    process.off('uncaughtException', onError)
  }
  return told
}

const EVENTS = ['beforeAllTransactions', 'beforeTransaction', 'beforeObserverCalls', 'afterTransaction', 'afterTransactionCleanup', 'update', 'updateV2', 'afterAllTransactions'] as const

for (const event of EVENTS) {
  /** Throws the first time; Yjs would tell nobody of anything after that. */
  const break_ = ({ ydoc }: Document): string[] => {
    const heard: string[] = []
    ydoc.on(event as 'update', () => {
      heard.push('first')
      if (heard.length === 1) throw new Error('it broke')
    })
    ydoc.on(event as 'update', () => { heard.push('second') })
    return heard
  }

  test(`a listener of ${event} that throws at an edit: the edit throws, and it and all later ones are on disk and shared`, async () => {
    const { hub, alice, bob, here, there } = await pair()
    const heard = break_(here)
    assert.is(messageOf(() => { here.set('m/a', 1) }), 'it broke')
    assert.equal(heard, ['first', 'second'])
    here.set('m/b', 2)
    here.set('m/c', 3)
    await within(5_000, 'synced', here.synced())
    assert.equal(there.get('m'), { first: 0, a: 1, b: 2, c: 3 })
    const again = run(hub, await kill(alice))
    assert.equal((await again.documents.open('notes')).get('m'), { first: 0, a: 1, b: 2, c: 3 })
    await Promise.all([again.close(), bob.close()])
  })

  test(`a listener of ${event} that throws at what comes from another: it is told as uncaught, and all later edits are on disk and shared`, async () => {
    const { alice, bob, here, there } = await pair()
    const { ydoc } = here
    break_(here)
    const told = await uncaught(async () => {
      there.set('m/a', 1)
      await until('it is here', () => here.get('m/a') === 1)
      await within(5_000, 'a turn', new Promise(resolve => { setImmediate(resolve) }))
    })
    assert.equal(told, ['it broke'])
    assert.is(here.ydoc, ydoc)
    here.set('m/b', 2)
    here.set('m/c', 3)
    await within(5_000, 'synced', here.synced())
    assert.equal(there.get('m'), { first: 0, a: 1, b: 2, c: 3 })
    assert.is(here.status().durable, here.status().sequence)
    assert.equal([alice.troubles, bob.troubles], [[], []])
    await Promise.all([alice.close(), bob.close()])
  })
}

test('of several listeners that throw, one comes out of the edit and the others are told as uncaught', async () => {
  const { alice, bob, here } = await pair()
  for (const word of ['one', 'two', 'three']) here.ydoc.on('update', () => { throw new Error(word) })
  const told = await uncaught(async () => {
    assert.is(messageOf(() => { here.set('m/a', 1) }), 'one')
    await within(5_000, 'flushed', here.flushed())
  })
  assert.equal(told, ['two', 'three'])
  await Promise.all([alice.close(), bob.close()])
})

test('every change of a Y.Doc that is closed throws, not the first one alone', async () => {
  const { alice, bob, here } = await pair()
  const { ydoc } = here
  await here.close()
  for (const value of [1, 2, 3]) assert.is(messageOf(() => ydoc.getMap('m').set('lost', value)), 'document "notes" is closed')
  assert.is(messageOf(() => { ydoc.transact(() => undefined) }), undefined)
  await Promise.all([alice.close(), bob.close()])
})

test('a Y.Doc that the application destroys is opened anew with all that was edited, and refuses what is edited later', async () => {
  const { hub, alice, bob, here, there } = await pair()
  const { ydoc } = here
  const replaced = new Promise<unknown>(resolve => { here.on('replaced', event => { resolve(event.ydoc) }) })
  here.set('m/a', 1)
  ydoc.destroy()
  ydoc.destroy()
  assert.is(messageOf(() => { here.set('m/lost', 1) }), 'document "notes" is being opened anew: wait for the event replaced')
  const fresh = await within(5_000, 'replaced', replaced)
  assert.is(fresh, here.ydoc)
  assert.is.not(fresh, ydoc)
  assert.is(messageOf(() => ydoc.getMap('m').set('lost', 2)), 'document "notes" was replaced: use document.ydoc')
  assert.ok(alice.troubles.some(trouble => trouble.endsWith('document "notes" is opened anew: its Y.Doc was destroyed')), alice.troubles.join('\n'))
  here.set('m/b', 2)
  there.set('m/c', 3)
  await within(5_000, 'synced', here.synced())
  await untilEqual(here, there)
  assert.equal(here.get('m'), { first: 0, a: 1, b: 2, c: 3 })
  const again = run(hub, await kill(alice))
  assert.equal((await again.documents.open('notes')).get('m'), { first: 0, a: 1, b: 2, c: 3 })
  await Promise.all([again.close(), bob.close()])
})

test('a Y.Doc that is destroyed and closed at once is closed, and can be opened again', async () => {
  const { alice, bob, here } = await pair()
  here.set('m/a', 1)
  here.ydoc.destroy()
  await Promise.resolve()
  await within(5_000, 'closed', here.close())
  const again = await alice.documents.open('notes')
  assert.equal(again.get('m'), { first: 0, a: 1 })
  again.set('m/b', 2)
  await within(5_000, 'synced', again.synced())
  await Promise.all([alice.close(), bob.close()])
})

test('what Yjs cannot write down is lost aloud: nothing counts as flushed, and the document comes back without it', async () => {
  const { alice, bob, here, there } = await pair()
  const troubles: string[] = []
  here.on('trouble', ({ code }) => { troubles.push(code) })
  const replaced = new Promise<void>(resolve => { here.on('replaced', () => { resolve() }) })
  const circle: Record<string, unknown> = {}
  circle['itself'] = circle
  assert.match(messageOf(() => here.ydoc.getMap('m').set('circle', circle)) ?? '', 'stack')
  here.set('m/behind', 1) // Yjs tells nobody of it
  assert.equal(await Promise.all([codeOf(here.flushed()), codeOf(here.synced())]), ['DOCUMENT_DAMAGED', 'DOCUMENT_DAMAGED'])
  assert.equal(troubles, ['DOCUMENT_DAMAGED'])
  await within(5_000, 'replaced', replaced)
  assert.equal(here.get('m'), { first: 0 })
  here.set('m/after', 1)
  await within(5_000, 'synced', here.synced())
  assert.equal(there.get('m'), { first: 0, after: 1 })
  await Promise.all([alice.close(), bob.close()])
})

/** Holds a disk back; the returned function lets it go on. */
function hold ({ storage }: Peer): () => void {
  let open = (): void => {}
  storage.gate = new Promise<void>(resolve => { open = resolve })
  return open
}

async function turns (): Promise<void> {
  for (let count = 0; count < 20; count++) await within(5_000, 'a turn', new Promise(resolve => { setImmediate(resolve) }))
}

test('what others say while a document is opened anew is not lost', async () => {
  const { alice, bob, here, there } = await pair()
  const replaced = new Promise<void>(resolve => { here.on('replaced', () => { resolve() }) })
  const goOn = hold(alice)
  here.set('m/a', 1)
  here.ydoc.destroy()
  await turns()
  there.set('m/b', 2)
  await within(5_000, 'it is on its way', there.flushed())
  await turns()
  goOn()
  await within(5_000, 'replaced', replaced)
  await within(5_000, 'synced', here.synced())
  await untilEqual(here, there)
  assert.equal(here.get('m'), { first: 0, a: 1, b: 2 })
  await Promise.all([alice.close(), bob.close()])
})

test('what others say while a document is being closed is no trouble, and there when it is open again', async () => {
  const { alice, bob, here, there } = await pair()
  const goOn = hold(alice)
  here.set('m/a', 1)
  const closing = here.close()
  await turns()
  there.set('m/b', 2)
  await within(5_000, 'it is on its way', there.flushed())
  await turns()
  goOn()
  await within(5_000, 'closed', closing)
  assert.equal([alice.troubles, alice.documents.status().failure], [[], null])
  const again = await alice.documents.open('notes')
  await within(5_000, 'synced', again.synced())
  await untilEqual(again, there)
  assert.equal(again.get('m'), { first: 0, a: 1, b: 2 })
  await Promise.all([alice.close(), bob.close()])
})

for (const [where, edit] of [
  ['a transaction that is under way', (document: Document, ask: () => void) => { document.ydoc.transact(() => { document.set('m/a', 1); ask() }) }],
  ['an observer', (document: Document, ask: () => void) => { document.ydoc.getMap('m').observe(ask); document.set('m/a', 1) }],
  ['a listener that stood there first', (document: Document, ask: () => void) => { document.ydoc.on('update', ask); document.set('m/a', 1) }]
] as const) {
  test(`flushed and synced, asked within ${where}, wait for what it changes`, async () => {
    const { alice, bob, here } = await pair()
    const goOn = hold(alice)
    const ends: string[] = []
    const asked: Promise<void>[] = []
    edit(here, () => { asked.push(here.flushed().then(() => { ends.push('flushed') }), here.synced({ peers: 0 }).then(() => { ends.push('synced') })) })
    assert.is(asked.length, 2)
    await turns()
    assert.equal([ends, here.status().sequence - here.status().durable], [[], 1])
    goOn()
    await within(5_000, 'both', Promise.all(asked))
    assert.is(here.status().durable, here.status().sequence)
    await Promise.all([alice.close(), bob.close()])
  })
}

test('what an application does in peace with its Y.Doc is shared: undo, own origins, subdocuments, edits in listeners, updates from elsewhere', async () => {
  const { alice, bob, here, there } = await pair()
  const map = here.ydoc.getMap('m')
  const undo = new Y.UndoManager(map, { captureTimeout: 0, trackedOrigins: new Set(['mine']) })
  here.ydoc.transact(() => { map.set('a', 1) }, 'mine')
  here.ydoc.transact(() => { map.set('a', 2) }, 'mine')
  undo.undo()
  undo.undo()
  undo.redo()
  there.ydoc.on('update', () => { if (!there.ydoc.getMap('m').has('echo')) there.set('m/echo', true) })
  const other = new Y.Doc()
  other.getText('elsewhere').insert(0, 'words')
  Y.applyUpdate(here.ydoc, Y.encodeStateAsUpdate(other), other)
  map.set('sub', new Y.Doc({ guid: 'sub' }))
  await within(5_000, 'synced', here.synced())
  await until('all is there', () => here.get('m/echo') === true && there.get('elsewhere') === 'words')
  await until('the same', () => JSON.stringify(here.get()) !== undefined && here.get('m/a') === 1 && there.get('m/a') === 1)
  assert.is((there.ydoc.getMap('m').get('sub') as Y.Doc).guid, 'sub')
  assert.equal([here.get('m/sub'), there.get('m/sub')], [{}, {}])
  assert.equal([alice.troubles, bob.troubles], [[], []])
  await Promise.all([alice.close(), bob.close()])
})

test.run()
