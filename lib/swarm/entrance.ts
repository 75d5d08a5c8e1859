/**
 * The way in by a ticket, before this peer belongs anywhere: dials everybody who may let it in, all at once, and shows the ticket
 * to one after another of those that answer.
 *
 * Whom to ask stands in the ticket, and whoever of that swarm is found meanwhile by other means may be asked too: an inviter
 * that was started again has other addresses. A refusal by an inviter of the ticket is the last word; one by anybody else may be
 * a stranger's, who only says that he is of the swarm.
 *
 * An inviter that answers and does not know the protocol of that swarm is of another, or is just starting: it is asked once more at the end.
 * If that is all that there is to hear of every inviter, the ticket is not one of theirs. They say nothing for that: a peer refuses
 * whatever it does not serve in the same way, and whoever shows a foreign ticket learns no more than that.
 */
import { swarmIdOf } from '../access/grant.ts'
import { REDEEM_MS_MAX, redeem, type Redeemed } from '../access/redeem.ts'
import type { Ticket } from '../access/ticket.ts'
import { deadline, sleep, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf, type ErrorCode } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'

/** How long the whole may take, in milliseconds. */
export const ENTER_MS_MAX = 20_000

/** How long after all inviters have failed others of the swarm are waited for, in milliseconds. */
export const LOOK_MS = 3_000

/** How long an inviter that is just starting has before it is asked once more, in milliseconds. */
export const AGAIN_MS = 1_000

/** Dials of inviters that the ticket names, and of others, in one entrance: whoever makes peers up keeps no inviter out. */
export const CANDIDATES_MAX = 64

/** How long one of them may take to answer a dial, in milliseconds. */
const DIAL_MS_MAX = REDEEM_MS_MAX

/** Refusals that another inviter would repeat. */
const FINAL: readonly ErrorCode[] = ['TICKET_INVALID', 'TICKET_EXPIRED', 'TICKET_USED']

/** What came of asking one inviter of the ticket: a program can act on it. */
export interface Attempt {
  readonly peerId: string
  readonly code: string
  readonly message: string
  /** Address by address, where it could not be dialled. */
  readonly causes: readonly string[]
}

export interface EntranceOptions {
  readonly ticket: Ticket
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  /** Looks for peers of the swarm by other means; returns the way to stop. Left out: only those of the ticket are asked. */
  readonly look?: (onFound: (peerId: string, addresses: readonly string[]) => void) => Promise<() => Promise<void>>
}

/**
 * @throws SwarmError TICKET_INVALID, TICKET_EXPIRED, TICKET_USED, CLOCK_OFF, UNAVAILABLE as an inviter says; TICKET_INVALID also if all
 *   inviters answer and none is of that swarm; UNREACHABLE if nobody answers; both with `details.inviters` (each an Attempt)
 */
export async function enterBy (options: EntranceOptions): Promise<Redeemed> {
  const entrance = new Entrance(options)
  try {
    return await entrance.enter()
  } finally {
    await entrance.close()
  }
}

class Entrance {
  readonly #options: EntranceOptions
  readonly #swarmId: string
  readonly #limit: ReturnType<typeof deadline>
  readonly #named: ReadonlySet<string>
  /** Addresses already dialled of each peer, as one text. */
  readonly #tried = new Map<string, string>()
  readonly #connected: Connection[] = []
  readonly #attempts = new Map<string, Attempt>()
  /** Inviters of the ticket that answered, and let nobody into its swarm. */
  readonly #strangers = new Set<string>()
  #hasAskedAgain = false
  readonly #refusals: SwarmError[] = []
  readonly #dials = { named: 0, other: 0 }
  #dialling = 0
  #isClosed = false
  #wake = (): void => undefined
  #stopLooking: () => Promise<void> = async () => undefined

  constructor (options: EntranceOptions) {
    this.#options = options
    this.#swarmId = swarmIdOf(options.ticket.swarmPublicKey)
    this.#limit = deadline(options.clock, ENTER_MS_MAX)
    this.#named = new Set(options.ticket.inviters.map(({ peerId }) => peerId))
  }

