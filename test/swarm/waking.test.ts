import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LOOK_MS, SLEPT_MS_MIN, watchSleep } from '../../lib/swarm/waking.ts'
import { VirtualClock } from '../support/clock.ts'

/** Its wall clock runs on while the machine sleeps; a stopped process finds its timers late. */
class SleepyClock extends VirtualClock {
  sleptMs = 0
  lateMs = 0

  override wallMs (): number {
    return super.wallMs() + this.sleptMs
  }

  override nowMs (): number {
    return super.nowMs() + this.lateMs
  }
}

test('tells once of each sleep, of the machine or of the process, and of nothing else', async () => {
  const clock = new SleepyClock()
  let wakes = 0
  const stop = watchSleep(clock, () => { wakes++ })
  await clock.advance(20 * LOOK_MS)
  assert.is(wakes, 0)
  clock.sleptMs += SLEPT_MS_MIN
  await clock.advance(5 * LOOK_MS)
  assert.is(wakes, 1, 'the machine slept')
  clock.lateMs += SLEPT_MS_MIN
  await clock.advance(5 * LOOK_MS)
  assert.is(wakes, 2, 'the process was stopped')
  clock.sleptMs += SLEPT_MS_MIN - 1_000
  clock.sleptMs -= 3_600_000
  await clock.advance(5 * LOOK_MS)
  assert.is(wakes, 2, 'a short stall, and a clock set back')
  stop()
  clock.sleptMs += 3_600_000
  await clock.advance(5 * LOOK_MS)
  assert.is(wakes, 2)
})

test.run()
