/**
 * Two connected peers tell each other what they are and offer, and whom else they know:
 * `/mcp-swarm/<swarmId>/directory/2.0.0`.
 *
 * One stream per connection, opened by the peer that dialled, carries both directions for as long as the connection lasts;
 * where both ends open one (or where two connections exist) each stream works alone, and what is heard twice changes
 * nothing. Each end sends its own record at once, and again whenever it changes (once per turn of the event loop): that the
 * connection has proven who speaks is what lets a record heard again bring its peer back. What the ends say of third peers is
 * hearsay.ts's to judge.
 *
 * A catalogue that its peer shows to some alone (`restricted`) is asked for of that peer, which decides; one that is here already,
 * from disk or from another peer, is asked about all the same, without its text. The others are anyone's to pass on. A small
 * catalogue that is new follows its record unasked, to those who may see it: a changed tool is known to neighbours after half a
 * round trip.
 *
 * Bounds: what is to be sent is a set of facts, not a queue of lines, and waits while the other end does not read; at most
 * WANTS_MAX of its questions wait for their answer, more end the stream with OVERLOADED. Anything that breaks the format, a
 * `record` that is not the other end's own, or a catalogue that does not have its hash ends the stream with its code; what
 * becomes of the connection is the caller's to decide.
 */
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError, assert } from '../base/error.ts'
import { LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import { Agenda, type AgendaOptions } from './agenda.ts'
import { Hearing } from './hearing.ts'
import type { Hearsay } from './hearsay.ts'
import { Requests } from './requests.ts'
import { DIRECTORY_LINE_BYTES_MAX, readMessage, writeMessage, type Gone } from './wire.ts'

/** How long a leaving peer waits for its last record to be read. */
export const LEAVE_MS_MAX = 1_000

/** How long marks of what is new are gathered, in milliseconds. */
export const MENTION_MS = 100

export interface ExchangeOptions extends AgendaOptions {
  readonly swarmId: string
  readonly clock: Clock
  readonly hearsay: Hearsay
  /** This end has opened the stream: it asks first whether both hold the same. */
  readonly begins: boolean
  /** Something came from the other end. */
  readonly onHeard?: () => void
  /** The other end will close the connection, and lives on. */
  readonly onPart?: () => void
}

export class Exchange {
  /** Resolves when the stream has closed, with the error unless it ended in order. Never rejects. */
  readonly closed: Promise<Error | undefined>
  readonly #options: ExchangeOptions
  readonly #requests: Requests
  readonly #pings = new Map<number, () => void>()
  #resolveClosed: (error: Error | undefined) => void = () => undefined
  #line: LineStream | undefined
  readonly #agenda: Agenda
  readonly #hearing: Hearing
  #announcing = false
  #pumping = false
  #leaving = false
  #ended = false
  #pinged = 0
  #cancelMention: (() => void) | undefined

  constructor (options: ExchangeOptions) {
    this.#options = options
    this.#requests = new Requests(options.clock, () => { void this.#pump() })
    this.#agenda = new Agenda(options, this.#requests, () => options.clock.nowMs())
    this.#hearing = new Hearing(options, this, this.#agenda, this.#requests)
    this.closed = new Promise(resolve => { this.#resolveClosed = resolve })
  }

  /** The other end. */
  get peerId (): string {
    return this.#options.peerId
  }

  /** Takes over a stream of the directory protocol. Called exactly once. */
  run (stream: ByteStream): void {
    assert(this.#line === undefined, 'an exchange runs once')
    this.#line = new LineStream(stream, { lineBytesMax: DIRECTORY_LINE_BYTES_MAX })
    this.#line.read({
      line: text => { this.#hear(text) },
      ended: () => { void this.#end() },
      closed: error => {
        this.#options.hearsay.delete(this)
        this.#cancelMention?.()
        this.#requests.close()
        this.#resolveClosed(error)
      }
    })
    this.#options.hearsay.add(this)
    this.#agenda.record = true
    void this.#pump()
  }

  /** Tells the other end of a third peer: its record. */
  tell (peerId: string): void {
    if (peerId === this.#options.directory.peerId) return this.announce()
    this.#agenda.told.add(peerId)
    this.#soon()
  }

  /** The same, by its mark alone: the other end asks if it does not have it. */
  mention (peerId: string): void {
    this.#agenda.have.add(peerId)
    this.#cancelMention ??= this.#options.clock.after(MENTION_MS, () => {
      this.#cancelMention = undefined
      void this.#pump()
    })
  }

  /** Tells that a peer is gone. */
  sayGone (gone: Gone): void {
    this.#agenda.gone.set(gone[0], gone)
    this.#soon()
  }

  /** Asks whether the other end holds the same. */
  compare (): void {
    this.#agenda.sum = true
    this.#soon()
  }

  /** Asks for a catalogue of a third peer. */
  fetch (hash: string): void {
    this.#agenda.fetch.add(hash)
    this.#soon()
  }

  /** Says that this end will close the connection, and lives on. Resolves when that has left. */
  async part (): Promise<void> {
    this.#agenda.part = true
    await this.#pump()
  }

  /** Resolves when the other end has answered. @throws SwarmError ABORTED, CLOSED */
  async ping (signal: AbortSignal): Promise<void> {
    if (this.#line === undefined || this.#line.isClosed || this.#ended) throw new SwarmError('CLOSED', `the directory stream to peer ${this.peerId} is closed`)
    const count = ++this.#pinged
    try {
      await new Promise<void>((resolve, reject) => {
        const fail = (): void => { reject(new SwarmError('ABORTED', `peer ${this.peerId} has not answered`)) }
        if (signal.aborted) return fail()
        signal.addEventListener('abort', fail, { once: true })
        this.#pings.set(count, resolve)
        this.#agenda.ping = count
        void this.#pump()
      })
    } finally {
      this.#pings.delete(count)
    }
  }

  /** The other end has answered. */
  ponged (count: number): void {
    this.#pings.get(count)?.()
  }

  /** This peer's own record has changed: tells the other end, once however often it is called in a turn. */
  announce (): void {
    if (this.#announcing) return
    this.#announcing = true
    afterTurn(() => {
      this.#announcing = false
      this.#agenda.record = true
      void this.#pump()
    })
  }

  /**
   * Sends the own record, which by now says `left`, as the last word. Resolves when the other end has read it and ended its
   * side, or after LEAVE_MS_MAX.
   */
  async leave (): Promise<void> {
    if (this.#line === undefined || this.#line.isClosed) return
    this.#leaving = true
    this.#agenda.record = true
    void this.#pump()
    const cancel = this.#options.clock.after(LEAVE_MS_MAX, () => {
      this.#line?.abort(new SwarmError('TIMEOUT', `peer ${this.#options.peerId} did not read our leave in ${LEAVE_MS_MAX} ms`))
    })
    await this.closed
    cancel()
  }

  /** Sends whatever is due, as fast as the other end reads. */
  async #pump (): Promise<void> {
    const line = this.#line
    if (line === undefined || this.#pumping || this.#ended) return
    this.#pumping = true
    try {
      while (!line.isClosed && !this.#ended) {
        const message = this.#leaving ? this.#agenda.nextRecord() : this.#agenda.next()
        if (message === undefined) break
        if (!line.send(writeMessage(message))) await line.drained()
      }
      if (this.#leaving) await this.#end()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#pumping = false
    }
  }

  /** Sends nothing further. */
  async #end (): Promise<void> {
    this.#ended = true
    try {
      await this.#line?.end()
    } catch (cause) {
      this.#fail(new SwarmError('CLOSED', `directory stream to ${this.#options.peerId} did not end in order`, { cause }))
    }
  }

  #soon (): void {
    afterTurn(() => { void this.#pump() })
  }

  #hear (text: string): void {
    try {
      this.#options.onHeard?.()
      this.#hearing.take(readMessage(text))
      void this.#pump()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Ends the stream over what the other end did; a bug of ours is no such thing. */
  #fail (error: unknown): void {
    if (!(error instanceof SwarmError)) throw error
    this.#line?.abort(error)
  }
}
