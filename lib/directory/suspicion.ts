/**
 * Who is said to be gone.
 *
 * It is said by those that were linked to the peer. Whoever hears it passes it on once and waits SUSPECT_MS; a peer that lives
 * hears of it too, through whoever is linked to it, and refutes it by a record with a higher sequence. Only then, and only if this peer
 * is neither linked to it nor can dial it, does it count as gone. So a lie costs its victim a record and others nothing.
 */
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Circle } from './circle.ts'
import type { Change, Directory } from './directory.ts'
import type { Exchange } from './exchange.ts'
import type { PeerRecord } from './record.ts'
import type { Gone } from './wire.ts'

/** How long a peer that is said to be gone has to refute it, in milliseconds, and how much of chance is added. */
export const SUSPECT_MS = 1_500
export const SUSPECT_MS_MORE = 1_000

/** Peers that are dialled at once because they are said to be gone. */
export const VERIFIED_MAX = 8

/** Peers remembered that were doubted already, each once in each of its states. */
export const DOUBTED_MAX = 1_024

export interface SuspicionOptions {
  readonly directory: Directory
  readonly circle: Circle
  readonly clock: Clock
  readonly random: Random
  /** Whether a connection to a peer is open, and watched. */
  readonly isLinked: (peerId: string) => boolean
  /** Dials a peer that is said to be gone; resolves with whether it is linked now. */
  readonly verify: (peerId: string) => Promise<boolean>
  readonly onChange: (changes: readonly Change[]) => void
  /** Others think that we are gone: say something new. */
  readonly onAccused: () => void
}

export class Suspicion {
  readonly #options: SuspicionOptions
  readonly #suspects = new Map<string, () => void>()
  /** Suspects whose time is over, and who are to be dialled. */
  readonly #unverified = new Map<string, Gone>()
  #verifying = 0
  /** Of whom others think that they are gone, to be told as soon as they can be. */
  readonly #accused = new Map<string, Gone>()
  /** Peers that we said cannot be dialled, with their incarnation then. */
  readonly #doubted = new Map<string, number>()
  #isClosed = false

  constructor (options: SuspicionOptions) {
    this.#options = options
  }

  close (): void {
    this.#isClosed = true
    for (const cancel of this.#suspects.values()) cancel()
    this.#suspects.clear()
    this.#unverified.clear()
  }

  /** This peer was linked to one that is gone. */
  lost (peerId: string): void {
    const { circle, directory } = this.#options
    const held = directory.record(peerId)
    if (held === undefined) return
    const { incarnation, sequence } = held.record
    for (const exchange of circle.others(peerId)) exchange.sayGone([peerId, incarnation, sequence])
  }

  /**
   * This peer could not dial one that is said to live: the others are asked, once for each state of it, since it may be that only
   * we cannot.
   */
  doubt (peerId: string): void {
    const { directory, isLinked } = this.#options
    const held = directory.record(peerId)?.record
    if (held === undefined || !directory.isLiving(peerId) || isLinked(peerId) || this.#doubted.get(peerId) === held.incarnation) return
    this.#doubted.delete(peerId)
    this.#doubted.set(peerId, held.incarnation)
    for (const oldest of this.#doubted.keys()) {
      if (this.#doubted.size <= DOUBTED_MAX) break
      this.#doubted.delete(oldest)
    }
    this.#wait([peerId, held.incarnation, held.sequence])
  }

  /** A peer that was thought to be gone is heard again: it is to say something new, by which others know. */
  revived (exchange: Exchange, { peerId, incarnation, sequence }: PeerRecord): void {
    this.#accused.delete(peerId)
    exchange.sayGone([peerId, incarnation, sequence])
  }

  /** An exchange has had the other end's record. */
  met (exchange: Exchange): void {
    const accused = this.#accused.get(exchange.peerId)
    if (accused === undefined) return
    this.#accused.delete(exchange.peerId)
    exchange.sayGone(accused)
  }

  /** Another says that a peer is gone. */
  heard (from: Exchange, gone: Gone): void {
    const { circle, directory, isLinked, onAccused } = this.#options
    const [peerId, incarnation, sequence] = gone
    const held = directory.record(peerId)?.record
    if (held === undefined || held.left === true || !circle.may('rumours', from)) return
    const age = held.incarnation - incarnation || held.sequence - sequence
    if (peerId === directory.peerId) return age <= 0 ? onAccused() : from.announce()
    if (age > 0) return from.tell(peerId)
    if (age < 0 || !directory.isLiving(peerId)) return
    if (isLinked(peerId)) return this.#accuse(peerId, gone)
    this.#wait(gone, from)
  }

  /** A peer has said something new. */
  clear (peerId: string): void {
    this.#suspects.get(peerId)?.()
    this.#suspects.delete(peerId)
    this.#unverified.delete(peerId)
    this.#accused.delete(peerId)
  }

  /** Passes on that a peer is gone, and gives it time to refute it. */
  #wait (gone: Gone, from?: Exchange): void {
    const { circle, clock, random } = this.#options
    const [peerId] = gone
    if (this.#suspects.has(peerId) || this.#unverified.has(peerId)) return
    this.#suspects.set(peerId, clock.after(SUSPECT_MS + SUSPECT_MS_MORE * random.next(), () => {
      this.#suspects.delete(peerId)
      this.#unverified.set(peerId, gone)
      this.#verifyNext()
    }))
    for (const exchange of circle.others(peerId, from)) exchange.sayGone(gone)
  }

  /** Tells a peer that others think it gone, now or when it can be. */
  #accuse (peerId: string, gone: Gone): void {
    const exchange = this.#options.circle.with(peerId)
    if (exchange === undefined) this.#accused.set(peerId, gone)
    else exchange.sayGone(gone)
  }

  #verifyNext (): void {
    for (const [peerId, gone] of this.#unverified) {
      if (this.#verifying >= VERIFIED_MAX) return
      this.#unverified.delete(peerId)
      this.#verifying++
      void this.#verify(peerId, gone).finally(() => {
        this.#verifying--
        if (!this.#isClosed) this.#verifyNext()
      })
    }
  }

  async #verify (peerId: string, gone: Gone): Promise<void> {
    const { directory, clock, isLinked, onChange, verify } = this.#options
    const isGone = (): boolean => {
      const held = directory.record(peerId)?.record
      return held !== undefined && directory.isLiving(peerId) && held.incarnation === gone[1] && held.sequence === gone[2]
    }
    if (!isGone()) return
    const isReached = isLinked(peerId) || await verify(peerId)
    if (this.#isClosed || !isGone()) return
    if (isReached || isLinked(peerId)) return this.#accuse(peerId, gone)
    const changes = directory.remove(peerId, clock.nowMs())
    if (changes.length > 0) onChange(changes)
  }
}
