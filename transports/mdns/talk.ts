/**
 * When to speak on one link: asks and announces at the start, a few times, ever more rarely; asks seldom after that, and not at
 * all while others ask; answers after a short random wait, at most once a second, and only who does not know. So a hundred peers
 * that start together do not storm, and a swarm at rest is silent but for one question in some minutes.
 *
 * Sources: RFC 6762, sections 5.2, 6, 7.1, 7.3, 8.3.
 */
import type { Clock } from '../../lib/base/clock.ts'
import type { Random } from '../../lib/base/random.ts'
import type { Known } from './wire.ts'

/** Questions after the start, in milliseconds, each a little later by chance; then every REST_MS. */
export const ASK_AT_MS: readonly number[] = [20, 1_000, 3_000, 9_000, 27_000]
const ASK_SPREAD_MS = 100

/** A question by another, who knows nothing that we do not, is as good as ours for so long. */
const ASKED_MS = 1_000

/** Announcements after the start. */
export const ANNOUNCE_AT_MS: readonly number[] = [0, 1_000, 3_000]

/** Between questions when nothing changes; less a part of REST_SPREAD by chance, so that not all ask at once. */
export const REST_MS = 300_000
const REST_SPREAD = 0.4

/** Between attempts while nothing can be sent or heard. */
export const RETRY_MS = 5_000

/** An answer waits for others to say what it would. */
const ANSWER_MS_MIN = 20
const ANSWER_MS_MAX = 120

/** Between two answers. */
const ANSWER_PAUSE_MS = 1_000

export interface TalkParts {
  readonly clock: Clock
  readonly random: Random
  readonly ask: () => void
  /** Says what there is to announce, if anything. */
  readonly announce: () => void
}

export class Talk {
  readonly #parts: TalkParts
  readonly #pending = new Set<() => void>()
  #cancelRest = (): void => {}
  #cancelAnswer: (() => void) | undefined
  #announcedMs = -Infinity
  #askedMs = -Infinity

  constructor (parts: TalkParts) {
    this.#parts = parts
  }

  /** Asks and announces as at the start. */
  begin (): void {
    this.stop()
    for (const delayMs of ASK_AT_MS) this.#later(delayMs + this.#parts.random.next() * ASK_SPREAD_MS, () => { this.#ask() })
    this.announce()
    this.#rest()
  }

  /** Announces as at the start: there is something new to say. */
  announce (): void {
    for (const delayMs of ANNOUNCE_AT_MS) {
      if (delayMs === 0) this.#say()
      else this.#later(delayMs, () => { this.#say() })
    }
  }

  /** Another has asked. @param isKnown it knows what we would say @param asksForUs it knows nothing that we do not */
  asked ({ isKnown, asksForUs }: { readonly isKnown: boolean, readonly asksForUs: boolean }): void {
    if (asksForUs) {
      this.#askedMs = this.#parts.clock.nowMs()
      this.#rest()
    }
    if (isKnown || this.#cancelAnswer !== undefined) return
    const { clock, random } = this.#parts
    const jitterMs = ANSWER_MS_MIN + random.next() * (ANSWER_MS_MAX - ANSWER_MS_MIN)
    this.#cancelAnswer = clock.after(Math.max(jitterMs, this.#announcedMs + ANSWER_PAUSE_MS - clock.nowMs()), () => {
      this.#cancelAnswer = undefined
      this.#say()
    })
  }

  /** Says nothing any more. */
  stop (): void {
    for (const cancel of this.#pending) cancel()
    this.#pending.clear()
    this.#cancelRest()
    this.#cancelAnswer?.()
    this.#cancelAnswer = undefined
  }

  #ask (): void {
    const { ask, clock } = this.#parts
    if (clock.nowMs() - this.#askedMs >= ASKED_MS) ask()
  }

  #say (): void {
    this.#announcedMs = this.#parts.clock.nowMs()
    this.#parts.announce()
  }

  /** The next question is a whole rest away. */
  #rest (): void {
    const { clock, random } = this.#parts
    this.#cancelRest()
    this.#cancelRest = clock.after(REST_MS * (1 - REST_SPREAD * random.next()), () => {
      this.#ask()
      this.#rest()
    })
  }

  #later (delayMs: number, act: () => void): void {
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#pending.delete(cancel)
      act()
    })
    this.#pending.add(cancel)
  }
}

/** Whether a list of known labels spares us the answer: a label that is about to be forgotten there does not. */
export function isListed (known: readonly Known[], label: string | undefined, ttlS: number): boolean {
  return label === undefined || known.some(each => each.label === label && each.ttlS >= ttlS / 2)
}
