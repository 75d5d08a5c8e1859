import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { JSON_DEPTH_MAX, canonicalJson, isObject, parseObject } from '../../lib/base/json.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
console.log(`\nseed ${seed}`)

const isMalformed = (error: unknown): boolean => error instanceof SwarmError && error.code === 'MALFORMED'

function nested (depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

test('canonical JSON reads back as the same value', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
    assert.equal(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)))
  }), { seed })
})

test('the order in which members were set does not matter', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.string(), fc.jsonValue())), fc.nat(), (members, turn) => {
    const unique = [...new Map(members)]
    const turned = [...unique.slice(turn % (unique.length + 1)), ...unique.slice(0, turn % (unique.length + 1))]
    assert.is(canonicalJson(Object.fromEntries(turned)), canonicalJson(Object.fromEntries(unique)))
  }), { seed })
})

for (const [name, value, text] of [
  ['keys are sorted by code unit', { b: 1, a: 2, B: 3, '\u00e9': 4, '10': 5, '9': 6 }, '{"10":5,"9":6,"B":3,"a":2,"b":1,"é":4}'],
  ['undefined members are left out', { a: undefined, b: [undefined, null] }, '{"b":[null,null]}'],
  ['numbers are written as JSON writes them', [1e21, -0, 0.1, 1.0], '[1e+21,0,0.1,1]'],
  ['a key of the prototype is a key like others', JSON.parse('{"__proto__":1,"a":2}'), '{"__proto__":1,"a":2}'],
  ['a lone surrogate is escaped', '\ud800', '"\\ud800"']
] as const) {
  test(name, () => { assert.is(canonicalJson(value), text) })
}

for (const [name, value] of [['NaN', NaN], ['Infinity', [Infinity]], ['a function', { a: () => 1 }], ['a bigint', 1n], ['undefined', undefined]] as const) {
  test(`refuses ${name}`, () => { assert.throws(() => canonicalJson(value), isMalformed) })
}

test('nesting is accepted up to the limit and refused beyond', () => {
  canonicalJson(nested(JSON_DEPTH_MAX))
  assert.throws(() => canonicalJson(nested(JSON_DEPTH_MAX + 1)), isMalformed)
})

test('an object is parsed; anything else is refused by name', () => {
  assert.equal(parseObject('{"a":[1]}', 'a hello'), { a: [1] })
  for (const text of ['', '{', '[]', 'null', '"a"', '1', '{"a":1}x']) {
    assert.throws(() => parseObject(text, 'a hello'), (error: unknown) => isMalformed(error) && (error as Error).message.startsWith('a hello'))
  }
})

test('only objects are objects', () => {
  assert.equal([{}, [], null, 1, 'a'].map(isObject), [true, false, false, false, false])
})

test.run()
