import { SwarmError } from './error.ts'

/** Time as an argument, so that tests can own it. The only file that may read the real one. */
export interface Clock {
  /** Milliseconds that never run backwards, from an unspecified start: for durations and deadlines. */
  nowMs (): number
  /** Milliseconds since 1970 UTC: only for what other machines or people read. */
  wallMs (): number
  /** Calls back once after at least `delayMs`; the returned function takes that back. Does not keep the process alive. */
  after (delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after (delayMs, callback) {
    const timer: unknown = setTimeout(callback, delayMs)
    if (hasUnref(timer)) timer.unref()
    return () => { clearTimeout(timer as ReturnType<typeof setTimeout>) }
  }
}

/** Resolves after `delayMs`; rejects with ABORTED as soon as the signal fires. */
export async function sleep (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel()
      reject(new SwarmError('ABORTED', 'a wait was given up', { cause: signal?.reason }))
    }
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/**
 * A signal that fires after `delayMs` or with any of `signals`; call `done` when the work has ended, or the timer stays.
 * It fires with the parent's own reason, or with SwarmError TIMEOUT.
 */
export function deadline (clock: Clock, delayMs: number, ...signals: (AbortSignal | undefined)[]): { signal: AbortSignal, done: () => void } {
  const controller = new AbortController()
  const parents = signals.filter(signal => signal !== undefined)
  const done = (): void => {
    cancel()
    for (const parent of parents) parent.removeEventListener('abort', onAbort)
  }
  const onAbort = (event: Event): void => {
    done()
    controller.abort((event.target as AbortSignal).reason)
  }
  const cancel = clock.after(delayMs, () => {
    done()
    controller.abort(new SwarmError('TIMEOUT', `no answer in ${delayMs} ms`))
  })
  for (const parent of parents) {
    if (parent.aborted) {
      done()
      controller.abort(parent.reason)
      break
    }
    parent.addEventListener('abort', onAbort, { once: true })
  }
  return { signal: controller.signal, done }
}

/** Runs once everything already due in this turn of the event loop has run: the moment to flush what a turn has gathered. */
export function afterTurn (callback: () => void): void {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown }
  if (setImmediate === undefined) setTimeout(callback, 0)
  else setImmediate(callback)
}

function hasUnref (timer: unknown): timer is { unref: () => void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer
}
