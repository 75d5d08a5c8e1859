import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { concatBytes, equalBytes, fromBase64Url, textOf, toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
console.log(`\nseed ${seed}`)

const isMalformed = (error: unknown): boolean => error instanceof SwarmError && error.code === 'MALFORMED'

test('base64url is what Node makes of the same bytes, and comes back', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
    const text = toBase64Url(bytes)
    assert.is(text, Buffer.from(bytes).toString('base64url'))
    assert.ok(equalBytes(fromBase64Url(text), bytes))
  }), { seed })
})

test('a value has one base64url text: whatever is read is written the same', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ABQgw_-=+/ é'), maxLength: 8 })
  fc.assert(fc.property(text, text => {
    let bytes: Uint8Array
    try {
      bytes = fromBase64Url(text)
    } catch (error) {
      assert.ok(isMalformed(error))
      return
    }
    assert.is(toBase64Url(bytes), text)
  }), { seed, numRuns: 2_000 })
})

for (const [name, text] of [
  ['padding', 'QQ=='], ['the other alphabet', 'a+/a'], ['stray bits', 'QR'], ['an impossible length', 'QUJDQ'], ['white space', 'QU JD']
] as const) {
  test(`base64url refuses ${name}`, () => { assert.throws(() => fromBase64Url(text), isMalformed) })
}

test('text comes back from its bytes; other bytes are refused', () => {
  for (const text of ['é😀', '\ufeffmark']) assert.is(textOf(utf8(text)), text)
  assert.throws(() => textOf(Uint8Array.of(0xff)), isMalformed)
})

test('bytes are joined and compared', () => {
  const joined = concatBytes(Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3))
  assert.equal([...joined], [1, 2, 3])
  for (const [other, same] of [[[1, 2, 3], true], [[1, 2, 4], false], [[1, 2], false], [[1, 2, 3, 4], false]] as const) {
    assert.is(equalBytes(joined, Uint8Array.from(other)), same)
  }
})

test.run()
