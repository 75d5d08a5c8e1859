/** A call at the end that makes it: what may be said with it, what is kept until it ends, and the failures that say whether it was sent. */
import { SwarmError, type ErrorCode } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ClientSide, Progress } from './host.ts'

/** How long a call may take if nothing else is said, in milliseconds. */
export const CALL_MS_DEFAULT = 60_000

export interface CallOptions {
  readonly signal?: AbortSignal
  /** More than 0. Default CALL_MS_DEFAULT. */
  readonly timeoutMs?: number
  readonly progress?: (progress: Progress) => void
  /** More members of `_meta`, such as trace context; they win over ours. */
  readonly meta?: JsonObject
  /** The client on whose behalf: with it, the answer may be that more is needed. */
  readonly client?: ClientSide
}

/** Hears a subscription's notifications, and its end. */
export interface Listener {
  heard (method: string, params: JsonObject): void
  /** @param error undefined where the provider ended it in order */
  ended (error?: SwarmError): void
}

/** A call that waits for its answer. */
export interface Pending {
  readonly tool: string
  readonly read: (result: unknown, hasClient: boolean) => object
  readonly resolve: (result: object) => void
  readonly reject: (error: SwarmError) => void
  readonly progress: ((progress: Progress) => void) | undefined
  readonly signal: AbortSignal | undefined
  readonly client: ClientSide | undefined
}

/** A failure before sending: safe to try elsewhere. */
export function unsent (code: ErrorCode, message: string, cause?: unknown): SwarmError {
  const details = cause instanceof SwarmError ? cause.details : {}
  return new SwarmError(code, message, { ...(cause === undefined ? {} : { cause }), details: { ...details, sent: false } })
}

/** A failure after it: it may or may not have run. */
export function sent (code: ErrorCode, message: string, cause?: unknown): SwarmError {
  return new SwarmError(code, message, { ...(cause === undefined ? {} : { cause }), details: { sent: true } })
}
