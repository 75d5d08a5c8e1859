/**
 * Bounds what those cost who are not admitted: sockets still shaking hands, and connections still to say hello.
 *
 * Each is limited in time and in number. When the number is reached the oldest gives way, not the newest: a peer that means
 * it is through in milliseconds, so that a crowd holding its connections open as long as it may keeps nobody out.
 */
import type { Clock } from '../lib/base/clock.ts'
import { SwarmError } from '../lib/base/error.ts'

/** Longest a connection may stay open without being admitted. */
export const ADMISSION_MS_MAX = 10_000

/** Inbound connections open at once that are not admitted yet. */
export const UNADMITTED_MAX = 64

/** Longest an inbound socket may take to prove its key; before that, on a WebSocket's port, to become one. */
export const HANDSHAKE_MS_MAX = 5_000

/** Inbound sockets at once that have not proven their key yet. */
export const HANDSHAKES_MAX = 256

/** What can be put out. */
export interface Stranger {
  abort (error: Error): void
}

/** Keeps at most `limit` strangers; one more puts the oldest out. */
export class Waiting {
  readonly #limit: number
  readonly #doing: string
  readonly #strangers = new Set<Stranger>()

  /** @param doing what they wait for, in words */
  constructor (limit: number, doing: string) {
    this.#limit = limit
    this.#doing = doing
  }

  get size (): number {
    return this.#strangers.size
  }

  add (stranger: Stranger): void {
    this.#strangers.add(stranger)
    for (const oldest of this.#strangers) {
      if (this.#strangers.size <= this.#limit) return
      this.#strangers.delete(oldest)
      oldest.abort(new SwarmError('OVERLOADED', `more than ${this.#limit} connections ${this.#doing}`))
    }
  }

  delete (stranger: Stranger): void {
    this.#strangers.delete(stranger)
  }
}

/** Puts a stranger out after ADMISSION_MS_MAX. The returned function, called on admission and on close, takes that back. */
export function limitAdmission (stranger: Stranger, clock: Clock): () => void {
  return clock.after(ADMISSION_MS_MAX, () => {
    stranger.abort(new SwarmError('NOT_ADMITTED', `no admission within ${ADMISSION_MS_MAX} ms`))
  })
}
