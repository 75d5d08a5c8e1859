/**
 * An MCP server that exists already, offered unchanged: a command, an SDK instance of this process, or a URL.
 *
 *   starting → serving → waiting → starting …, and closed from anywhere
 *
 * Invariants: its catalogue is what the server last said, also while it is down; a call that came while it is down has
 * not run and says so (UNAVAILABLE, `sent: false`); a call in flight when it ends may have run (INDETERMINATE) and is never
 * sent again. A server that ends is started again after a random wait that grows with each failure and is forgotten
 * after a time of health. One that could not be started at first is tried again in the same way.
 */
import { openCommand } from '#command'
import type { Clock } from '../base/clock.ts'
import { deadline } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import type { Availability, CallToolResult, HostedAgent, ToolCall } from './host.ts'
import { openInstance } from './instance.ts'
import type { CommandSource, InstanceSource, Link, UrlSource } from './link.ts'
import { pause } from './pause.ts'
import { ServerSession, type Era, type SessionEvents } from './session.ts'
import { openUrl } from './url.ts'

/** How long a server may take from its start to its first lists unless told otherwise, in milliseconds. */
export const START_MS_MAX = 30_000

/** Bounds of the wait before a restart, in milliseconds: a random part of the lower, doubled with every failure up to the upper. */
export const RESTART_MS = { first: 100, max: 30_000 } as const

/** Time of health after which earlier failures no longer count, in milliseconds. */
export const HEALTHY_MS = 60_000

/** Calls in flight to one shared server; a further one is refused as OVERLOADED. */
export const SHARED_CALLS_IN_FLIGHT_MAX = 1_000

export type ServerSource = CommandSource | UrlSource | InstanceSource

export interface ShareOptions {
  readonly clock: Clock
  readonly random: Random
  readonly role?: string
  readonly pool?: string
  readonly description?: string
  readonly version?: string
  /** Default START_MS_MAX. */
  readonly startMsMax?: number
  /** Default SHARED_CALLS_IN_FLIGHT_MAX. */
  readonly callsInFlightMax?: number
  /** Hears of what no call can tell: a restart, a list that cannot be read. */
  readonly report?: (event: string) => void
}

export interface SharedServer extends HostedAgent {
  readonly availability: Availability & { readonly sinceMs?: number }
  /** Resolves when it first serves; rejects with SERVER_FAILED if its first start failed, after which it is tried again. */
  ready (): Promise<void>
}

/**
 * Starts a server and offers it under a name.
 *
 * @throws SwarmError INVALID_OPTION for a source that is none of the three
 */
export function shareServer (name: string, source: ServerSource, options: ShareOptions): SharedServer {
  return new Shared(name, source, options)
}

/** Only the first call counts. */
type FirstOutcome = (error?: Error) => void

class Shared implements SharedServer {
  readonly name: string
  readonly role: string | undefined
  readonly pool: string | undefined
  readonly description: string | undefined
  readonly version: string | undefined
  readonly #options: ShareOptions
  readonly #open: () => Link | Promise<Link>
  readonly #canRestart: boolean
  readonly #events = new Emitter<{ change: undefined }>()
  readonly #closing = new AbortController()
  /** How the first start went: no rejection, since nobody need ask. */
  readonly #first: Promise<Error | undefined>
  readonly #done: Promise<void>
  #session: ServerSession | undefined
  #catalogue: Catalogue = { tools: [] }
  #names: ReadonlySet<string> = new Set()
  #down: { readonly reason: string, readonly said?: string, readonly sinceMs: number }
  #era: Era | undefined
  #inFlight = 0

  constructor (name: string, source: ServerSource, options: ShareOptions) {
    this.name = name
    this.role = options.role
    this.pool = options.pool
    this.description = options.description
    this.version = options.version
    this.#options = options
    const { open, canRestart } = opener(name, source, options.clock)
    this.#open = open
    this.#canRestart = canRestart
    this.#down = { reason: 'starting', sinceMs: options.clock.wallMs() }
    let tell: FirstOutcome = () => {}
    this.#first = new Promise(resolve => { tell = resolve })
    this.#done = this.#live(tell)
  }

  get catalogue (): Catalogue {
    return this.#catalogue
  }

  get availability (): Availability & { readonly sinceMs?: number } {
    return this.#session === undefined ? { available: false, ...this.#down } : { available: true }
  }

  async ready (): Promise<void> {
    const error = await this.#first
    if (error !== undefined) throw error
  }

  onChange (listener: () => void): () => void {
    return this.#events.on('change', listener)
  }

