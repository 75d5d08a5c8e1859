/** Peers that somebody waits for: dialled now, whether they are to be linked with or not, once for all that wait. */
import { SwarmError } from '../base/error.ts'
import type { Connection } from '../base/network.ts'
import type { Dialler } from './dialler.ts'
import type { Links } from './links.ts'

export class Summons {
  readonly #links: Links
  readonly #dialler: Dialler
  /** With how many that wait. */
  readonly #waiting = new Map<string, number>()

  constructor (links: Links, dialler: Dialler) {
    this.#links = links
    this.#dialler = dialler
  }

  /** Whether somebody waits for a peer. */
  has (peerId: string): boolean {
    return this.#waiting.has(peerId)
  }

  /**
   * Resolves with a connection as soon as there is one.
   *
   * @throws SwarmError with the code of the first attempt, usually UNREACHABLE; ABORTED, with `details.sent` false
   */
  async dial (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    this.#waiting.set(peerId, (this.#waiting.get(peerId) ?? 0) + 1)
    const stops: (() => void)[] = []
    try {
      return await new Promise<Connection>((resolve, reject) => {
        const giveUp = (): void => { reject(new SwarmError('ABORTED', `dialling peer ${peerId} was given up`, { cause: signal.reason, details: { peerId, sent: false } })) }
        if (signal.aborted) return giveUp()
        signal.addEventListener('abort', giveUp, { once: true })
        stops.push(
          () => { signal.removeEventListener('abort', giveUp) },
          this.#links.on('connected', event => { if (event.peerId === peerId) resolve(event.connection) }),
          this.#dialler.on('failed', event => { if (event.peerId === peerId) reject(event.error) })
        )
        this.#dialler.want(peerId, addresses, { now: true })
      })
    } finally {
      for (const stop of stops) stop()
      const others = (this.#waiting.get(peerId) ?? 1) - 1
      if (others === 0) this.#waiting.delete(peerId)
      else this.#waiting.set(peerId, others)
    }
  }
}
