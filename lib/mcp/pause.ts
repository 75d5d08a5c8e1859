import type { Clock } from '../base/clock.ts'

/** Resolves after `delayMs`, or as soon as the signal fires: for loops that look at the signal themselves. */
export async function pause (clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => {
    const wake = (): void => {
      cancel()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(delayMs, wake)
    signal.addEventListener('abort', wake, { once: true })
  })
}
