/**
 * Which peers are linked with: all of them in a small swarm, in a larger one those that degree.ts picks, those that are being
 * used, and those that have come to us. It tells the dialler whom to keep connected, and closes links that are of no use.
 *
 * Nobody closes a link on which the other end may be about to call: whoever has no use for one says so (`part`), and the other
 * end, if it has none either, says the same and opens nothing on it any more; then it is closed, and neither is missed. Peers that
 * could not be reached are left out, and one of them is tried again now and then, so that the parts of a swarm that was cut in two find
 * each other.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { FULL_MAX, planLinks } from './degree.ts'
import type { Dialler } from './dialler.ts'
import type { Keeper } from './keeper.ts'
import type { Links } from './links.ts'
import { Summons } from './summons.ts'

/** How long changes are gathered before links are planned anew, and how long between two plans at most, in milliseconds. */
export const PLAN_MS = 1_000
export const PLAN_MS_MAX = 10_000

/** Dials in a row after which a peer is set aside, as one that cannot be reached. */
export const ATTEMPTS_MAX = 4

/** How often one that could not be reached is tried again, in milliseconds, give or take half: with links, and without any. */
export const HEAL_MS = 30_000
export const HEAL_MS_ALONE = 2_000

/** How long an end that has agreed to part opens nothing on a connection, in milliseconds. */
export const PART_MS = 2_000

/** Peers remembered that could not be reached. */
export const ABSENT_MAX = 10_000

export interface MeshOptions {
  readonly peerId: string
  readonly links: Links
  readonly dialler: Dialler
  readonly keeper: Keeper
  readonly clock: Clock
  readonly random: Random
  readonly addresses: (peerId: string) => readonly string[]
  /** Whether a peer is to be linked with in a swarm of any size. */
  readonly isKept: (peerId: string) => boolean
  /** Peers that share something with this one: each such group needs a graph of its own, and its links are in use. */
  readonly groups: () => readonly ReadonlySet<string>[]
  /** Says that this end has no use for a connection. */
  readonly part: (connection: Connection) => Promise<void>
}

export class Mesh {
  readonly #options: MeshOptions
  /** Peers to choose from. */
  readonly #pool = new Set<string>()
  readonly #absent = new Set<string>()
  /** Seen just now. */
  readonly #fresh = new Set<string>()
  /** Peers whose connection broke: dialled once, whether they are wanted or not. */
  readonly #missing = new Set<string>()
  /** Peers that somebody waits for. */
  readonly #summoned: Summons
  #wanted: ReadonlySet<string> = new Set()
  /** Since when links are of no use. */
  readonly #unusedMs = new Map<string, number>()
  /** Connections that this end has no use for, and those that both ends have none for. */
  readonly #asked = new WeakSet<Connection>()
  readonly #agreed = new WeakSet<Connection>()
  readonly #stops: (() => void)[]
  /** Links have been planned since there are more peers than are all linked with. */
  #isPlanned = false
  #cancelPlan: (() => void) | undefined
  #planMs = Infinity
  #cancelHeal: () => void = () => undefined
  #isClosed = false

