import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { reachOf } from '../../crdt/apply.ts'
import { PART_STRUCTS_MAX, cutState, putTogether } from '../../crdt/cut.ts'
import { Digester, equalDigests } from '../../crdt/digest.ts'
import { findGap } from '../../crdt/gap.ts'
import { canonicalState, documentOf, emptyDocument, encodeState, hasPending } from '../../crdt/state.ts'
import { atOnce } from '../../crdt/steps.ts'
import { readUpdate } from '../../crdt/update.ts'
import { seededRandom, type Random } from '../../lib/base/random.ts'

const DOCUMENTS = 100
const EDITS = 80

const READ: readonly ((doc: Y.Doc) => unknown)[] = [
  doc => doc.getText('text').toDelta() as unknown, doc => doc.getMap('map').toJSON(), doc => doc.getArray('list').toJSON() as unknown
]

/** A document that several have written at the same time, in each other's texts, lists and maps. */
function randomState (random: Random): Uint8Array {
  const at = (below: number): number => Math.floor(random.next() * below)
  const docs = Array.from({ length: 1 + at(5) }, () => new Y.Doc())
  for (const doc of docs) doc.clientID = 1 + at(2 ** 31)
  for (let edit = 0; edit < EDITS; edit++) {
    const doc = docs[at(docs.length)] as Y.Doc
    const [text, map, list] = [doc.getText('text'), doc.getMap('map'), doc.getArray<unknown>('list')]
    const inner = map.get('inner')
    switch (at(9)) {
      case 0: case 1: text.insert(at(text.length + 1), 'letters'.slice(at(6))); break
      case 2: if (text.length > 0) text.delete(at(text.length), 1); break
      case 3: if (text.length > 1) text.format(at(text.length - 1), 1, { bold: random.next() < 0.5 ? true : null }); break
      case 4: map.set(`key ${at(5)}`, at(100)); break
      case 5: map.set('inner', new Y.Map([['a', 1], ['b', new Y.Array()]])); break
      case 6: if (inner instanceof Y.Map) inner.set(`key ${at(3)}`, at(100)); break
      case 7: list.insert(at(list.length + 1), [at(100), new Y.XmlElement('p'), new Y.Text('in a list')]); break
      default: Y.applyUpdate(docs[at(docs.length)] as Y.Doc, Y.encodeStateAsUpdate(doc))
    }
  }
  const [first = new Y.Doc(), ...others] = docs
  for (const other of others) Y.applyUpdate(first, Y.encodeStateAsUpdate(other))
  // What Yjs tidies up in a text at each reading: as of a merged state, a second reading changes nothing.
  return canonicalState(canonicalState(Y.encodeStateAsUpdate(first)))
}

test('a state in parts, each of which fits onto those before it, is the same document', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`\nseed ${seed}`)
  const random = seededRandom(seed)
  for (let document = 0; document < DOCUMENTS; document++) {
    const state = randomState(random)
    const whole = documentOf(emptyDocument, state, [])
    const structsMax = 1 + Math.floor(random.next() * 20)
    const parts = cutState(state, structsMax)
    assert.is(parts.length, Math.max(1, Math.ceil(readUpdate(state).structs / structsMax)))
    const doc = emptyDocument()
    for (const part of parts) {
      assert.ok(readUpdate(part).structs <= structsMax)
      assert.is(findGap(readUpdate(part), reachOf(doc)), undefined)
      Y.applyUpdate(doc, part)
    }
    const together = atOnce(putTogether(parts, emptyDocument))
    assert.not(hasPending(together))
    assert.ok(equalDigests(new Digester(together).digest, new Digester(whole).digest))
    assert.equal(canonicalState(encodeState(together)), canonicalState(state))
    for (const read of READ) assert.equal(read(together), read(whole))
    // What is done to both later comes to the same.
    for (const of of [together, whole]) {
      of.clientID = 7
      of.getText('text').insert(Math.floor(of.getText('text').length / 2), 'later')
      of.getMap('map').set('key 1', 'later')
    }
    assert.ok(equalDigests(new Digester(together).digest, new Digester(whole).digest))
  }
})

test('a large document is put together in as many steps as it has parts', () => {
  const source = new Y.Doc()
  source.transact(() => { for (let number = 0; number < 3 * PART_STRUCTS_MAX; number++) source.getMap('map').set(`key ${number}`, number) })
  const parts = cutState(encodeState(source))
  const steps = putTogether(parts, emptyDocument)
  let turns = 0
  for (let step = steps.next(); step.done !== true; step = steps.next()) turns++
  assert.equal([parts.length, turns], [3, 2])
})

test('an empty document has one part', () => {
  assert.equal(cutState(encodeState(new Y.Doc())).map(part => [...part]), [[0, 0]])
})

test.run()
