/**
 * What `connect` does between an MCP client and the peer that serves it (the holder of the data folder), so that the client
 * outlives the holder. A pure core: it takes lines, and returns the lines to send.
 *
 * While a holder is attached, lines pass unchanged. When it is lost, requests that may have run are answered with
 * INDETERMINATE; requests that only read are kept, and asked of the next holder; what the client sends meanwhile is held.
 * The next holder has no session with the client: the client's `initialize` is played to it again, and its answer swallowed.
 *
 * Invariants: every request of the client is answered exactly once, by a holder or here; an answer of the client reaches the
 * holder that asked, or nobody.
 */

/** Lines, and their UTF-16 units in all, held while no holder is attached; a request over either is refused as OVERLOADED. */
export const HELD_LINES_MAX = 1_000
export const HELD_UNITS_MAX = 16 * 2 ** 20

/** Requests of one client in flight; a further one is refused as OVERLOADED. */
export const IN_FLIGHT_MAX = 10_000

/** Requests that run nothing: safe to ask again. Source: MCP 2025-11-25 and 2026-07-28. */
const READS: readonly string[] = [
  'initialize', 'ping', 'server/discover', 'tools/list', 'resources/list', 'resources/templates/list', 'resources/read',
  'prompts/list', 'prompts/get', 'completion/complete', 'subscriptions/listen', 'logging/setLevel'
]

export interface Effect {
  readonly to: 'client' | 'holder'
  readonly line: string
}

interface Message {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: unknown
}

interface Request extends Message {
  readonly id: unknown
  readonly method: unknown
}

interface Held {
  readonly line: string
  readonly message: Message | undefined
}

export class Relay {
  /** Whether the client has been given a list of tools. */
  hasListed = false
  #attached = false
  /** Number of holders so far: tells apart what each of them asked. */
  #holders = 0
  #initialize: string | undefined
  #initialized: string | undefined
  #replaying = false
  #held: Held[] = []
  #heldUnits = 0
  /** The client's requests that a holder has: by id as JSON, their method and line. */
  readonly #inFlight = new Map<string, { method: string, line: string }>()
  /** The present holder's requests that the client has: by the id the client knows, the holder's own. */
  readonly #asked = new Map<string, unknown>()

