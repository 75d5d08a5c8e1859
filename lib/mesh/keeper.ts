import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError } from '../base/error.ts'
import type { Dialler } from './dialler.ts'
import type { Links } from './links.ts'

/** How long a peer whose connection broke may take to be admitted again before it is lost, in milliseconds. */
export const REDIAL_MS = 1_000

export interface KeeperEvents {
  /** The connection to a peer broke, and it has until REDIAL_MS: somebody is to dial it. */
  missing: { readonly peerId: string }
  /** Take the peer out of routing. The dialler goes on in the background: `connected` of Links brings it back. */
  lost: { readonly peerId: string, readonly reason: SwarmError }
}

/**
 * Says when a peer is gone, and not merely its connection. A connection that broke is dialled again at once by the Dialler:
 * if the peer is admitted again within REDIAL_MS nothing is lost; if the dial is refused (the process is gone), or that
 * time passes, the peer is. A peer that was dropped, or gave no sign of life, is lost at once: it has had its chance.
 */
export class Keeper {
  readonly #events = new Emitter<KeeperEvents>()
  /** Peers that may come back, each with the way to stop waiting. Bounded by the connections there were. */
  readonly #missing = new Map<string, { readonly reason: SwarmError, readonly cancel: () => void }>()
  /** Peers that have said that they will close their connection, and live on. */
  readonly #excused = new Set<string>()
  readonly #stops: (() => void)[]

  constructor ({ links, dialler, clock }: { readonly links: Links, readonly dialler: Dialler, readonly clock: Clock }) {
    this.#stops = [
      links.on('connected', ({ peerId }) => {
        this.#excused.delete(peerId)
        this.#take(peerId)
      }),
      links.on('disconnected', ({ peerId, reason }) => {
        if (this.#excused.delete(peerId)) return
        if (reason.code !== 'CLOSED') return this.#events.emit('lost', { peerId, reason })
        const cancel = clock.after(REDIAL_MS, () => { this.#lose(peerId, `did not come back in ${REDIAL_MS} ms`) })
        this.#missing.set(peerId, { reason, cancel })
        this.#events.emit('missing', { peerId })
      }),
      dialler.on('failed', ({ peerId, error }) => { this.#lose(peerId, 'cannot be dialled again', error) })
    ]
  }

  on<Name extends keyof KeeperEvents> (name: Name, listener: (event: KeeperEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** The end of a peer's connection is agreed on: it is not lost. Until then, or until `connected`. */
  excuse (peerId: string, isExcused = true): void {
    if (isExcused) this.#excused.add(peerId)
    else this.#excused.delete(peerId)
  }

  isExcused (peerId: string): boolean {
    return this.#excused.has(peerId)
  }

  close (): void {
    for (const stop of this.#stops) stop()
    for (const peerId of [...this.#missing.keys()]) this.#take(peerId)
  }

  #take (peerId: string): SwarmError | undefined {
    const missing = this.#missing.get(peerId)
    missing?.cancel()
    this.#missing.delete(peerId)
    return missing?.reason
  }

  #lose (peerId: string, how: string, cause?: SwarmError): void {
    const reason = this.#take(peerId)
    if (reason === undefined) return
    this.#events.emit('lost', { peerId, reason: new SwarmError('UNREACHABLE', `peer ${peerId} ${how} after its connection broke`, { cause: cause ?? reason }) })
  }
}
