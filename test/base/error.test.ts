import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES, SwarmError, assert as holds, isErrorCode, messageOf } from '../../lib/base/error.ts'

test('an error carries its code, message, cause and details', () => {
  const cause = new Error('below')
  const error = new SwarmError('TOO_LARGE', 'a frame of 9 bytes; limit 8', { cause, details: { limit: 8 } })
  assert.instance(error, Error)
  assert.is(error.name, 'SwarmError')
  assert.is(error.code, 'TOO_LARGE')
  assert.is(error.cause, cause)
  assert.equal(error.details, { limit: 8 })
  assert.equal(new SwarmError('CLOSED', 'shut').details, {})
  assert.not.ok('cause' in new SwarmError('CLOSED', 'shut'))
})

test('the codes are sorted, unique and alike in form', () => {
  assert.equal([...ERROR_CODES], [...new Set(ERROR_CODES)].sort())
  for (const code of ERROR_CODES) assert.match(code, /^[A-Z]+(_[A-Z]+)*$/)
})

test('only our codes are codes', () => {
  assert.is(isErrorCode('CLOSED'), true)
  for (const value of ['closed', 'toString', '', undefined, 1, null]) assert.is(isErrorCode(value), false)
})

test('a claim that does not hold is a bug, never a SwarmError', () => {
  holds(1, 'one')
  for (const claim of [false, 0, '', undefined, null]) {
    assert.throws(() => { holds(claim, 'it holds') }, (error: unknown) =>
      error instanceof Error && !(error instanceof SwarmError) && error.message === 'bug: it holds')
  }
})

test('whatever was thrown has words', () => {
  assert.is(messageOf(new SwarmError('CLOSED', 'shut')), 'shut')
  assert.equal([messageOf('text'), messageOf(undefined), messageOf({ a: 1 })], ['text', 'undefined', '[object Object]'])
})

test.run()
