/**
 * Tells listeners of events by name. A listener that throws is a bug in the listener: it surfaces as an uncaught
 * exception of its own and keeps nobody else from hearing the event.
 */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>()

  /** Starts listening; the returned function stops it. */
  on<Name extends keyof Events> (name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => { listeners.delete(listener) }
  }

  emit<Name extends keyof Events> (name: Name, event: Events[Name]): void {
    for (const listener of [...this.#listeners.get(name) ?? []]) {
      try {
        (listener as (event: Events[Name]) => void)(event)
      } catch (error) {
        queueMicrotask(() => { throw error })
      }
    }
  }
}
