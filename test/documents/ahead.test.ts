import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AHEAD_BLOCKS, AHEAD_MS, Ahead } from '../../lib/documents/ahead.ts'
import { VirtualClock, settle } from '../support/clock.ts'

test('what changes at once is hashed once, a slice in each turn, one document after the other', async () => {
  const clock = new VirtualClock()
  const left = new Map([['a', 3], ['b', 1]])
  const slices: string[] = []
  const hash = (key: string, blocks: number): boolean => {
    assert.is(blocks, AHEAD_BLOCKS)
    slices.push(key)
    left.set(key, (left.get(key) as number) - 1)
    return left.get(key) !== 0
  }
  const ahead = new Ahead({ clock, hash, sign: () => { throw new Error('nothing was edited here') } })
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

test('the edits of a turn are signed once, after it', async () => {
  const signed: string[] = []
  const ahead = new Ahead({ clock: new VirtualClock(), hash: () => false, sign: key => { signed.push(key) } })
  for (const key of ['a', 'b', 'a']) ahead.edited(key)
  assert.equal(signed, [])
  await settle()
  assert.equal(signed, ['a', 'b'])
  ahead.edited('a')
  await settle()
  assert.equal(signed, ['a', 'b', 'a'])
  ahead.close()
})

test('once closed nothing more is hashed or signed', async () => {
  const clock = new VirtualClock()
  const never = (): never => { throw new Error('done ahead') }
  const ahead = new Ahead({ clock, hash: never, sign: never })
  ahead.edited('a')
  ahead.close()
  await clock.advance(AHEAD_MS)
})

test.run()
