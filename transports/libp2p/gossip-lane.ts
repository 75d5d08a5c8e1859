/**
 * Gossip's two streams with one neighbour, one for each direction, over any of its admitted connections.
 *
 * Either end opens its stream when it has admitted a connection and when it begins to gossip. Refused means that the other end
 * does not gossip yet, or has not admitted us: it will open one then, and we answer with ours. Both streams stand and
 * fall together: when one ends, breaks its framing or goes silent, both are reset and gossipsub forgets the neighbour, so
 * that the other end sees the same, and both begin anew with what they are subscribed to.
 */
import type { Stream } from '@libp2p/interface'
import { afterTurn } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Libp2pConnection } from './connection.ts'
import { ANSWER, FrameReader, QUESTION, RPC_BYTES_MAX, isAnswer, isQuestion } from './gossip-frames.ts'
import { Inlet } from './gossip-inlet.ts'
import { Outbound } from './gossip-outbound.ts'
import { Watch } from './gossip-watch.ts'

/** Before a lane that failed is opened again: nothing after the first failure, then this, doubled each time. */
const REOPEN_MS = 100
const REOPEN_MS_MAX = 10_000

/** How long a lane must hold before its failures are forgotten. */
const SOUND_MS = 20_000

/** Silences in a row, over new streams each time, after which the connection itself is given up. */
const SILENCES_MAX = 3

/** What a lane tells gossipsub, and asks of its surroundings. */
export interface LaneHost {
  readonly clock: Clock
  /** The protocol id of its streams. */
  readonly protocol: string
  /** Gossipsub has a neighbour; resolves when it can send to it. */
  connect (connection: Libp2pConnection, outlet: Outlet): Promise<void>
  /** Gossipsub reads what the neighbour sends. */
  receive (connection: Libp2pConnection, inlet: Inlet): void
  /** Gossipsub forgets the neighbour. */
  forget (connection: Libp2pConnection): void
  /** The lane's watch is due earlier than it was. */
  due (): void
  /** Nothing helps over these connections. */
  despair (connections: readonly Libp2pConnection[]): void
}

/** Bytes as libp2p's streams take them. */
export type Frame = Parameters<Stream['send']>[0]

/** Where gossipsub sends to one neighbour. */
export interface Outlet {
  /** False once these streams have ended. */
  isOpen (): boolean
  /** @throws SwarmError CLOSED, and what libp2p throws */
  send (frame: Frame): void
}

interface Inbound { readonly stream: Stream, readonly inlet: Inlet }

export class Lane {
  readonly watch: Watch
  readonly #host: LaneHost
  /** Admitted connections, the newest last. */
  readonly #ways = new Set<Libp2pConnection>()
  readonly #closing = new AbortController()
  #in: Inbound | undefined
  #out: Outbound | undefined
  #isOpening = false
  #owesAnswer = false
  #failures = 0
  #failedMs = -Infinity
  #cancelReopen: (() => void) | undefined

  constructor (host: LaneHost) {
    this.#host = host
    this.watch = new Watch(host.clock.nowMs())
  }

  /** Whether both directions are open, so that the watch is to be kept. */
  get isOpen (): boolean {
    return this.#out !== undefined
  }

  get hasWays (): boolean {
    return this.#ways.size > 0
  }

  meet (connection: Libp2pConnection): void {
    this.#ways.add(connection)
    void this.#open()
  }

