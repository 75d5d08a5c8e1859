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

/** Longest delay one platform timer can wait (24.8 days); a longer one would fire at once, so it is waited in steps. */
const TIMER_MS_MAX = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after (delayMs, callback) {
    let timer: unknown
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, TIMER_MS_MAX)
      timer = setTimeout(() => {
        if (leftMs > stepMs) arm(leftMs - stepMs)
        else callback()
      }, stepMs)
      if (hasUnref(timer)) timer.unref()
    }
    arm(delayMs)
    return () => { clearTimeout(timer as ReturnType<typeof setTimeout>) }
  }
}

/** Resolves after `delayMs`; rejects with ABORTED as soon as the signal fires. */
export async function sleep (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const givenUp = (): SwarmError => new SwarmError('ABORTED', 'a wait was given up', { cause: signal?.reason })
  if (signal?.aborted === true) throw givenUp()
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel()
      reject(givenUp())
    }
    const cancel = clock.after(delayMs, () => {
      forget?.()
      resolve()
    })
    const forget = signal === undefined ? undefined : whenAborted(signal, onAbort)
  })
}

/**
 * A signal that fires after `delayMs` or with any of `signals`; call `done` when the work has ended, or the timer stays.
 * It fires with the parent's own reason, or with SwarmError TIMEOUT.
 */
export function deadline (clock: Clock, delayMs: number, ...signals: (AbortSignal | undefined)[]): { signal: AbortSignal, done: () => void } {
  const controller = new AbortController()
  const parents = signals.filter(signal => signal !== undefined)
  const forget: (() => void)[] = []
  const done = (): void => {
    cancel()
    for (const stop of forget) stop()
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
    forget.push(whenAborted(parent, () => {
      done()
      controller.abort(parent.reason)
    }))
  }
  return { signal: controller.signal, done }
}

/** Who waits for each signal: one listener on it for all of them, since Node warns of a leak at the eleventh. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/** @param signal has not fired @returns the way to stop */
function whenAborted (signal: AbortSignal, listener: () => void): () => void {
  let listeners = waiting.get(signal)
  if (listeners === undefined) {
    const all = listeners = new Set<() => void>()
    waiting.set(signal, all)
    signal.addEventListener('abort', () => { for (const each of [...all]) each() }, { once: true })
  }
  const own = (): void => { listener() } // one that waits twice is two
  const known = listeners.add(own)
  return () => { known.delete(own) }
}

/** Runs once everything already due in this turn of the event loop has run: the moment to flush what a turn has gathered. */
export function afterTurn (callback: () => void): void {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown }
  if (setImmediate !== undefined) setImmediate(callback)
  else {
    // A page's timers wait 4 ms when nested and a second in the background; messages do neither.
    turns ??= openTurns()
    turns.waiting.push(callback)
    turns.port.postMessage(0)
  }
}

interface Turns { readonly port: MessagePort, readonly waiting: (() => void)[] }

let turns: Turns | undefined

function openTurns (): Turns {
  const channel = new MessageChannel()
  const waiting: (() => void)[] = []
  channel.port1.onmessage = () => { waiting.shift()?.() }
  if (hasUnref(channel.port1)) channel.port1.unref()
  return { port: channel.port2, waiting }
}

function hasUnref (timer: unknown): timer is { unref: () => void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer
}
