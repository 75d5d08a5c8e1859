/** What a provider's line says to the calling end of a stream. */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Progress } from './host.ts'
import { META } from './revision.ts'
import { isShallow, readRefusal } from './wire.ts'

/** Each is about a request of ours, by its number, but for a refusal of the whole stream. */
export type Said =
  | { readonly kind: 'answer', readonly id: number, readonly result: unknown, readonly error: unknown }
  | { readonly kind: 'progress', readonly id: number, readonly progress: Progress }
  /** Of a subscription. */
  | { readonly kind: 'notice', readonly id: number, readonly method: string, readonly params: JsonObject }
  | { readonly kind: 'log', readonly id: number, readonly params: JsonObject }
  | { readonly kind: 'refusal', readonly refusal: SwarmError }

/**
 * @returns undefined for what is of no use to this end
 * @throws SwarmError MALFORMED: nothing more of the stream can be believed
 */
export function readSaid (text: string, agent: string): Said | undefined {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `agent ${agent} sent a line that is not JSON`, { cause })
  }
  if (!isObject(message)) throw new SwarmError('MALFORMED', `agent ${agent} sent a line that is no message`)
  const { id, method, params, result, error } = message
  if (typeof id === 'number' && method === undefined) return { kind: 'answer', id, result, error }
  if (method === 'notifications/progress') return readProgress(params)
  if (method !== undefined && id === undefined) return readNotified(method, params)
  const refusal = readRefusal(message)
  if (refusal !== undefined) return { kind: 'refusal', refusal }
  // Errors about no call in particular are of no use to this end.
  if (id === undefined || id === null) return undefined
  throw new SwarmError('MALFORMED', `agent ${agent} sent a request or an answer to none of ours`)
}

/** What belongs to a subscription, or is logged for a call. */
function readNotified (method: unknown, params: unknown): Said | undefined {
  if (typeof method !== 'string' || !isObject(params) || !isObject(params._meta) || !isShallow(params)) return undefined
  const { _meta: { [META.subscriptionId]: subscription, [META.requestId]: request, ...meta }, ...rest } = params
  const plain = Object.keys(meta).length > 0 ? { ...rest, _meta: meta } : rest
  if (typeof subscription === 'number') return { kind: 'notice', id: subscription, method, params: plain }
  return method === 'notifications/message' && typeof request === 'number' ? { kind: 'log', id: request, params: plain } : undefined
}

function readProgress (params: unknown): Said | undefined {
  if (!isObject(params) || typeof params.progressToken !== 'number' || typeof params.progress !== 'number') return undefined
  const { progressToken: id, progress, total, message } = params
  return { kind: 'progress', id, progress: { progress, ...(typeof total === 'number' ? { total } : {}), ...(typeof message === 'string' ? { message } : {}) } }
}
