/**
 * One request to a server of 2025 for a client that cannot be asked meanwhile: what the server asks ends the request as
 * `input_required`, and the client's retry, which bears the token of that answer, goes on where it stopped.
 *
 *   running → asking (parked, nobody waits) → running → … → over
 *
 * Invariants: the server's request is sent once, whatever happens; a question is answered once; a conversation that nobody
 * comes back to is ended by its keeper (callers.ts).
 */
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { afterTurn } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Asking, Pending, Progress } from './host.ts'

/** Questions one request may have open at once. */
export const QUESTIONS_MAX = 16

/** What a client must have declared before it is asked. Source: MCP 2026-07-28, client features. */
const NEEDS: Readonly<Record<string, string>> = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' }

/** The least first. Source: MCP 2026-07-28, logging (RFC 5424). */
const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** The level from which on every one of these is heard; undefined where there is none. */
export function lowestLevel (levels: readonly (string | undefined)[]): string | undefined {
  return LOG_LEVELS.find(level => levels.includes(level))
}

interface Question {
  readonly method: string
  readonly params: JsonObject
  readonly answer: (result: JsonObject) => void
  readonly refuse: (error: Error) => void
}

type End = { readonly result: JsonObject } | { readonly error: unknown }

/** Runs the request; `signal` ends it. */
type Run = (how: { signal: AbortSignal, progress: (progress: Progress) => void }) => Promise<JsonObject>

export class Conversation {
  /** What the client returns with its answers. Not to be guessed. */
  readonly token: string
  readonly peerId: string
  readonly #capabilities: JsonObject
  readonly #stop = new AbortController()
  readonly #questions = new Map<string, Question>()
  #asked = 0
  #leg: Asking | undefined
  #wake: () => void = () => {}
  #outcome: End | undefined

  constructor (token: string, first: Asking, run: Run) {
    this.token = token
    this.peerId = first.caller.peerId
    this.#capabilities = first.client?.capabilities ?? {}
    run({ signal: this.#stop.signal, progress: progress => { this.#leg?.progress?.(progress) } }).then(
      result => { this.#settle({ result }) },
      (error: unknown) => { this.#settle({ error }) }
    )
  }

  get isOver (): boolean {
    return this.#outcome !== undefined
  }

  /** Somebody waits for it. */
  get isAwaited (): boolean {
    return this.#leg !== undefined
  }

  /**
   * Goes on until the request has ended or the server asks.
   *
   * @throws what the request throws; SwarmError ABORTED when this leg's signal fired, which ends the whole
   */
  async go (leg: Asking): Promise<JsonObject | Pending> {
    if (this.#leg !== undefined) throw new SwarmError('INVALID_ARGUMENTS', 'this requestState is being answered already', { details: { sent: false } })
    this.#leg = leg
    const giveUp = (): void => {
      this.end(new SwarmError('ABORTED', 'the call was given up', { cause: leg.signal.reason }))
      this.#wake()
    }
    leg.signal.addEventListener('abort', giveUp, { once: true })
    try {
      this.#answer(leg.client?.inputResponses)
      for (;;) {
        if (leg.signal.aborted) throw new SwarmError('ABORTED', 'the call was given up', { cause: leg.signal.reason })
        if (this.#outcome !== undefined) {
          if ('error' in this.#outcome) throw this.#outcome.error
          return this.#outcome.result
        }
        if (this.#questions.size > 0) return this.#pending()
        await new Promise<void>(resolve => { this.#wake = resolve })
      }
    } finally {
      leg.signal.removeEventListener('abort', giveUp)
      this.#leg = undefined
    }
  }

  /** From which level on the client hears logs now. */
  get logLevel (): string | undefined {
    return this.#leg?.client?.logLevel
  }

  /** What the server logs; below the level that this client asked for it may be another request's. */
  log (params: JsonObject): void {
    const { level } = params
    if (typeof level === 'string' && LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.logLevel ?? '')) return
    this.#leg?.client?.log?.(params)
  }

  /** The server asks. @throws ProtocolError where the client cannot be asked for that; SwarmError when it never answers */
  async ask (method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    const capability = NEEDS[method]
    if (capability === undefined || !isObject(this.#capabilities[capability])) {
      throw new ProtocolError(ProtocolErrorCode.MethodNotFound, `the client that called cannot be asked for ${method}`)
    }
    if (this.#questions.size >= QUESTIONS_MAX) throw new ProtocolError(ProtocolErrorCode.InternalError, `over ${QUESTIONS_MAX} questions at once`)
    const key = String(++this.#asked)
    const { _meta, ...plain } = params
    return await new Promise((resolve, reject) => {
      this.#questions.set(key, { method, params: plain, answer: resolve, refuse: reject })
      signal.addEventListener('abort', () => {
        this.#questions.delete(key)
        reject(new SwarmError('ABORTED', 'the server takes its question back'))
      }, { once: true })
      afterTurn(() => { this.#wake() }) // what it asks in one turn goes out together
    })
  }

  end (reason: SwarmError): void {
    this.#stop.abort(reason)
    for (const { refuse } of this.#questions.values()) refuse(reason)
    this.#questions.clear()
  }

  #answer (responses: JsonObject | undefined): void {
    for (const [key, result] of Object.entries(responses ?? {})) {
      const question = this.#questions.get(key)
      if (question === undefined) continue // answered before: a client may repeat itself
      this.#questions.delete(key)
      if (isObject(result)) question.answer(result)
      else question.refuse(new ProtocolError(ProtocolErrorCode.InvalidParams, `the client answered ${question.method} with no object`))
    }
  }

  #pending (): Pending {
    const inputRequests = Object.fromEntries([...this.#questions].map(([key, { method, params }]) => [key, { method, params }]))
    return { resultType: 'input_required', inputRequests, requestState: this.token }
  }

  #settle (outcome: End): void {
    this.#outcome = outcome
    this.#wake()
  }
}
