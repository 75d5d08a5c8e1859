/**
 * Tells listeners of events by name. A listener that throws is a bug in the listener: it surfaces as an uncaught
 * exception of its own and keeps nobody else from hearing the event. One that has stopped listening hears nothing more,
 * not even the rest of an event under way.
 */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>()

  /** Starts listening; the returned function stops it. */
  on<Name extends keyof Events> (name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    const entry: Listener = { hear: listener }
    listeners.add(entry)
    return () => { listeners.delete(entry) }
  }

  emit<Name extends keyof Events> (name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name) ?? new Set<Listener>()
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue
      try {
        listener.hear(event as never)
      } catch (error) {
        queueMicrotask(() => { throw error })
      }
    }
  }
}

/** An entry of its own for each `on`, so that one function listening twice can stop once. */
interface Listener { hear (event: never): void }
