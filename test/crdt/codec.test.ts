import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { seededRandom, type Random } from '../../lib/base/random.ts'
import { applyUpdate, decodeStructs, encodeUpdate, SHORT_CHARS } from '../../crdt/codec.ts'

const DOCUMENTS = 100
const EDITS = 40

/** Texts on either side of what is done by hand: ASCII or not, up to the bound and over it. */
const TEXTS = ['', 'a', 'key 1', '1234567', '12345678', '123456789abc', '\0', '\x7f', 'Grüße', '😀', '\ufeffmark', 'ü'.repeat(SHORT_CHARS),
  ...[-1, 0, 1].map(more => 'x'.repeat(SHORT_CHARS + more)), 'y'.repeat(10 * SHORT_CHARS)]

function randomUpdates (random: Random): Uint8Array[] {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T
  const docs = [new Y.Doc(), new Y.Doc()] as const
  docs[0].clientID = pick([1, 2 ** 31, 2 ** 45])
  docs[1].clientID = docs[0].clientID + 1
  const updates: Uint8Array[] = []
  for (const doc of docs) doc.on('update', (update: Uint8Array) => { updates.push(update) })
  for (let edit = 0; edit < EDITS; edit++) {
    const doc = pick(docs)
    const [text, map, list] = [doc.getText('text'), doc.getMap('Grüße'), doc.getArray('list')]
    const at = Math.floor(random.next() * (text.length + 1))
    switch (Math.floor(random.next() * 7)) {
      case 0: text.insert(at, pick(TEXTS)); break
      case 1: text.delete(Math.floor(at / 2), Math.min(2, text.length - Math.floor(at / 2))); break
      case 2: if (text.length > 2) text.format(0, 2, { [pick(TEXTS)]: pick(TEXTS) }); break
      case 3: map.set(pick(TEXTS), pick<unknown>([...TEXTS, 1, -2.5, 7n, true, null, undefined, [pick(TEXTS)], { [pick(TEXTS)]: 1 }, Uint8Array.of(1)])); break
      case 4: map.delete(pick(TEXTS)); break
      case 5: list.push([pick(TEXTS), new Y.XmlElement(`p${pick(TEXTS)}`), new Y.XmlText(pick(TEXTS)), new Y.Map([[pick(TEXTS), pick(TEXTS)]])]); break
      default: for (const other of docs) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
    }
  }
  return [...updates, ...docs.map(doc => Y.encodeStateAsUpdate(doc))]
}

test('reads and writes what Yjs does, byte for byte', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`\nseed ${seed}`)
  const random = seededRandom(seed)
  for (let document = 0; document < DOCUMENTS; document++) {
    const [ours, theirs] = [new Y.Doc(), new Y.Doc()]
    for (const update of randomUpdates(random)) {
      applyUpdate(ours, update)
      Y.applyUpdate(theirs, update)
      assert.equal(encodeUpdate(ours), Y.encodeStateAsUpdate(theirs))
      const vector = Y.encodeStateVectorFromUpdate(update)
      assert.equal(encodeUpdate(ours, vector), Y.encodeStateAsUpdate(theirs, vector))
      assert.equal(written(decodeStructs(update)), written(Y.decodeUpdate(update).structs))
    }
  }
})

test('what waits in a document is written too', () => {
  const source = new Y.Doc()
  const updates: Uint8Array[] = []
  source.on('update', (update: Uint8Array) => { updates.push(update) })
  for (const letter of 'ab') source.getText('t').insert(0, letter)
  source.getText('t').delete(0, 1)
  for (const late of [updates[1], updates[2]] as Uint8Array[]) {
    const doc = new Y.Doc()
    applyUpdate(doc, late)
    assert.equal(encodeUpdate(doc), Y.encodeStateAsUpdate(doc))
    const copy = new Y.Doc()
    for (const update of [encodeUpdate(doc), updates[0], updates[1]] as Uint8Array[]) applyUpdate(copy, update)
    assert.is(copy.store.pendingStructs, null)
    assert.is(copy.getText('t').length, late === updates[1] ? 2 : 1)
  }
})

test('a text cut short is refused, as Yjs does', () => {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, 'abc')
  const update = Y.encodeStateAsUpdate(doc)
  const at = update.indexOf(97)
  for (const bytes of [update.subarray(0, at), Uint8Array.from(update, (byte, index) => index === at ? 255 : byte)]) {
    assert.throws(() => { applyUpdate(new Y.Doc(), bytes) })
    assert.throws(() => { Y.applyUpdate(new Y.Doc(), bytes) })
  }
})

function written (structs: ReturnType<typeof decodeStructs>): Uint8Array {
  const encoder = new Y.UpdateEncoderV1()
  for (const struct of structs) struct.write(encoder, 0)
  return encoder.toUint8Array()
}

test.run()
