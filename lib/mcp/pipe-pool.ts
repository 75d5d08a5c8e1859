/**
 * The streams over which this peer calls others: one long-lived one per peer and agent, opened at first use and closed when
 * idle. A call that is large, or said to be long, takes a stream of its own, so that it holds nobody else up.
 */
import { deadline, type Clock } from '../base/clock.ts'
import { messageOf, SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ByteStream } from '../base/network.ts'
import type { CallToolResult } from './host.ts'
import { CALL_MS_DEFAULT, Pipe, unsent, type CallOptions } from './pipe.ts'
import { Bounds, type Ending } from './wire-bounds.ts'

/** A stream without calls is closed after this many milliseconds. */
export const IDLE_MS = 60_000

/** Arguments over this many UTF-16 units of JSON take their own stream. */
export const SHARED_ARGUMENTS_MAX = 64 * 2 ** 10

/** Streams of their own that calls to one peer may hold at once. */
export const OWN_STREAMS_MAX = 256

/** Opening a stream on a connection takes one round trip; this many milliseconds are enough for the slowest. */
export const OPEN_MS_MAX = 10_000

/** How often a stream that takes no more calls is asked whether its last one has ended, in milliseconds. */
const DONE_MS = 100

export interface PoolCallOptions extends CallOptions {
  /** Expected to run long or to answer much: takes its own stream. */
  readonly long?: boolean
}

export interface PipesOptions {
  /** Opens a fresh stream of our protocol to a peer. @throws SwarmError UNREACHABLE, UNKNOWN_PEER, ABORTED, … */
  readonly open: (peerId: string, signal: AbortSignal) => Promise<ByteStream>
  /** A stream that `open` gave carries no more calls. */
  readonly ended?: (stream: ByteStream) => void
  readonly clock: Clock
  /** Default IDLE_MS. */
  readonly idleMs?: number
  readonly callsInFlightMax?: number
  readonly lineBytesMax?: number
}

interface Entry {
  pipe: Pipe | undefined
  opening: Promise<Pipe> | undefined
  cancelIdle: () => void
}

interface Peer {
  readonly agents: Map<string, Entry>
  readonly own: Set<Pipe>
  ownCount: number
}

export class Pipes {
  readonly #options: PipesOptions
  readonly #peers = new Map<string, Peer>()
  readonly #opening = new Set<AbortController>()
  readonly #waits: Bounds<(ending: Ending) => void>
  #isClosed = false

  constructor (options: PipesOptions) {
    this.#options = options
    this.#waits = new Bounds(options.clock, (giveUp, ending) => { giveUp(ending) })
  }

  /**
   * Calls a tool of an agent at a peer.
   *
   * @throws SwarmError as pipe.ts lists; INVALID_ARGUMENTS if they are not JSON; CLOSED after `close`
   */
  call (peerId: string, agent: string, name: string, args: JsonObject, options: PoolCallOptions = {}): Promise<CallToolResult> {
    if (this.#isClosed) return Promise.reject(unsent('CLOSED', `call ${name}: closed at this end`))
    let text: string
    try {
      text = JSON.stringify(args)
    } catch (cause) {
      return Promise.reject(unsent('INVALID_ARGUMENTS', `arguments of ${name} are not JSON: ${messageOf(cause)}`))
    }
    if (options.long === true || text.length > SHARED_ARGUMENTS_MAX) return this.#callAlone(peerId, agent, name, text, options)
    const pipe = this.#peers.get(peerId)?.agents.get(agent)?.pipe
    if (pipe !== undefined) return pipe.call(name, text, options)
    return this.#callShared(peerId, agent, name, text, options)
  }

  /** Calls that wait for an answer of this agent, on shared streams: what a choice between providers weighs. */
  inFlight (peerId: string, agent: string): number {
    return this.#peers.get(peerId)?.agents.get(agent)?.pipe?.inFlight ?? 0
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
    for (const [agent, entry] of peer.agents) {
      if (entry.pipe === undefined) continue
      entry.cancelIdle()
      peer.agents.delete(agent)
      peer.own.add(entry.pipe)
      peer.ownCount++
      this.#endWhenDone(peerId, peer, entry.pipe)
    }
  }

  close (): void {
    this.#isClosed = true
    for (const giveUp of this.#opening) giveUp.abort(new SwarmError('CLOSED', 'closed at this end'))
    for (const peerId of [...this.#peers.keys()]) this.closePeer(peerId)
  }

  async #callShared (peerId: string, agent: string, name: string, text: string, options: CallOptions): Promise<CallToolResult> {
    const peer = this.#peer(peerId)
    const entry = peer.agents.get(agent) ?? { pipe: undefined, opening: undefined, cancelIdle: () => {} }
    peer.agents.set(agent, entry)
    entry.opening ??= this.#openShared(peerId, agent, peer, entry)
    return this.#callOn(entry.opening, name, text, options)
  }

  async #openShared (peerId: string, agent: string, peer: Peer, entry: Entry): Promise<Pipe> {
    try {
      const pipe = await this.#open(peerId, agent, () => {
        entry.cancelIdle()
        if (peer.agents.get(agent) === entry) peer.agents.delete(agent)
        this.#forget(peerId, peer)
      })
      entry.pipe = pipe
      this.#watchIdle(entry, pipe, this.#options.idleMs ?? IDLE_MS)
      return pipe
    } catch (error) {
      peer.agents.delete(agent)
      this.#forget(peerId, peer)
      throw error
    }
  }