  constructor (options: MeshOptions) {
    this.#options = options
    const { links, dialler, keeper, clock } = options
    this.#summoned = new Summons(links, dialler)
    this.#stops = [
      links.on('connected', ({ peerId }) => {
        this.#missing.delete(peerId)
        this.#absent.delete(peerId)
        this.#unusedMs.set(peerId, clock.nowMs())
        if (this.isWide) this.#planSoon(PLAN_MS)
      }),
      links.on('disconnected', ({ peerId }) => {
        this.#unusedMs.delete(peerId)
        if (this.isWide) this.#planSoon(PLAN_MS)
      }),
      keeper.on('missing', ({ peerId }) => { this.#miss(peerId) }),
      keeper.on('lost', ({ peerId }) => { this.#giveUp(peerId) }),
      dialler.on('failed', ({ peerId, attempts }) => { if (attempts >= ATTEMPTS_MAX || !this.#pool.has(peerId)) this.#giveUp(peerId) })
    ]
    this.#healLater()
  }

  /** Whether there are more peers than are all linked with. */
  get isWide (): boolean {
    return this.#pool.size >= FULL_MAX
  }

  /** Somebody has told where a peer is. */
  want (peerId: string): void {
    this.#absent.delete(peerId)
    this.#pool.add(peerId)
    if (this.isWide) this.#planSoon(PLAN_MS)
    if (this.#options.dialler.wants(peerId)) {
      this.#options.dialler.want(peerId, this.#options.addresses(peerId)) // at other addresses, perhaps
    } else {
      if (this.#fresh.size === 0) queueMicrotask(() => { this.#takeFresh() })
      this.#fresh.add(peerId)
    }
  }

  /** What is shared with whom has changed. */
  regroup (): void {
    if (this.isWide) this.#planSoon(PLAN_MS)
  }

  /** Whether a peer is being sought, or kept. */
  wants (peerId: string): boolean {
    return this.#fresh.has(peerId) || this.#options.dialler.wants(peerId)
  }

  /** A peer is no longer to be linked with. */
  forget (peerId: string): void {
    this.#fresh.delete(peerId)
    this.#absent.delete(peerId)
    this.#options.dialler.forget(peerId)
    if (this.#pool.delete(peerId) && this.#wanted.has(peerId)) this.#planSoon(PLAN_MS)
  }

  /** Others say that a peer is gone, and it is not linked. */
  gone (peerId: string): void {
    if (this.isWide && this.#options.links.get(peerId) === undefined) this.#setAside(peerId)
  }

  /**
   * A connection to a peer: the one there is, or a fresh one.
   *
   * @throws SwarmError UNREACHABLE, ABORTED, with `details.sent` false
   */
  async reach (peerId: string, signal: AbortSignal): Promise<Connection> {
    const { addresses, clock, links } = this.#options
    const linked = links.get(peerId)
    if (linked !== undefined && !this.#agreed.has(linked)) return linked
    if (linked !== undefined) await closed(linked, clock)
    const open = links.get(peerId)
    if (open !== undefined) return open
    const known = this.#isClosed ? [] : addresses(peerId)
    if (known.length === 0) throw new SwarmError('UNREACHABLE', `no connection to peer ${peerId}`, { details: { peerId, sent: false } })
    try {
      return await this.#summoned.dial(peerId, known, signal)
    } finally {
      this.#planSoon(PLAN_MS)
    }
  }

  /** The other end has no use for a connection. */
  heardPart (connection: Connection): void {
    const { clock, keeper, links, part } = this.#options
    const { peerId } = connection
    if (links.get(peerId) !== connection || this.#isUsed(peerId)) return void this.#asked.delete(connection)
    if (this.#asked.has(connection)) {
      keeper.excuse(peerId)
      this.#options.dialler.forget(peerId)
      connection.close().catch((cause: unknown) => { connection.abort(new SwarmError('CLOSED', `could not part from peer ${peerId}`, { cause })) })
    } else if (this.isWide && !this.#wanted.has(peerId)) {
      this.#agreed.add(connection)
      keeper.excuse(peerId)
      this.#options.dialler.forget(peerId)
      const cancel = clock.after(PART_MS, () => {
        this.#agreed.delete(connection)
        keeper.excuse(peerId, false)
      })
      connection.onClose(cancel)
      void part(connection)
    }
  }

  close (): void {
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    this.#cancelPlan?.()
    this.#cancelHeal()
  }

  #isUsed (peerId: string): boolean {
    const { groups, isKept, links } = this.#options
    return links.isHeld(peerId) || this.#summoned.has(peerId) || isKept(peerId) || groups().some(group => group.has(peerId))
  }

  #takeFresh (): void {
    if (this.#isClosed) return
    const fresh = [...this.#fresh]
    this.#fresh.clear()
    if (!this.isWide) {
      for (const peerId of fresh) this.#options.dialler.want(peerId, this.#options.addresses(peerId))
    } else if (!this.#isPlanned) this.#plan() // most of those that are being dialled turn out to be too many
    else this.#planSoon(PLAN_MS)
  }

  #planSoon (delayMs: number): void {
    const { clock } = this.#options
    const dueMs = clock.nowMs() + delayMs
    if (this.#isClosed || dueMs >= this.#planMs) return
    this.#cancelPlan?.()
    this.#planMs = dueMs
    this.#cancelPlan = clock.after(delayMs, () => { this.#plan() })
  }

  #plan (): void {
    const { addresses, clock, dialler, isKept, links, peerId: own } = this.#options
    this.#cancelPlan?.()
    this.#cancelPlan = undefined
    this.#planMs = Infinity
    const nowMs = clock.nowMs()
    const groups = this.#options.groups()
    const uses = links.peers().map(peerId => {
      const isHeld = links.isHeld(peerId) || this.#summoned.has(peerId) || isKept(peerId) || groups.some(group => group.has(peerId))
      if (isHeld) this.#unusedMs.set(peerId, nowMs)
      return { peerId, isHeld, isOurs: links.get(peerId)?.direction === 'outbound', unusedMs: nowMs - (this.#unusedMs.get(peerId) ?? nowMs) }
    })
    const { surplus, wanted } = planLinks(own, this.#pool, uses, groups)
    this.#wanted = wanted
    for (const peerId of wanted) if (!dialler.wants(peerId)) dialler.want(peerId, addresses(peerId))
    this.#isPlanned = this.isWide
    if (!this.isWide) return
    for (const peerId of dialler.peers()) {
      if (!wanted.has(peerId) && !isKept(peerId) && !this.#summoned.has(peerId) && !this.#missing.has(peerId)) dialler.forget(peerId)
    }
    for (const peerId of surplus) this.#part(peerId, nowMs)
    this.#planSoon(PLAN_MS_MAX)
  }

  #part (peerId: string, nowMs: number): void {
    const connection = this.#options.links.get(peerId)
    if (connection === undefined) return
    this.#unusedMs.set(peerId, nowMs) // who does not agree is asked again after as long
    this.#asked.add(connection)
    void this.#options.part(connection)
  }

  #miss (peerId: string): void {
    const { addresses, dialler } = this.#options
    if (!this.isWide || dialler.wants(peerId) || !this.#pool.has(peerId)) return // who has left in order is not missed
    this.#missing.add(peerId)
    dialler.want(peerId, addresses(peerId), { now: true })
  }

  /** A peer could not be dialled, or does not answer any more. */
  #giveUp (peerId: string): void {
    this.#missing.delete(peerId)
    if (!this.isWide || this.#options.isKept(peerId) || this.#options.links.get(peerId) !== undefined) return
    if (this.#pool.has(peerId) || this.#absent.has(peerId)) this.#setAside(peerId)
    else this.#options.dialler.forget(peerId) // nobody tells of it any more
  }

  #setAside (peerId: string): void {
    this.#pool.delete(peerId)
    this.#options.dialler.forget(peerId)
    this.#absent.delete(peerId)
    this.#absent.add(peerId)
    for (const oldest of this.#absent) {
      if (this.#absent.size <= ABSENT_MAX) break
      this.#absent.delete(oldest)
    }
    this.#planSoon(PLAN_MS)
  }

  #healLater (): void {
    const { addresses, clock, dialler, random } = this.#options
    this.#cancelHeal = clock.after((this.#options.links.size === 0 ? HEAL_MS_ALONE : HEAL_MS) * (0.5 + random.next()), () => {
      const peerId = [...this.#absent][Math.floor(random.next() * this.#absent.size)]
      if (peerId !== undefined && !dialler.wants(peerId)) {
        this.#missing.add(peerId)
        dialler.want(peerId, addresses(peerId), { now: true })
      }
      this.#healLater()
    })
  }
}

/** Resolves when a connection has closed, or after PART_MS. */
async function closed (connection: Connection, clock: Clock): Promise<void> {
  await new Promise<void>(resolve => {
    const cancel = clock.after(PART_MS, resolve)
    connection.onClose(() => {
      cancel()
      resolve()
    })
  })
}
