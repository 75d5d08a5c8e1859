/** Signals that ask a process to end, and its number. Source: POSIX.1-2017, signal.h. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * A signal that fires when this process is asked to end; asked a second time, it ends at once.
 * A reader of our output that goes away asks too: there is nobody left to print for.
 */
export function askedToEnd (): AbortSignal {
  const controller = new AbortController()
  for (const [name, number] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + number)
      controller.abort()
    })
  }
  process.stdout.on('error', () => { controller.abort() })
  return controller.signal
}

/** Resolves when the signal fires. */
export async function fired (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
