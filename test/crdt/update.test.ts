import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { forgeCircle } from '../../lib/simulate/hostile.ts'
import { applyUpdates, reachOf } from '../../crdt/apply.ts'
import { findGap } from '../../crdt/gap.ts'
import { CLIENTS_MAX, UPDATE_BYTES_MAX, VALUE_DEPTH_MAX, readUpdate, readVector } from '../../crdt/update.ts'

/** Mutants tried. How long they take is for benchmarks/hostile.ts to say: a loaded machine may stop any of them for a while. */
const MUTANTS = 20_000

/** Every kind of content that Yjs writes. */
function richDocument (clientID: number): { doc: Y.Doc, updates: Uint8Array[] } {
  const doc = new Y.Doc()
  doc.clientID = clientID
  const updates: Uint8Array[] = []
  doc.on('update', update => { updates.push(update) })
  const [text, map, list] = [doc.getText('text'), doc.getMap('map'), doc.getArray('list')]
  text.insert(0, 'Grüße 😀 an alle')
  text.format(0, 5, { bold: true, link: { href: 'x' } })
  text.insertEmbed(3, { image: 'a.png' })
  text.delete(2, 3)
  map.set('values', [1, -7, 2.5, 1e300, true, false, null, undefined, 'ß', { deep: [[]] }])
  map.set('bytes', Uint8Array.of(1, 2, 3))
  map.set('big', 12345678901234567890n)
  map.set('inner', new Y.Map())
  map.set('doc', new Y.Doc({ guid: 'within', autoLoad: true, meta: { a: 1 } }))
  map.delete('values')
  list.push([1, 2, 3, new Y.XmlElement('p'), new Y.XmlText('x'), new Y.XmlFragment(), new Y.Array()])
  list.delete(1, 2)
  doc.getXmlFragment('xml').insert(0, [new Y.XmlElement('div')])
  return { doc, updates }
}

test('reads what Yjs reads: clients and clocks', () => {
  const { doc, updates } = richDocument(4_000_000_000)
  for (const update of [...updates, Y.encodeStateAsUpdate(doc)]) {
    const { from, to } = Y.parseUpdateMeta(update)
    const { ranges } = readUpdate(update)
    assert.equal(new Map(ranges.map(({ client, from }) => [client, from])), from)
    assert.equal(new Map(ranges.map(({ client, to }) => [client, to])), to)
  }
  const whole = readUpdate(Y.encodeStateAsUpdate(doc))
  const deletes = Y.decodeUpdate(Y.encodeStateAsUpdate(doc)).ds.clients.get(4_000_000_000) ?? []
  assert.equal(whole.deletes, deletes.map(({ clock, len }) => ({ client: 4_000_000_000, from: clock, to: clock + len })))
  assert.is(whole.structs, Y.decodeUpdate(Y.encodeStateAsUpdate(doc)).structs.length)
})

test('reads what one client needs of another', () => {
  const [left, right] = [new Y.Doc(), new Y.Doc()]
  left.clientID = 1
  right.clientID = 2
  left.getText('t').insert(0, 'ab')
  Y.applyUpdate(right, Y.encodeStateAsUpdate(left))
  right.getText('t').insert(1, 'x')
  const { needs } = readUpdate(Y.encodeStateAsUpdate(right, Y.encodeStateVector(left)))
  assert.equal(needs, [{ client: 2, clock: 0, needClient: 1, needClock: 0 }, { client: 2, clock: 0, needClient: 1, needClock: 1 }])
})

for (const text of ['a', 'Grüße', '😀', '\ufeffmark', 'x'.repeat(1_000), 'ü'.repeat(1_000)]) {
  test(`counts the clocks of a text as Yjs does: ${text.slice(0, 8)}, ${text.length}`, () => {
    const doc = new Y.Doc()
    doc.clientID = 1
    doc.getText('t').insert(0, text)
    assert.equal(readUpdate(Y.encodeStateAsUpdate(doc)).ranges, [{ client: 1, from: 0, to: text.length }])
  })
}

test('so many clients may write in one update', () => {
  assert.is(readUpdate(forgeCircle(CLIENTS_MAX)).ranges.length, CLIENTS_MAX)
  assert.throws(() => readUpdate(forgeCircle(CLIENTS_MAX + 1)), (error: unknown) => error instanceof SwarmError && error.code === 'MALFORMED')
})

test('reads an update with a hole in two ranges', () => {
  const doc = new Y.Doc()
  doc.clientID = 5
  const updates: Uint8Array[] = []
  doc.on('update', update => { updates.push(update) })
  for (const value of [1, 2, 3]) doc.getArray('a').push([value])
  const [first, , third] = updates as [Uint8Array, Uint8Array, Uint8Array]
  assert.equal(readUpdate(Y.mergeUpdates([first, third])).ranges, [{ client: 5, from: 0, to: 1 }, { client: 5, from: 2, to: 3 }])
})

/** An update of client 1 with one struct, written by hand: its first byte, then the rest; no deletes. */
const struct = (...bytes: number[]): number[] => [1, 1, 1, 0, ...bytes, 0]
const ROOT = [1, 1, 97]

