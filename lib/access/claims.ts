/**
 * Which of several admins counts a use of a ticket when they are asked at one moment: before one counts a use it asks all the others that
 * it is linked with, and each of them promises as many uses as the ticket has left, to one claim each.
 *
 * Invariant: at every admin the uses in its ledger, those that it has promised and those that it is about to write are never more than
 * the ticket lets in. As a use needs the promise of all who are linked, two of them never give the same one away. Of claims that meet,
 * each made before the other was heard of, the lower peer id goes first; whoever loses takes its claim back, and tries again once the
 * other's use is known. An admin that is not linked, or keeps silent, is not waited for: see ledger.ts for what follows from that.
 */
import { sleep, type Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'

/** How long another admin may take to answer a claim, in milliseconds: a ticket must not fail because one of them sleeps. */
export const CLAIM_MS_MAX = 500

/** How long a promise holds, in milliseconds, unless it is taken back, or the use comes. */
export const PROMISE_MS = 5_000

/** How often a claim is made before it counts as one that cannot be decided now, and how long after one that was lost, in milliseconds. */
export const CLAIM_TRIES = 4
export const CLAIM_PAUSE_MS = 200

/** Promises held at once; further claims are refused. */
export const PROMISES_MAX = 1_000

export interface Claim {
  /** Public half of the ticket's secret, base64url. */
  readonly ticket: string
  /** Who comes by it. */
  readonly peerId: string
  /** How many may. */
  readonly uses: number
}

/** Another admin. */
export interface Rival {
  /** Resolves with whether it promises; true where it says nothing in time, or is gone. */
  claim (claim: Claim): Promise<boolean>
  /** Takes a claim back. */
  release (claim: Claim): void
}

interface Mark { readonly state: 'asking' | 'sure' | 'promised', readonly untilMs: number }

export class Claims {
  readonly #clock: Clock
  readonly #counted: (ticket: string) => ReadonlySet<string>
  /** By ticket and peer. */
  readonly #marks = new Map<string, Map<string, Mark>>()

  /** @param options.counted who has come by a ticket, as far as is known here */
  constructor ({ clock, counted }: { readonly clock: Clock, readonly counted: (ticket: string) => ReadonlySet<string> }) {
    this.#clock = clock
    this.#counted = counted
  }

  /**
   * Asks the others, and then writes.
   *
   * @param write counts the use here, as `Ledger.use`
   * @returns whether the peer may come, false once all uses are known to be taken
   * @throws SwarmError OVERLOADED if others are about to give it away and do not; or as `write` does
   */
  async use (claim: Claim, rivals: () => readonly Rival[], write: () => Promise<boolean>): Promise<boolean> {
    const { ticket, peerId, uses } = claim
    for (let attempt = 1; attempt <= CLAIM_TRIES; attempt++) {
      const counted = this.#counted(ticket)
      if (counted.has(peerId) || counted.size >= uses) return await write()
      if (await this.#win(claim, rivals())) {
        try {
          return await write()
        } finally {
          this.#unmark(claim)
        }
      }
      await sleep(this.#clock, CLAIM_PAUSE_MS)
    }
    throw new SwarmError('OVERLOADED', `another admin is letting somebody in by the same ticket, and does not come to an end (ticket ${ticket.slice(0, 8)}…)`)
  }

  /** Another admin claims a use. @returns whether it is promised */
  promise (claim: Claim): boolean {
    const { ticket, peerId, uses } = claim
    const known = this.#live(ticket)
    if (this.#counted(ticket).has(peerId) || known.get(peerId)?.state === 'promised') return true
    const first = [...known].filter(([other, { state }]) => state === 'asking' && other < peerId).length
    if (this.#taken(ticket, peerId) + first >= uses || this.#size >= PROMISES_MAX) return false
    if (known.get(peerId) === undefined) this.#mark(claim, 'promised') // the same peer may ask two admins: each counts it as one
    return true
  }

  /** Another admin takes its claim back. */
  release (claim: Pick<Claim, 'ticket' | 'peerId'>): void {
    if (this.#marks.get(claim.ticket)?.get(claim.peerId)?.state === 'promised') this.#unmark(claim)
  }

  async #win (claim: Claim, rivals: readonly Rival[]): Promise<boolean> {
    const { ticket, peerId, uses } = claim
    const asking = [...this.#live(ticket)].filter(([other, { state }]) => state === 'asking' && other !== peerId).length
    if (this.#taken(ticket, peerId) + asking >= uses) return false
    this.#mark(claim, 'asking')
    const promised = (await Promise.all(rivals.map(async rival => await rival.claim(claim)))).every(answer => answer)
    if (promised && this.#taken(ticket, peerId) < uses) {
      this.#mark(claim, 'sure') // in the same turn as the look
      return true
    }
    this.#unmark(claim)
    for (const rival of rivals) rival.release(claim)
    return false
  }

  /** Uses that are known here to be taken by others, or to be about to. */
  #taken (ticket: string, peerId: string): number {
    const counted = this.#counted(ticket)
    return counted.size + [...this.#live(ticket)].filter(([other, { state }]) => state !== 'asking' && other !== peerId && !counted.has(other)).length
  }

  #live (ticket: string): ReadonlyMap<string, Mark> {
    const marks = this.#marks.get(ticket) ?? new Map<string, Mark>()
    for (const [peerId, { untilMs }] of marks) if (untilMs <= this.#clock.nowMs()) this.#unmark({ ticket, peerId })
    return marks
  }

  #mark ({ ticket, peerId }: Claim, state: Mark['state']): void {
    const marks = this.#marks.get(ticket) ?? new Map<string, Mark>()
    this.#marks.set(ticket, marks)
    marks.set(peerId, { state, untilMs: state === 'promised' ? this.#clock.nowMs() + PROMISE_MS : Infinity })
  }

  #unmark ({ ticket, peerId }: Pick<Claim, 'ticket' | 'peerId'>): void {
    const marks = this.#marks.get(ticket)
    marks?.delete(peerId)
    if (marks?.size === 0) this.#marks.delete(ticket)
  }

  get #size (): number {
    let size = 0
    for (const ticket of [...this.#marks.keys()]) size += this.#live(ticket).size
    return size
  }
}
