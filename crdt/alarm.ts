/** Alarms about forks, each told once, and once more for every further envelope that shows it. */
import { SwarmError } from '../lib/base/error.ts'
import type { Effect } from './effect.ts'
import type { Envelope } from './envelope.ts'
import { Evidence } from './evidence.ts'
import type { Fork } from './fork.ts'
import { readUpdate, type Content } from './update.ts'

/** Alarms told; the same one is told again only when it has more evidence. */
export const ALARMS_MAX = 256

export interface Alarm extends Fork {
  readonly document: string
  /** Envelopes that contradict each other, as far as they are known: ours, and the other. */
  readonly evidence: readonly [ours: Uint8Array | undefined, theirs: Uint8Array | undefined]
  /** The peer that told of the other. */
  readonly from: string
}

export class Alarms {
  readonly #document: string
  readonly #evidence = new Evidence()
  /** Of each fork, how many pieces were told: 1, and 1 for each envelope. */
  readonly #told = new Map<string, number>()

  constructor (document: string) {
    this.#document = document
  }

  /** An envelope that was taken in, or published, with what its updates hold. */
  keep (envelope: Uint8Array, contents: readonly Content[]): void {
    this.#evidence.keep(envelope, contents)
  }

  /** The envelope kept that says a clock, if there is one. */
  find (fork: Fork): Uint8Array | undefined {
    return this.#evidence.find(fork)
  }

  /** Whether that fork was told of. */
  has ({ client, clock }: Fork): boolean {
    return this.#told.has(`${client}/${clock}`)
  }

  /** A peer sent an envelope that says a clock. @throws SwarmError MALFORMED if it does not */
  proven (from: string, { client, clock, envelope }: Fork & { readonly envelope: Uint8Array }, { author, updates }: Envelope): Effect[] {
    const isProof = updates.some(update => readUpdate(update).ranges.some(range => range.client === client && range.from <= clock && clock < range.to))
    if (!isProof) throw new SwarmError('MALFORMED', `an envelope of ${author} proves nothing`)
    // Nobody makes us doubt a client of whom we have found nothing ourselves.
    return this.has({ client, clock }) ? this.raise(from, { client, clock }, envelope) : []
  }

  /** @param theirs the envelope that says something else, if it is known */
  raise (from: string, fork: Fork, theirs?: Uint8Array): Effect[] {
    const name = `${fork.client}/${fork.clock}`
    const ours = this.find(fork)
    const pieces = 1 + (ours === undefined ? 0 : 1) + (theirs === undefined ? 0 : 1)
    const told = this.#told.get(name)
    if (pieces <= (told ?? 0) || (told === undefined && this.#told.size >= ALARMS_MAX)) return []
    this.#told.set(name, pieces)
    return [{ kind: 'alarm', alarm: { document: this.#document, ...fork, evidence: [ours, theirs], from } }]
  }
}
