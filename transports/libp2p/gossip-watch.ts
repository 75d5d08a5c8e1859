/**
 * Decides whether gossip with one neighbour still goes both ways.
 *
 * A stream can be open and dead: nothing comes out at the other end, and every count looks healthy. So whoever has sent
 * something asks, over the same stream, and the answer comes back over the other one: it proves both. Only who uses a lane
 * asks often; an idle one is looked at now and then. The answerer answers when it is asked, not by a timer, so that a page in
 * the background, whose timers sleep, is not taken for dead.
 */

/** Shortest time between questions to one neighbour: what is sent in between is proven by the next. */
export const ASK_MS = 400

/** Time between questions on a lane that carries nothing. */
export const IDLE_ASK_MS = 15_000

/** Longest wait for an answer, doubled for a neighbour that went silent lately: it may only be slow. */
export const ANSWER_MS = 700
const ANSWER_DOUBLINGS_MAX = 4

/** How long a neighbour must answer before its silences are forgotten. */
const FORGIVE_MS = 60_000

export class Watch {
  #askedMs: number
  #isWaiting = true
  #isDoubting = false
  #wasUsed = false
  #silences = 0
  #unanswered = 0
  #silentMs = -Infinity

  /** @param nowMs a question is sent as the lane opens */
  constructor (nowMs: number) {
    this.#askedMs = nowMs
  }

  /** Questions in a row that had no answer. */
  get unanswered (): number {
    return this.#unanswered
  }

  /** New streams; a question is the first that is sent. */
  opened (nowMs: number): void {
    this.#askedMs = nowMs
    this.#isWaiting = true
    this.#isDoubting = false
    this.#wasUsed = false
  }

  sent (): void {
    this.#wasUsed = true
  }

  answered (nowMs: number): void {
    this.#isWaiting = false
    this.#isDoubting = false
    this.#unanswered = 0
    if (nowMs - this.#silentMs > FORGIVE_MS) this.#silences = 0
  }

  /** This process was busy or asleep: nobody could have been heard. */
  excuse (nowMs: number): void {
    if (this.#isWaiting) this.#askedMs = nowMs
  }

  /** When to look again, in milliseconds of the clock. */
  dueMs (): number {
    if (this.#isDoubting) return Infinity
    if (this.#isWaiting) return this.#askedMs + ANSWER_MS * 2 ** Math.min(this.#silences, ANSWER_DOUBLINGS_MAX)
    return this.#askedMs + (this.#wasUsed ? ASK_MS : IDLE_ASK_MS)
  }

  /** What to do now: send a question, or find out why no answer came, and tell by `settle`. */
  check (nowMs: number): 'ask' | 'doubt' | undefined {
    if (nowMs < this.dueMs()) return undefined
    if (this.#isWaiting) {
      this.#isDoubting = true
      return 'doubt'
    }
    this.#askedMs = nowMs
    this.#isWaiting = true
    this.#wasUsed = false
    return 'ask'
  }

  /**
   * Ends a doubt.
   *
   * @param isFit whether the neighbour could have answered
   * @returns whether the streams are to be given up; otherwise the wait begins anew, or the answer has come
   */
  settle (isFit: boolean, nowMs: number): boolean {
    if (!this.#isDoubting) return false
    this.#isDoubting = false
    this.#askedMs = nowMs
    if (!isFit) return false
    this.#silences += 1
    this.#unanswered += 1
    this.#silentMs = nowMs
    return true
  }
}
