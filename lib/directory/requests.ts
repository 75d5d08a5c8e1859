/**
 * Which catalogues of one peer are still to be asked for, are being waited for, or are settled.
 * A question without an answer is asked again, after longer and longer waits, for as long as the peer's record names it.
 */
import type { Clock } from '../base/clock.ts'

/** How long an answer may take before the question is repeated: first, and at most, after doubling. */
export const ANSWER_MS = 5_000
export const ANSWER_MS_MAX = 60_000

interface Request {
  tries: number
  /** Waits to be sent. */
  due: boolean
  cancel: () => void
}

interface Need {
  readonly follows: ReadonlySet<string>
  readonly anew: boolean
  readonly isHeld: (hash: string) => boolean
}

export class Requests {
  readonly #clock: Clock
  readonly #onDue: () => void
  readonly #open = new Map<string, Request>()
  readonly #settled = new Map<string, 'readable' | 'refused'>()

  /** @param onDue a question is to be repeated: call `next` */
  constructor (clock: Clock, onDue: () => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  /**
   * From now on exactly these are needed; bounded by the size of a record.
   *
   * @param need.follows those announced to come unasked: asked for only if they do not
   * @param need.anew the record is a new one, so what was refused may be allowed now
   * @param need.isHeld whether a catalogue that was answered is still here
   */
  need (hashes: ReadonlySet<string>, { follows, anew, isHeld }: Need): void {
    for (const [hash, request] of this.#open) {
      if (hashes.has(hash)) continue
      request.cancel()
      this.#open.delete(hash)
    }
    for (const [hash, state] of this.#settled) {
      if (!hashes.has(hash) || (state === 'refused' ? anew : !isHeld(hash))) this.#settled.delete(hash)
    }
    for (const hash of hashes) {
      if (this.#settled.has(hash) || this.#open.has(hash)) continue
      const request: Request = { tries: 0, due: !follows.has(hash), cancel: () => undefined }
      this.#open.set(hash, request)
      if (!request.due) this.#waitFor(request)
    }
  }

  /** The next catalogue to ask for; from then on its answer is waited for. */
  next (): string | undefined {
    for (const [hash, request] of this.#open) {
      if (!request.due) continue
      request.due = false
      this.#waitFor(request)
      return hash
    }
    return undefined
  }

  /** Whether an answer is welcome. */
  isOpen (hash: string): boolean {
    return this.#open.has(hash)
  }

  settle (hash: string, state: 'readable' | 'refused'): void {
    this.#open.get(hash)?.cancel()
    this.#open.delete(hash)
    this.#settled.set(hash, state)
  }

  close (): void {
    for (const request of this.#open.values()) request.cancel()
    this.#open.clear()
  }

  #waitFor (request: Request): void {
    request.cancel = this.#clock.after(Math.min(ANSWER_MS * 2 ** request.tries, ANSWER_MS_MAX), () => {
      request.tries++
      request.due = true
      this.#onDue()
    })
  }
}
