/**
 * Whether the other end of a connection still lives: a pure core, one per connection.
 *
 * After a while in which nothing was heard, it asks for a probe. A probe that PROBE_MS passes over is a miss; the next one
 * follows at once, and the second miss in a row means unreachable. Anything heard in between, a late answer too, is a sign
 * of life and forgives. So a peer frozen right after a word is found after at most interval + 10 % + 2 × PROBE_MS, and a
 * peer that is merely busy has that long to say anything at all.
 *
 * Self-suspicion first: a tick that comes LATE_MS_MAX after its time shows that this process was stalled or suspended and
 * could hear nobody; it blames nobody and starts the round again. Where there is doubt (the network has changed, the peer is said
 * to be elsewhere), DOUBT_MS without an answer are enough to say that the connection is silent: no proof, and nothing ends by it, but
 * a reason to look for a better one. Idea: Dadgar, Phillips and Currey, "Lifeguard: Local Health
 * Awareness for More Accurate Failure Detection", 2017 (arXiv 1707.00788).
 */
import type { Random } from '../base/random.ts'

/** Silence after which a peer is probed, in milliseconds, before jitter: with few connections, and the longest. */
export const PROBE_INTERVAL_MS = 2_500
export const PROBE_INTERVAL_MS_MAX = 4_000

/** Time for a probe's answer, in milliseconds. */
export const PROBE_MS = 2_500

/**
 * Time for an answer where there is doubt, in milliseconds. What is done when it is over costs a dial, so that it may be short: about
 * the longest round trip on land. A peer that is slower, or busy, keeps its connection.
 */
export const DOUBT_MS = 250

/** Probes in a row without a sign of life that prove a peer unreachable. */
export const MISSES_MAX = 2

/** A tick later than this after its time was kept by our own stall, in milliseconds. */
export const LATE_MS_MAX = 1_000

/** Connections up to which the shortest interval is kept. */
export const CONNECTIONS_MANY = 10

/** Part of the interval that is left to chance, so that probes of many connections spread out. */
const JITTER = 0.1

/**
 * Idle traffic against speed of detection: from CONNECTIONS_MANY connections on the interval grows with them, but never so far
 * that a frozen peer stays in routing for 10 s: 4 s + 10 % + 2 × 2.5 s = 9.4 s.
 *
 * A probe in the exchange was measured at 394 bytes on the wire, there and back, and serves both ends, as each hears the other. So 10
 * idle connections cost 1.6 KB a second both ways together, and 100 cost 9.9. Ends that have something else to say (`heard`) do not
 * probe.
 */
export function probeIntervalMs (connections: number): number {
  return Math.min(PROBE_INTERVAL_MS_MAX, Math.max(PROBE_INTERVAL_MS, connections / CONNECTIONS_MANY * PROBE_INTERVAL_MS))
}

export class Health {
  readonly #random: Random
  #heardMs: number
  #dueMs: number
  #misses = 0
  /** When the open probe was sent. */
  #probedMs: number | undefined
  /** When the doubt arose that nothing has answered yet. */
  #doubtedMs: number | undefined

  constructor (nowMs: number, random: Random, intervalMs = PROBE_INTERVAL_MS) {
    this.#random = random
    this.#heardMs = nowMs
    this.#dueMs = nowMs + this.#jittered(intervalMs)
  }

  /** When to call `tick` next. */
  get dueMs (): number {
    return this.#doubtedMs === undefined ? this.#dueMs : Math.min(this.#dueMs, this.#doubtedMs + DOUBT_MS)
  }

  /** Bytes came from the other end: any, the answer to a probe too. */
  heard (nowMs: number): void {
    this.#heardMs = nowMs
  }

  /** There is reason to ask now: the peer has just dialled anew, say. */
  doubt (nowMs: number): void {
    if (this.#doubtedMs === undefined || this.#heardMs >= this.#doubtedMs) this.#doubtedMs = nowMs
    if (this.#probedMs !== undefined && this.#heardMs < this.#probedMs) return // one is out
    this.#probedMs = undefined
    this.#misses = 0
    this.#heardMs = Number.NEGATIVE_INFINITY
    this.#dueMs = Math.min(this.#dueMs, nowMs)
  }

  /** @returns what to do now: send a probe, look for a better connection, or give the peer up for good */
  tick (nowMs: number, intervalMs = PROBE_INTERVAL_MS): 'probe' | 'silent' | 'unreachable' | undefined {
    if (this.#doubtedMs !== undefined && nowMs >= this.#doubtedMs + DOUBT_MS) {
      const isHeard = this.#heardMs >= this.#doubtedMs
      this.#doubtedMs = undefined
      if (!isHeard) return 'silent'
    }
    if (nowMs < this.#dueMs) return undefined
    if (nowMs - this.#dueMs > LATE_MS_MAX) {
      this.#misses = 0
      return this.#probe(nowMs)
    }
    if (this.#probedMs !== undefined && this.#heardMs < this.#probedMs) {
      this.#misses++
      return this.#misses >= MISSES_MAX ? 'unreachable' : this.#probe(nowMs)
    }
    this.#misses = 0
    this.#probedMs = undefined
    this.#dueMs = this.#heardMs + this.#jittered(intervalMs)
    return this.#dueMs > nowMs ? undefined : this.#probe(nowMs)
  }

  #probe (nowMs: number): 'probe' {
    this.#probedMs = nowMs
    this.#dueMs = nowMs + PROBE_MS
    return 'probe'
  }

  #jittered (intervalMs: number): number {
    return intervalMs * (1 - JITTER + 2 * JITTER * this.#random.next())
  }
}
