import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { applyUpdates, reachOf, sortUpdates, type Checked } from '../../crdt/apply.ts'
import { Writer } from '../../crdt/cursor.ts'
import { Digester } from '../../crdt/digest.ts'
import { documentOf, emptyDocument } from '../../crdt/state.ts'
import { readUpdate } from '../../crdt/update.ts'

const checked = (update: Uint8Array): Checked => ({ update, content: readUpdate(update) })

/** Updates of one client, one each of these texts. */
function written (...texts: string[]): Checked[] {
  const doc = new Y.Doc()
  doc.clientID = 1
  const updates: Checked[] = []
  doc.on('update', (update: Uint8Array) => { updates.push(checked(update)) })
  for (const text of texts) doc.getText('t').insert(doc.getText('t').length, text)
  return updates
}

test('updates go in together, and what was new comes back as one', () => {
  const updates = written('a', 'b', 'c')
  const doc = new Y.Doc()
  let transactions = 0
  doc.on('afterTransaction', () => { transactions++ })
  const { news, isBroken } = applyUpdates(doc, updates, 'test')
  assert.is(doc.getText('t').toJSON(), 'abc')
  assert.equal([transactions, isBroken], [1, false])
  const other = new Y.Doc()
  Y.applyUpdate(other, news ?? new Uint8Array())
  assert.is(other.getText('t').toJSON(), 'abc')
  assert.equal(applyUpdates(doc, updates, 'test').news, undefined, 'all of it was known')
})

test('of one update that is new as a whole the log gets those bytes, and Yjs writes nothing down', () => {
  const [first, second] = written('abc', 'def') as [Checked, Checked]
  const doc = new Y.Doc()
  assert.is(applyUpdates(doc, [first], 'test').news, first.update)
  assert.is(applyUpdates(doc, [first], 'test').news, undefined, 'it was known')
  const both = checked(Y.mergeUpdates([first.update, second.update]))
  assert.equal(applyUpdates(doc, [both], 'test').news, second.update, 'of what is known in part, the rest')
})

test('what else an observer put into the transaction is in the log too', () => {
  const [first, second] = written('abc', 'def') as [Checked, Checked]
  const doc = new Y.Doc()
  const log = [applyUpdates(doc, [first], 'test').news]
  doc.once('beforeTransaction', () => { doc.getMap('m').set('k', 1) })
  log.push(applyUpdates(doc, [second], 'test').news)
  doc.once('beforeTransaction', () => { doc.getText('t').delete(0, 2) })
  log.push(applyUpdates(doc, written('abc', 'def', 'ghi').slice(2), 'test').news)
  assert.is(doc.getText('t').toJSON(), 'cdefghi')
  const replayed = documentOf(emptyDocument, undefined, log.map(update => ({ update: update ?? new Uint8Array(), origin: '' })))
  assert.equal(new Digester(replayed).digest, new Digester(doc).digest)
})

test('deletes that an answer repeats are not logged again', () => {
  const source = new Y.Doc()
  source.getText('t').insert(0, 'abcdefghijklmnop')
  for (let at = 0; at < 8; at++) source.getText('t').delete(at, 1)
  const doc = new Y.Doc()
  applyUpdates(doc, [checked(Y.encodeStateAsUpdate(source))], 'test')
  const vector = Y.encodeStateVector(doc)
  source.getText('t').insert(0, 'one more')
  const answer = checked(Y.encodeStateAsUpdate(source, vector))
  assert.is(answer.content.deletes.length, 8)
  const { news = new Uint8Array() } = applyUpdates(doc, [answer], 'test')
  assert.equal([readUpdate(news).structs, readUpdate(news).deletes.length], [1, 0])
})

test('of an update whose beginning is known, the rest goes in', () => {
  const [first, second] = written('abc', 'def') as [Checked, Checked]
  const doc = new Y.Doc()
  applyUpdates(doc, [first], 'test')
  applyUpdates(doc, [checked(Y.mergeUpdates([first.update, second.update]))], 'test')
  assert.is(doc.getText('t').toJSON(), 'abcdef')
  assert.is(doc.store.pendingStructs, null)
})

test('of a key’s entry that a lie made of several clocks and that is split, only the last part lives: so its own state says too', () => {
  // Yjs makes one clock of every entry. "abc" as the key k of the root map, and then something within, that splits it after "ab".
  const entry = new Writer().count(1).count(1).count(1).count(0).byte(0x24).count(1).text('map').text('k').text('abc').count(0).bytes()
  const within = new Writer().count(1).count(1).count(2).count(0).byte(0xc4).count(1).count(1).count(1).count(2).text('-').count(0).bytes()
  const doc = new Y.Doc()
  for (const update of [entry, within]) applyUpdates(doc, [checked(update)], 'test')
  const [digester, replayed] = [new Digester(doc), documentOf(emptyDocument, Y.encodeStateAsUpdate(doc), [])]
  assert.is(doc.getMap('map').get('k'), 'c')
  assert.is(replayed.getMap('map').get('k'), 'c')
  assert.equal(new Digester(replayed).digest, digester.digest)
})

test('an observer that throws undoes nothing, and its error comes back', () => {
  const doc = new Y.Doc()
  const error = new Error('the application')
  doc.getText('t').observe(() => { throw error })
  const { thrown, isBroken, news } = applyUpdates(doc, written('a'), 'test')
  assert.equal([thrown?.error, isBroken], [error, false])
  assert.is(doc.getText('t').toJSON(), 'a')
  assert.ok(news !== undefined, 'it still goes to the log')
})

test('Yjs that stops halfway is noticed', () => {
  const doc = new Y.Doc()
  doc.on('beforeTransaction', () => { throw new Error('halfway') })
  const { isBroken, news } = applyUpdates(doc, written('a'), 'test')
  assert.equal([isBroken, news], [true, undefined])
})

test('updates are sorted into those that fit, one on the other, and those that are early', () => {
  const [a, b, c, d] = written('a', 'b', 'c', 'd') as [Checked, Checked, Checked, Checked]
  const { fit, early } = sortUpdates([a, b, d], reachOf(new Y.Doc()))
  assert.equal(fit, [a, b])
  assert.equal(early, [{ update: d, gap: { client: 1, clock: 3 } }])
  assert.equal(sortUpdates([c, d], client => client === 1 ? 2 : 0).fit, [c, d])
})

test.run()
