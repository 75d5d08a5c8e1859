/** Words that a peer's application wrote, and those of them that were acknowledged. */

export class Marks {
  /** Edits that counted as flushed here, or as synced at another peer: they must never be lost. */
  readonly acknowledged = new Set<string>()
  #edits: { readonly seq: number, readonly mark: string }[] = []

  wrote (seq: number, mark: string): void {
    this.#edits.push({ seq, mark })
  }

  /** All up to a sequence is where it is safe. */
  reach (seq: number): void {
    for (const { seq: own, mark } of this.#edits) if (own <= seq) this.acknowledged.add(mark)
  }

  /** What has not been acknowledged may be lost. */
  forget (): void {
    this.#edits = []
  }
}
