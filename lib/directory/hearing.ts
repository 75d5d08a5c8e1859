/**
 * What one end of an exchange makes of what it hears: of the other end itself, and of third peers. What is to be said to it goes on
 * the agenda; what is judged with what others say is hearsay.ts's.
 */
import { SwarmError } from '../base/error.ts'
import type { Agenda } from './agenda.ts'
import { markOf } from './digest.ts'
import type { Exchange, ExchangeOptions } from './exchange.ts'
import { compareAge, readRecord, type PeerRecord } from './record.ts'
import type { Requests } from './requests.ts'
import type { Message } from './wire.ts'

export class Hearing {
  readonly #options: ExchangeOptions
  readonly #exchange: Exchange
  readonly #agenda: Agenda
  readonly #requests: Requests
  #hasMet = false

  /** @param exchange whose lines these are */
  constructor (options: ExchangeOptions, exchange: Exchange, agenda: Agenda, requests: Requests) {
    this.#options = options
    this.#exchange = exchange
    this.#agenda = agenda
    this.#requests = requests
  }

  /** @throws SwarmError for what ends the exchange: RECORD_INVALID, MALFORMED, TOO_LARGE, OVERLOADED */
  take (message: Message): void {
    const { hearsay } = this.#options
    switch (message.kind) {
      case 'record': return this.#takeRecord(message.wire, message.follows)
      case 'told': return this.#takeTold(message.records)
      case 'have': return this.#takeHave(message.marks)
      case 'need': return this.#takeNeed(message.marks)
      case 'gone': return message.peers.forEach(gone => { hearsay.suspicion.heard(this.#exchange, gone) })
      case 'ping': this.#agenda.pong = message.count; return
      case 'pong': return this.#exchange.ponged(message.count)
      case 'sum': return this.#takeSum(message)
      case 'sums': if (hearsay.mayCompare(this.#exchange)) this.#agenda.theirs = message.digests; return
      case 'marks': if (hearsay.mayCompare(this.#exchange)) this.#need(this.#agenda.settle(message.bits, message.parts)); return
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
    const { record, wire: text } = directory.signed(wire) ?? { record: readRecord(wire, swarmId, directory.share), wire }
    if (record.peerId !== peerId) {
      throw new SwarmError('RECORD_INVALID', `peer ${peerId} sends a record of ${record.peerId}`, { details: { reason: 'peer' } })
    }
    this.#merge(record, text, follows)
    if (this.#hasMet) return
    this.#hasMet = true
    this.#options.hearsay.suspicion.met(this.#exchange)
    if (this.#options.begins) this.#agenda.sum = true
  }

  #takeTold (records: Extract<Message, { kind: 'told' }>['records']): void {
    const { directory, hearsay } = this.#options
    for (const [wire, ageS] of records) {
      hearsay.told(this.#exchange, wire, ageS)
      this.#unmention(directory.marked(markOf(wire)))
    }
  }

  #takeHave (marks: readonly string[]): void {
    for (const mark of marks) this.#unmention(this.#options.directory.marked(mark))
    this.#need(marks)
  }

  /** Asks for those that nobody else was asked for just now. */
  #need (marks: readonly string[]): void {
    for (const mark of this.#options.hearsay.needed(this.#exchange, marks)) this.#agenda.need.add(mark)
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
    if (!hearsay.mayCompare(this.#exchange)) return
    this.#agenda.sums = count !== directory.livingCount || digest !== directory.marks.digest()
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
      if (outcome === 'taken') hearsay.spread(peerId, this.#exchange)
      else if (absence !== 'stored') hearsay.suspicion.revived(this.#exchange, record)
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
    const record = readRecord(wire, swarmId, directory.share)
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
