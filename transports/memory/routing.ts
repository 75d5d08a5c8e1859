/**
 * Routing without a table: whoever asks, asks everybody whom a chain of admitted connections leads to, and who routes too.
 *
 * It is what a distributed hash table promises with nobody lying and nothing lost. What a peer provides ends with the peer.
 */
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { FindOptions, Routing } from '../../lib/base/network.ts'
import { checkProvide, checkWanted, nameOfKey } from '../routing.ts'

/** Longest wait for those that were asked. */
const ASK_MS_MAX = 5_000

/** What routing needs of the network it belongs to. */
export interface Router {
  readonly peerId: string
  readonly clock: Clock
  /** Set once the peer takes part. */
  readonly router: MemoryRouting | undefined
  addresses (): string[]
  /** Peers at the other ends of connections that both ends have admitted. */
  admitted (): Router[]
  /** Does something at another peer, later. */
  carry (to: string, deliver: () => void): void
}

export class MemoryRouting implements Routing {
  readonly #own: Router
  readonly #provided = new Set<string>()
  #isOpen = true

  constructor (own: Router) {
    this.#own = own
  }

  get size (): number {
    return nearest(this.#own).length
  }

  async provide (key: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#check(signal, 'provide')
    const name = nameOfKey(key)
    if (!this.#provided.has(name)) checkProvide(this.#provided.size)
    this.#provided.add(name)
  }

  withdraw (key: Uint8Array): void {
    this.#provided.delete(nameOfKey(key))
  }

  async find (key: Uint8Array, { signal, onFound }: FindOptions): Promise<void> {
    const name = nameOfKey(key)
    await this.#askAll('find', signal, there => {
      if (there.router?.provides(name) !== true) return undefined
      const addresses = there.addresses()
      return () => { onFound(there.peerId, addresses, there.peerId) }
    })
  }

  async locate (peerId: string, signal: AbortSignal): Promise<string[]> {
    let found: string[] = []
    await this.#askAll('locate', signal, there => {
      if (there.peerId !== peerId) return undefined
      const addresses = there.addresses()
      return () => { found = addresses }
    })
    return found
  }

  /** @param name of the key */
  provides (name: string): boolean {
    return this.#provided.has(name)
  }

  close (): void {
    this.#isOpen = false
    this.#provided.clear()
  }

  #check (signal: AbortSignal, what: string): void {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `${what}: this peer has closed`)
    checkWanted(signal, what)
  }

  /** @param ask runs at each other peer; what it returns runs here, when the answer is back */
  async #askAll (what: string, signal: AbortSignal, ask: (there: Router) => (() => void) | undefined): Promise<void> {
    this.#check(signal, what)
    const own = this.#own
    const bound = deadline(own.clock, ASK_MS_MAX, signal)
    const over = new Promise<void>(resolve => { bound.signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    const answers = circle(own).map(async there => {
      await new Promise<void>(resolve => {
        own.carry(there.peerId, () => {
          const answer = ask(there)
          there.carry(own.peerId, () => {
            if (this.#isOpen && !bound.signal.aborted) answer?.()
            resolve()
          })
        })
      })
    })
    await Promise.race([over, Promise.all(answers)])
    bound.done()
    this.#check(signal, what)
  }
}

/** Everybody but oneself whom a chain of routing peers leads to. */
function circle (own: Router): Router[] {
  const known = new Set([own])
  for (const peer of known) for (const next of nearest(peer)) known.add(next)
  known.delete(own)
  return [...known]
}

function nearest (peer: Router): Router[] {
  return [...new Set(peer.admitted())].filter(({ router }) => router !== undefined)
}
