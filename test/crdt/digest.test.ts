import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { seededRandom } from '../../lib/base/random.ts'
import { BLOCK_CLOCKS, Digester, equalDigests, isForked } from '../../crdt/digest.ts'

function docOf (clientID: number, ...updates: Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = clientID
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

test('a lost delete shows, though the vectors are equal', () => {
  const left = docOf(1)
  left.getText('t').insert(0, 'hello')
  const right = docOf(2, Y.encodeStateAsUpdate(left))
  left.getText('t').delete(0, 5)
  assert.equal(Y.encodeStateVector(left), Y.encodeStateVector(right))
  const [ours, theirs] = [new Digester(left).digest, new Digester(right).digest]
  assert.not(equalDigests(ours, theirs))
  assert.not(isForked(ours, theirs))
})

for (const [name, one, other] of [
  ['another text', (doc: Y.Doc) => { doc.getText('t').insert(0, 'x') }, (doc: Y.Doc) => { doc.getText('t').insert(0, 'y') }],
  ['another place', (doc: Y.Doc) => { doc.getText('t').insert(1, 'x') }, (doc: Y.Doc) => { doc.getText('t').insert(2, 'x') }],
  ['another key', (doc: Y.Doc) => { doc.getMap('m').set('a', 1) }, (doc: Y.Doc) => { doc.getMap('m').set('b', 1) }],
  ['another root', (doc: Y.Doc) => { doc.getArray('a').push([1]) }, (doc: Y.Doc) => { doc.getArray('b').push([1]) }],
  ['another kind of type', (doc: Y.Doc) => { doc.getMap('m').set('a', new Y.Map()) }, (doc: Y.Doc) => { doc.getMap('m').set('a', new Y.Array()) }],
  ['another place, deleted since', (doc: Y.Doc) => { doc.getText('t').insert(1, 'x'); doc.getText('t').delete(1, 1) }, (doc: Y.Doc) => { doc.getText('t').insert(2, 'x'); doc.getText('t').delete(2, 1) }]
] as const) {
  test(`two things said at one clock show: ${name}`, () => {
    const base = docOf(1)
    base.getText('t').insert(0, 'base')
    const [left, right] = [docOf(2, Y.encodeStateAsUpdate(base)), docOf(2, Y.encodeStateAsUpdate(base))]
    one(left)
    other(right)
    assert.equal(Y.encodeStateVector(left), Y.encodeStateVector(right))
    assert.ok(isForked(new Digester(left).digest, new Digester(right).digest))
  })
}

test('what Yjs collects at one peer and keeps at another does not show', () => {
  const left = docOf(1)
  const kept = new Y.Doc({ gc: false })
  left.on('update', update => { Y.applyUpdate(kept, update) })
  const map = left.getMap('m')
  const inner = new Y.Map<unknown>()
  map.set('inner', inner)
  inner.set('a', new Y.Text('text'))
  inner.set('a', 2)
  left.getText('t').insert(0, 'hello')
  left.getText('t').delete(1, 2)
  map.delete('inner')
  assert.not.equal(Y.encodeStateAsUpdate(left), Y.encodeStateAsUpdate(kept))
  assert.ok(equalDigests(new Digester(left).digest, new Digester(kept).digest))
})

test('kept up to date it is what it would be made anew, over random edits, splits and deletes', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const next = (): number => random.next()
  const pick = (max: number): number => Math.floor(next() * (max + 1))
  const [left, right] = [docOf(1), docOf(2)]
  const [ours, theirs] = [new Digester(left), new Digester(right)]
  left.getText('t').insert(0, 'x'.repeat(3 * BLOCK_CLOCKS))
  for (let edit = 0; edit < 300; edit++) {
    const doc = next() < 0.5 ? left : right
    const [text, map] = [doc.getText('t'), doc.getMap('m')]
    const held = map.get('k')
    switch (pick(6)) {
      case 0: if (text.length > 50) text.delete(pick(text.length - 50), pick(49)); break
      case 1: map.set('k', new Y.Text('within')); break
      case 2: if (held instanceof Y.Text) held.insert(pick(held.length), 'ab'); break
      case 3: if (held instanceof Y.Text && held.length > 1) held.delete(0, 1); break
      case 4: map.delete('k'); break
      default: text.insert(pick(text.length), 'abc')
    }
    if (next() < 0.5) while (ours.prepare(1 + pick(3)) && next() < 0.7);
    if (next() < 0.1) {
      Y.applyUpdate(left, Y.encodeStateAsUpdate(right, Y.encodeStateVector(left)))
      Y.applyUpdate(right, Y.encodeStateAsUpdate(left, Y.encodeStateVector(right)))
      assert.ok(equalDigests(ours.digest, theirs.digest), `seed ${seed}, edit ${edit}: equal documents`)
    }
    assert.ok(equalDigests(ours.digest, new Digester(left).digest), `seed ${seed}, edit ${edit}: stale`)
    assert.ok(equalDigests(theirs.digest, new Digester(right).digest), `seed ${seed}, edit ${edit}: stale`)
  }
})

test('what changed is hashed ahead in slices, each of so many blocks', () => {
  const doc = docOf(1)
  doc.getText('t').insert(0, 'x'.repeat(5 * BLOCK_CLOCKS))
  const digester = new Digester(doc)
  assert.equal([digester.prepare(2), digester.prepare(2), digester.prepare(2), digester.prepare(2)], [true, true, false, false])
  assert.ok(equalDigests(digester.digest, new Digester(doc).digest))
  doc.getText('t').insert(5 * BLOCK_CLOCKS, 'y')
  assert.equal([digester.prepare(0), digester.prepare(1), digester.prepare(0)], [true, false, false])
  assert.ok(equalDigests(digester.digest, new Digester(doc).digest))
})

test('an entry that was overwritten within a type that is then deleted counts no more', () => {
  const doc = docOf(1)
  const digester = new Digester(doc)
  const inner = new Y.Map<unknown>()
  doc.getMap('m').set('k', inner)
  for (const value of [1, 2, 3]) inner.set('a', value)
  assert.ok(digester.digest)
  doc.getMap('m').delete('k')
  assert.ok(equalDigests(digester.digest, new Digester(doc).digest))
})

test('one edit in a document of 100,000 entries costs little', () => {
  const doc = docOf(1)
  const digester = new Digester(doc)
  doc.transact(() => { for (let entry = 0; entry < 100_000; entry++) doc.getMap('m').set(`entry ${entry}`, entry) })
  let startMs = performance.now()
  const first = digester.digest
  const wholeMs = performance.now() - startMs
  startMs = performance.now()
  const rounds = 100
  for (let round = 0; round < rounds; round++) {
    doc.getMap('m').set(`entry ${round}`, -1)
    assert.not(equalDigests(first, digester.digest))
  }
  const oneMs = (performance.now() - startMs) / rounds
  console.log(`note: whole ${wholeMs.toFixed(0)} ms, after one edit ${oneMs.toFixed(2)} ms`)
  // A hundredth, and more; a loaded machine may blur that, but not hide it.
  assert.ok(oneMs < wholeMs / 5, `one edit ${oneMs} ms, the whole ${wholeMs} ms`)
})

test.run()
