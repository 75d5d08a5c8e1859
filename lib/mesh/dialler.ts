/**
 * Keeps wanted peers connected. Each wanted peer is connected, waiting for its next attempt (backoff.ts), queued for a
 * free slot, or being dialled; never dialled twice at once. A peer whose connection breaks is dialled again at once, ahead
 * of the queue. It looks at connections before admission: who admits them, and closes those that fail, stands above.
 *
 * Two peers that learn of each other at the same moment would both dial. So the lower id dials at once, the other GRACE_MS
 * later, if it is still needed; what slips through is settled by links.ts.
 */
import { deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { Backoff } from './backoff.ts'

/** Peers wanted at once; further ones are refused. */
export const WANTED_MAX = 10_000

/** Addresses kept for a peer; the rest is cut off. */
export const ADDRESSES_MAX = 16

/** Attempts at once; the last URGENT_SLOTS are kept for peers whose connection has just broken. */
export const DIALS_MAX = 16
export const URGENT_SLOTS = 4

/** Time for one attempt, in milliseconds. */
export const DIAL_MS = 5_000

/** How long the higher peer id waits for the lower one to dial, in milliseconds. */
export const GRACE_MS = 200

/** Changed addresses are tried at once, but two attempts start at least so far apart, in milliseconds: others choose the addresses. */
export const CHANGED_MS_MIN = 100

export interface DialEvents {
  /** An attempt failed; the next one is planned. `attempts` counts since the last connection that lasted. */
  failed: { readonly peerId: string, readonly error: SwarmError, readonly attempts: number }
}

/** How many attempts at once, and how long each may take. */
export interface DialLimits {
  readonly dialsMax: number
  /** Of those, kept for peers that are urgent. */
  readonly urgentSlots: number
  /** Whether the first attempt to each is urgent. Those after a break are, always. */
  readonly isFirstUrgent: boolean
  /** @param attempt 1 for the first since the last connection that lasted @returns milliseconds */
  readonly dialMs: (attempt: number) => number
}

const LIMITS: DialLimits = { dialsMax: DIALS_MAX, urgentSlots: URGENT_SLOTS, isFirstUrgent: false, dialMs: () => DIAL_MS }

export interface Progress {
  /** Those that are tried, in this order. */
  readonly addresses: readonly string[]
  /** Attempts since the last connection that lasted, the present one among them. */
  readonly attempts: number
  readonly isDialling: boolean
  /** Why the last attempt failed. */
  readonly failure: SwarmError | undefined
}

interface Wanted {
  readonly peerId: string
  readonly backoff: Backoff
  addresses: readonly string[]
  isUrgent: boolean
  startedMs: number
  /** The state: at most one of these is set; with none of them the peer is connected, queued, or has no address to dial. */
  cancelWait: (() => void) | undefined
  dialling: AbortController | undefined
  /** The addresses changed during an attempt, which is given up for a new one. */
  isStale: boolean
  failure: SwarmError | undefined
}

export class Dialler {
  readonly #network: Network
  readonly #clock: Clock
  readonly #random: Random
  readonly #graceMs: number
  readonly #limits: DialLimits
  readonly #events = new Emitter<DialEvents>()
  readonly #wanted = new Map<string, Wanted>()
  readonly #queue = new Set<Wanted>()
  readonly #urgent = new Set<Wanted>()
  readonly #dials = new Set<Promise<void>>()
  /** Open connections of every peer, wanted or not, admitted or not. */
  readonly #open = new Map<string, number>()
  readonly #stopListening: () => void
  #isClosed = false

  constructor ({ network, clock, random, graceMs = GRACE_MS, limits = LIMITS }: {
    readonly network: Network
    readonly clock: Clock
    readonly random: Random
    readonly graceMs?: number
    readonly limits?: DialLimits
  }) {
    this.#network = network
    this.#clock = clock
    this.#random = random
    this.#graceMs = graceMs
    this.#limits = limits
    this.#stopListening = network.onConnection(connection => { this.#connected(connection) })
  }

  on<Name extends keyof DialEvents> (name: Name, listener: (event: DialEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  wants (peerId: string): boolean {
    return this.#wanted.has(peerId)
  }

  /**
   * Keeps a peer connected from now on, or learns its new addresses: a set that differs is tried at once. Without addresses
   * the peer is not dialled, until some come.
   *
   * @param addresses the likeliest first, in which order they are tried
   * @param options.now dial at once whoever has the lower id
   * @returns false if WANTED_MAX peers are wanted already, or this is our own id
   */
  want (peerId: string, addresses: readonly string[], options: { readonly now?: boolean } = {}): boolean {
    if (this.#isClosed) throw new SwarmError('CLOSED', 'the dialler is closed')
    const kept = [...new Set(addresses)].slice(0, ADDRESSES_MAX)
    const wanted = this.#wanted.get(peerId)
    if (wanted !== undefined) {
      this.#update(wanted, kept, options.now ?? false)
      return true
    }
    if (this.#wanted.size >= WANTED_MAX || peerId === this.#network.peerId) return false
    const backoff = new Backoff(this.#random)
    const added: Wanted = { peerId, backoff, addresses: kept, isUrgent: this.#limits.isFirstUrgent, startedMs: Number.NEGATIVE_INFINITY, cancelWait: undefined, dialling: undefined, isStale: false, failure: undefined }
    this.#wanted.set(peerId, added)
    if (this.#open.has(peerId)) backoff.connected(this.#clock.nowMs())
    else this.#wait(added, backoff.nextMs() + (options.now === true || this.#network.peerId < peerId ? 0 : this.#graceMs))
    return true
  }

  /** No longer keeps the peer connected; an open connection stays. */
  forget (peerId: string): void {
    const wanted = this.#wanted.get(peerId)
    if (wanted === undefined) return
    this.#wanted.delete(peerId)
    this.#rest(wanted)
    wanted.dialling?.abort(new SwarmError('ABORTED', `peer ${peerId} is no longer wanted`))
  }

  /** Tries everyone anew that waits, as if for the first time: the network has changed, or the machine has slept. */
  hurry (): void {
    for (const wanted of this.#wanted.values()) {
      wanted.backoff.reset()
      if (wanted.cancelWait !== undefined) this.#wait(wanted, wanted.backoff.nextMs() + this.#spacingMs(wanted))
    }
  }

  /** What is being done about a wanted peer that is not connected; undefined for others. */
  progress (peerId: string): Progress | undefined {
    const wanted = this.#wanted.get(peerId)
    if (wanted === undefined || this.#open.has(peerId)) return undefined
    const { addresses, backoff, dialling, failure } = wanted
    return { addresses, attempts: backoff.attempts, isDialling: dialling !== undefined, failure }
  }

  /** The wanted peers. */
  peers (): string[] {
    return [...this.#wanted.keys()]
  }

  /** Gives every attempt up; resolves when they have ended. */
  async close (): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    for (const peerId of [...this.#wanted.keys()]) this.forget(peerId)
    await Promise.all(this.#dials)
  }

  #update (wanted: Wanted, addresses: readonly string[], now: boolean): void {
    const isChanged = addresses.length !== wanted.addresses.length || addresses.some(address => !wanted.addresses.includes(address))
    wanted.addresses = addresses
    if (this.#open.has(wanted.peerId) || !(isChanged || now)) return
    if (wanted.dialling !== undefined) {
      if (!isChanged) return
      wanted.isStale = true
      wanted.dialling.abort(new SwarmError('ABORTED', `peer ${wanted.peerId} has other addresses now`))
    } else if (addresses.length === 0) {
      this.#rest(wanted)
    } else if (!this.#isQueued(wanted)) {
      this.#wait(wanted, this.#spacingMs(wanted))
    }
  }

  #spacingMs (wanted: Wanted): number {
    return Math.max(0, wanted.startedMs + CHANGED_MS_MIN - this.#clock.nowMs())
  }

  /** Neither waits nor stands in the queue any more. */
  #rest (wanted: Wanted): void {
    wanted.cancelWait?.()
    wanted.cancelWait = undefined
    this.#queue.delete(wanted)
    this.#urgent.delete(wanted)
  }

  #isQueued (wanted: Wanted): boolean {
    return this.#queue.has(wanted) || this.#urgent.has(wanted)
  }

  #wait (wanted: Wanted, delayMs: number): void {
    this.#rest(wanted)
    if (wanted.addresses.length === 0) return
    const queue = (): void => {
      wanted.cancelWait = undefined
      ;(wanted.isUrgent ? this.#urgent : this.#queue).add(wanted)
      this.#next()
    }
    if (delayMs <= 0) queue()
    else wanted.cancelWait = this.#clock.after(delayMs, queue)
  }

  #next (): void {
    const { dialsMax, urgentSlots } = this.#limits
    for (const [waiting, slots] of [[this.#urgent, dialsMax], [this.#queue, dialsMax - urgentSlots]] as const) {
      for (const wanted of waiting) {
        if (this.#dials.size >= slots) break
        waiting.delete(wanted)
        const dial = this.#dial(wanted).finally(() => {
          this.#dials.delete(dial)
          this.#next()
        })
        this.#dials.add(dial)
      }
    }
  }

  async #dial (wanted: Wanted): Promise<void> {
    const { peerId, addresses } = wanted
    const giveUp = new AbortController()
    wanted.dialling = giveUp
    wanted.isUrgent = false
    wanted.startedMs = this.#clock.nowMs()
    const { signal, done } = deadline(this.#clock, this.#limits.dialMs(wanted.backoff.attempts), giveUp.signal)
    let error: SwarmError | undefined
    try {
      await this.#network.dial(peerId, addresses, signal)
    } catch (cause) {
      error = new SwarmError('UNREACHABLE', `peer ${peerId} could not be dialled at ${addresses.join(', ')}`, { cause, details: { peerId, addresses, sent: false } })
    } finally {
      done()
      wanted.dialling = undefined
    }
    this.#settle(wanted, error)
  }

  #settle (wanted: Wanted, error: SwarmError | undefined): void {
    const { backoff, peerId } = wanted
    if (this.#wanted.get(peerId) !== wanted || this.#open.has(peerId)) return
    if (wanted.isStale) {
      wanted.isStale = false
      return this.#wait(wanted, this.#spacingMs(wanted))
    }
    // No error, and yet nothing open: the connection has closed again before its dial resolved.
    const attempts = backoff.attempts
    wanted.failure = error
    this.#wait(wanted, backoff.nextMs())
    if (error !== undefined) this.#events.emit('failed', { peerId, error, attempts })
  }

  #connected (connection: Connection): void {
    const { peerId } = connection
    this.#open.set(peerId, (this.#open.get(peerId) ?? 0) + 1)
    const wanted = this.#wanted.get(peerId)
    if (wanted !== undefined) {
      this.#rest(wanted)
      wanted.failure = undefined
      wanted.backoff.connected(this.#clock.nowMs())
    }
    connection.onClose(() => { this.#disconnected(peerId) })
  }

  #disconnected (peerId: string): void {
    const open = (this.#open.get(peerId) ?? 0) - 1
    if (open > 0) return void this.#open.set(peerId, open)
    this.#open.delete(peerId)
    const wanted = this.#wanted.get(peerId)
    if (wanted === undefined) return
    wanted.backoff.disconnected(this.#clock.nowMs())
    if (wanted.dialling !== undefined) return
    wanted.isUrgent = wanted.backoff.attempts === 0
    this.#wait(wanted, wanted.backoff.nextMs())
  }
}