for (const [name, bytes] of [
  ['nothing at all', []],
  ['an update cut short', [1, 1, 1]],
  ['bytes behind the end', [0, 0, 0]],
  ['a number over 2^53', [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
  ['a client twice', [2, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0]],
  ['clients in an order that Yjs does not write', [2, 1, 1, 0, 0, 1, 1, 2, 0, 0, 1, 0]],
  ['a struct behind a later clock of its own client', [1, 1, 1, 5, 0x84, 1, 9, 1, 97, 0]],
  ['an empty struct', struct(0, 0)],
  ['an empty text', struct(4, ...ROOT, 0)],
  ['content of no known kind', struct(11, ...ROOT, 1)],
  ['a shared type of no known kind', struct(7, ...ROOT, 7)],
  ['a value of no known kind', struct(8, ...ROOT, 1, 100)],
  ['a text that is not UTF-8', struct(4, ...ROOT, 1, 255)],
  ['JSON that is none', struct(5, ...ROOT, 1, 123)],
  ['JSON behind a byte order mark, which Yjs does not skip', struct(5, ...ROOT, 5, 0xef, 0xbb, 0xbf, 123, 125)],
  ['a document without options', struct(9, ...ROOT, 1, 97, 126)],
  ['a document with options of its own', struct(9, ...ROOT, 1, 97, 118, 1, 8, ...Buffer.from('gcFilter'), 120)],
  ['a delete of nothing', [0, 1, 1, 1, 5, 0]],
  ['more values than bytes', struct(8, ...ROOT, 255, 255, 255, 127)],
  ['a value nested too deep', struct(8, ...ROOT, 1, ...Array.from({ length: VALUE_DEPTH_MAX + 1 }, () => [117, 1]).flat(), 126)]
] as const) {
  test(`refuses ${name}`, () => {
    assert.throws(() => readUpdate(Uint8Array.from(bytes)), (error: unknown) => error instanceof SwarmError && error.code === 'MALFORMED')
  })
}

test('takes a value as deep as is allowed, and Yjs too', () => {
  const bytes = Uint8Array.from(struct(8, ...ROOT, 1, ...Array.from({ length: VALUE_DEPTH_MAX }, () => [117, 1]).flat(), 126))
  assert.is(readUpdate(bytes).structs, 1)
  Y.applyUpdate(new Y.Doc(), bytes)
})

test('refuses an update over its limit without reading it', () => {
  assert.throws(() => readUpdate(new Uint8Array(UPDATE_BYTES_MAX + 1)), (error: unknown) => error instanceof SwarmError && error.code === 'TOO_LARGE')
})

test('reads a state vector, and refuses one cut short', () => {
  const { doc } = richDocument(77)
  const vector = Y.encodeStateVector(doc)
  assert.equal(readVector(vector), Y.decodeStateVector(vector))
  assert.throws(() => readVector(vector.subarray(0, -1)), (error: unknown) => error instanceof SwarmError && error.code === 'MALFORMED')
})

test(`of ${MUTANTS} mutated updates each is taken whole or changes nothing, at a cost bounded by its bytes`, () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const base = richDocument(1)
  const state = Y.encodeStateAsUpdate(base.doc)
  const other = richDocument(2)
  const next = new Y.Doc()
  Y.applyUpdate(next, state)
  next.clientID = 3
  const sources = [...other.updates, ...base.updates]
  next.on('update', update => { sources.push(update) })
  next.getText('text').insert(4, 'between')
  next.getMap('map').delete('inner')
  next.getText('text').format(2, 6, { bold: null })
  const counts = { refused: 0, gap: 0, taken: 0 }
  let doc = new Y.Doc()
  Y.applyUpdate(doc, state)
  let before = Y.encodeStateAsUpdate(doc)
  for (let count = 0; count < MUTANTS; count++) {
    const mutant = mutate(sources[Math.floor(random.next() * sources.length)] as Uint8Array, () => random.next())
    let isTaken = false
    try {
      const content = readUpdate(mutant)
      const found = content.structs + content.ranges.length + content.deletes.length
      assert.ok(found <= mutant.byteLength && content.needs.length <= 2 * content.structs, `seed ${seed}, mutant ${count}`)
      if (findGap(content, reachOf(doc)) !== undefined) counts.gap++
      else {
        const { isBroken, thrown } = applyUpdates(doc, [{ update: mutant, content }], 'test')
        assert.not(isBroken, `seed ${seed}, mutant ${count}: Yjs stopped halfway: ${String(thrown?.error)}`)
        isTaken = true
        counts.taken++
      }
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      counts.refused++
    }
    if (isTaken) {
      doc.destroy()
      doc = new Y.Doc()
      Y.applyUpdate(doc, state)
      before = Y.encodeStateAsUpdate(doc)
    } else if (count % 20 === 0) assert.equal(Y.encodeStateAsUpdate(doc), before, `seed ${seed}, mutant ${count} was refused and changed the document`)
  }
  assert.equal(Y.encodeStateAsUpdate(doc), before, `seed ${seed}`)
  console.log(`note: seed ${seed}: ${counts.refused} refused, ${counts.gap} early, ${counts.taken} taken whole`)
  assert.ok(counts.taken > 100 && counts.refused > 10_000, `seed ${seed}: ${JSON.stringify(counts)}`)
})

function mutate (update: Uint8Array, next: () => number): Uint8Array {
  const bytes = [...update]
  const at = (): number => Math.floor(next() * bytes.length)
  for (let left = 1 + Math.floor(next() * 3); left > 0; left--) {
    switch (Math.floor(next() * 6)) {
      case 0: bytes[at()] = Math.floor(next() * 256); break
      case 1: { const place = at(); bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(next() * 8)); break }
      case 2: bytes.splice(at(), 1); break
      case 3: bytes.splice(at(), 0, Math.floor(next() * 256)); break
      case 4: bytes.length = Math.max(1, at()); break
      default: { const [from, to] = [at(), at()]; bytes[to] = bytes[from] ?? 0 }
    }
  }
  return Uint8Array.from(bytes)
}

test.run()
