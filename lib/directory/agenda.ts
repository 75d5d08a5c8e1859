/**
 * What one end of an exchange has to say next: facts that wait to be told, not lines in a queue, so that nothing piles up
 * while the other end does not read. The own record comes first; then what is short; then records of third peers; catalogues
 * last, one at a time.
 */
import { SwarmError } from '../base/error.ts'
import { bitsFor, markOf } from './digest.ts'
import type { Directory } from './directory.ts'
import type { PeerRecord } from './record.ts'
import type { Requests } from './requests.ts'
import { MARKS_MAX, TOLD_MAX, type Gone, type Said } from './wire.ts'

/** Questions of the other end that may wait for their answers at once; a record has room for 22 catalogues. */
export const WANTS_MAX = 64

/**
 * Records that are told in full to whoever turns out to lack them. More are mentioned by their marks: one that has just come lacks
 * all, and asks each of its neighbours for some, where each would tell it everything.
 */
export const SETTLED_MAX = 8

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
  /** Due: our record, where it has changed; theirs, which they lack; that we part; a digest of what we hold, in one or in parts. */
  record = false
  newer = false
  part = false
  sum = false
  sums = false
  /** Counts of the other end's question, and of ours. */
  pong: number | undefined
  ping: number | undefined
  /** The digests of the other end that we are to answer. */
  theirs: readonly string[] | undefined
  /** Third peers whose records are to be told in full, and those of which only the mark is. */
  readonly told = new Set<string>()
  readonly have = new Set<string>()
  /** Marks of records to ask for. */
  readonly need = new Set<string>()
  readonly gone = new Map<string, Gone>()
  /** Catalogues of third peers to ask for. */
  readonly fetch = new Set<string>()
  readonly #options: AgendaOptions
  readonly #requests: Requests
  readonly #nowMs: () => number
  /** The last of our records on this stream. */
  #told: { readonly record: PeerRecord, readonly wire: string } | undefined
  /** Their questions, and our unasked answers; whether they hold the text. */
  readonly #answers = new Map<string, boolean>()

  constructor (options: AgendaOptions, requests: Requests, nowMs: () => number) {
    this.#options = options
    this.#requests = requests
    this.#nowMs = nowMs
  }

  /** @throws SwarmError OVERLOADED if too many of their questions wait */
  want (hash: string, isHeld: boolean): void {
    if (this.#answers.size >= WANTS_MAX && !this.#answers.has(hash)) {
      throw new SwarmError('OVERLOADED', `peer ${this.#options.peerId} wants more than ${WANTS_MAX} catalogues at once`)
    }
    this.#answers.set(hash, isHeld)
  }

  /** The other end holds what it lists of some parts: what it lacks is to be told. @returns the marks that are not known here */
  settle (bits: number, parts: ReadonlyMap<number, readonly string[]>): string[] {
    const { marks } = this.#options.directory
    const { missingHere, missingThere } = marks.compare(bits, parts)
    const words = missingThere.length <= SETTLED_MAX ? this.told : this.have
    for (const mark of missingThere) words.add(marks.get(mark) as string)
    return missingHere
  }

  /** Takes what is to be said next from the agenda. */
  next (): Said | undefined {
    return this.nextRecord() ?? this.#nextSign() ?? this.#nextWord() ?? this.#nextDigest() ?? this.#nextNews() ?? this.#nextAnswer()
  }

  nextRecord (): Said & { kind: 'record' } | undefined {
    const own = this.#options.directory.own
    if (!this.record || own === undefined) return undefined
    this.record = false
    if (own.wire === this.#told?.wire) return undefined
    const follows = this.#told === undefined ? [] : this.#newCatalogues(this.#told.record, own.record)
    for (const hash of follows) this.#answers.set(hash, false)
    this.#told = own
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

  #nextSign (): Said | undefined {
    const { ping, pong } = this
    if (pong !== undefined) {
      this.pong = undefined
      return { kind: 'pong', count: pong }
    }
    if (ping !== undefined) {
      this.ping = undefined
      return { kind: 'ping', count: ping }
    }
    if (!this.part) return undefined
    this.part = false
    return { kind: 'part' }
  }

  #nextWord (): Said | undefined {
    const { directory, peerId } = this.#options
    const held = this.newer ? directory.record(peerId) : undefined
    if (held !== undefined) {
      this.newer = false
      return { kind: 'newer', wire: held.wire }
    }
    const own = this.#requests.next()
    if (own !== undefined) return { kind: 'want', hash: own, held: directory.hasCatalogue(own) }
    for (const hash of this.fetch) {
      this.fetch.delete(hash)
      if (directory.isMissing(hash)) return { kind: 'want', hash, held: false }
    }
    return undefined
  }

  #nextDigest (): Said | undefined {
    const { directory } = this.#options
    if (this.sum) {
      this.sum = false
      return { kind: 'sum', count: directory.livingCount, digest: directory.marks.digest() }
    }
    if (this.sums) {
      this.sums = false
      return { kind: 'sums', digests: directory.marks.digests(bitsFor(directory.livingCount)) }
    }
    const { theirs } = this
    if (theirs === undefined) return undefined
    this.theirs = undefined
    const { bits, parts } = directory.marks.differing(theirs)
    return parts.size === 0 ? undefined : { kind: 'marks', bits, parts }
  }

  #nextNews (): Said | undefined {
    const { directory } = this.#options
    if (this.gone.size > 0) return { kind: 'gone', peers: takeSome(this.gone, MARKS_MAX).map(([, gone]) => gone) }
    if (this.told.size === 0 && this.need.size === 0 && this.have.size === 0) return undefined
    const nowMs = this.#nowMs()
    while (this.told.size > 0) {
      const records = takeSome(this.told, TOLD_MAX).flatMap(([peerId]) => {
        this.have.delete(peerId)
        const told = directory.tell(peerId, nowMs)
        return told === undefined ? [] : [[told.wire, Math.round(told.ageMs / 1_000)] as const]
      })
      if (records.length > 0) return { kind: 'told', records }
    }
    const need = takeSome(this.need, MARKS_MAX).map(([mark]) => mark).filter(mark => directory.marked(mark) === undefined)
    if (need.length > 0) return { kind: 'need', marks: need }
    const have = takeSome(this.have, MARKS_MAX).flatMap(([peerId]) => {
      const told = directory.tell(peerId, nowMs)
      return told === undefined ? [] : [markOf(told.wire)]
    })
    return have.length > 0 ? { kind: 'have', marks: have } : undefined
  }

  #nextAnswer (): Said | undefined {
    if (this.#answers.size === 0) return undefined
    const { catalogueText, directory, mayRead } = this.#options
    const [hash, isHeld] = this.#answers.entries().next().value ?? []
    if (hash === undefined) return undefined
    this.#answers.delete(hash)
    const own = catalogueText(hash)
    if (own !== undefined && !mayRead(hash)) return { kind: 'refused', hash, code: 'FORBIDDEN' }
    const text = own ?? directory.openText(hash)
    if (text === undefined) return { kind: 'refused', hash, code: 'UNAVAILABLE' }
    return isHeld === true ? { kind: 'readable', hash } : { kind: 'catalogue', hash, text }
  }
}

/** Takes up to so many out of a set or a map, the longest there first. */
function takeSome<Key, Value> (from: { entries (): Iterable<[Key, Value]>, delete (key: Key): unknown }, max: number): [Key, Value][] {
  const taken: [Key, Value][] = []
  for (const entry of from.entries()) {
    if (taken.length >= max) break
    taken.push(entry)
  }
  for (const [key] of taken) from.delete(key)
  return taken
}