  part (connection: Libp2pConnection): void {
    this.#ways.delete(connection)
    if (this.#ways.size === 0) this.#cancelReopen?.()
    if (this.#out?.connection === connection || this.#ways.size === 0) this.fail('its connection closed')
  }

  /** Takes the neighbour's stream; a second one replaces the first. */
  serve (stream: Stream): void {
    const reader = new FrameReader()
    const inlet = new Inlet(isHeld => {
      if (stream.status !== 'open') return
      if (isHeld) stream.pause()
      else stream.resume()
    })
    const inbound = { stream, inlet }
    const former = this.#in
    this.#in = inbound
    if (former !== undefined) this.#drop(former, 'replaced')
    stream.addEventListener('message', ({ data }) => {
      if (this.#in !== inbound) return
      try {
        for (const frame of reader.take(data instanceof Uint8Array ? data : data.subarray())) this.#heard(frame, inlet)
      } catch (error) {
        this.fail(error instanceof SwarmError ? error.message : String(error))
      }
    })
    const ended = (): void => { if (this.#in === inbound) this.fail('the other end ended its stream') }
    stream.addEventListener('close', ended, { once: true })
    stream.addEventListener('remoteCloseWrite', ended, { once: true })
    if (this.#out === undefined) void this.#open()
    else void this.#begin()
  }

  /** Resets both streams and opens new ones while there is a connection. */
  fail (why: string): void {
    const [inbound, outbound] = [this.#in, this.#out]
    if (inbound === undefined && outbound === undefined) return
    this.#in = undefined
    this.#out = undefined
    this.#owesAnswer = false
    if (inbound !== undefined) this.#drop(inbound, why)
    outbound?.abort(why)
    if (outbound?.hasBegun === true) this.#host.forget(outbound.connection)
    const nowMs = this.#host.clock.nowMs()
    if (nowMs - this.#failedMs > SOUND_MS) this.#failures = 0
    this.#failedMs = nowMs
    if (this.#ways.size > 0) this.#reopen()
  }

  /** Does what the watch finds due. */
  check (nowMs: number): void {
    if (this.#out === undefined) return
    const due = this.watch.check(nowMs)
    if (due === 'ask') this.#say(QUESTION)
    if (due === 'doubt') void this.#doubt(this.#out)
  }

  /**
   * No answer came in time. A neighbour that is busy, or a bad line, answers nothing else either, and new streams would only
   * lose what is under way: so first something else is asked over the same connection, after the question. If the answer to that
   * comes and the other still does not, it is the streams.
   */
  async #doubt (outbound: Outbound): Promise<void> {
    const { clock } = this.#host
    const lives = await outbound.connection.probe(this.#closing.signal).then(() => true, () => false)
    if (this.#out !== outbound) return
    const nowMs = clock.nowMs()
    if (!this.watch.settle(lives && !outbound.isSlow(nowMs), nowMs)) return this.#host.due()
    const ways = [...this.#ways]
    const isHopeless = this.watch.unanswered > SILENCES_MAX
    this.fail('no answer came')
    if (isHopeless) this.#host.despair(ways)
  }

  /** Sends what waits, and resolves when it has left our queues, or cannot any more; undefined if it has. */
  drained (): Promise<void> | undefined {
    return this.#out?.drained()
  }

  close (): void {
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#ways.clear()
    this.#cancelReopen?.()
    this.fail('this peer has closed')
  }

  async #open (): Promise<void> {
    const connection = [...this.#ways].findLast(({ isOpen }) => isOpen)
    if (connection === undefined || this.#isOpening || this.#out !== undefined) return
    this.#isOpening = true
    try {
      const stream = await connection.openRaw(this.#host.protocol, this.#closing.signal)
      if (this.#closing.signal.aborted || !connection.isOpen) stream.abort(new SwarmError('CLOSED', 'gossip has closed'))
      else this.#opened(connection, stream)
    } catch (error) {
      // One that speaks to us and refuses us is about to admit us; one that only refuses will open a stream when it gossips.
      if (!isRefusal(error) || this.#in !== undefined) this.#reopen()
    } finally {
      this.#isOpening = false
    }
  }

  #opened (connection: Libp2pConnection, stream: Stream): void {
    const outbound = new Outbound(stream, connection, () => { if (this.#out === outbound) this.fail('the other end reset our stream') })
    this.#out = outbound
    this.watch.opened(this.#host.clock.nowMs())
    this.#say(QUESTION)
    if (this.#owesAnswer) this.#answer()
    this.#host.due()
    void this.#begin()
  }

  /** Tells gossipsub, once both directions are open. */
  async #begin (): Promise<void> {
    const [inbound, outbound] = [this.#in, this.#out]
    if (inbound === undefined || outbound === undefined) return
    if (outbound.hasBegun) this.#host.forget(outbound.connection) // a new stream of theirs: they have forgotten us
    outbound.hasBegun = true
    const isOpen = (): boolean => this.#out === outbound && this.#in === inbound
    await this.#host.connect(outbound.connection, { isOpen, send: frame => { this.#send(outbound, frame) } })
    if (isOpen()) this.#host.receive(outbound.connection, inbound.inlet)
  }

  #send (outbound: Outbound, frame: Frame): void {
    if (this.#out !== outbound) throw new SwarmError('CLOSED', 'this stream of gossip has ended')
    // The other end would have to break with us over it; gossip is only ever likely to arrive.
    if (frame.byteLength > RPC_BYTES_MAX) return
    outbound.put(frame instanceof Uint8Array ? frame : frame.subarray())
    this.watch.sent()
    this.#host.due()
  }

  #heard (frame: Uint8Array, inlet: Inlet): void {
    if (isQuestion(frame)) this.#answer()
    else if (isAnswer(frame)) {
      this.watch.answered(this.#host.clock.nowMs())
      this.#host.due()
    } else inlet.put(frame)
  }

  #answer (): void {
    this.#owesAnswer = this.#out === undefined
    this.#say(ANSWER)
  }

  #say (frame: Uint8Array): void {
    this.#out?.put(frame)
  }

  #reopen (): void {
    const delayMs = this.#failures === 0 ? 0 : Math.min(REOPEN_MS * 2 ** (this.#failures - 1), REOPEN_MS_MAX)
    this.#failures += 1
    this.#cancelReopen?.()
    if (this.#closing.signal.aborted) return
    if (delayMs === 0) afterTurn(() => { void this.#open() })
    else this.#cancelReopen = this.#host.clock.after(delayMs, () => { void this.#open() })
  }

  #drop ({ stream, inlet }: Inbound, why: string): void {
    inlet.end()
    stream.abort(new SwarmError('CLOSED', `gossip: ${why}`))
  }
}

function isRefusal (error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.name === 'UnsupportedProtocolError'
}
