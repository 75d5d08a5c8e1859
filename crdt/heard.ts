/** The last envelope heard of each author: whoever names one before it that was not heard tells of a loss, deletes included. */
import type { Envelope } from './envelope.ts'

/** Authors whose last envelope is remembered; the one not heard for longest goes first. */
export const HEARD_MAX = 4_096

export class Heard {
  /** Sequences by author and incarnation. */
  readonly #last = new Map<string, number>()

  get count (): number {
    return this.#last.size
  }

  /** Whether an envelope before this one was missed. */
  hear ({ author, incarnation, sequence, previous }: Pick<Envelope, 'author' | 'incarnation' | 'sequence' | 'previous'>): boolean {
    const name = `${author}/${incarnation}`
    const last = this.#last.get(name) ?? 0
    if (sequence <= last) return false
    this.#last.delete(name)
    this.#last.set(name, sequence)
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= HEARD_MAX) break
      this.#last.delete(oldest)
    }
    return previous > last
  }
}
