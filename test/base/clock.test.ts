import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Clock, afterTurn, deadline, sleep, systemClock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'

/** Time that moves when the test says so. */
function handClock (): Clock & { pass (ms: number): void, readonly armed: number } {
  let nowMs = 0
  const timers = new Set<{ dueMs: number, callback: () => void }>()
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after (delayMs, callback) {
      const timer = { dueMs: nowMs + delayMs, callback }
      timers.add(timer)
      return () => { timers.delete(timer) }
    },
    pass (ms) {
      nowMs += ms
      for (const timer of [...timers]) {
        if (timer.dueMs > nowMs) continue
        timers.delete(timer)
        timer.callback()
      }
    },
    get armed () { return timers.size }
  }
}

const codeOf = (error: unknown): string => error instanceof SwarmError ? error.code : String(error)

async function codeOfRejection (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'none', codeOf)
}

test('the real clock does not run backwards and calls back', async () => {
  const startMs = systemClock.nowMs()
  // An unrefed timer alone would let the process end.
  const alive = setInterval(() => {}, 1_000)
  await new Promise<void>(resolve => { systemClock.after(20, resolve) })
  clearInterval(alive)
  assert.ok(systemClock.nowMs() - startMs >= 19)
  assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1_000)
})

test('a delay longer than a platform timer can wait does not fire at once', async () => {
  let fired = false
  const cancels = [2 ** 31, 90 * 86_400_000, Infinity].map(delayMs => systemClock.after(delayMs, () => { fired = true }))
  await new Promise<void>(resolve => { setTimeout(resolve, 30) })
  for (const cancel of cancels) cancel()
  assert.is(fired, false)
})

test('a cancelled callback does not come', async () => {
  let fired = false
  systemClock.after(1, () => { fired = true })()
  await new Promise<void>(resolve => { setTimeout(resolve, 20) })
  assert.is(fired, false)
})

test('sleep ends with its delay', async () => {
  const clock = handClock()
  let awake = false
  const sleeping = sleep(clock, 10).then(() => { awake = true })
  clock.pass(9)
  await Promise.resolve()
  assert.is(awake, false)
  clock.pass(1)
  await sleeping
  assert.is(clock.armed, 0)
})

test('sleep is given up with ABORTED, before it starts and under way, and leaves no timer', async () => {
  const clock = handClock()
  assert.is(await codeOfRejection(sleep(clock, 10, AbortSignal.abort())), 'ABORTED')
  const controller = new AbortController()
  const sleeping = sleep(clock, 10, controller.signal)
  controller.abort()
  assert.is(await codeOfRejection(sleeping), 'ABORTED')
  assert.is(clock.armed, 0)
})

test('a deadline fires with TIMEOUT at its time', () => {
  const clock = handClock()
  const { signal } = deadline(clock, 10)
  clock.pass(9)
  assert.is(signal.aborted, false)
  clock.pass(1)
  assert.is(codeOf(signal.reason), 'TIMEOUT')
})

test('a hundred waits on one signal warn of no leak, and all end with it', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  const parent = new AbortController()
  const bounds = Array.from({ length: 100 }, () => deadline(systemClock, 60_000, parent.signal))
  const sleeps = Array.from({ length: 100 }, () => sleep(systemClock, 60_000, parent.signal).then(() => 'slept', () => 'given up'))
  bounds[0]?.done()
  parent.abort(new Error('enough'))
  assert.equal(new Set(await Promise.all(sleeps)), new Set(['given up']))
  assert.is(bounds.filter(({ signal }) => signal.aborted).length, 99)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', onWarning)
  assert.equal(warnings.map(String), [])
})

test('a deadline fires with its parent’s reason, whether that fires later or has already', () => {
  const clock = handClock()
  const [parent, other] = [new AbortController(), new AbortController()]
  const { signal } = deadline(clock, 10, undefined, other.signal, parent.signal)
  parent.abort(new SwarmError('CLOSED', 'shut'))
  assert.is(codeOf(signal.reason), 'CLOSED')
  assert.is(clock.armed, 0)
  assert.is(codeOf(deadline(clock, 10, other.signal, parent.signal).signal.reason), 'CLOSED')
  assert.is(clock.armed, 0)
})

test('a deadline that is done never fires', () => {
  const clock = handClock()
  const parent = new AbortController()
  const { signal, done } = deadline(clock, 10, parent.signal)
  done()
  clock.pass(100)
  parent.abort()
  assert.is(signal.aborted, false)
})

test('afterTurn runs after what is due in this turn, in order', async () => {
  const order: string[] = []
  await new Promise<void>(resolve => {
    afterTurn(() => order.push('first'))
    afterTurn(() => { order.push('second'); resolve() })
    queueMicrotask(() => order.push('microtask'))
    order.push('now')
  })
  assert.equal(order, ['now', 'microtask', 'first', 'second'])
})

test('afterTurn keeps order where there is no setImmediate, as in a page', async () => {
  const { setImmediate } = globalThis
  const alive = setInterval(() => {}, 1_000)
  Reflect.deleteProperty(globalThis, 'setImmediate')
  try {
    const order: number[] = []
    await new Promise<void>(resolve => {
      for (const turn of [1, 2, 3]) afterTurn(() => order.push(turn))
      afterTurn(resolve)
      assert.equal(order, [])
    })
    assert.equal(order, [1, 2, 3])
  } finally {
    globalThis.setImmediate = setImmediate
    clearInterval(alive)
  }
})

test.run()
