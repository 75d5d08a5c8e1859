import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { SwarmError } from '../../lib/base/error.ts'
import { PATH_CHARS_MAX, PATH_KEYS_MAX, readPlain, writePlain, type Json } from '../../crdt/plain.ts'
import { VALUE_DEPTH_MAX, readUpdate } from '../../crdt/update.ts'

/** As another peer has it. */
function elsewhere (doc: Y.Doc): Y.Doc {
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  return other
}

function nested (levels: number): Json {
  let value: Json = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

const refused = (why: RegExp) => (error: unknown): boolean => error instanceof SwarmError && error.code === 'INVALID_OPTION' && why.test(error.message)

for (const [what, path, value, read] of [
  ['a text under a key', 'm/k', 'text', { m: { k: 'text' } }],
  ['maps on the way', 'm/a/b', 1, { m: { a: { b: 1 } } }],
  ['a key with a slash and a tilde', 'm/a~1b~0c', 1, { m: { 'a/b~c': 1 } }],
  ['a path with its first slash', '/m/k', 1, { m: { k: 1 } }],
  ['a whole map', 'm', { a: 1, b: [2, { c: null }] }, { m: { a: 1, b: [2, { c: null }] } }],
  ['a whole list', 'l', [1, 'two'], { l: [1, 'two'] }],
  ['a whole text', 't', 'words', { t: 'words' }],
  ['bytes', 'm/k', Uint8Array.of(1, 2) as unknown as Json, { m: { k: [1, 2] } }],
  ['bytes within', 'm/k', { in: Uint8Array.of(1, 2) } as unknown as Json, { m: { k: { in: [1, 2] } } }]
] as const) {
  test(`puts ${what}, the same for others`, () => {
    const doc = new Y.Doc()
    writePlain(doc, path, value)
    assert.equal([readPlain(doc, ''), readPlain(elsewhere(doc), '')], [read, read])
  })
}

test('a value within a plain one is written anew with it, and what is not there is not deleted', () => {
  const doc = new Y.Doc()
  writePlain(doc, 'm/v', { list: [1, { a: 1 }] })
  writePlain(doc, 'm/v/list/1/b', 2)
  writePlain(doc, 'm/v/list/-', 3)
  assert.equal(readPlain(doc, 'm/v'), { list: [1, { a: 1, b: 2 }, 3] })
  let changes = 0
  doc.on('update', () => { changes++ })
  for (const path of ['m/v/none', 'm/v/none/at/all', 'm/v/list/1/none', 'none/at/all', 'm/none']) writePlain(doc, path, undefined)
  assert.is(changes, 0)
  writePlain(doc, 'm/v/list/1/a', undefined)
  assert.equal(readPlain(doc, 'm/v'), { list: [1, { b: 2 }, 3] })
  for (const path of ['m/v/list/-', 'm/v/list/3', 'm/v/list/4', 'm/v/list/01']) assert.throws(() => { writePlain(doc, path, undefined) }, refused(/names no place in a list of 3/))
})

for (const [what, make, why] of [
  ['a Date', () => new Date(0), /holds a Date, which is no JSON/],
  ['a Map', () => new Map(), /holds a Map, which is no JSON/],
  ['a function', () => () => 1, /holds a function, which is no JSON/],
  ['a symbol', () => Symbol('s'), /holds a symbol, which is no JSON/],
  ['a bigint', () => 1n, /holds a bigint, which is no JSON/],
  ['a key that is lost on the way', () => JSON.parse('{"__proto__": 1}') as Json, /key __proto__/],
  ['a circle', () => {
    const circle: unknown[] = []
    circle.push(circle)
    return circle
  }, /nested deeper/]
] as const) {
  test(`refuses ${what}, wherever it stands, and changes nothing`, () => {
    const doc = new Y.Doc()
    writePlain(doc, 'l', ['kept'])
    writePlain(doc, 'm', { kept: 1 })
    const before = Y.encodeStateAsUpdate(doc)
    const value = make() as unknown as Json
    for (const path of ['m/k', 'l/0', 'm/deep/er']) {
      assert.throws(() => { writePlain(doc, path, value) }, refused(why))
      assert.throws(() => { writePlain(doc, path, { in: [value] }) }, refused(why))
    }
    assert.throws(() => { writePlain(doc, 'l', [value]) }, refused(why))
    assert.throws(() => { writePlain(doc, 'm', { in: value }) }, refused(why))
    assert.equal(Y.encodeStateAsUpdate(doc), before)
  })
}

test('refuses a key on the path that is lost on the way', () => {
  const doc = new Y.Doc()
  writePlain(doc, 'm/v', {})
  for (const path of ['m/__proto__', 'm/v/__proto__', 'm/__proto__/a']) assert.throws(() => { writePlain(doc, path, 1) }, refused(/key __proto__/))
  assert.equal(readPlain(doc, ''), { m: { v: {} } })
})

test('takes objects of another realm, and such without a prototype', () => {
  const doc = new Y.Doc()
  writePlain(doc, 'm/k', Object.assign(Object.create(null) as Record<string, Json>, { a: 1 }))
  writePlain(doc, 'm/l', runInNewContext('({ list: [1] })') as Json)
  writePlain(doc, 'm/n', runInNewContext('[1, {}]') as Json)
  assert.equal(readPlain(elsewhere(doc), 'm'), { k: { a: 1 }, l: { list: [1] }, n: [1, {}] })
})

test('refuses an object with the key constructor where Yjs would throw, takes it further in, and changes nothing before', () => {
  const doc = new Y.Doc()
  writePlain(doc, 'l', ['kept'])
  writePlain(doc, 'm', { kept: 1, plain: {} })
  const before = Y.encodeStateAsUpdate(doc)
  const value = { constructor: 1 }
  for (const [path, whole] of [['m/k', value], ['m/deep/er', value], ['m/plain/constructor', 1], ['l/0', value], ['l', [value]], ['m', { in: value }]] as const) {
    assert.throws(() => { writePlain(doc, path, whole) }, refused(/key constructor/))
  }
  assert.equal(Y.encodeStateAsUpdate(doc), before)
  writePlain(doc, 'm/k', [value])
  writePlain(doc, 'm/constructor', 2)
  assert.equal(readPlain(elsewhere(doc), 'm'), { kept: 1, plain: {}, k: [value], constructor: 2 })
})

test('what is nested as deep as it may be can be read by others; one level more is refused, also where it comes together', () => {
  const doc = new Y.Doc()
  writePlain(doc, 'm/k', nested(VALUE_DEPTH_MAX - 1))
  readUpdate(Y.encodeStateAsUpdate(doc))
  assert.throws(() => { writePlain(doc, 'm/k', nested(VALUE_DEPTH_MAX)) }, refused(/nested deeper than 256/))
  const path = `m/k/${'0/'.repeat(PATH_KEYS_MAX - 3)}0`
  assert.throws(() => { writePlain(doc, path, nested(VALUE_DEPTH_MAX - PATH_KEYS_MAX + 2)) }, refused(/nested deeper than 256/))
  writePlain(doc, path, nested(VALUE_DEPTH_MAX - PATH_KEYS_MAX + 1))
  readUpdate(Y.encodeStateAsUpdate(doc))
})

for (const [what, path] of [
  ['too many keys', `m/${'k/'.repeat(PATH_KEYS_MAX)}`],
  ['too many characters', `m/${'k'.repeat(PATH_CHARS_MAX)}`]
] as const) {
  test(`refuses a path of ${what}, to read and to write`, () => {
    const doc = new Y.Doc()
    assert.throws(() => readPlain(doc, path), refused(/has over/))
    assert.throws(() => { writePlain(doc, path, 1) }, refused(/has over/))
  })
}

test('an editor finds its own kind of type after somebody has read it as JSON', () => {
  for (const [fill, get] of [
    [(doc: Y.Doc) => { doc.getText('x').insertEmbed(0, { image: 'cat' }) }, (doc: Y.Doc) => doc.getText('x')],
    [(doc: Y.Doc) => { doc.getText('x').insert(0, 'bold', { bold: true }) }, (doc: Y.Doc) => doc.getText('x')],
    [(doc: Y.Doc) => {
      doc.getText('x').insertEmbed(0, new Y.Map())
      doc.getText('x').insert(1, 'text behind')
    }, (doc: Y.Doc) => doc.getText('x')],
    [(doc: Y.Doc) => { doc.getArray('x').insert(0, [new Y.XmlElement('p'), null, 1]) }, (doc: Y.Doc) => doc.getArray('x')],
    [(doc: Y.Doc) => { doc.getXmlFragment('x').insert(0, [new Y.XmlElement('p'), new Y.XmlText('text')]) }, (doc: Y.Doc) => doc.getXmlFragment('x')]
  ] as const) {
    const doc = new Y.Doc()
    fill(doc)
    const other = elsewhere(doc)
    JSON.stringify(readPlain(other, ''))
    assert.equal(get(other).toJSON(), get(doc).toJSON())
  }
})

test('what JSON has no word for is read as what comes nearest', () => {
  const doc = new Y.Doc()
  const map = doc.getMap('m')
  map.set('small', 10n)
  map.set('large', 2n ** 60n)
  map.set('within', { list: [1n, Uint8Array.of(7)] })
  map.set('sub', new Y.Doc())
  const read = { small: 10, large: '1152921504606846976', within: { list: [1, [7]] }, sub: {} }
  for (const each of [doc, elsewhere(doc)]) assert.equal(JSON.parse(JSON.stringify(readPlain(each, 'm'))), read)
  assert.is(readPlain(doc, 'm/large'), '1152921504606846976')
})

test.run()
