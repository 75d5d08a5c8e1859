/**
 * Servers of 2025 in mode `caller`, for clients whose requests come one by one (2026-07-28): each client has a server of its
 * own, which it is told of as that server's only client, and which ends when it is idle. What the server asks of its client
 * travels as `input_required` (conversation.ts).
 *
 * Who a client is, its peer says (`ClientSide.session`); peers are proven, so none reaches another's clients. A client's server
 * ends when the client has left and nothing of it runs or waits for answers, at once when it has left for good. A peer that calls for itself has one for all its
 * calls.
 */
import { toBase64Url } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Random } from '../base/random.ts'
import { Conversation, lowestLevel } from './conversation.ts'
import type { Asking, Pending } from './host.ts'
import type { ServerSession, SessionEvents } from './session.ts'
import { Updates } from './updates.ts'

/** Servers of one agent at once, each for one client. The one that has been idle longest makes room. */
export const CALLER_SERVERS_MAX = 32

/** How long a server is kept for a client that asks nothing, in milliseconds. */
export const CALLER_IDLE_MS_MAX = 10 * 60_000

/** How long a request waits for its client's answers, in milliseconds. */
export const ANSWER_MS_MAX = 10 * 60_000

/** Random bytes of a token: nobody guesses one. */
const TOKEN_BYTES = 24

export interface CallersOptions {
  readonly clock: Clock
  readonly random: Random
  /** Starts a server for a client with these capabilities. @throws SwarmError SERVER_FAILED */
  readonly open: (capabilities: JsonObject, events: Required<Pick<SessionEvents, 'ask' | 'logged' | 'updated'>>) => Promise<ServerSession>
  /** Whether another server may be started: sessions of 2025 count too. */
  readonly hasRoom: () => boolean
  /** Hears of what no call can tell. */
  readonly report: (message: string) => void
}

interface Server {
  readonly session: Promise<ServerSession>
  readonly conversations: Set<Conversation>
  readonly updates: Updates
  /** For a client of a peer, not for the peer itself. */
  readonly isNamed: boolean
  idleSinceMs: number
  stay: () => void
}

export class Callers {
  readonly #options: CallersOptions
  readonly #servers = new Map<string, Server>()
  /** Streams open for each client. */
  readonly #streams = new Map<string, number>()
  readonly #parked = new Map<string, { readonly conversation: Conversation, readonly key: string, readonly forget: () => void }>()
  #isClosed = false

  constructor (options: CallersOptions) {
    this.#options = options
  }

  get count (): number {
    return this.#servers.size
  }

