import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SUGGESTIONS_MAX, SUGGEST_NAMES_MAX, SUGGEST_NAME_UNITS_MAX, SUGGEST_UNITS_MAX, nearestNames, suggestion } from '../../lib/mesh/suggest.ts'

const tools = ['read_file', 'write_file', 'list_directory', 'search_nodes', 'add', 'echo']

for (const [wanted, nearest] of [
  ['raed_fiel', ['read_file']],
  ['ecoh', ['echo']],
  ['raed_file', ['read_file']],
  ['readFile', ['read_file']],
  ['READ-FILE', ['read_file']],
  ['read', ['read_file']],
  ['directory', ['list_directory']],
  ['ad', ['add']],
  ['quite_another_thing', []],
  ['xy', []],
  ['', []]
] as const) {
  test(`suggests ${nearest.join(', ') || 'nothing'} for ${JSON.stringify(wanted)}`, () => {
    assert.equal(nearestNames(wanted, tools), nearest)
  })
}

test('suggests few names, each once', () => {
  const names = Array.from({ length: 100 }, (_, index) => `tool_${index}`)
  const nearest = nearestNames('tool', [...names, ...names])
  assert.is(nearest.length, SUGGESTIONS_MAX)
  assert.is(new Set(nearest).size, SUGGESTIONS_MAX)
})

test('looks at a bounded number of names of a bounded length', () => {
  let looked = 0
  function * endless (): Generator<string> {
    for (;;) yield `name_${looked++}`
  }
  function * endlesslyLong (): Generator<string> {
    for (;;) yield `${looked++}`.padEnd(SUGGEST_NAME_UNITS_MAX, 'n')
  }
  assert.ok(nearestNames('name', endless()).length > 0)
  assert.is(looked, SUGGEST_NAMES_MAX)
  looked = 0
  assert.equal(nearestNames('name', endlesslyLong()), [])
  assert.is(looked, SUGGEST_UNITS_MAX / SUGGEST_NAME_UNITS_MAX)
  const longest = 'n'.repeat(SUGGEST_NAME_UNITS_MAX)
  assert.equal(nearestNames(longest, [longest, `${longest}n`]), [longest])
  assert.equal(nearestNames('n'.repeat(1e6), [longest]), [longest])
})

test('quotes what other peers named', () => {
  assert.is(suggestion([]), '')
  assert.is(suggestion(['a', '\u001b[2J']), '; nearest: "a", "\\u001b[2J"')
})

test.run()
