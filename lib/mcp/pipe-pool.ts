/**
 * The streams over which this peer calls others: one long-lived one per peer and agent, opened at first use and closed when
 * idle. A call that is large, or said to be long, takes a stream of its own, so that it holds nobody else up.
 */
import { messageOf } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ClientSide, Outcome } from './host.ts'
import { PipeOpening, type PipeOpeningOptions, type Run } from './pipe-opening.ts'
import { unsent, type CallOptions, type Listener } from './pipe-call.ts'
import type { Pipe } from './pipe.ts'

export { OPEN_MS_MAX } from './pipe-opening.ts'

/** A stream without calls is closed after this many milliseconds. */
export const IDLE_MS = 60_000

/** Arguments over this many UTF-16 units of JSON take their own stream. */
export const SHARED_ARGUMENTS_MAX = 64 * 2 ** 10

/** Streams of their own that calls to one peer may hold at once. */
export const OWN_STREAMS_MAX = 256

/** How often a stream that takes no more calls is asked whether its last one has ended, in milliseconds. */
const DONE_MS = 100

export interface PoolCallOptions extends CallOptions {
  /** Expected to run long or to answer much: takes its own stream. */
  readonly long?: boolean
}

export interface PipesOptions extends PipeOpeningOptions {
  /** Default IDLE_MS. */
  readonly idleMs?: number
}

/** What is asked, and of whom. */
interface Where {
  readonly peerId: string
  readonly agent: string
  /** The tool, or the method. */
  readonly what: string
  /** On a stream of its own. */
  readonly isOwn: boolean
}

interface Entry {
  pipe: Pipe | undefined
  opening: Promise<Pipe> | undefined
  cancelIdle: () => void
}

interface Peer {
  /** By agent, and by client where it is for one. */
  readonly agents: Map<string, Entry>
  readonly own: Set<Pipe>
  ownCount: number
}

export class Pipes {
  readonly #options: PipesOptions
  readonly #peers = new Map<string, Peer>()
  readonly #opening: PipeOpening
  #isClosed = false

  constructor (options: PipesOptions) {
    this.#options = options
    this.#opening = new PipeOpening(options)
  }

  /**
   * Calls a tool of an agent at a peer.
   *
   * @throws SwarmError as pipe.ts lists; INVALID_ARGUMENTS if they are not JSON; CLOSED after `close`
   */
  call (peerId: string, agent: string, name: string, args: JsonObject, options: PoolCallOptions = {}): Promise<Outcome> {
    let text: string
    try {
      text = JSON.stringify(args)
    } catch (cause) {
      return Promise.reject(unsent('INVALID_ARGUMENTS', `arguments of ${name} are not JSON: ${messageOf(cause)}`))
    }
    return this.#use({ peerId, agent, what: name, isOwn: text.length > SHARED_ARGUMENTS_MAX }, options, (pipe, left) => pipe.call(name, text, left))
  }

  /** Asks an agent for anything else that it answers. @throws SwarmError as `call` */
  request (peerId: string, agent: string, method: string, params: JsonObject, options: PoolCallOptions = {}): Promise<JsonObject> {
    return this.#use({ peerId, agent, what: method, isOwn: false }, options, (pipe, left) => pipe.request(method, params, left))
  }

  /**
   * Subscribes at an agent, on a stream of its own that ends with the subscription.
   *
   * @throws SwarmError UNREACHABLE, OVERLOADED, ABORTED: no stream
   */
  async listen (peerId: string, agent: string, notifications: JsonObject, listener: Listener, client?: ClientSide): Promise<() => void> {
    const peer = this.#peer(peerId)
    if (peer.ownCount >= OWN_STREAMS_MAX) throw unsent('OVERLOADED', `${peer.ownCount} streams of their own to peer ${peerId}; limit ${OWN_STREAMS_MAX}`)
    peer.ownCount++
    let pipe: Pipe | undefined
    const end = (): void => {
      if (pipe === undefined || !peer.own.delete(pipe)) return
      peer.ownCount--
      pipe.close()
      this.#forget(peerId, peer)
    }
    try {
      pipe = await this.#opening.open(peerId, agent, client?.session, () => {})
      peer.own.add(pipe)
      const stop = pipe.listen(notifications, {
        heard: (method, params) => { listener.heard(method, params) },
        ended (error) {
          end()
          listener.ended(error)
        }
      }, client)
      return () => {
        stop()
        end()
      }
    } catch (error) {
      if (pipe === undefined) peer.ownCount--
      else end()
      this.#forget(peerId, peer)
      throw error
    }
  }

