import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Bell } from '../../lib/documents/bell.ts'
import { VirtualClock } from '../support/clock.ts'

test('a bell rings once, at the earliest time it was set to, and can be set anew as it rings', async () => {
  const clock = new VirtualClock()
  const startMs = clock.nowMs()
  const rang: number[] = []
  const bell = new Bell(clock, () => {
    rang.push(clock.nowMs() - startMs)
    if (rang.length === 1) bell.set(clock.nowMs() + 50)
  })
  for (const delayMs of [300, 100, 200]) bell.set(startMs + delayMs)
  await clock.advance(1_000)
  assert.equal(rang, [100, 150])
  bell.set(startMs) // long ago: at once
  await clock.advance(1)
  assert.is(rang.length, 3)
  bell.set(clock.nowMs() + 10)
  bell.cancel()
  await clock.advance(1_000)
  assert.is(rang.length, 3)
  bell.set(clock.nowMs() + 10)
  await clock.advance(10)
  assert.is(rang.length, 4, 'after it was taken back too')
})

test.run()
