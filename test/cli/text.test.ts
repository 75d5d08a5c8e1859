import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { painter } from '../../lib/cli/paint.ts'
import { table } from '../../lib/cli/table.ts'
import { plainLine, plainText, shorten } from '../../lib/cli/text.ts'

for (const [name, hostile, plain] of [
  ['colour', 'a\u001b[31mb\u001b[0m', 'ab'],
  ['a cleared screen', '\u001b[2J\u001b[Hx', 'x'],
  ['a title', '\u001b]0;owned\u0007x', 'x'],
  ['a link', '\u001b]8;;http://example.org\u001b\\text\u001b]8;;\u001b\\', 'text'],
  ['an eight-bit sequence', '\u009b31mx', 'x'],
  ['a device control string', '\u001bPq#0\u001b\\x', 'x'],
  ['a sequence that never ends', 'x\u001b]0;abc', 'x'],
  ['a lone escape', 'x\u001b', 'x'],
  ['a bell and backspaces', 'rm\u0007\b\bls', 'rmls'],
  ['text shown backwards', '\u202etxt.exe\u202c', 'txt.exe'],
  ['isolates and marks', '\u2066a\u2069\u200f\u200b\ufeffb', 'ab'],
  ['a carriage return', 'good\rbad', 'good bad'],
  ['lines', 'a\n  b\u2028c', 'a b c'],
  ['ordinary words', 'Größe – 中文 👍', 'Größe – 中文 👍']
] as const) {
  test(`makes plain: ${name}`, () => { assert.is(plainLine(hostile), plain) })
}

test('keeps lines and tabs of a longer text, and nothing else that steers', () => {
  assert.is(plainText('a\r\n\tb\rc\u001b[1mX\u0000\u202e'), 'a\n\tb\ncX')
})

test('shortens by characters, with a mark', () => {
  assert.is(shorten('abc', 3), 'abc')
  assert.is(shorten('👍👍👍👍', 3), '👍👍…')
})

for (const [name, isTerminal, env, painted] of [
  ['a terminal', true, {}, true],
  ['a pipe', false, {}, false],
  ['NO_COLOR', true, { NO_COLOR: '1' }, false],
  ['an empty NO_COLOR', true, { NO_COLOR: '' }, true],
  ['a dumb terminal', true, { TERM: 'dumb' }, false]
] as const) {
  test(`colour for ${name}: ${painted}`, () => {
    assert.is(painter(isTerminal, env)('red', 'x'), painted ? '\u001b[31mx\u001b[39m' : 'x')
  })
}

test('aligns columns and cuts the last to the width', () => {
  const paint = painter(false, {})
  assert.is(table(['A', 'LONG'], [['xyz', '1'], ['é', '2']], paint), 'A    LONG\nxyz  1\né    2')
  assert.is(table(['A', 'B'], [['x', 'y'.repeat(50)]], paint, 30), `A  B\nx  ${'y'.repeat(26)}…`)
})

test.run()
