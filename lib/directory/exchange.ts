/**
 * Two connected peers tell each other what they are and offer: `/mcp-swarm/<swarmId>/directory/1.0.0`.
 *
 * One stream per connection, opened by the peer that dialled, carries both directions for as long as the connection lasts;
 * where both ends open one (or where two connections exist) each stream works alone, and what is heard twice changes
 * nothing. Each end sends its own record at once, again whenever it changes (once per turn of the event loop), and in
 * between, at least every third of its lease, that it still holds. It takes records of the other end only: that the
 * connection has proven who speaks is what lets a record heard again renew a lease.
 *
 * Catalogues are asked for by hash, of the peer whose agent it is, for that peer decides who may see it; one that is here
 * already, from disk or from another peer, is asked about all the same, without its text. A small catalogue that is new
 * follows its record unasked, to those who may see it: a changed tool is known everywhere after half a round trip.
 *
 * Bounds: what is to be sent is a set of facts, not a queue of lines, and waits while the other end does not read; at most
 * WANTS_MAX of its questions wait for their answer, more end the stream with OVERLOADED. Anything that breaks the format,
 * a record that is not the other end's own, or a catalogue that does not have its hash ends the stream with its code; what
 * becomes of the connection is the caller's to decide.
 */
import { utf8 } from '../base/bytes.ts'
import { afterTurn, type Clock } from '../base/clock.ts'
import { SwarmError, assert } from '../base/error.ts'
import { LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { Agenda, type AgendaOptions } from './agenda.ts'
import { readCatalogue } from './catalogue.ts'
import type { Change } from './directory.ts'
import { compareAge, readRecord, type PeerRecord } from './record.ts'
import { Requests } from './requests.ts'
import { DIRECTORY_LINE_BYTES_MAX, readMessage, writeMessage, type Message } from './wire.ts'

/** How long a leaving peer waits for its last record to be read. */
export const LEAVE_MS_MAX = 1_000

export interface ExchangeOptions extends AgendaOptions {
  readonly swarmId: string
  readonly clock: Clock
  readonly random: Random
  readonly events: ExchangeEvents
}

export interface ExchangeEvents {
  changed (changes: readonly Change[]): void
  /** A record that is newer, or whose peer lives again: worth keeping on disk. */
  recordTaken (record: PeerRecord, wire: string): void
  catalogueTaken (hash: string, text: string): void
  /** The other end holds this later record of our own: go on with an incarnation above it, or nobody listens. */
  outdated (record: PeerRecord): void
}

export class Exchange {
  /** Resolves when the stream has closed, with the error unless it ended in order. Never rejects. */
  readonly closed: Promise<Error | undefined>
  readonly #options: ExchangeOptions
  readonly #requests: Requests
  #resolveClosed: (error: Error | undefined) => void = () => undefined
  #line: LineStream | undefined
  readonly #agenda: Agenda
  #announcing = false
  #pumping = false
  #leaving = false
  #ended = false
  #cancelRenewal: () => void = () => undefined

  constructor (options: ExchangeOptions) {
    this.#options = options
    this.#requests = new Requests(options.clock, () => { void this.#pump() })
    this.#agenda = new Agenda(options, this.#requests)
    this.closed = new Promise(resolve => { this.#resolveClosed = resolve })
  }

  /** Takes over a stream of the directory protocol. Called exactly once. */
  run (stream: ByteStream): void {
    assert(this.#line === undefined, 'an exchange runs once')
    this.#line = new LineStream(stream, { lineBytesMax: DIRECTORY_LINE_BYTES_MAX })
    this.#line.read({
      line: text => { this.#hear(text) },
      ended: () => { void this.#end() },
      closed: error => {
        this.#cancelRenewal()
        this.#requests.close()
        this.#resolveClosed(error)
      }
    })
    this.#agenda.record = true
    void this.#pump()
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
        if (message.kind === 'record') this.#renewLater(this.#agenda.leaseMs)
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

  /** Jitter keeps a thousand leases from being renewed at one moment. */
  #renewLater (leaseMs: number): void {
    this.#cancelRenewal()
    this.#cancelRenewal = this.#options.clock.after(leaseMs / 3 * (0.8 + 0.2 * this.#options.random.next()), () => {
      this.#agenda.alive = true
      this.#renewLater(leaseMs)
      void this.#pump()
    })
  }

  #hear (text: string): void {
    try {
      this.#take(readMessage(text))
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

  #take (message: Message): void {
    switch (message.kind) {
      case 'record': return this.#takeRecord(message.wire, message.follows)
      case 'alive': return this.#takeAlive(message)
      case 'newer': return this.#takeNewer(message.wire)
      case 'want-record': return this.#agenda.tellAnew()
      case 'want': return this.#agenda.want(message.hash, message.held)
      case 'catalogue': return this.#takeCatalogue(message.hash, message.text)
      case 'readable': return this.#takeAnswer(message.hash)
      case 'refused': return this.#takeRefusal(message)
      case 'unknown':
    }
  }

  #takeRecord (wire: string, follows: readonly string[]): void {
    const { directory, peerId, swarmId } = this.#options
    const held = directory.record(peerId)
    const record = held?.wire === wire ? held.record : readRecord(wire, swarmId)
    if (record.peerId !== peerId) {
      throw new SwarmError('RECORD_INVALID', `peer ${peerId} sends a record of ${record.peerId}`, { details: { reason: 'peer' } })
    }
    this.#merge(record, wire, follows)
  }

  #takeAlive ({ incarnation, sequence }: Message & { kind: 'alive' }): void {
    const held = this.#options.directory.record(this.#options.peerId)
    if (held?.record.incarnation === incarnation && held.record.sequence === sequence) this.#merge(held.record, held.wire, [])
    else this.#agenda.wantRecord = true
  }

  #merge (record: PeerRecord, wire: string, follows: readonly string[]): void {
    const { directory, peerId, clock, events } = this.#options
    const { outcome, changes } = directory.merge(record, wire, clock.nowMs(), { direct: true })
    if (outcome === 'full') throw new SwarmError('OVERLOADED', `the directory has no room for peer ${peerId}`)
    if (outcome === 'outdated') this.#agenda.newer = true
    if (outcome === 'taken' || outcome === 'revived') events.recordTaken(record, wire)
    if (changes.length > 0) events.changed(changes)
    if (outcome === 'outdated' || outcome === 'own') return
    const hashes = new Set(record.left === true ? [] : record.agents.map(agent => agent.catalogue))
    this.#requests.need(hashes, { follows: new Set(follows), anew: outcome === 'taken', isHeld: hash => directory.hasCatalogue(hash) })
  }

  #takeNewer (wire: string): void {
    const { directory, swarmId, events, peerId } = this.#options
    const own = directory.own
    if (own === undefined || wire === own.wire) return
    const record = readRecord(wire, swarmId)
    if (record.peerId !== directory.peerId) {
      throw new SwarmError('RECORD_INVALID', `peer ${peerId} returns a record that is not ours`, { details: { reason: 'peer' } })
    }
    if (compareAge(record, own.record) >= 0) events.outdated(record)
  }

  #takeCatalogue (hash: string, text: string): void {
    if (!this.#requests.isOpen(hash)) return
    const { directory, events } = this.#options
    if (!directory.hasCatalogue(hash)) {
      const changes = directory.addCatalogue(hash, readCatalogue(text, hash), utf8(text).byteLength)
      events.catalogueTaken(hash, text)
      if (changes.length > 0) events.changed(changes)
    }
    this.#takeAnswer(hash)
  }

  #takeAnswer (hash: string): void {
    if (!this.#requests.isOpen(hash)) return
    this.#requests.settle(hash, 'readable')
    this.#setReadable(hash, undefined)
  }

  /** Only FORBIDDEN is final until the next record; anything else is asked again later. */
  #takeRefusal ({ hash, code }: Message & { kind: 'refused' }): void {
    if (code !== 'FORBIDDEN' || !this.#requests.isOpen(hash)) return
    this.#requests.settle(hash, 'refused')
    this.#setReadable(hash, code)
  }

  #setReadable (hash: string, refusal: 'FORBIDDEN' | undefined): void {
    const changes = this.#options.directory.setReadable(this.#options.peerId, hash, refusal)
    if (changes.length > 0) this.#options.events.changed(changes)
  }
}
