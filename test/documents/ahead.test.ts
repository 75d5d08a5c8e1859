import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AHEAD_BLOCKS, AHEAD_MS, Ahead } from '../../lib/documents/ahead.ts'
import { VirtualClock } from '../support/clock.ts'

test('what changes at once is hashed once, a slice in each turn, one document after the other', async () => {
  const clock = new VirtualClock()
  const left = new Map([['a', 3], ['b', 1]])
  const slices: string[] = []
  const ahead = new Ahead(clock, (key, blocks) => {
    assert.is(blocks, AHEAD_BLOCKS)
    slices.push(key)
    left.set(key, (left.get(key) as number) - 1)
    return left.get(key) !== 0
  })
  for (const key of ['a', 'b', 'a']) ahead.changed(key)
  await clock.advance(AHEAD_MS - 1)
  assert.equal(slices, [])
  await clock.advance(1)
  assert.equal(slices, ['a', 'a', 'a', 'b'])
  left.set('b', 1)
  ahead.changed('b')
  await clock.advance(AHEAD_MS)
  assert.equal(slices.at(-1), 'b')
  assert.is(slices.length, 5)
})

test('once closed nothing more is hashed', async () => {
  const clock = new VirtualClock()
  const ahead = new Ahead(clock, () => { throw new Error('hashed') })
  ahead.changed('a')
  ahead.close()
  await clock.advance(AHEAD_MS)
})

test.run()
