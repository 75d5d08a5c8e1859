import { afterTurn, deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { Connection } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { Health, PROBE_MS } from './health.ts'

/** A connection under watch: the driver of its Health. */
export interface Watch {
  heard (): void
  /** Probes at once. */
  doubt (): void
  stop (): void
}

/**
 * Probes a connection for as long as it is watched.
 *
 * @param intervalMs asked before each round: it depends on how many connections there are
 * @param probe settles when the other end has answered, or the signal fires
 * @param silent called when a doubt was not answered in time
 * @param alive called at each sign of life
 * @param unreachable called at most once, after which the watch has stopped
 */
export function watch (connection: Connection, { clock, random, intervalMs, silent, alive, unreachable, probe: ask }: {
  readonly clock: Clock
  readonly random: Random
  readonly intervalMs: () => number
  readonly silent: () => void
  readonly alive: () => void
  readonly unreachable: () => void
  readonly probe: (connection: Connection, signal: AbortSignal) => Promise<unknown>
}): Watch {
  const health = new Health(clock.nowMs(), random, intervalMs())
  const stopping = new AbortController()
  let cancel = (): void => {}

  const arm = (): void => {
    cancel()
    // What has already arrived is read before anyone is judged by it: timers run before sockets.
    cancel = clock.after(Math.max(0, health.dueMs - clock.nowMs()), () => { afterTurn(judge) })
  }
  const judge = (): void => {
    if (stopping.signal.aborted) return
    const effect = health.tick(clock.nowMs(), intervalMs())
    if (effect === 'unreachable') {
      stop()
      return unreachable()
    }
    if (effect === 'probe') void probe()
    arm()
    if (effect === 'silent') silent()
  }
  const probe = async (): Promise<void> => {
    const { signal, done } = deadline(clock, PROBE_MS, stopping.signal)
    // A probe that fails is silence, whatever the error was: the core counts silence by its own clock.
    await ask(connection, signal).then(heard, () => undefined)
    done()
  }
  const heard = (): void => {
    health.heard(clock.nowMs())
    if (!stopping.signal.aborted) alive()
  }
  const stop = (): void => {
    cancel()
    stopping.abort()
  }

  arm()
  return {
    heard,
    doubt: () => {
      health.doubt(clock.nowMs())
      if (!stopping.signal.aborted) arm()
    },
    stop
  }
}
