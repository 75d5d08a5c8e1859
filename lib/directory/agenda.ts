/**
 * What one end of an exchange has to say next: facts that wait to be told, not lines in a queue, so that nothing piles up
 * while the other end does not read. The own record comes first; then what is short; catalogues last, one at a time.
 */
import { SwarmError } from '../base/error.ts'
import type { Directory } from './directory.ts'
import type { PeerRecord } from './record.ts'
import type { Requests } from './requests.ts'
import type { Said } from './wire.ts'

/** Questions of the other end that may wait for their answers at once; a record has room for 22 catalogues. */
export const WANTS_MAX = 64

/** Longest catalogue that is sent unasked, in characters. */
export const PUSH_CHARS_MAX = 16_384

export interface AgendaOptions {
  /** The other end, as its connection has proven it. */
  readonly peerId: string
  /** Where records are merged; its `own` is what this end says of itself. */
  readonly directory: Directory
  /** The text of one of this peer's own catalogues. */
  readonly catalogueText: (hash: string) => string | undefined
  /** Whether the other end may see it. */
  readonly mayRead: (hash: string) => boolean
}

export class Agenda {
  /** Due: our record, where it has changed; that it still holds; theirs, which they lack; a question for theirs. */
  record = false
  alive = false
  newer = false
  wantRecord = false
  readonly #options: AgendaOptions
  readonly #requests: Requests
  /** The last of our records on this stream. */
  #told: { readonly record: PeerRecord, readonly wire: string } | undefined
  /** Their questions, and our unasked answers; whether they hold the text. */
  readonly #answers = new Map<string, boolean>()

  constructor (options: AgendaOptions, requests: Requests) {
    this.#options = options
    this.#requests = requests
  }

  /** The lease of the record that was told last. */
  get leaseMs (): number {
    return this.#told?.record.leaseMs ?? 0
  }

  /** Makes the own record due even if it has not changed. */
  tellAnew (): void {
    this.#told = undefined
    this.record = true
  }

  /** @throws SwarmError OVERLOADED if too many of their questions wait */
  want (hash: string, isHeld: boolean): void {
    if (this.#answers.size >= WANTS_MAX && !this.#answers.has(hash)) {
      throw new SwarmError('OVERLOADED', `peer ${this.#options.peerId} wants more than ${WANTS_MAX} catalogues at once`)
    }
    this.#answers.set(hash, isHeld)
  }

  /** Takes what is to be said next from the agenda. */
  next (): Said | undefined {
    return this.nextRecord() ?? this.#nextWord() ?? this.#nextAnswer()
  }

  nextRecord (): Said & { kind: 'record' } | undefined {
    const own = this.#options.directory.own
    if (!this.record || own === undefined) return undefined
    this.record = false
    if (own.wire === this.#told?.wire) return undefined
    const follows = this.#told === undefined ? [] : this.#newCatalogues(this.#told.record, own.record)
    for (const hash of follows) this.#answers.set(hash, false)
    this.#told = own
    this.alive = false
    return { kind: 'record', wire: own.wire, follows }
  }

  /** What the other end cannot know yet, may see, and is small. */
  #newCatalogues (before: PeerRecord, now: PeerRecord): string[] {
    const { catalogueText, mayRead } = this.#options
    const known = new Set(before.agents.map(agent => agent.catalogue))
    const hashes = new Set(now.agents.map(agent => agent.catalogue))
    return [...hashes].filter(hash => {
      if (known.has(hash) || this.#answers.size >= WANTS_MAX) return false
      const text = catalogueText(hash)
      return text !== undefined && text.length <= PUSH_CHARS_MAX && mayRead(hash)
    })
  }

  #nextWord (): Said | undefined {
    const { directory, peerId } = this.#options
    if (this.alive && this.#told !== undefined) {
      this.alive = false
      const { incarnation, sequence } = this.#told.record
      return { kind: 'alive', incarnation, sequence }
    }
    const held = directory.record(peerId)
    if (this.newer && held !== undefined) {
      this.newer = false
      return { kind: 'newer', wire: held.wire }
    }
    if (this.wantRecord) {
      this.wantRecord = false
      return { kind: 'want-record' }
    }
    const hash = this.#requests.next()
    return hash === undefined ? undefined : { kind: 'want', hash, held: directory.hasCatalogue(hash) }
  }

  #nextAnswer (): Said | undefined {
    const [hash, isHeld] = this.#answers.entries().next().value ?? []
    if (hash === undefined) return undefined
    this.#answers.delete(hash)
    const text = this.#options.catalogueText(hash)
    if (text === undefined) return { kind: 'refused', hash, code: 'UNAVAILABLE' }
    if (!this.#options.mayRead(hash)) return { kind: 'refused', hash, code: 'FORBIDDEN' }
    return isHeld === true ? { kind: 'readable', hash } : { kind: 'catalogue', hash, text }
  }
}
