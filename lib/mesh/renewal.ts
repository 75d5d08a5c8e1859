/**
 * Makes another connection beside one that is silent (links.ts): the peer is dialled anew, where it is said to be now, while the old
 * connection may still answer. Whoever answers first serves; a new connection proves the peer's key and its grant like any other, so
 * that false words about where a peer is cost some dials, and no link.
 *
 * A peer that comes back under another address closes nothing, as nobody there knows of the old connection. To wait until silence
 * has proven that it is gone would take 5 s (health.ts).
 */
import { deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Links } from './links.ts'

/** Peers dialled anew at once; the others wait for their turn. */
export const RENEWALS_MAX = 8

/** Time for one attempt, in milliseconds. */
export const RENEWAL_MS = 2_000

/** Between two attempts, in milliseconds, for as long as the connection is silent; other addresses are tried at once. */
export const RENEWAL_PAUSE_MS = 500

interface Renewal {
  addresses: readonly string[]
  /** The state: at most one of these is set; with neither it waits for its turn. */
  dialling: AbortController | undefined
  cancelPause: (() => void) | undefined
}

export class Renewer {
  readonly #links: Links
  readonly #network: Network
  readonly #clock: Clock
  readonly #addresses: (peerId: string) => readonly string[]
  /** By peer; bounded by the links. */
  readonly #renewals = new Map<string, Renewal>()
  readonly #queue = new Set<Renewal>()
  readonly #dials = new Set<Promise<void>>()
  readonly #stops: (() => void)[]

  /** @param options.addresses where a peer may be, the likeliest first */
  constructor ({ links, network, clock, addresses }: {
    readonly links: Links
    readonly network: Network
    readonly clock: Clock
    readonly addresses: (peerId: string) => readonly string[]
  }) {
    this.#links = links
    this.#network = network
    this.#clock = clock
    this.#addresses = addresses
    this.#stops = [
      links.on('silent', ({ peerId, connection }) => { this.#renew(peerId, connection) }),
      links.on('moved', ({ peerId }) => { this.#end(peerId) }),
      links.on('disconnected', ({ peerId }) => { this.#end(peerId) })
    ]
  }

  /** Gives every attempt up; resolves when they have ended. */
  async close (): Promise<void> {
    for (const stop of this.#stops) stop()
    for (const peerId of [...this.#renewals.keys()]) this.#end(peerId)
    await Promise.all(this.#dials)
  }

  #renew (peerId: string, connection: Connection): void {
    const addresses = elsewhereFirst(this.#addresses(peerId), connection.address)
    const known = this.#renewals.get(peerId)
    const isNew = known === undefined || addresses.some(address => !known.addresses.includes(address))
    if (!isNew) return
    this.#end(peerId) // what is dialled now is not where it is said to be
    this.#renewals.set(peerId, { addresses, dialling: undefined, cancelPause: undefined })
    this.#wait(peerId)
  }

  #end (peerId: string): void {
    const renewal = this.#renewals.get(peerId)
    if (renewal === undefined) return
    this.#renewals.delete(peerId)
    this.#queue.delete(renewal)
    renewal.cancelPause?.()
    renewal.dialling?.abort(new SwarmError('ABORTED', `peer ${peerId} need not be dialled there`))
  }

  #wait (peerId: string): void {
    const renewal = this.#renewals.get(peerId)
    if (renewal === undefined) return
    if (!this.#links.isSilent(peerId)) return this.#end(peerId)
    this.#queue.add(renewal)
    this.#next()
  }

  #next (): void {
    for (const [peerId, renewal] of this.#renewals) {
      if (this.#dials.size >= RENEWALS_MAX) return
      if (!this.#queue.delete(renewal)) continue
      const dial = this.#dial(peerId, renewal).finally(() => {
        this.#dials.delete(dial)
        this.#next()
      })
      this.#dials.add(dial)
    }
  }

  async #dial (peerId: string, renewal: Renewal): Promise<void> {
    const giveUp = renewal.dialling = new AbortController()
    const { signal, done } = deadline(this.#clock, RENEWAL_MS, giveUp.signal)
    // One that fails changes nothing: the old connection may still answer, and is judged by its own silence. One that does not is
    // admitted soon, which tells of a move; or it is refused.
    await this.#network.dial(peerId, renewal.addresses, signal, { anew: true }).catch(() => undefined)
    done()
    renewal.dialling = undefined
    if (this.#renewals.get(peerId) !== renewal) return
    this.#renewals.delete(peerId) // and behind the others
    this.#renewals.set(peerId, renewal)
    renewal.cancelPause = this.#clock.after(RENEWAL_PAUSE_MS, () => {
      renewal.cancelPause = undefined
      this.#wait(peerId)
    })
  }
}

/** Those at the host that does not answer come last: the peer is somewhere else, or cannot be reached there. */
function elsewhereFirst (addresses: readonly string[], silent: string): string[] {
  const host = hostOf(silent)
  return [...addresses].sort((one, other) => Number(hostOf(one) === host) - Number(hostOf(other) === host))
}

/** The machine, or the relay, that an address leads to. */
export function hostOf (address: string): string {
  return address.split('/').slice(1, 3).join('/')
}
