import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { foldAside } from '../../crdt/aside.node.ts'
import * as page from '../../crdt/aside.browser.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { within } from '../support/within.ts'

const TWINS = [['a thread', foldAside(systemClock)], ['slices', page.foldAside(systemClock)]] as const

/** Edits of three replicas that have met now and then, with deletions; and the document that they make. */
function history (edits: number): { updates: Uint8Array[], document: Y.Doc } {
  const random = seededRandom(11)
  const documents = [1, 2, 3].map(clientID => Object.assign(new Y.Doc(), { clientID }))
  const updates: Uint8Array[] = []
  for (const document of documents) document.on('update', (update: Uint8Array, origin: unknown) => { if (origin !== 'met') updates.push(update) })
  for (let index = 0; index < edits; index++) {
    const document = documents[Math.floor(random.next() * 3)] as Y.Doc
    const text = document.getText('t')
    if (text.length > 10 && random.next() < 0.3) text.delete(Math.floor(random.next() * (text.length - 5)), 3)
    else text.insert(Math.floor(random.next() * text.length), `${index} `)
    if (index % 50 === 0) for (const other of documents) Y.applyUpdate(other, Y.encodeStateAsUpdate(document), 'met')
  }
  const document = new Y.Doc()
  for (const update of updates) Y.applyUpdate(document, update)
  return { updates, document }
}

for (const [name, fold] of TWINS) {
  test(`${name}: gives the same document, with and without a snapshot before`, async () => {
    const { updates, document } = history(1_000)
    const half = await fold({ snapshot: undefined, updates: updates.slice(0, 500) })
    for (const folded of [await fold({ snapshot: undefined, updates }), await fold({ snapshot: half, updates: updates.slice(500) })]) {
      const copy = new Y.Doc()
      Y.applyUpdate(copy, folded)
      assert.is(copy.getText('t').toJSON(), document.getText('t').toJSON())
      assert.ok(Y.equalSnapshots(Y.snapshot(copy), Y.snapshot(document)), 'snapshots')
    }
  })

  test(`${name}: what was overwritten goes`, async () => {
    const document = new Y.Doc()
    const updates: Uint8Array[] = []
    document.on('update', (update: Uint8Array) => { updates.push(update) })
    for (let index = 0; index < 500; index++) document.getMap('m').set('key', `value ${index}`)
    const folded = await fold({ snapshot: undefined, updates })
    assert.ok(folded.byteLength < 100, `${folded.byteLength} bytes`)
  })

  test(`${name}: what waits for a missing update goes on waiting`, async () => {
    const { updates, document } = history(200)
    const folded = await fold({ snapshot: undefined, updates: updates.filter((_, index) => index !== 20) })
    const copy = new Y.Doc()
    Y.applyUpdate(copy, folded)
    assert.ok(copy.store.pendingStructs !== null)
    Y.applyUpdate(copy, updates[20] as Uint8Array)
    assert.is(copy.getText('t').toJSON(), document.getText('t').toJSON())
  })

  test(`${name}: bytes that are no update are told`, async () => {
    const error = await fold({ snapshot: undefined, updates: [Uint8Array.of(1, 2, 3)] }).then(() => undefined, (thrown: unknown) => thrown)
    assert.is((error as SwarmError).code, 'DOCUMENT_DAMAGED')
  })

  test(`${name}: an empty document is one too`, async () => {
    const copy = new Y.Doc()
    Y.applyUpdate(copy, await fold({ snapshot: undefined, updates: [] }))
    assert.is(copy.store.clients.size, 0)
  })
}

test('a thread that ends without an answer is told, and ends nothing else', async () => {
  const error = await within(20_000, 'an end', foldAside(systemClock, new URL('./there-is-none.js', import.meta.url))({ snapshot: undefined, updates: [] }).then(() => undefined, (thrown: unknown) => thrown))
  assert.is((error as SwarmError).code, 'UNAVAILABLE')
})

test.run()
