/** What has been opened, to be closed in reverse order, once, whatever fails on the way. */
export class Parts {
  readonly #closers: (() => Promise<void>)[] = []
  #closing: Promise<void> | undefined

  add (close: () => Promise<void>): void {
    this.#closers.push(close)
  }

  /** @throws the first error of a part, after all have been closed */
  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close (): Promise<void> {
    const errors: unknown[] = []
    for (const close of this.#closers.reverse()) {
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}
