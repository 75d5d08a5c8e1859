/** Texts that many records have, the hash of a catalogue above all: each is held once, however many peers name it. */

/** Texts that are remembered; half of them, the older ones, go at once. What holds them keeps them. */
export const TEXTS_MAX = 1_024

export class Texts {
  readonly #held = new Map<string, string>()

  get size (): number {
    return this.#held.size
  }

  /** The same text, and where it is known the very one that others hold. */
  share (text: string): string {
    const known = this.#held.get(text)
    if (known !== undefined) return known
    if (this.#held.size >= TEXTS_MAX) for (const oldest of [...this.#held.keys()].slice(0, TEXTS_MAX / 2)) this.#held.delete(oldest)
    this.#held.set(text, text)
    return text
  }
}
