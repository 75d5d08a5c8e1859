/** Opens the streams over which this peer calls others, and lets a call wait for one no longer than the call may take. */
import { deadline, type Clock } from '../base/clock.ts'
import { messageOf, SwarmError } from '../base/error.ts'
import type { ByteStream } from '../base/network.ts'
import { CALL_MS_DEFAULT, unsent, type CallOptions } from './pipe-call.ts'
import { Pipe } from './pipe.ts'
import { Bounds, type Ending } from './wire-bounds.ts'

/** Opening a stream on a connection takes one round trip; this many milliseconds are enough for the slowest. */
export const OPEN_MS_MAX = 10_000

export interface PipeOpeningOptions {
  /** Opens a fresh stream of our protocol to a peer. @throws SwarmError UNREACHABLE, UNKNOWN_PEER, ABORTED, … */
  readonly open: (peerId: string, signal: AbortSignal) => Promise<ByteStream>
  /** A stream that `open` gave carries no more calls. */
  readonly ended?: (stream: ByteStream) => void
  readonly clock: Clock
  readonly callsInFlightMax?: number
  readonly lineBytesMax?: number
}

/** What is done over a stream, within the time that is left. */
export type Run<Answer> = (pipe: Pipe, options: CallOptions) => Promise<Answer>

export class PipeOpening {
  readonly #options: PipeOpeningOptions
  readonly #underway = new Set<AbortController>()
  readonly #waits: Bounds<(ending: Ending) => void>

  constructor (options: PipeOpeningOptions) {
    this.#options = options
    this.#waits = new Bounds(options.clock, (giveUp, ending) => { giveUp(ending) })
  }

  /** @param closed called once, when the stream takes no more calls @throws SwarmError as `PipeOpeningOptions.open`, TIMEOUT, CLOSED */
  async open (peerId: string, agent: string, session: string | undefined, closed: () => void): Promise<Pipe> {
    const { clock, open, ended, callsInFlightMax, lineBytesMax } = this.#options
    const giveUp = new AbortController()
    const limit = deadline(clock, OPEN_MS_MAX, giveUp.signal)
    this.#underway.add(giveUp)
    try {
      const stream = await open(peerId, limit.signal)
      if (limit.signal.aborted) {
        stream.abort(new SwarmError('CLOSED', 'the stream came too late'))
        throw limit.signal.reason
      }
      return new Pipe(stream, {
        agent, session, clock, callsInFlightMax, lineBytesMax,
        closed: () => {
          closed()
          ended?.(stream)
        }
      })
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : error
    } finally {
      limit.done()
      this.#underway.delete(giveUp)
    }
  }

  /** Waits for a stream no longer than the call may, then calls with the time that is left. */
  async use<Answer> (opening: Promise<Pipe>, what: string, options: CallOptions, run: Run<Answer>): Promise<Answer> {
    const { signal, timeoutMs = CALL_MS_DEFAULT } = options
    if (signal?.aborted === true) throw unsent('ABORTED', `call ${what} was given up`, signal.reason)
    const { clock } = this.#options
    const startMs = clock.nowMs()
    const pipe = await new Promise<Pipe>((resolve, reject) => {
      const giveUp = (ending: Ending): void => {
        reject(ending === 'late' ? unsent('TIMEOUT', `call ${what}: no stream in time`) : unsent('ABORTED', `call ${what} was given up`, signal?.reason))
      }
      this.#waits.set(giveUp, timeoutMs, signal)
      opening.then(resolve, (error: unknown) => {
        reject(unsent(error instanceof SwarmError ? error.code : 'UNREACHABLE', `call ${what}: ${messageOf(error)}`, error))
      }).finally(() => { this.#waits.delete(giveUp) })
    })
    return await run(pipe, { ...options, timeoutMs: Math.max(timeoutMs - (clock.nowMs() - startMs), 1) })
  }

  /** Gives up what is being opened. */
  close (): void {
    for (const giveUp of this.#underway) giveUp.abort(new SwarmError('CLOSED', 'closed at this end'))
  }
}
