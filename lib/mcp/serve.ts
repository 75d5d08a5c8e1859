/**
 * The answering end of agents' streams (wire.ts has their words). Each stream serves one agent to one caller, whose key and
 * role the connection has proven; `allow` is enforced here, at the first line and again at every call, so that a change of
 * the rules counts at once.
 *
 * Invariants: a call that is refused has not run; the answer to a call that ran is sent at most once, after its progress;
 * when a stream ends, however it ends, every call of it is aborted. Messages are answered without the SDK: its validation
 * costs several times the call itself.
 */
import { allows, type Rule } from '../access/rule.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { LINE_BYTES_MAX, LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import type { Caller, HostedAgent } from './host.ts'
import { SESSION_REVISION } from './revision.ts'
import { passSession } from './serve-pass.ts'
import { Session } from './serve-session.ts'
import type { Tasks } from './tasks.ts'
import { CALLS_IN_FLIGHT_MAX, endSoon, readOpening, refusalLine, type Opening } from './wire.ts'

/** How long a stream may stay without its first line, in milliseconds. */
export const OPENING_MS_MAX = 5_000

/** An agent on offer, and to whom. */
export interface Offer {
  readonly agent: HostedAgent
  readonly rules: readonly Rule[]
}

export interface ServeOptions {
  readonly clock: Clock
  /** Hears of bugs: what a call threw that is no SwarmError. The caller learns only that there was one. */
  readonly report: (error: unknown) => void
  /** Told of every call that is let through to its agent. */
  readonly onCall?: () => void
  /** Keeps long calls as tasks, for clients that can handle them. Without it there are none. */
  readonly tasks?: Tasks
  /** Default CALLS_IN_FLIGHT_MAX. */
  readonly callsInFlightMax?: number
  /** Longest message either way, in bytes. Default LINE_BYTES_MAX. */
  readonly lineBytesMax?: number
}

/**
 * Serves one inbound stream until it ends.
 *
 * @param caller who is at the other end, as proven
 * @param agents the offer of that name now, if there is one; asked again for every call
 */
export function serveAgent (stream: ByteStream, caller: Caller, agents: (name: string) => Offer | undefined, options: ServeOptions): void {
  const lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX
  const lines = new LineStream(stream, { lineBytesMax, holdWhenFull: true })
  const cancel = options.clock.after(OPENING_MS_MAX, () => {
    lines.abort(new SwarmError('TIMEOUT', `no first line on ${stream.protocol} in ${OPENING_MS_MAX} ms`))
  })
  lines.read({
    line: text => {
      cancel()
      try {
        const opening = readOpening(text)
        const find = (): HostedAgent => findAgent(opening, caller, agents)
        const { session } = opening
        const bounds = { ...options, caller, find, session, lineBytesMax, callsInFlightMax: options.callsInFlightMax ?? CALLS_IN_FLIGHT_MAX }
        if (opening.revision === SESSION_REVISION && session !== null) passSession(lines, find(), bounds)
        else lines.handOver(new Session(lines, find(), bounds))
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
        lines.handOver({ line: () => {}, closed: () => {} })
        lines.send(refusalLine(error))
        endSoon(lines, options.clock)
      }
    },
    closed: () => { cancel() }
  })
}

function findAgent (opening: Opening, caller: Caller, agents: (name: string) => Offer | undefined): HostedAgent {
  const offer = agents(opening.agent)
  if (offer === undefined) throw new SwarmError('UNKNOWN_AGENT', `no agent ${opening.agent} is offered here`)
  if (!allows(offer.rules, caller)) throw new SwarmError('FORBIDDEN', `peer ${caller.peerId} may not use agent ${opening.agent}`)
  return offer.agent
}
