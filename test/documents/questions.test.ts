import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KEPT_MAX, KEPT_BYTES_MAX, Questions } from '../../lib/documents/questions.ts'

test('the last question about each document is kept, in the order of the first, and taken once', () => {
  const questions = new Questions()
  for (const [document, byte] of [['one', 1], ['two', 2], ['one', 3]] as const) questions.keep('alice', document, Uint8Array.of(byte))
  questions.keep('bob', 'one', Uint8Array.of(4))
  assert.equal(questions.take('alice'), [Uint8Array.of(3), Uint8Array.of(2)])
  assert.equal(questions.take('alice'), [])
  assert.equal(questions.take('bob'), [Uint8Array.of(4)])
})

test('a peer has so many questions kept, none of them too long', () => {
  const questions = new Questions()
  questions.keep('alice', 'long', new Uint8Array(KEPT_BYTES_MAX + 1))
  for (let number = 0; number < 2 * KEPT_MAX; number++) questions.keep('alice', `document ${number}`, new Uint8Array(KEPT_BYTES_MAX))
  questions.keep('alice', 'document 0', Uint8Array.of(7))
  const kept = questions.take('alice')
  assert.equal([kept.length, kept[0]], [KEPT_MAX, Uint8Array.of(7)])
})

test.run()