  /** One of our clients has gone: its streams end. @param mayReturn with answers to what it was asked */
  endSession (session: string, mayReturn = false): void {
    for (const { agents } of [...this.#peers.values()]) {
      for (const [key, { pipe }] of [...agents]) {
        if (!key.endsWith(`\n${session}`)) continue
        if (!mayReturn) pipe?.tellLeft()
        pipe?.close()
      }
    }
  }

  /** Calls that wait for an answer of this agent, on shared streams: what a choice between providers weighs. */
  inFlight (peerId: string, agent: string): number {
    return this.#peers.get(peerId)?.agents.get(keyOf(agent))?.pipe?.inFlight ?? 0
  }

  /** Ends every stream to a peer; calls in flight end as INDETERMINATE. */
  closePeer (peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    this.#peers.delete(peerId)
    for (const entry of peer.agents.values()) {
      entry.cancelIdle()
      entry.pipe?.close()
    }
    for (const pipe of [...peer.own]) pipe.close()
  }

  /**
   * Another connection serves a peer from now on: further calls open fresh streams, and each old one ends when its last call
   * has.
   */
  renewPeer (peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    for (const [key, entry] of peer.agents) {
      entry.cancelIdle()
      peer.agents.delete(key)
      if (entry.pipe === undefined) continue // it is being opened, perhaps where nobody answers: those who wait for it may, others need not
      peer.own.add(entry.pipe)
      peer.ownCount++
      this.#endWhenDone(peerId, peer, entry.pipe)
    }
  }

  close (): void {
    this.#isClosed = true
    this.#opening.close()
    for (const peerId of [...this.#peers.keys()]) this.closePeer(peerId)
  }

  #use<Answer> (where: Where, options: PoolCallOptions, run: Run<Answer>): Promise<Answer> {
    const { agent, isOwn, peerId, what } = where
    if (this.#isClosed) return Promise.reject(unsent('CLOSED', `call ${what}: closed at this end`))
    if (isOwn || options.long === true) return this.#useOwn(where, options, run)
    const key = keyOf(agent, options.client?.session)
    const pipe = this.#peers.get(peerId)?.agents.get(key)?.pipe
    return pipe === undefined ? this.#useShared(where, key, options, run) : run(pipe, options)
  }

  async #useShared<Answer> (where: Where, key: string, options: CallOptions, run: Run<Answer>): Promise<Answer> {
    const { agent, peerId } = where
    const peer = this.#peer(peerId)
    const entry = peer.agents.get(key) ?? { pipe: undefined, opening: undefined, cancelIdle: () => {} }
    peer.agents.set(key, entry)
    entry.opening ??= this.#openShared(peerId, agent, options.client?.session, key, peer, entry)
    return await this.#opening.use(entry.opening, where.what, options, run)
  }

  async #openShared (peerId: string, agent: string, session: string | undefined, key: string, peer: Peer, entry: Entry): Promise<Pipe> {
    try {
      const pipe = await this.#opening.open(peerId, agent, session, () => {
        entry.cancelIdle()
        if (peer.agents.get(key) === entry) peer.agents.delete(key)
        this.#forget(peerId, peer)
      })
      if (peer.agents.get(key) !== entry) {
        peer.own.add(pipe)
        peer.ownCount++
        this.#options.clock.after(DONE_MS, () => { this.#endWhenDone(peerId, peer, pipe) })
        return pipe
      }
      entry.pipe = pipe
      // the stream of a client lasts as long as the client does: with it goes what its server keeps
      if (session === undefined) this.#watchIdle(entry, pipe, this.#options.idleMs ?? IDLE_MS)
      return pipe
    } catch (error) {
      if (peer.agents.get(key) === entry) peer.agents.delete(key)
      this.#forget(peerId, peer)
      throw error
    }
  }

  async #useOwn<Answer> (where: Where, options: CallOptions, run: Run<Answer>): Promise<Answer> {
    const { agent, peerId, what } = where
    const peer = this.#peer(peerId)
    if (peer.ownCount >= OWN_STREAMS_MAX) throw unsent('OVERLOADED', `call ${what}: ${peer.ownCount} large or long calls in flight to peer ${peerId}; limit ${OWN_STREAMS_MAX}`)
    peer.ownCount++
    const opening = this.#opening.open(peerId, agent, options.client?.session, () => {})
    try {
      return await this.#opening.use(opening.then(pipe => {
        peer.own.add(pipe)
        return pipe
      }), what, options, run)
    } finally {
      // Whoever called has had the error of an opening that failed; what is left is to give the place back.
      void opening.then(pipe => {
        peer.own.delete(pipe)
        pipe.close()
      }, () => {}).finally(() => {
        peer.ownCount--
        this.#forget(peerId, peer)
      })
    }
  }

  #endWhenDone (peerId: string, peer: Peer, pipe: Pipe): void {
    if (pipe.inFlight > 0 && !pipe.isClosed) {
      this.#options.clock.after(DONE_MS, () => { this.#endWhenDone(peerId, peer, pipe) })
      return
    }
    pipe.close()
    peer.own.delete(pipe)
    peer.ownCount--
    this.#forget(peerId, peer)
  }

  #watchIdle (entry: Entry, pipe: Pipe, delayMs: number): void {
    const idleMs = this.#options.idleMs ?? IDLE_MS
    entry.cancelIdle = this.#options.clock.after(delayMs, () => {
      const leftMs = pipe.inFlight > 0 ? idleMs : pipe.lastUsedMs + idleMs - this.#options.clock.nowMs()
      if (leftMs <= 0) pipe.close()
      else this.#watchIdle(entry, pipe, leftMs)
    })
  }

  #peer (peerId: string): Peer {
    const peer = this.#peers.get(peerId) ?? { agents: new Map(), own: new Set(), ownCount: 0 }
    this.#peers.set(peerId, peer)
    return peer
  }

  #forget (peerId: string, peer: Peer): void {
    if (peer.agents.size === 0 && peer.ownCount === 0 && this.#peers.get(peerId) === peer) this.#peers.delete(peerId)
  }
}

function keyOf (agent: string, session = ''): string {
  return `${agent}\n${session}`
}
