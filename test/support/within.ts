import { systemClock } from '../../lib/base/clock.ts'

/** How many times as long as is asked for is waited: bounds are for a quiet machine. Only what fails anyway takes longer for it. */
const PATIENCE = 4

/** Waits for something that has to happen, and fails by name if it does not: uvu has no time-outs of its own. */
export async function within<Value> (delayMs: number, what: string, work: Promise<Value>): Promise<Value> {
  let cancel = (): void => {}
  const keepAlive = setInterval(() => {}, 1_000)
  try {
    return await Promise.race([work, new Promise<never>((_resolve, reject) => {
      cancel = systemClock.after(delayMs * PATIENCE, () => { reject(new Error(`${what}: not within ${delayMs * PATIENCE} ms`)) })
    })])
  } finally {
    clearInterval(keepAlive)
    cancel()
  }
}

/** Turns of the event loop after each of which a claim is looked at, and the milliseconds between two looks after those. */
const TURNS = 20
const LOOK_MS = 2

/**
 * Waits until a claim holds: looks after each of the next turns of the event loop, and then now and then, since whoever looks without
 * end takes a core from what is waited for.
 */
export async function until (what: string, claim: () => boolean | Promise<boolean>, delayMs = 5_000): Promise<void> {
  let given = false
  await within(delayMs, what, (async () => {
    for (let turn = 0; !await claim() && !given; turn++) await new Promise(resolve => { if (turn < TURNS) setImmediate(resolve); else setTimeout(resolve, LOOK_MS) })
  })()).finally(() => { given = true })
}
