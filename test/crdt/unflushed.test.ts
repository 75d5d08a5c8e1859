import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Unflushed, WRITTEN_MAX } from '../../crdt/unflushed.ts'
import { readUpdate, readVector } from '../../crdt/update.ts'

/** A document in which each edit is known to `unflushed`, as record 6, 7 and so on: the log has 5 on disk. */
function open (): { doc: Y.Doc, unflushed: Unflushed, write: (text: string) => void } {
  const doc = new Y.Doc()
  doc.clientID = 1
  const unflushed = new Unflushed(5)
  let seq = 5
  doc.on('update', update => { unflushed.add(++seq, readUpdate(update).ranges) })
  return { doc, unflushed, write: text => { doc.getText('t').insert(0, text) } }
}
const seen = ({ doc, unflushed }: ReturnType<typeof open>): unknown => {
  const { vector, after } = unflushed.vectorOf(doc)
  return [[...readVector(vector)], after]
}

test('a vector shows what is on disk, and the whole document waits for the last record that was written here', () => {
  const it = open()
  assert.equal([it.unflushed.durable, it.unflushed.last, it.unflushed.count], [5, 5, 0])
  for (const text of ['a', 'bc', 'd']) it.write(text)
  assert.equal([it.unflushed.last, it.unflushed.count, seen(it)], [8, 3, [[[1, 0]], 0]])
  it.unflushed.flushed(7)
  assert.equal([it.unflushed.durable, it.unflushed.last, it.unflushed.count, seen(it)], [7, 8, 1, [[[1, 3]], 0]])
  it.unflushed.flushed(6)
  assert.is(it.unflushed.durable, 7, 'what is on disk stays there')
  it.unflushed.flushed(9)
  assert.equal([it.unflushed.durable, it.unflushed.last, it.unflushed.count, seen(it)], [9, 9, 0, [[[1, 4]], 0]])
})

test('what was written under two clientIDs is hidden under both, and a delete hides nothing', () => {
  const it = open()
  it.write('ab')
  it.unflushed.flushed(6)
  it.doc.getText('t').delete(0, 1)
  assert.equal(seen(it), [[[1, 2]], 0])
  it.write('c')
  it.doc.clientID = 2
  it.write('de')
  assert.equal(seen(it), [[[2, 0], [1, 2]], 0])
})

test('where it is not known what was written, even a question waits for it', () => {
  const it = open()
  it.write('a')
  it.unflushed.add(7)
  assert.equal(seen(it), [[[1, 0]], 7])
  it.unflushed.flushed(7)
  assert.equal(seen(it), [[[1, 1]], 0])
})

test('so many records are told apart', () => {
  const it = open()
  for (let count = 0; count < WRITTEN_MAX + 10; count++) it.write('a')
  assert.equal([it.unflushed.count, seen(it)], [WRITTEN_MAX, [[[1, 0]], 5 + WRITTEN_MAX + 10]])
  it.unflushed.flushed(5 + WRITTEN_MAX + 9)
  assert.equal([it.unflushed.count, it.unflushed.last], [1, 5 + WRITTEN_MAX + 10])
  it.unflushed.flushed(5 + WRITTEN_MAX + 10)
  assert.equal(seen(it), [[[1, WRITTEN_MAX + 10]], 0])
})

test.run()
