import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { seededRandom } from '../../lib/base/random.ts'
import { Digester, equalDigests } from '../../crdt/digest.ts'
import { findForks, forksBetween, mergeForks } from '../../crdt/fork.ts'
import { rebuild } from '../../crdt/rebuild.ts'
import { emptyDocument } from '../../crdt/state.ts'
import { readUpdate } from '../../crdt/update.ts'

function docOf (clientID: number, ...updates: Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = clientID
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

function written (doc: Y.Doc, change: () => void): Uint8Array {
  const before = Y.encodeStateVector(doc)
  change()
  return Y.encodeStateAsUpdate(doc, before)
}

const base = docOf(1)
base.getText('t').insert(0, 'base')
const start = Y.encodeStateAsUpdate(base)

test('an update that says something else at a known clock is found, and where', () => {
  const left = docOf(2, start)
  const right = docOf(2, start)
  const first = written(left, () => { left.getText('t').insert(0, 'abc') })
  const second = written(right, () => { right.getText('t').insert(0, 'abX') })
  assert.equal(findForks(left, second, readUpdate(second)), [{ client: 2, clock: 2 }])
  assert.equal(forksBetween(first, second), [{ client: 2, clock: 2 }])
  assert.equal(findForks(left, first, readUpdate(first)), [])
})

test('the same said again, in other pieces or deleted since, is no fork', () => {
  const left = docOf(2, start)
  const update = written(left, () => { left.getText('t').insert(1, 'abcdef') })
  left.getText('t').insert(3, '-')
  left.getText('t').delete(5, 2)
  left.getMap('m').set('k', new Y.Text('within'))
  const inner = written(left, () => { (left.getMap('m').get('k') as Y.Text).insert(1, 'x') })
  left.getMap('m').delete('k')
  for (const each of [update, inner]) assert.equal(findForks(left, each, readUpdate(each)), [])
  const again = mergeForks(Y.encodeStateAsUpdate(left), update)
  assert.equal(again.forks, [])
  assert.equal(Y.encodeStateAsUpdate(rebuild(again.state, emptyDocument)), Y.encodeStateAsUpdate(left))
})

test('either side of a fork comes to the same document, and what was written beside it stays', () => {
  const [left, right] = [docOf(2, start), docOf(2, start)]
  written(left, () => { left.getText('t').insert(4, ' left') })
  written(right, () => { right.getText('t').insert(4, ' and right') })
  const [alice, bob] = [docOf(3, Y.encodeStateAsUpdate(left)), docOf(4, Y.encodeStateAsUpdate(right))]
  alice.getText('t').insert(9, '!')
  bob.getText('t').insert(6, '?')
  alice.getArray('a').push(['alice'])
  bob.getArray('a').push(['bob'])
  const [ours, theirs] = [Y.encodeStateAsUpdate(alice), Y.encodeStateAsUpdate(bob)]
  const one = mergeForks(ours, theirs)
  const other = mergeForks(theirs, ours)
  assert.equal(one.forks, [{ client: 2, clock: 1 }])
  const [first, second] = [rebuild(one.state, emptyDocument), rebuild(other.state, emptyDocument)]
  assert.equal(Y.encodeStateAsUpdate(first), Y.encodeStateAsUpdate(second))
  const text = JSON.stringify(first.getText('t').toJSON())
  assert.ok(text.includes('!') && text.includes('?'), text)
  assert.equal(new Set(first.getArray('a').toArray()), new Set(['alice', 'bob']))
})

test('branches that need each other in a circle are given up, the same ones everywhere', () => {
  // Of client 2, clock 1 on one side needs what client 3 wrote, which needs client 2's clock 1 of the other side.
  const common = docOf(2)
  common.getText('t').insert(0, 'a')
  const left = docOf(2, Y.encodeStateAsUpdate(common))
  left.getText('t').insert(1, 'b')
  const honest = docOf(3, Y.encodeStateAsUpdate(left))
  honest.getText('t').insert(2, 'c')
  const back = docOf(2, Y.encodeStateAsUpdate(common))
  const lie = Y.decodeUpdate(Y.encodeStateAsUpdate(honest)).structs.find(({ id }) => id.client === 3)
  assert.ok(lie)
  // Written by hand: client 2, clock 1, the text "z" behind client 3's clock 0; nothing deleted.
  const circle = Uint8Array.of(1, 1, 2, 1, 0x84, 3, 0, 1, 122, 0)
  const theirs = Y.mergeUpdates([Y.encodeStateAsUpdate(back), circle])
  const ours = Y.encodeStateAsUpdate(honest)
  const documents = [mergeForks(ours, theirs), mergeForks(theirs, ours)].map(({ state }) => rebuild(state, emptyDocument))
  const [first, second] = documents.map(doc => Y.encodeStateAsUpdate(doc))
  assert.equal(first, second)
  for (const doc of documents) assert.is(doc.store.pendingStructs, null)
})

test('a rebuilt document is the one that its own state gives again', () => {
  const doc = docOf(1)
  doc.getArray('list').push([1])
  doc.getMap('map').set('k', new Y.Text('abc'))
  const before = Y.encodeStateAsUpdate(doc)
  doc.getMap('map').delete('k')
  // Written by hand: client 2, clock 0, the text "z" between the entry of the list and the "a" of the text, which is then collected.
  const lie = Uint8Array.of(1, 1, 2, 0, 0xc4, 1, 0, 1, 2, 1, 122, 0)
  const once = docOf(3, before, lie, Y.encodeStateAsUpdate(doc))
  const rebuilt = rebuild(Y.mergeUpdates([before, lie, Y.encodeStateAsUpdate(doc)]), emptyDocument)
  const [first, replayed] = [rebuilt, docOf(3, Y.encodeStateAsUpdate(rebuilt))].map(each => new Digester(each).digest)
  assert.ok(first !== undefined && replayed !== undefined && equalDigests(first, replayed))
  assert.not(equalDigests(new Digester(once).digest, new Digester(docOf(3, Y.encodeStateAsUpdate(once))).digest), 'which Yjs alone is not')
})

test('replicas that exchange forked states in any order end equal', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const next = (): number => random.next()
  const pick = (max: number): number => Math.floor(next() * (max + 1))
  let forks = 0
  for (let round = 0; round < 60; round++) {
    let docs = [10, 11, 12, 13].map(clientID => docOf(clientID, start))
    for (let edit = 0; edit < 12; edit++) {
      const at = pick(3)
      const doc = docs[at] as Y.Doc
      // A liar that knows what this replica knows, and says something of its own here.
      const liar = docOf(99, Y.encodeStateAsUpdate(doc))
      const writer = next() < 0.5 ? liar : doc
      const [text, map] = [writer.getText('t'), writer.getMap('m')]
      const update = written(writer, () => {
        switch (pick(3)) {
          case 0: map.set(`k${pick(1)}`, pick(9)); break
          case 1: if (text.length > 2) text.delete(pick(text.length - 2), 1); break
          default: text.insert(pick(text.length), ['a', 'bc', 'def'][pick(2)] ?? '')
        }
      })
      if (writer === liar) Y.applyUpdate(doc, update)
      doc.clientID = 10 + at
    }
    // By chance at first, then each with each, so that everybody has heard of everything.
    const everyone = [0, 1, 2, 3].flatMap(from => [0, 1, 2, 3].map(to => [from, to] as const))
    for (const [from, to] of [...Array.from({ length: 12 }, () => [pick(3), pick(3)] as const), ...everyone, ...everyone, ...everyone]) {
      const [ours, theirs] = [docs[to], docs[from]] as [Y.Doc, Y.Doc]
      const merged = mergeForks(Y.encodeStateAsUpdate(ours), Y.encodeStateAsUpdate(theirs))
      forks += merged.forks.length
      docs = docs.map((doc, index) => index === to ? rebuild(merged.state, emptyDocument) : doc)
    }
    const [first, ...others] = docs as [Y.Doc, ...Y.Doc[]]
    for (const other of others) {
      assert.ok(equalDigests(new Digester(first).digest, new Digester(other).digest), `seed ${seed}, round ${round}: digests`)
      assert.equal(Y.encodeStateAsUpdate(other), Y.encodeStateAsUpdate(first), `seed ${seed}, round ${round}`)
    }
  }
  assert.ok(forks > 100, `seed ${seed}: only ${forks} forks`)
})

test.run()
