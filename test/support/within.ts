import { systemClock } from '../../lib/base/clock.ts'

/** Waits for something that has to happen, and fails by name if it does not: uvu has no time-outs of its own. */
export async function within<Value> (delayMs: number, what: string, work: Promise<Value>): Promise<Value> {
  let cancel = (): void => {}
  const keepAlive = setInterval(() => {}, 1_000)
  try {
    return await Promise.race([work, new Promise<never>((_resolve, reject) => {
      cancel = systemClock.after(delayMs, () => { reject(new Error(`${what}: not within ${delayMs} ms`)) })
    })])
  } finally {
    clearInterval(keepAlive)
    cancel()
  }
}

/** The next turns of the event loop, until a claim holds. */
export async function until (what: string, claim: () => boolean, delayMs = 5_000): Promise<void> {
  let given = false
  await within(delayMs, what, (async () => {
    while (!claim() && !given) await new Promise(resolve => { setImmediate(resolve) })
  })()).finally(() => { given = true })
}
