import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DISTRUST_MS, Trust, VAIN_DIALS_MAX } from '../../lib/base/trust.ts'

test('whoever cost so many dials is not believed for a while; others are', () => {
  const trust = new Trust()
  for (let dial = 0; dial < VAIN_DIALS_MAX; dial++) {
    assert.ok(trust.has('liar', dial))
    trust.lose('liar', dial)
  }
  const endMs = VAIN_DIALS_MAX - 1 + DISTRUST_MS
  assert.equal([trust.has('liar', endMs - 1), trust.has('honest', 0)], [false, true])
  assert.ok(trust.has('liar', endMs))
})

test('a peer that answers after all gives the word back', () => {
  const trust = new Trust()
  for (let dial = 0; dial < VAIN_DIALS_MAX; dial++) trust.lose('slow', 0)
  assert.not(trust.has('slow', 1))
  trust.regain('slow', 1)
  assert.ok(trust.has('slow', 1))
  trust.lose('slow', 2)
  assert.not(trust.has('slow', 2), 'the others still count')
  for (let dial = 0; dial < 2 * VAIN_DIALS_MAX; dial++) trust.regain('slow', 3)
  for (let dial = 0; dial < VAIN_DIALS_MAX; dial++) trust.lose('slow', 4)
  assert.not(trust.has('slow', 4), 'nobody gains more than it lost')
})

test('remembers so many and forgets the one longest unheard of', () => {
  const trust = new Trust()
  for (let dial = 0; dial < VAIN_DIALS_MAX; dial++) trust.lose('first', 0)
  for (let other = 0; other < 1_023; other++) trust.lose(`peer ${other}`, 0)
  assert.not(trust.has('first', 1))
  trust.lose('one more', 0)
  assert.ok(trust.has('first', 1))
})

test.run()