  async callTool (call: ToolCall): Promise<CallToolResult> {
    const session = this.#session
    const where = { agent: this.name, tool: call.name, sent: false }
    if (session === undefined) {
      throw new SwarmError('UNAVAILABLE', `server ${this.name} is down: ${this.#down.reason}`, { details: { ...where, sinceMs: this.#down.sinceMs } })
    }
    if (!this.#names.has(call.name)) {
      throw new SwarmError('UNKNOWN_TOOL', `server ${this.name} has no tool ${call.name}`, { details: where })
    }
    const max = this.#options.callsInFlightMax ?? SHARED_CALLS_IN_FLIGHT_MAX
    if (this.#inFlight >= max) throw new SwarmError('OVERLOADED', `server ${this.name} has ${max} calls in flight; that is its limit`, { details: where })
    this.#inFlight++
    try {
      return await session.call(call)
    } finally {
      this.#inFlight--
    }
  }

  async close (): Promise<void> {
    this.#closing.abort(new SwarmError('CLOSED', `server ${this.name} is no longer shared`))
    await this.#done
  }

  async #live (tell: FirstOutcome): Promise<void> {
    const { clock, random, report } = this.#options
    const { signal } = this.#closing
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const healthyMs = await this.#serve(tell)
        if (healthyMs >= HEALTHY_MS) failures = 1
      } catch (error) {
        const { details: { reason, said } } = error as SwarmError
        this.#goDown(typeof reason === 'string' ? reason : messageOf(error), typeof said === 'string' ? said : undefined)
        tell(error as SwarmError)
      }
      if (signal.aborted || !this.#canRestart) break
      report?.(`server ${this.name} is down: ${this.#down.reason}${saying(this.#down.said)}`)
      await pause(clock, random.next() * Math.min(RESTART_MS.max, RESTART_MS.first * 2 ** (failures - 1)), signal)
    }
    if (!signal.aborted) return
    tell(signal.reason as SwarmError)
    this.#goDown('it is no longer shared')
  }

  /** One life of the server. @returns how long it was healthy, in milliseconds @throws SwarmError SERVER_FAILED if it never was */
  async #serve (onServing: () => void): Promise<number> {
    const { clock, report } = this.#options
    const { signal } = this.#closing
    const { session, link } = await this.#connect({
      changed: catalogue => { this.#offer(catalogue) },
      trouble: error => { report?.(`server ${this.name}: ${error.message}`) }
    })
    const sinceMs = clock.nowMs()
    this.#era = session.era
    this.#session = session
    this.#offer(sameOr(this.#catalogue, session.catalogue))
    onServing()
    const stop = (): void => { void session.close() }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    await session.closed
    signal.removeEventListener('abort', stop)
    const trouble = link.trouble()
    this.#goDown(trouble?.reason ?? 'it closed the connection', trouble?.said)
    return clock.nowMs() - sinceMs
  }

  async #connect (events: SessionEvents): Promise<{ session: ServerSession, link: Link }> {
    const startMsMax = this.#options.startMsMax ?? START_MS_MAX
    const bound = deadline(this.#options.clock, startMsMax, this.#closing.signal)
    try {
      const attempt = async (era: Era | undefined): Promise<{ session: ServerSession, link: Link }> => {
        const link = await this.#open()
        try {
          return { session: await ServerSession.open(link.transport, events, { clock: this.#options.clock, signal: bound.signal, era }), link }
        } catch (error) {
          const trouble = link.trouble()
          const died = trouble !== undefined && trouble.check === undefined && era === undefined && !bound.signal.aborted
          if (died) return await attempt('legacy') // some servers of 2025 exit at a question they do not know
          throw this.#failure(error, link, startMsMax)
        }
      }
      return await attempt(this.#era === 'legacy' ? 'legacy' : undefined)
    } catch (error) {
      throw error instanceof SwarmError && error.code === 'SERVER_FAILED' ? error : this.#failure(error, undefined, startMsMax)
    } finally {
      bound.done()
    }
  }

  #failure (cause: unknown, link: Link | undefined, startMsMax: number): SwarmError {
    const trouble = link?.trouble()
    const late = cause instanceof SwarmError && cause.code === 'TIMEOUT'
    const reason = late ? `it did not answer in ${startMsMax} ms` : trouble?.reason ?? messageOf(cause)
    const check = trouble?.check ?? (late ? 'check that it is an MCP server on stdio' : undefined)
    return new SwarmError('SERVER_FAILED', `server ${this.name} failed to start: ${reason}${saying(trouble?.said)}${check === undefined ? '' : `; ${check}`}`, {
      cause, details: { agent: this.name, reason, said: trouble?.said, ...trouble?.details }
    })
  }

  #offer (catalogue: Catalogue): void {
    if (this.#session === undefined) return // read again when it serves
    this.#catalogue = catalogue
    this.#names = new Set(catalogue.tools.map(({ name }) => name))
    this.#events.emit('change', undefined)
  }

  #goDown (reason: string, said?: string): void {
    this.#session = undefined
    this.#down = { reason, said, sinceMs: this.#options.clock.wallMs() }
    this.#events.emit('change', undefined)
  }
}

function saying (said: string | undefined): string {
  return said === undefined ? '' : `: ${said}`
}

function opener (name: string, source: ServerSource, clock: Clock): { open: () => Link | Promise<Link>, canRestart: boolean } {
  if ('connect' in source && typeof source.connect === 'function') return { open: () => openInstance(source), canRestart: false }
  if ('url' in source) return { open: () => openUrl(source), canRestart: true }
  if ('command' in source && typeof source.command === 'string' && source.command !== '') return { open: () => openCommand(source, clock), canRestart: true }
  throw new SwarmError('INVALID_OPTION', `server ${name}: takes a command, a url, or an McpServer or Server of the MCP SDK`)
}

/** A restart that changes nothing shall not look like a change. */
function sameOr (held: Catalogue, fresh: Catalogue): Catalogue {
  return JSON.stringify(held) === JSON.stringify(fresh) ? held : fresh
}
