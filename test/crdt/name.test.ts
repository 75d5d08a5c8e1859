import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NAME_CHARS_MAX, checkName, documentKey } from '../../crdt/name.ts'
import { SwarmError } from '../../lib/base/error.ts'

for (const name of ['a', 'notes', 'plan/2026 (draft)', 'é', '日本語', '🚀', 'a  b', 'x'.repeat(NAME_CHARS_MAX), '🚀'.repeat(NAME_CHARS_MAX), '../../etc', '__proto__', '"']) {
  test(`takes ${JSON.stringify(name.slice(0, 20))}, ${[...name].length} characters`, () => {
    checkName(name)
    assert.match(documentKey(name), /^[0-9a-f]{32}$/)
  })
}

for (const [what, name, reason] of [
  ['nothing', '', /empty/],
  ['one character too many', 'x'.repeat(NAME_CHARS_MAX + 1), /more than 128/],
  ['a million characters', 'x'.repeat(1_000_000), /more than 128/],
  ['a line break', 'a\nb', /cannot be seen/],
  ['a null', 'a\0', /cannot be seen/],
  ['a mark of direction', 'a\u202eb', /cannot be seen/],
  ['a joiner', 'a\u200db', /cannot be seen/],
  ['half a pair', 'a\ud800', /cannot be seen/],
  ['a space that does not break', 'a\u00a0b', /cannot be seen/],
  ['a line separator', 'a\u2028b', /cannot be seen/],
  ['a private character', '\ue000', /cannot be seen/],
  ['a space before', ' a', /begins or ends/],
  ['a space after', 'a ', /begins or ends/],
  ['an accent apart from its letter', 'e\u0301', /normal form/],
  ['a number', 7 as unknown as string, /not a text/]
] as const) {
  test(`refuses ${what}`, () => {
    assert.throws(() => documentKey(name), (error: unknown) => error instanceof SwarmError && error.code === 'NAME_INVALID' && reason.test(error.message) && error.message.length < 2_000)
  })
}

test('a key stays what it is, and two names have two', () => {
  assert.is(documentKey('notes'), FROZEN)
  assert.is.not(documentKey('notes'), documentKey('Notes'))
})

const FROZEN = '6642ee7932c921e1991b3b0a986f9da0'

test.run()
