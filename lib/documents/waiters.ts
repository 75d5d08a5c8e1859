/** Those who wait until changes of a document are on disk at other peers. */
import { deadline, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { SyncedOptions } from './document.ts'

export interface WaitersOptions {
  /** Of the document, for errors. */
  readonly name: string
  readonly clock: Clock
  /** How many linked peers have confirmed all up to a sequence. */
  readonly count: (sequence: number) => number
  /** Ask them to. */
  readonly ask: () => void
}

interface Waiter { readonly sequence: number, readonly peers: number, readonly resolve: () => void }

export class Waiters {
  readonly #options: WaitersOptions
  readonly #waiting = new Set<Waiter>()

  constructor (options: WaitersOptions) {
    this.#options = options
  }

  get size (): number {
    return this.#waiting.size
  }

  /** The highest sequence that somebody waits for. */
  get last (): number {
    let last = 0
    for (const { sequence } of this.#waiting) last = Math.max(last, sequence)
    return last
  }

  /** @param before is awaited first @throws SwarmError INVALID_OPTION, TIMEOUT, ABORTED, or the code with which `closing` fired */
  async wait (sequence: number, { peers = 1, signal, timeoutMs }: SyncedOptions, closing: AbortSignal, before: () => Promise<void>): Promise<void> {
    if (!Number.isInteger(peers) || peers < 0) throw new SwarmError('INVALID_OPTION', 'peers takes a whole number')
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) throw new SwarmError('INVALID_OPTION', `timeoutMs takes milliseconds from 0, not ${String(timeoutMs)}`)
    const bound = timeoutMs === undefined ? undefined : deadline(this.#options.clock, timeoutMs)
    const signals = [closing, signal, bound?.signal].filter(each => each !== undefined)
    const stops: (() => void)[] = []
    const given = new Promise<never>((_resolve, reject) => {
      for (const each of signals) {
        const give = (): void => { reject(this.#givenUp(each, peers)) }
        if (each.aborted) give()
        each.addEventListener('abort', give, { once: true })
        stops.push(() => { each.removeEventListener('abort', give) })
      }
    })
    try {
      await Promise.race([before(), given])
      await Promise.race([given, new Promise<void>(resolve => {
        const waiter: Waiter = { sequence, peers, resolve }
        stops.push(() => { this.#waiting.delete(waiter) })
        this.#waiting.add(waiter)
        this.check()
        if (this.#waiting.has(waiter)) this.#options.ask()
      })])
    } finally {
      bound?.done()
      for (const stop of stops) stop()
    }
  }

  /** Somebody may have confirmed something. */
  check (): void {
    for (const waiter of this.#waiting) {
      if (this.#options.count(waiter.sequence) < waiter.peers) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }

  #givenUp (signal: AbortSignal, peers: number): SwarmError {
    const what = `waiting until document ${JSON.stringify(this.#options.name)} is on disk at ${peers} other ${peers === 1 ? 'peer' : 'peers'}`
    const { reason } = signal as { reason: unknown }
    return reason instanceof SwarmError
      ? new SwarmError(reason.code, `${what}: ${reason.message}`, { cause: reason })
      : new SwarmError('ABORTED', `${what} was given up`, { cause: reason })
  }
}