  /** Requests the client still waits for, listening ones left out. */
  get waiting (): number {
    const held = this.#held.filter(({ message }) => isRequest(message)).length
    return held + [...this.#inFlight.values()].filter(({ method }) => method !== 'subscriptions/listen').length
  }

  fromClient (line: string): Effect[] {
    const message = parse(line)
    if (this.#attached && !this.#replaying) return this.#toHolder(line, message)
    if (this.#held.length < HELD_LINES_MAX && this.#heldUnits + line.length <= HELD_UNITS_MAX) {
      this.#held.push({ line, message })
      this.#heldUnits += line.length
      return []
    }
    return isRequest(message) ? [refusal(message.id, 'OVERLOADED', 'too much is waiting for a peer to serve it')] : []
  }

  fromHolder (line: string): Effect[] {
    const message = parseFromHolder(line)
    if (message === undefined) return [{ to: 'client', line }]
    if (isRequest(message)) return [{ to: 'client', line: this.#rename(line, message) }]
    if (message.method !== undefined || message.id === undefined) return [{ to: 'client', line }]
    if (message.id === REPLAY_ID) return this.#replayed()
    const id = JSON.stringify(message.id)
    this.hasListed ||= this.#inFlight.get(id)?.method === 'tools/list'
    this.#inFlight.delete(id)
    return [{ to: 'client', line }]
  }

  /** A holder serves us from now on. */
  attached (): Effect[] {
    this.#attached = true
    this.#holders++
    if (this.#initialize === undefined) return this.#release()
    this.#replaying = true
    return [{ to: 'holder', line: this.#initialize }]
  }

  /** The holder is gone. */
  lost (): Effect[] {
    this.#attached = false
    this.#replaying = false
    this.#asked.clear()
    const effects: Effect[] = []
    const again: Held[] = []
    for (const [id, { method, line }] of this.#inFlight) {
      if (method === 'initialize') this.#initialize = undefined // no session yet: it begins with the next holder
      if (READS.includes(method)) again.push({ line, message: parse(line) })
      else effects.push(refusal(JSON.parse(id), 'INDETERMINATE', `the peer that served ${method} is gone: it may or may not have run`))
    }
    this.#inFlight.clear()
    this.#held.unshift(...again)
    this.#heldUnits += again.reduce((sum, { line }) => sum + line.length, 0)
    return effects
  }

  /** No holder will come: whoever waits is told why. */
  failed (code: string, why: string): Effect[] {
    const effects = this.#held.flatMap(({ message }) => isRequest(message) ? [refusal(message.id, code, why)] : [])
    this.#held = []
    this.#heldUnits = 0
    return effects
  }

  #toHolder (line: string, message: Message | undefined): Effect[] {
    if (message?.method === 'notifications/initialized') this.#initialized = line
    if (message?.method === 'notifications/cancelled') {
      // Of a request that this holder never had, it must not hear: its first words decide the revision it speaks.
      return this.#inFlight.delete(JSON.stringify(member(message.params, 'requestId'))) ? [{ to: 'holder', line }] : []
    }
    if (isRequest(message)) {
      if (this.#inFlight.size >= IN_FLIGHT_MAX) return [refusal(message.id, 'OVERLOADED', `${IN_FLIGHT_MAX} requests are in flight; that is the limit`)]
      this.#inFlight.set(JSON.stringify(message.id), { method: String(message.method), line })
      if (message.method === 'initialize') this.#initialize = JSON.stringify({ ...message, id: REPLAY_ID })
    } else if (message?.id !== undefined && message.method === undefined) {
      const id = JSON.stringify(message.id)
      if (!this.#asked.has(id)) return [] // the answer to a holder that is gone
      const own = this.#asked.get(id)
      this.#asked.delete(id)
      if (own !== message.id) line = JSON.stringify({ ...message, id: own })
    }
    return [{ to: 'holder', line }]
  }

  /** A later holder's ids would meet those of an earlier one that the client may still answer. */
  #rename (line: string, message: Request): string {
    const id = this.#holders === 1 ? message.id : `${this.#holders}/${String(message.id)}`
    if (this.#asked.size >= IN_FLIGHT_MAX) this.#asked.clear() // a client that answers none of so many answers none at all
    this.#asked.set(JSON.stringify(id), message.id)
    return id === message.id ? line : JSON.stringify({ ...message, id })
  }

  #replayed (): Effect[] {
    this.#replaying = false
    if (this.#initialized === undefined) return this.#release()
    // The new holder may know other tools than the old one told of.
    return [
      { to: 'holder', line: this.#initialized },
      ...this.#release(),
      { to: 'client', line: '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}' }
    ]
  }

  #release (): Effect[] {
    const held = this.#held
    this.#held = []
    this.#heldUnits = 0
    return held.flatMap(({ line, message }) => this.#toHolder(line, message))
  }
}

const REPLAY_ID = 'mcp-swarm/takeover'

/** The end of a long answer, as the SDK writes it: there is no need to read all that it says. */
const ANSWER_END = /\},"jsonrpc":"2\.0","id":(\d{1,15}|"[\w-]{1,64}")\}$/
const LONG_CHARS_MIN = 64 * 1024

/** Of a long answer its id alone. */
function parseFromHolder (line: string): Message | undefined {
  const end = line.length >= LONG_CHARS_MIN && line.startsWith('{"result":{') ? ANSWER_END.exec(line.slice(-100)) : null
  return end?.[1] === undefined ? parse(line) : { id: JSON.parse(end[1]) as unknown }
}

function parse (line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined // passed on as it is: whoever serves answers rubbish as the specification says
  }
}

function isRequest (message: Message | undefined): message is Request {
  return message?.id !== undefined && message.id !== null && message.method !== undefined
}

function member (value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function refusal (id: unknown, code: string, message: string): Effect {
  return { to: 'client', line: JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32000, message, data: { code, executed: code === 'INDETERMINATE', details: {} } } }) }
}
