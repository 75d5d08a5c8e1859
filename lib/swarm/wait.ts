import { deadline, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'

export interface WaitOptions {
  /** Milliseconds. Default: for ever. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Waits until `look` finds something, looking again whenever `onNews` tells.
 *
 * @param what is waited for, to say in errors
 * @param closing ends every wait
 * @throws SwarmError TIMEOUT, ABORTED, or the code with which `closing` fired
 */
export async function waitFor<Found> (what: string, look: () => Found | undefined, { clock, closing, onNews }: {
  readonly clock: Clock
  readonly closing: AbortSignal
  /** Returns the way to stop. */
  readonly onNews: (listener: () => void) => () => void
}, { timeoutMs, signal }: WaitOptions): Promise<Found> {
  const bound = timeoutMs === undefined ? undefined : deadline(clock, timeoutMs)
  const signals = [closing, signal, bound?.signal].filter(each => each !== undefined)
  const stops: (() => void)[] = []
  try {
    return await new Promise<Found>((resolve, reject) => {
      for (const each of signals) {
        const onAbort = (): void => {
          reject(each.reason instanceof SwarmError
            ? new SwarmError(each.reason.code, `waiting for ${what}: ${each.reason.message}`, { cause: each.reason })
            : new SwarmError('ABORTED', `waiting for ${what} was given up`, { cause: each.reason }))
        }
        if (each.aborted) return onAbort()
        each.addEventListener('abort', onAbort, { once: true })
        stops.push(() => { each.removeEventListener('abort', onAbort) })
      }
      const check = (): void => {
        const found = look()
        if (found !== undefined) resolve(found)
      }
      stops.push(onNews(check))
      check()
    })
  } finally {
    bound?.done()
    for (const stop of stops) stop()
  }
}