  async enter (): Promise<Redeemed> {
    const { ticket, look, clock } = this.#options
    for (const { peerId, addresses } of ticket.inviters) this.#dial(peerId, addresses)
    if (look !== undefined) this.#stopLooking = await look((peerId, addresses) => { this.#dial(peerId, addresses) })
    let untilMs: number | undefined
    for (;;) {
      const connection = this.#connected.shift()
      if (connection !== undefined) {
        const redeemed = await this.#ask(connection)
        if (redeemed !== undefined) return redeemed
      } else if (this.#limit.signal.aborted) {
        throw this.#failure()
      } else if (this.#dialling > 0) {
        await this.#changed()
      } else {
        const nowMs = clock.nowMs()
        untilMs ??= nowMs + (look !== undefined ? LOOK_MS : this.#strangers.size > 0 ? AGAIN_MS : 0)
        if (nowMs < untilMs) await this.#changed(untilMs - nowMs)
        else if (!this.#askAgain()) throw this.#failure()
      }
    }
  }

  async close (): Promise<void> {
    this.#isClosed = true // nobody is dialled any more
    this.#limit.done()
    await this.#stopLooking()
    await Promise.all(this.#connected.splice(0).map(leave))
  }

  #dial (peerId: string, addresses: readonly string[]): void {
    const { network, clock } = this.#options
    const which = [...addresses].sort().join(' ')
    if (this.#isClosed || this.#limit.signal.aborted || peerId === network.peerId || this.#tried.get(peerId) === which) return
    if (addresses.length === 0) return this.#note(peerId, new SwarmError('UNREACHABLE', 'the ticket names no address of it'))
    const kind = this.#named.has(peerId) ? 'named' : 'other'
    if (this.#dials[kind] >= CANDIDATES_MAX) return
    this.#dials[kind]++
    this.#tried.set(peerId, which)
    this.#dialling++
    const limit = deadline(clock, DIAL_MS_MAX, this.#limit.signal)
    network.dial(peerId, addresses, limit.signal).then(async connection => {
      if (this.#isClosed) return await leave(connection)
      this.#connected.push(connection)
    }, (error: unknown) => { this.#note(peerId, error) }).finally(() => {
      limit.done()
      this.#dialling--
      this.#wake()
    }).catch((error: unknown) => { this.#note(peerId, error) })
  }

  /** @returns whether somebody is dialled once more */
  #askAgain (): boolean {
    if (this.#hasAskedAgain || this.#strangers.size === 0) return false
    this.#hasAskedAgain = true
    for (const { peerId, addresses } of this.#options.ticket.inviters) {
      if (!this.#strangers.delete(peerId)) continue
      this.#tried.delete(peerId)
      this.#dial(peerId, addresses)
    }
    return this.#dialling > 0
  }

  async #ask (connection: Connection): Promise<Redeemed | undefined> {
    const { ticket, network, clock, random } = this.#options
    try {
      return await redeem(connection, ticket, { clock, random, peerId: network.peerId }, this.#limit.signal)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#note(connection.peerId, error)
      if (error.details['reason'] === 'unspoken' && this.#named.has(connection.peerId)) this.#strangers.add(connection.peerId)
      if (error.code !== 'UNREACHABLE' && error.code !== 'ABORTED') this.#refusals.push(error)
      if (FINAL.includes(error.code) && this.#named.has(connection.peerId)) throw error
      return undefined
    } finally {
      await leave(connection) // as a stranger: whoever is let in dials again, and says hello
    }
  }

  #note (peerId: string, error: unknown): void {
    const { code, details } = error instanceof SwarmError ? error : { code: 'UNREACHABLE', details: {} as Readonly<Record<string, unknown>> }
    const causes = Array.isArray(details['causes']) ? details['causes'].map(String) : []
    this.#attempts.set(peerId, { peerId, code, message: messageOf(error), causes })
  }

  /** Waits for the end of a dial, at most so long. */
  async #changed (boundMs = ENTER_MS_MAX): Promise<void> {
    const waking = new AbortController()
    const limit = deadline(this.#options.clock, ENTER_MS_MAX, this.#limit.signal, waking.signal)
    this.#wake = () => { waking.abort() }
    await sleep(this.#options.clock, boundMs, limit.signal).catch(() => undefined)
    limit.done()
  }

  #failure (): SwarmError {
    const { clock, ticket } = this.#options
    const [refusal] = this.#refusals
    if (refusal !== undefined) return refusal
    const attempts = [...this.#attempts.values()].filter(({ peerId }) => this.#named.has(peerId)) // of the others there may be any number
    const asked = attempts.map(({ peerId, causes, message }) => `${peerId} (${causes.length === 0 ? message : causes.join('; ')})`)
    const ended = clock.wallMs() >= ticket.terms.joinBeforeMs ? `. By the clock of this machine the ticket ended at ${new Date(ticket.terms.joinBeforeMs).toISOString()}` : ''
    if (this.#named.size > 0 && [...this.#named].every(peerId => this.#strangers.has(peerId))) {
      return new SwarmError('TICKET_INVALID', `the inviters that the ticket names answer, and let nobody into swarm ${this.#swarmId}: it is not theirs, or they are no admins of it`, {
        details: { reason: 'foreign', inviters: attempts }
      })
    }
    return new SwarmError('UNREACHABLE', `nobody who may let this peer into swarm ${this.#swarmId} could be reached: ${asked.length === 0 ? 'the ticket names nobody' : asked.join(', ')}${ended}`, {
      details: { inviters: attempts }
    })
  }
}

async function leave (connection: Connection): Promise<void> {
  await connection.close().catch((cause: unknown) => { connection.abort(new SwarmError('CLOSED', 'a redemption has ended', { cause })) })
}