  /** A stream for a client has been opened. Returns what to do at its end. */
  enter (peerId: string, session: string): () => void {
    const key = keyOf(peerId, session)
    this.#streams.set(key, (this.#streams.get(key) ?? 0) + 1)
    return () => {
      const left = (this.#streams.get(key) ?? 1) - 1
      if (left > 0) this.#streams.set(key, left)
      else {
        this.#streams.delete(key)
        this.#rest(key)
      }
    }
  }

  /** A client has gone for good: its server ends, whatever it waits for. */
  left (peerId: string, session: string): void {
    void this.#end(keyOf(peerId, session))
  }

  /**
   * @throws SwarmError OVERLOADED, SERVER_FAILED, INVALID_ARGUMENTS for a requestState of ours that has ended; as
   *   `ServerSession.request`
   */
  async request (method: string, params: JsonObject, asking: Asking): Promise<JsonObject | Pending> {
    const { requestState } = asking.client ?? {}
    if (requestState !== undefined) return await this.#goOn(requestState, asking)
    const [key, server] = this.#serverFor(asking)
    try {
      const session = await server.session
      const level = lowestLevel([asking.client?.logLevel, ...[...server.conversations].map(({ logLevel }) => logLevel)]) // one level for all its calls
      if (level !== undefined) await session.setLogLevel(level)
      const { meta, caller } = asking
      const conversation = new Conversation(this.#token(), asking, async how => await session.request(method, params, { caller, meta, ...how }))
      server.conversations.add(conversation)
      return await this.#leg(key, conversation, asking)
    } catch (error) {
      this.#rest(key)
      throw error
    }
  }

  /**
   * Hears of updates of a resource from the client's own server, for as long as that lives.
   *
   * @throws SwarmError OVERLOADED, SERVER_FAILED; the server's own refusal
   */
  async subscribe (uri: string, updated: (uri: string) => void, asking: Pick<Asking, 'caller' | 'client'>): Promise<() => void> {
    const [key, server] = this.#serverFor(asking)
    try {
      await server.session
      const stop = await server.updates.add(uri, updated)
      return () => {
        stop()
        this.#rest(key)
      }
    } catch (error) {
      this.#rest(key)
      throw error
    }
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#servers.keys()].map(async key => { await this.#end(key) }))
  }

  async #goOn (token: string, asking: Asking): Promise<JsonObject | Pending> {
    const parked = this.#parked.get(token)
    if (parked === undefined || parked.conversation.peerId !== asking.caller.peerId) {
      throw new SwarmError('INVALID_ARGUMENTS', 'this requestState is unknown, or its time has run out: call anew', { details: { sent: false } })
    }
    parked.forget()
    this.#parked.delete(token)
    return await this.#leg(parked.key, parked.conversation, asking)
  }

  async #leg (key: string, conversation: Conversation, asking: Asking): Promise<JsonObject | Pending> {
    const server = this.#servers.get(key)
    server?.stay()
    try {
      const outcome = await conversation.go(asking)
      if (!conversation.isOver) {
        const forget = this.#options.clock.after(ANSWER_MS_MAX, () => {
          this.#parked.delete(conversation.token)
          conversation.end(new SwarmError('TIMEOUT', `the client has not answered in ${ANSWER_MS_MAX} ms`))
          server?.conversations.delete(conversation)
          this.#rest(key)
        })
        this.#parked.set(conversation.token, { conversation, key, forget })
        return outcome
      }
      server?.conversations.delete(conversation)
      this.#rest(key)
      return outcome
    } catch (error) {
      server?.conversations.delete(conversation)
      this.#rest(key)
      throw error
    }
  }

  #serverFor ({ caller, client }: Pick<Asking, 'caller' | 'client'>): [string, Server] {
    const key = keyOf(caller.peerId, client?.session)
    const known = this.#servers.get(key)
    if (known !== undefined) return [key, known]
    if (this.#isClosed) throw new SwarmError('UNAVAILABLE', 'the server is no longer shared', { details: { sent: false } })
    if (this.#servers.size >= CALLER_SERVERS_MAX || !this.#options.hasRoom()) this.#makeRoom()
    const conversations = new Set<Conversation>()
    const updates = new Updates(this.#options.report)
    const session = this.#options.open(client?.capabilities ?? {}, {
      ask: async (method, params, signal) => {
        const asked = [...conversations].filter(({ isOver }) => !isOver)
        // They are all of one client, so whichever is asked, the right one answers.
        const conversation = asked.find(({ isAwaited }) => isAwaited) ?? asked[0]
        if (conversation === undefined) return outsideCalls(method)
        return await conversation.ask(method, params, signal)
      },
      logged: params => { for (const conversation of conversations) conversation.log(params) },
      updated: changed => { updates.told(changed) }
    })
    const server: Server = { session, conversations, updates, isNamed: client?.session !== undefined, idleSinceMs: this.#options.clock.nowMs(), stay: () => {} }
    this.#servers.set(key, server)
    const gone = (): void => {
      if (this.#servers.get(key) === server) this.#servers.delete(key)
      server.stay()
    }
    session.then(async opened => {
      updates.attach(opened)
      await opened.closed
      updates.detach()
    }).then(gone, gone) // who called hears why it did not start
    return [key, server]
  }

  /** Nothing of this client runs, waits or listens: its server ends, at once or when it has idled. */
  #rest (key: string): void {
    const server = this.#servers.get(key)
    if (server === undefined || isBusy(server)) return
    server.stay()
    server.idleSinceMs = this.#options.clock.nowMs()
    if (server.isNamed && !this.#streams.has(key)) void this.#end(key)
    else server.stay = this.#options.clock.after(CALLER_IDLE_MS_MAX, () => { void this.#end(key) })
  }

  #makeRoom (): void {
    const idle = [...this.#servers].filter(([, server]) => !isBusy(server))
    const [oldest] = idle.sort(([, left], [, right]) => left.idleSinceMs - right.idleSinceMs)
    if (oldest === undefined) throw new SwarmError('OVERLOADED', `${this.#servers.size} clients have a server of their own; that is the limit`, { details: { sent: false } })
    void this.#end(oldest[0])
  }

  async #end (key: string): Promise<void> {
    const server = this.#servers.get(key)
    if (server === undefined) return
    this.#servers.delete(key)
    server.stay()
    for (const conversation of server.conversations) {
      conversation.end(new SwarmError('ABORTED', 'the server is no longer shared'))
      this.#parked.get(conversation.token)?.forget()
      this.#parked.delete(conversation.token)
    }
    const session = await server.session.catch(() => undefined) // it did not start: who called has heard of it
    await session?.close()
  }

  #token (): string {
    return toBase64Url(this.#options.random.bytes(TOKEN_BYTES))
  }
}

function isBusy ({ conversations, updates }: Server): boolean {
  return conversations.size > 0 || updates.size > 0
}

function keyOf (peerId: string, session: string | undefined): string {
  return JSON.stringify([peerId, session ?? null])
}

/** What a server asks while nobody calls it: there is nobody to turn to, and no folder to look into. */
export function outsideCalls (method: string): JsonObject {
  if (method === 'roots/list') return { roots: [] }
  throw new SwarmError('UNAVAILABLE', `no client can be asked for ${method}: no call is running`)
}
