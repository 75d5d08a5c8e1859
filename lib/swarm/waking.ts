import type { Clock } from '../base/clock.ts'

/** How often the clocks are compared, in milliseconds. */
export const LOOK_MS = 2_000

/** A gap of this many milliseconds means that the machine, or this process, has slept. */
export const SLEPT_MS_MIN = 6_000

/**
 * Calls back when this process has slept. A machine that sleeps stops the monotonic clock and not the wall clock; a process that is
 * stopped, or starved, finds its timer late. A wall clock that somebody sets forward looks the same, and costs one look around.
 *
 * @returns the way to stop
 */
export function watchSleep (clock: Clock, onWake: () => void): () => void {
  let cancel = (): void => {}
  const look = (): void => {
    const [wallMs, nowMs] = [clock.wallMs(), clock.nowMs()]
    cancel = clock.after(LOOK_MS, () => {
      const sleptMs = Math.max(clock.wallMs() - wallMs, clock.nowMs() - nowMs) - LOOK_MS
      look()
      if (sleptMs >= SLEPT_MS_MIN) onWake()
    })
  }
  look()
  return () => { cancel() }
}
