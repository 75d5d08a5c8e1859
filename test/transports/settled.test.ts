import { test } from 'uvu'
import { settled } from '../../transports/settled.ts'
import { within } from '../support/within.ts'

const never = new Promise<never>(() => {})

test('ends with the work, either way, and with the signal', async () => {
  await within(1_000, 'work done', settled(Promise.resolve(), new AbortController().signal))
  await within(1_000, 'work failed', settled(Promise.reject(new Error('failed')), new AbortController().signal))
  const stop = new AbortController()
  const waiting = settled(never, stop.signal)
  stop.abort()
  await within(1_000, 'the signal', waiting)
})

test('does not wait for a signal that has fired already', async () => {
  await within(1_000, 'the end', settled(never, AbortSignal.abort()))
})

test.run()