  async #callAlone (peerId: string, agent: string, name: string, text: string, options: CallOptions): Promise<CallToolResult> {
    const peer = this.#peer(peerId)
    if (peer.ownCount >= OWN_STREAMS_MAX) throw unsent('OVERLOADED', `call ${name}: ${peer.ownCount} large or long calls in flight to peer ${peerId}; limit ${OWN_STREAMS_MAX}`)
    peer.ownCount++
    const opening = this.#open(peerId, agent, () => {})
    try {
      return await this.#callOn(opening.then(pipe => {
        peer.own.add(pipe)
        return pipe
      }), name, text, options)
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

  /** Waits for a stream no longer than the call may, then calls with the time that is left. */
  async #callOn (opening: Promise<Pipe>, name: string, text: string, options: CallOptions): Promise<CallToolResult> {
    const { signal, timeoutMs = CALL_MS_DEFAULT } = options
    if (signal?.aborted === true) throw unsent('ABORTED', `call ${name} was given up`, signal.reason)
    const { clock } = this.#options
    const startMs = clock.nowMs()
    const pipe = await new Promise<Pipe>((resolve, reject) => {
      const giveUp = (ending: Ending): void => {
        reject(ending === 'late' ? unsent('TIMEOUT', `call ${name}: no stream in time`) : unsent('ABORTED', `call ${name} was given up`, signal?.reason))
      }
      this.#waits.set(giveUp, timeoutMs, signal)
      opening.then(resolve, (error: unknown) => {
        reject(unsent(error instanceof SwarmError ? error.code : 'UNREACHABLE', `call ${name}: ${messageOf(error)}`, error))
      }).finally(() => { this.#waits.delete(giveUp) })
    })
    return await pipe.call(name, text, { ...options, timeoutMs: Math.max(timeoutMs - (clock.nowMs() - startMs), 1) })
  }

  async #open (peerId: string, agent: string, closed: () => void): Promise<Pipe> {
    const { clock, open, ended, callsInFlightMax, lineBytesMax } = this.#options
    const giveUp = new AbortController()
    const limit = deadline(clock, OPEN_MS_MAX, giveUp.signal)
    this.#opening.add(giveUp)
    try {
      const stream = await open(peerId, limit.signal)
      if (limit.signal.aborted) {
        stream.abort(new SwarmError('CLOSED', 'the stream came too late'))
        throw limit.signal.reason
      }
      return new Pipe(stream, {
        agent, clock, callsInFlightMax, lineBytesMax,
        closed: () => {
          closed()
          ended?.(stream)
        }
      })
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : error
    } finally {
      limit.done()
      this.#opening.delete(giveUp)
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
