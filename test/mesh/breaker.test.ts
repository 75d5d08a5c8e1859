import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BREAKERS_MAX, Breaker, FAILURES_MAX, OPEN_MS_MAX, OPEN_MS_MIN } from '../../lib/mesh/breaker.ts'

function failing (times: number, nowMs = 0): Breaker {
  const breaker = new Breaker()
  for (let failure = 0; failure < times; failure++) breaker.failed('a', nowMs)
  return breaker
}

test('opens after failures in a row, and not before', () => {
  assert.is(failing(FAILURES_MAX - 1).admits('a', 0), true)
  assert.is(failing(FAILURES_MAX).admits('a', 0), false)
  assert.is(failing(FAILURES_MAX).admits('b', 0), true)
})

test('an answer between failures starts the count again', () => {
  const breaker = failing(FAILURES_MAX - 1)
  breaker.answered('a')
  breaker.failed('a', 0)
  assert.is(breaker.admits('a', 0), true)
  assert.is(breaker.size, 1)
  breaker.answered('a')
  assert.is(breaker.size, 0)
})

test('half open it admits one probe, whose answer closes it', () => {
  const breaker = failing(FAILURES_MAX)
  assert.is(breaker.admits('a', OPEN_MS_MIN - 1), false)
  assert.is(breaker.admits('a', OPEN_MS_MIN), true)
  breaker.started('a', OPEN_MS_MIN)
  assert.is(breaker.admits('a', OPEN_MS_MIN), false, 'a second probe')
  breaker.answered('a')
  assert.is(breaker.admits('a', OPEN_MS_MIN), true)
})

test('a failed probe doubles the open time, up to its limit', () => {
  const breaker = failing(FAILURES_MAX)
  let nowMs = 0
  for (const openMs of [1, 2, 4, 8, 16, 30, 30].map(factor => Math.min(OPEN_MS_MAX, factor * OPEN_MS_MIN))) {
    assert.is(breaker.admits('a', nowMs + openMs - 1), false)
    nowMs += openMs
    assert.is(breaker.admits('a', nowMs), true)
    breaker.started('a', nowMs)
    breaker.failed('a', nowMs)
  }
})

test('a probe whose caller gave up lets the next call probe', () => {
  const breaker = failing(FAILURES_MAX)
  breaker.started('a', OPEN_MS_MIN)
  breaker.abandoned('a')
  assert.is(breaker.admits('a', OPEN_MS_MIN), true)
})

test('remembers a bounded number of providers, the latest failures', () => {
  const breaker = new Breaker()
  for (let index = 0; index < BREAKERS_MAX + 5; index++) breaker.failed(`p${index}`, 0)
  for (let failure = 1; failure < FAILURES_MAX; failure++) breaker.failed(`p${BREAKERS_MAX + 4}`, 0)
  assert.is(breaker.size, BREAKERS_MAX)
  assert.is(breaker.admits(`p${BREAKERS_MAX + 4}`, 0), false)
})

test.run()
