/** Starts a server that exists already, asks it for its lists, and says what was wrong where that failed. */
import { deadline, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { Link } from './link.ts'
import type { Era, ServerSession, SessionEvents, SessionOptions } from './session.ts'
import type { Opener } from './source.ts'

export interface Started { readonly session: ServerSession, readonly link: Link }

export interface Start {
  readonly name: string
  readonly source: Opener
  readonly clock: Clock
  /** How long it may take, in milliseconds. */
  readonly startMsMax: number
  readonly signal: AbortSignal
  readonly events: SessionEvents
  readonly options: Pick<SessionOptions, 'capabilities' | 'era' | 'lists' | 'session'>
}

/** @throws SwarmError SERVER_FAILED with `details.reason`, and `said` where its process said something */
export async function startServer (start: Start): Promise<Started> {
  const { clock, events, options, signal, source, startMsMax } = start
  const bound = deadline(clock, startMsMax, signal)
  try {
    const { ServerSession } = await import('./session.ts')
    const attempt = async (era: Era | undefined): Promise<Started> => {
      const link = await source.open()
      try {
        return { session: await ServerSession.open(link.transport, events, { ...options, clock, signal: bound.signal, era }), link }
      } catch (error) {
        const trouble = link.trouble()
        const died = trouble !== undefined && trouble.check === undefined && era === undefined && !bound.signal.aborted
        if (died) return await attempt('legacy') // some servers of 2025 exit at a question they do not know
        throw failureOf(start, error, link)
      }
    }
    return await attempt(options.era)
  } catch (error) {
    throw error instanceof SwarmError && error.code === 'SERVER_FAILED' ? error : failureOf(start, error)
  } finally {
    bound.done()
  }
}

/** What a server's process said last, to be put behind a reason. */
export function saying (said: string | undefined): string {
  return said === undefined ? '' : `: ${said}`
}

function failureOf ({ name, startMsMax }: Start, cause: unknown, link?: Link): SwarmError {
  const trouble = link?.trouble()
  const late = cause instanceof SwarmError && cause.code === 'TIMEOUT'
  const reason = late ? `it did not answer in ${startMsMax} ms` : trouble?.reason ?? messageOf(cause)
  const check = trouble?.check ?? (late ? 'check that it is an MCP server on stdio' : undefined)
  return new SwarmError('SERVER_FAILED', `server ${name} failed to start: ${reason}${saying(trouble?.said)}${check === undefined ? '' : `; ${check}`}`, {
    cause, details: { agent: name, reason, said: trouble?.said, ...trouble?.details }
  })
}
