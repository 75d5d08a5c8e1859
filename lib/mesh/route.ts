/**
 * Tries the providers of a choice in turn. The one place where a call is ever tried again. The rule: another provider is
 * asked only if the request provably never ran, or if the tool is idempotent and its agents declare a pool. Everything
 * else that was sent and not answered ends INDETERMINATE: it may or may not have run, and only the caller knows what that
 * means. One deadline and one signal cover all attempts.
 */
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'
import type { Provider } from '../directory/directory.ts'
import type { Breaker } from './breaker.ts'
import { ATTEMPTS_MAX, providerKey } from './choice.ts'
import type { Choice } from './choice.ts'

export interface Bounds {
  readonly clock: Clock
  /** The end of all attempts, on the clock's `nowMs`. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  readonly breaker?: Breaker | undefined
}

/**
 * Sends the request to one provider. It settles by the deadline, and as soon as the signal fires. An error tells with
 * `details.sent` and `details.executed` (booleans) whether the request left and whether it ran, where its code does not.
 */
export type Attempt<Answer> = (provider: Provider, bounds: { readonly signal: AbortSignal | undefined, readonly deadlineMs: number }) => Promise<Answer>

/** What an attempt's error proves about the request. */
export type Fate =
  | 'not run' // never sent, or refused before running
  | 'answered' // the provider gave this error as its answer
  | 'unknown' // sent, and nothing came back

/** Codes that mean so unless the details say that the request was sent and not refused. */
const NOT_RUN: ReadonlySet<ErrorCode> = new Set([
  'AGENT_NOT_RUNNING', 'OVERLOADED', 'TIMEOUT', 'UNAVAILABLE', 'UNKNOWN_AGENT', 'UNKNOWN_PEER', 'UNKNOWN_TOOL', 'UNREACHABLE'
])

/** Codes that mean so unless the details say that it was not sent, or did not run. Every other code is an answer. */
const UNKNOWN: ReadonlySet<ErrorCode> = new Set(['ABORTED', 'CLOSED', 'MALFORMED'])

export function fateOf ({ code, details: { executed, sent } }: SwarmError): Fate {
  if (code === 'INDETERMINATE') return 'unknown'
  const isRefused = sent === false || executed === false
  if (NOT_RUN.has(code)) return isRefused || sent !== true ? 'not run' : 'unknown'
  if (UNKNOWN.has(code)) return isRefused ? 'not run' : 'unknown'
  return 'answered'
}

/**
 * @returns the first answer
 * @throws SwarmError ABORTED (`details.sent`: whether it may have run), TIMEOUT (nothing ran), INDETERMINATE, or what the
 * provider answered; with `details.attempts` (who, which code) after more than one
 */
export async function route<Answer> (choice: Choice, attempt: Attempt<Answer>, bounds: Bounds): Promise<Answer> {
  const { breaker, clock, deadlineMs, signal } = bounds
  const failures: Failure[] = []
  for (const provider of choice.order.slice(0, ATTEMPTS_MAX)) {
    if (isAborted(signal)) throw aborted(choice, failures, signal?.reason)
    if (clock.nowMs() >= deadlineMs) break
    const key = providerKey(provider)
    breaker?.started(key, clock.nowMs())
    try {
      const answer = await attempt(provider, { signal, deadlineMs })
      breaker?.answered(key)
      return answer
    } catch (error) {
      if (!(error instanceof SwarmError)) {
        breaker?.abandoned(key)
        throw error
      }
      const failure = { provider, error, fate: fateOf(error) }
      tell(breaker, key, failure, bounds)
      if (failure.fate === 'answered') throw error
      failures.push(failure)
      if (isAborted(signal)) throw aborted(choice, failures, error)
      if (failure.fate === 'unknown' && !(choice.idempotent && choice.pool !== undefined)) break
    }
  }
  throw failed(choice, failures)
}

interface Failure {
  readonly provider: Provider
  readonly error: SwarmError
  readonly fate: Fate
}

/** Asked anew each time: a signal fires while an attempt is awaited. */
function isAborted (signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false
}

/** A caller that gave up, whose time was up, or whose request was not even sent for its own fault, says nothing about the provider. */
function tell (breaker: Breaker | undefined, key: string, { error, fate }: Failure, { clock, deadlineMs, signal }: Bounds): void {
  if (fate === 'answered' && error.details['sent'] !== false) breaker?.answered(key)
  else if (fate === 'answered' || isAborted(signal) || clock.nowMs() >= deadlineMs) breaker?.abandoned(key)
  else breaker?.failed(key, clock.nowMs())
}

function aborted ({ tool }: Choice, failures: readonly Failure[], cause: unknown): SwarmError {
  return new SwarmError('ABORTED', `call of ${JSON.stringify(tool)} given up by the caller`, { cause, details: { tool, sent: mayHaveRun(failures) !== undefined } })
}

function failed ({ idempotent, pool, tool }: Choice, failures: readonly Failure[]): SwarmError {
  const last = failures.at(-1)
  if (last === undefined) return new SwarmError('TIMEOUT', `no time left to call ${JSON.stringify(tool)}; nothing was sent`, { details: { tool, sent: false } })
  const attempts = failures.map(({ error, provider }) => ({ peer: provider.peerName, peerId: provider.peerId, agent: provider.agent.name, code: error.code }))
  const uncertain = mayHaveRun(failures)
  if (uncertain !== undefined) {
    const { error, provider: { agent, peerId, peerName } } = uncertain
    return new SwarmError('INDETERMINATE', `call of ${JSON.stringify(tool)} at agent ${JSON.stringify(agent.name)} of ${JSON.stringify(peerName)} (${peerId}) was sent and not answered: ${error.message}; it may or may not have run`, {
      cause: error,
      details: { ...error.details, tool, peer: peerName, peerId, agent: agent.name, pool, idempotent, sent: true, attempts }
    })
  }
  if (failures.length === 1) return last.error
  return new SwarmError(last.error.code, `none of ${failures.length} providers of ${JSON.stringify(tool)} took the call; the last: ${last.error.message}`, {
    cause: last.error,
    details: { ...last.error.details, tool, sent: false, attempts }
  })
}

/** The last attempt that may have run, though a later one did not. */
function mayHaveRun (failures: readonly Failure[]): Failure | undefined {
  return failures.findLast(({ fate }) => fate === 'unknown')
}
