import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Writer } from '../../crdt/cursor.ts'
import { Digester, equalDigests } from '../../crdt/digest.ts'
import { mergeForks } from '../../crdt/fork.ts'
import { rebuild } from '../../crdt/rebuild.ts'
import { documentOf, emptyDocument } from '../../crdt/state.ts'
import { isTwisted } from '../../crdt/twist.ts'
import { readUpdate } from '../../crdt/update.ts'

const NOTHING = Uint8Array.of(0, 0)

/** Client 1 has written "the" at once. */
function doc (...updates: Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  doc.clientID = 1
  doc.getText('t').insert(0, 'the')
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

/** An update of one letter, by `client` at `clock`, behind one clock of client 1 and before another. */
const between = (client: number, clock: number, left: number, right: number): Uint8Array =>
  new Writer().count(1).count(1).count(client).count(clock).byte(0xc4).count(1).count(left).count(1).count(right).text('-').count(0).bytes()

const checked = (update: Uint8Array): { update: Uint8Array, content: ReturnType<typeof readUpdate> } => ({ update, content: readUpdate(update) })

/** Somebody else's letter that parts "the" behind its t. */
const parting = between(3, 0, 0, 1)

for (const [name, before, update, expected] of [
  ['behind the e and before the h', doc(), between(2, 0, 2, 1), true],
  ['the same, where the word has been parted', doc(parting), between(2, 0, 2, 1), true],
  ['behind and before one letter', doc(), between(2, 0, 1, 1), true],
  ['by the word’s own author', doc(), between(1, 3, 2, 0), true],
  ['all in one update', new Y.Doc(), Y.encodeStateAsUpdate(doc(between(2, 0, 2, 1))), true],
  ['between two letters', doc(), between(2, 0, 0, 1), false],
  ['known already', doc(between(2, 0, 2, 1)), between(2, 0, 2, 1), false]
] as const) {
  test(`${expected ? 'twisted' : 'not twisted'}: ${name}`, () => { assert.is(isTwisted(before, [checked(update)]), expected) })
}

test('who goes on before what it wrote earlier twists nothing', () => {
  const [author, other] = [doc(), doc()]
  other.clientID = 2
  const updates: Uint8Array[] = []
  author.on('update', (update: Uint8Array) => { updates.push(update) })
  // A letter each, the later clock on the left.
  for (const [index, letter] of [...'go '].entries()) author.getText('t').insert(index, letter)
  author.getText('t').delete(1, 1)
  author.getText('t').insert(1, 'O')
  assert.ok(updates.some(update => readUpdate(update).twists.length > 0), 'nothing was worth a look')
  for (const update of updates) {
    assert.not(isTwisted(other, [checked(update)]))
    Y.applyUpdate(other, update)
  }
})

test('whether Yjs holds a run in one piece or in several, what is twisted is given up, and the documents are one', () => {
  const update = between(2, 0, 2, 1)
  const whole = doc(update, parting)
  const parted = doc(parting, update)
  // What Yjs makes of them: not even the same text, and digests do not see it.
  assert.is.not(whole.getText('t').toJSON(), parted.getText('t').toJSON())
  assert.ok(equalDigests(new Digester(whole).digest, new Digester(parted).digest))
  const [one, other] = [whole, parted].map(doc => rebuild(mergeForks(Y.encodeStateAsUpdate(doc), NOTHING).state, emptyDocument)) as [Y.Doc, Y.Doc]
  assert.is(one.getText('t').toJSON(), 't-he')
  assert.equal(Y.encodeStateAsUpdate(one), Y.encodeStateAsUpdate(other))
  const replayed = documentOf(emptyDocument, Y.encodeStateAsUpdate(one), [])
  assert.equal(Y.encodeStateAsUpdate(replayed), Y.encodeStateAsUpdate(one), 'and its log replays to it')
})

test('a run in 20,000 pieces, and as many twists: found in time that grows with them, not with their square', () => {
  const doc = new Y.Doc()
  doc.clientID = 1
  doc.getText('t').applyDelta(Array.from({ length: 20_000 }, () => ({ insert: {} })))
  const writer = new Writer().count(1).count(20_000).count(2).count(0)
  for (let clock = 0; clock < 20_000; clock++) {
    writer.byte(0xc4).count(1).count(clock).count(1).count(clock === 0 ? 0 : 1).text('-')
  }
  const update = checked(writer.count(0).bytes())
  const startMs = performance.now()
  assert.ok(isTwisted(doc, [update]))
  // Its square, 400 million steps, takes many times as long.
  assert.ok(performance.now() - startMs < 5_000, `${performance.now() - startMs} ms`)
})

test.run()
