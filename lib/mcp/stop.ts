/**
 * What ends a call before its time. Its AbortSignal, which costs several times what an ordinary call does, is made only
 * when somebody asks for it: most tools never do.
 */
export class Stop {
  readonly #listeners = new Set<(reason: unknown) => void>()
  #controller: AbortController | undefined
  #isAborted = false
  #reason: unknown

  /** Follows a signal; the returned function lets go of it. */
  static of (signal: AbortSignal): { stop: Stop, letGo: () => void } {
    const stop = new Stop()
    const onAbort = (): void => { stop.abort(signal.reason) }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    return { stop, letGo: () => { signal.removeEventListener('abort', onAbort) } }
  }

  get isAborted (): boolean {
    return this.#isAborted
  }

  get reason (): unknown {
    return this.#reason
  }

  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#isAborted) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Only the first counts. */
  abort (reason: unknown): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#reason = reason
    this.#controller?.abort(reason)
    for (const listener of this.#listeners) listener(reason)
    this.#listeners.clear()
  }

  /** Calls back when it is aborted, at once if it is; the returned function takes that back. */
  onAbort (listener: (reason: unknown) => void): () => void {
    if (this.#isAborted) listener(this.#reason)
    else this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }
}
