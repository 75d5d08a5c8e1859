import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { seededRandom } from '../../lib/base/random.ts'
import { Writer } from '../../crdt/cursor.ts'
import { EARLY_AUTHORS_MAX, EARLY_BYTES_MAX, EARLY_UPDATES_MAX, EarlyUpdates, findGap, type Reach } from '../../crdt/gap.ts'
import { readUpdate, type Content } from '../../crdt/update.ts'

const nothing: Reach = () => 0
const from = (state: Record<number, number>): Reach => client => state[client] ?? 0

function content (parts: Partial<Content>): Content {
  const whole = { bytes: 0, ranges: [], needs: [], deletes: [], structs: 0, twists: [], hasBetween: false, ...parts }
  // As an update has them.
  return { ...whole, ranges: [...whole.ranges].sort((left, right) => right.client - left.client || left.from - right.from) }
}

for (const [name, update, state, gap] of [
  ['the next clocks fit', { ranges: [{ client: 1, from: 3, to: 5 }] }, { 1: 3 }, undefined],
  ['known clocks fit', { ranges: [{ client: 1, from: 0, to: 2 }] }, { 1: 3 }, undefined],
  ['later clocks do not', { ranges: [{ client: 1, from: 4, to: 5 }] }, { 1: 3 }, { client: 1, clock: 4 }],
  ['a hole does not', { ranges: [{ client: 1, from: 0, to: 2 }, { client: 1, from: 3, to: 4 }] }, {}, { client: 1, clock: 3 }],
  ['a hole that is known does', { ranges: [{ client: 1, from: 0, to: 2 }, { client: 1, from: 3, to: 4 }] }, { 1: 3 }, undefined],
  ['what is needed of another client', { ranges: [{ client: 1, from: 0, to: 1 }], needs: [{ client: 1, clock: 0, needClient: 2, needClock: 6 }] }, { 2: 6 }, { client: 2, clock: 7 }],
  ['what is needed comes along', { ranges: [{ client: 1, from: 0, to: 1 }, { client: 2, from: 0, to: 7 }], needs: [{ client: 1, clock: 0, needClient: 2, needClock: 6 }] }, {}, undefined],
  ['two that need each other', { ranges: [{ client: 1, from: 0, to: 1 }, { client: 2, from: 0, to: 1 }], needs: [{ client: 1, clock: 0, needClient: 2, needClock: 0 }, { client: 2, clock: 0, needClient: 1, needClock: 0 }] }, {}, { client: 2, clock: 1 }],
  ['a clock that needs a later one of its own', { ranges: [{ client: 1, from: 0, to: 3 }], needs: [{ client: 1, clock: 1, needClient: 1, needClock: 2 }] }, {}, { client: 1, clock: 3 }],
  ['a known clock that needs what is missing', { ranges: [{ client: 1, from: 0, to: 1 }], needs: [{ client: 1, clock: 0, needClient: 2, needClock: 0 }] }, { 1: 1 }, { client: 2, clock: 1 }],
  ['a delete of what is not there', { deletes: [{ client: 3, from: 0, to: 2 }] }, { 3: 1 }, { client: 3, clock: 2 }],
  ['a delete of what comes along', { ranges: [{ client: 3, from: 0, to: 2 }], deletes: [{ client: 3, from: 0, to: 2 }] }, {}, undefined]
] as const) {
  test(`${gap === undefined ? 'no gap' : 'a gap'}: ${name}`, () => {
    assert.equal(findGap(content(update), from(state)), gap)
  })
}

test('agrees with Yjs on what waits, over random parts of random documents', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const next = (): number => random.next()
  const pick = (max: number): number => Math.floor(next() * (max + 1))
  let gaps = 0
  for (let round = 0; round < 300; round++) {
    const docs = [1, 2, 3].map(clientID => { const doc = new Y.Doc(); doc.clientID = clientID; return doc })
    const updates: Uint8Array[] = []
    for (const doc of docs) doc.on('update', (update, origin) => { if (origin !== 'sync') updates.push(update) })
    for (let edit = 0; edit < 12; edit++) {
      const doc = docs[pick(2)] as Y.Doc
      const text = doc.getText('t')
      if (text.length > 2 && next() < 0.3) text.delete(pick(text.length - 1), 1)
      else text.insert(pick(text.length), 'ab')
      if (next() < 0.5) Y.applyUpdate(docs[pick(2)] as Y.Doc, Y.encodeStateAsUpdate(doc), 'sync')
    }
    const doc = new Y.Doc()
    for (const update of updates.filter(() => next() < 0.6)) {
      const gap = findGap(readUpdate(update), client => Y.getState(doc.store, client))
      const trial = new Y.Doc()
      Y.applyUpdate(trial, Y.encodeStateAsUpdate(doc))
      Y.applyUpdate(trial, update)
      assert.is(gap !== undefined, trial.store.pendingStructs !== null || trial.store.pendingDs !== null, `seed ${seed}, round ${round}: ${JSON.stringify(gap)}`)
      if (gap === undefined) Y.applyUpdate(doc, update)
      else gaps++
    }
  }
  assert.ok(gaps > 100, `seed ${seed}: only ${gaps} gaps`)
})

