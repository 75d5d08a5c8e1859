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
import { digestOf, markOf } from './digest.ts'
import type { Hearsay } from './hearsay.ts'
import { compareAge, type PeerRecord } from './record.ts'
import { Requests } from './requests.ts'
import { readSigned } from './shelf.ts'
import { DIRECTORY_LINE_BYTES_MAX, readMessage, writeMessage, type Gone, type Message } from './wire.ts'

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
  #announcing = false
  #pumping = false
  #leaving = false
  #ended = false
  #pinged = 0
  #hasMet = false
  #cancelMention: (() => void) | undefined

  constructor (options: ExchangeOptions) {
    this.#options = options
    this.#requests = new Requests(options.clock, () => { void this.#pump() })
    this.#agenda = new Agenda(options, this.#requests, () => options.clock.nowMs())
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
    const { hearsay } = this.#options
    switch (message.kind) {
      case 'record': return this.#takeRecord(message.wire, message.follows)
      case 'told': return this.#takeTold(message.records)
      case 'have': return this.#takeHave(message.marks)
      case 'need': return this.#takeNeed(message.marks)
      case 'gone': return message.peers.forEach(gone => { hearsay.heardGone(this, gone) })
      case 'ping': this.#agenda.pong = message.count; return
      case 'pong': return this.#pings.get(message.count)?.()
      case 'sum': return this.#takeSum(message)
      case 'sums': if (hearsay.mayCompare(this)) this.#agenda.theirs = message.digests; return
      case 'marks': if (hearsay.mayCompare(this)) this.#agenda.settle(message.bits, message.parts); return
      case 'part': return this.#options.onPart?.()
      case 'newer': return this.#takeNewer(message.wire)
      case 'want': return this.#agenda.want(message.hash, message.held)
      case 'catalogue': return this.#takeCatalogue(message.hash, message.text)
      case 'readable': return this.#takeAnswer(message.hash)
      case 'refused': return this.#takeRefusal(message)
      case 'unknown':
    }
  }

  #takeRecord (wire: string, follows: readonly string[]): void {
    const { directory, peerId, swarmId } = this.#options
    const { record, wire: text } = directory.signed(wire) ?? readSigned(wire, swarmId)
    if (record.peerId !== peerId) {
      throw new SwarmError('RECORD_INVALID', `peer ${peerId} sends a record of ${record.peerId}`, { details: { reason: 'peer' } })
    }
    this.#merge(record, text, follows)
    if (this.#hasMet) return
    this.#hasMet = true
    this.#options.hearsay.met(this)
    if (this.#options.begins) this.#agenda.sum = true
  }

  #takeTold (records: Extract<Message, { kind: 'told' }>['records']): void {
    const { directory, hearsay } = this.#options
    for (const [wire, ageS] of records) {
      hearsay.told(this, wire, ageS)
      this.#unmention(directory.marked(markOf(wire)))
    }
  }

  #takeHave (marks: readonly string[]): void {
    for (const mark of marks) this.#unmention(this.#options.directory.marked(mark))
    for (const mark of this.#options.hearsay.needed(marks)) this.#agenda.need.add(mark)
  }

  /** The other end has it. */
  #unmention (peerId: string | undefined): void {
    if (peerId === undefined) return
    this.#agenda.have.delete(peerId)
    this.#agenda.told.delete(peerId)
  }

  #takeNeed (marks: readonly string[]): void {
    for (const mark of marks) {
      const peerId = this.#options.directory.marked(mark)
      if (peerId !== undefined) this.#agenda.told.add(peerId)
    }
  }

  #takeSum ({ count, digest }: Extract<Message, { kind: 'sum' }>): void {
    const { directory, hearsay } = this.#options
    if (!hearsay.mayCompare(this)) return
    this.#agenda.sums = count !== directory.livingCount || digest !== digestOf(directory.marks())
  }

  #merge (record: PeerRecord, wire: string, follows: readonly string[]): void {
    const { directory, peerId, clock, hearsay } = this.#options
    const absence = directory.absence(peerId)
    const { outcome, changes } = directory.merge(record, wire, clock.nowMs(), { direct: true })
    if (outcome === 'full') throw new SwarmError('OVERLOADED', `the directory has no room for peer ${peerId}`)
    if (outcome === 'outdated') this.#agenda.newer = true
    if (outcome === 'taken' || outcome === 'revived') {
      hearsay.events.recordTaken(record, wire)
      if (changes.length > 0) hearsay.events.changed(changes)
      if (outcome === 'taken') hearsay.spread(peerId, this)
      else if (absence !== 'stored') hearsay.revived(this, record)
    }
    if (outcome === 'outdated' || outcome === 'own') return
    const hashes = new Set(record.left === true ? [] : record.agents
      .filter(({ catalogue, restricted }) => restricted === true || !directory.hasCatalogue(catalogue)).map(({ catalogue }) => catalogue))
    this.#requests.need(hashes, { follows: new Set(follows), anew: outcome === 'taken', isHeld: hash => directory.hasCatalogue(hash) })
  }

  #takeNewer (wire: string): void {
    const { directory, swarmId, hearsay, peerId } = this.#options
    const own = directory.own
    if (own === undefined || wire === own.wire) return
    const { record } = readSigned(wire, swarmId)
    if (record.peerId !== directory.peerId) {
      throw new SwarmError('RECORD_INVALID', `peer ${peerId} returns a record that is not ours`, { details: { reason: 'peer' } })
    }
    if (compareAge(record, own.record) >= 0) hearsay.events.outdated(record)
  }

  #takeCatalogue (hash: string, text: string): void {
    const { hearsay } = this.#options
    if (this.#requests.isOpen(hash) || hearsay.isFetching(hash)) hearsay.takeCatalogue(hash, text)
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
    if (changes.length > 0) this.#options.hearsay.events.changed(changes)
  }
}
