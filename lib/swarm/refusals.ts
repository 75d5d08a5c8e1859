/** Connections that did not lead to admission, and dials that led to none: remembered for `status`. */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection } from '../base/network.ts'

/** Refusals remembered, newest last. */
export const REFUSALS_MAX = 32

export interface Refusal {
  readonly peerId: string
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly code: string
  /** `details.reason` of the error, if it has one. */
  readonly reason: string | null
  readonly message: string
  readonly atMs: number
}

export class Refusals {
  readonly #clock: Clock
  readonly #all: Refusal[] = []

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Newest last. */
  get all (): readonly Refusal[] {
    return this.#all
  }

  /** Somebody on a connection was not let in. */
  refused ({ peerId, address, direction }: Pick<Connection, 'peerId' | 'address' | 'direction'>, error: unknown): void {
    const code = error instanceof SwarmError ? error.code : 'NOT_ADMITTED'
    const reason = error instanceof SwarmError ? error.details['reason'] : undefined
    this.#note({ peerId, address, direction, code, reason: typeof reason === 'string' ? reason : null, message: error instanceof Error ? error.message : String(error) })
  }

  /** A peer could not be dialled. */
  undialled (peerId: string, code: string, message: string): void {
    this.#note({ peerId, address: '', direction: 'outbound', code, reason: null, message })
  }

  #note (refusal: Omit<Refusal, 'atMs'>): void {
    this.#all.push({ ...refusal, atMs: this.#clock.wallMs() })
    if (this.#all.length > REFUSALS_MAX) this.#all.shift()
  }
}