/** Asked for every clock that a search looks up: its work, whatever the machine. */
function counted (reach: Reach): { reach: Reach, asked: () => number } {
  let asked = 0
  return { reach: client => { asked++; return reach(client) }, asked: () => asked }
}

test('2 MB of forged gaps cost a few steps each', () => {
  const forged = Array.from({ length: 2_000 }, (_, index) => new Writer()
    .count(1).count(1).count(1_000_000 + index).count(10_000).byte(1).count(1).text('a'.repeat(1_000)).count(1).count(0).bytes())
  assert.ok(forged.reduce((sum, { byteLength }) => sum + byteLength, 0) > 2_000_000)
  const early = new EarlyUpdates()
  const { reach, asked } = counted(nothing)
  for (const update of forged) {
    const read = readUpdate(update)
    const gap = findGap(read, reach)
    if (gap === undefined) throw new Error('no gap was found')
    early.hold({ author: 'mallory', update, content: read }, gap)
  }
  assert.equal(early.take(reach), [])
  assert.is(early.count, EARLY_UPDATES_MAX)
  assert.ok(asked() <= forged.length + EARLY_UPDATES_MAX, `${asked()} steps`)
})

test('one update in which everything waits for everything costs steps in proportion to it', () => {
  // Each client of one clock needs the one before, and the first the last.
  const clients = 20_000
  const needs = Array.from({ length: clients }, (_, client) => ({ client, clock: 0, needClient: (client + clients - 1) % clients, needClock: 0 }))
  const ranges = needs.map(({ client }) => ({ client, from: 0, to: 1 }))
  // All wait for one that takes its steps one by one, each step waiting for one more client.
  const steps = 10_000
  const crowd = Array.from({ length: steps }, (_, index) => ({ client: index + 1, clock: 0, needClient: 0, needClock: steps - 1 }))
  const ladder = Array.from({ length: steps - 1 }, (_, index) => ({ client: 0, clock: index + 1, needClient: clients + index, needClock: 0 }))
  const rungs = ladder.map(({ needClient }, index) => ({ client: needClient, clock: 0, needClient: 0, needClock: index }))
  const all = [{ client: 0, from: 0, to: steps }, ...crowd.map(({ client }) => ({ client, from: 0, to: 1 })), ...rungs.map(({ client }) => ({ client, from: 0, to: 1 }))]
  for (const [name, update, hasGap] of [
    ['a circle', { ranges, needs }, true],
    ['a chain', { ranges, needs: needs.slice(1) }, false],
    ['a chain backwards', { ranges, needs: needs.slice(1).reverse() }, false],
    ['a ladder', { ranges: all, needs: [...crowd, ...ladder, ...rungs] }, false]
  ] as const) {
    const { reach, asked } = counted(nothing)
    assert.is(findGap(content(update), reach) !== undefined, hasGap, name)
    assert.ok(asked() <= 8 * (update.ranges.length + update.needs.length), `${name}: ${asked()} steps`)
  }
})

function early (author: string, client: number, clock: number, bytes = 10): Parameters<EarlyUpdates['hold']> {
  return [{ author, update: new Uint8Array(bytes), content: content({ ranges: [{ client, from: clock, to: clock + 1 }] }) }, { client, clock }]
}

test('early updates come back in the order in which they fit', () => {
  const held = new EarlyUpdates()
  for (const clock of [3, 1, 2, 5]) assert.ok(held.hold(...early('a', 1, clock)))
  assert.equal(held.take(from({ 1: 1 })).map(({ content }) => content.ranges[0]?.from), [1, 2, 3])
  assert.is(held.count, 1)
  assert.is(held.bytes, 10)
  assert.equal(held.take(from({ 1: 5 })).length, 1)
  assert.is(held.count, 0)
})

test('an author has room for so many early updates, so many bytes, and takes no room from others', () => {
  const held = new EarlyUpdates()
  for (let clock = 1; clock <= EARLY_UPDATES_MAX; clock++) assert.ok(held.hold(...early('a', 1, clock)))
  assert.not(held.hold(...early('a', 1, 99)))
  assert.ok(held.hold(...early('b', 2, 1, EARLY_BYTES_MAX)))
  assert.not(held.hold(...early('b', 2, 2, 1)))
  for (let author = 2; author < EARLY_AUTHORS_MAX; author++) assert.ok(held.hold(...early(`author ${author}`, 3, 1)))
  assert.not(held.hold(...early('one more', 3, 1)))
})

test.run()
