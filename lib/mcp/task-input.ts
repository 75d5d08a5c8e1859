/**
 * What a task asks its client for, round by round.
 *
 * A tool names its questions as it likes, the same in every round perhaps; a client is promised that a key stands for one
 * question for as long as the task lives. So a key that was used before is shown under a new name, and answers go back to
 * the tool under its own.
 */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { ID_UNITS_MAX, isShallow } from './wire.ts'

/** Questions one round may ask. */
export const INPUTS_MAX = 64

/** Rounds one task may ask: a tool that never has enough is broken. */
export const ROUNDS_MAX = 100

export class Inputs {
  readonly #used = new Set<string>()
  /** By the key that the client knows. */
  #open = new Map<string, { readonly name: string, readonly request: JsonObject }>()
  #answers = new Map<string, JsonObject>()
  #rounds = 0

  /** What has not been answered yet, by the client's keys. */
  get requests (): JsonObject {
    return Object.fromEntries([...this.#open].map(([key, { request }]) => [key, request]))
  }

  /** Whether nothing is left to answer. */
  get isAnswered (): boolean {
    return this.#open.size === 0
  }

  /**
   * Begins a round.
   *
   * @param requests as the tool gave them; none where it only wants to be called again
   * @throws SwarmError TOO_LARGE over INPUTS_MAX or ROUNDS_MAX, MALFORMED for what is no request
   */
  ask (requests: unknown = {}): void {
    if (++this.#rounds > ROUNDS_MAX) throw new SwarmError('TOO_LARGE', `the tool has asked for more input ${ROUNDS_MAX} times; that is the limit`)
    if (!isObject(requests) || !isShallow(requests)) throw new SwarmError('MALFORMED', 'the tool asks for input with requests that are no object, or nested too deep')
    const entries = Object.entries(requests)
    if (entries.length > INPUTS_MAX) throw new SwarmError('TOO_LARGE', `the tool asks for ${entries.length} inputs at once; limit ${INPUTS_MAX}`)
    this.#answers = new Map()
    this.#open = new Map()
    for (const [name, request] of entries) {
      if (!isObject(request) || typeof request.method !== 'string' || name.length > ID_UNITS_MAX) throw new SwarmError('MALFORMED', 'the tool asks for input with something that is no request')
      this.#open.set(this.#keyFor(name), { name, request })
    }
  }

  /**
   * Takes answers; those to what is not asked, or was answered before, are left out.
   *
   * @returns whether any counted
   * @throws SwarmError MALFORMED for an answer that is no object; none of them is taken then
   */
  answer (responses: JsonObject): boolean {
    const taken = Object.entries(responses).filter(([key]) => this.#open.has(key))
    for (const [key, response] of taken) {
      if (!isObject(response)) throw new SwarmError('MALFORMED', `the answer to input ${JSON.stringify(key.slice(0, 80))} is no object`)
    }
    for (const [key, response] of taken) {
      const { name } = this.#open.get(key) as { name: string }
      this.#open.delete(key)
      this.#answers.set(name, response as JsonObject)
    }
    return taken.length > 0
  }

  /** The round's answers, by the tool's own names. */
  take (): JsonObject {
    const answers = Object.fromEntries(this.#answers)
    this.#answers = new Map()
    return answers
  }

  #keyFor (name: string): string {
    let key = name
    for (let turn = 2; this.#used.has(key); turn++) key = `${name}-${turn}`
    this.#used.add(key)
    return key
  }
}
