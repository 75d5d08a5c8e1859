/**
 * Which peers are held, for how long, and who goes when there are too many: a pure core.
 *
 * A record that another tells proves that its author has a key, not that he was let in. A peer is *proven* once a connection has
 * shown it to be a member, or its record has shown its grant: that counts for as long as the peer is held. The others are held on
 * somebody's word, and a member gone bad can make up as many of them as it likes. So that it keeps nobody out:
 * - a proven peer never makes room for one that is not, and a living one that is not makes room for a proven one, the last to come first;
 * - where SHOWN_MIN peers live, made up or not, each shows its grant in its record from then on. GRACE_MS later, when all have
 *   had time to, at most UNPROVEN_MAX stay who have not: those with the lowest ids, so that everybody keeps the same ones, however many
 *   there were and whoever heard of which. Otherwise neighbours would tell each other of the rest for ever.
 * Below SHOWN_MIN nothing of this costs anything.
 */
import type { Peer } from './peer.ts'
import { LEASE_MS_MAX } from './record.ts'

/** Peers known at once, living or not. */
export const PEERS_MAX = 10_000

/** Living peers from which on each shows its grant in its record, and how long it has for that, in milliseconds. */
export const SHOWN_MIN = 2_500
export const GRACE_MS = 60_000

/** Living peers held after that who have not. */
export const UNPROVEN_MAX = 5_000

/** How long an absent peer stays known, and how long one that has left: enough for any late copy of an older record. */
export const ABSENT_MS_MAX = 24 * 3_600_000
export const LEFT_MS_MAX = 3_600_000

/** How long after a crowd unproven peers that become absent are held no longer than a lease: till after the last that was told in it. */
export const WARY_MS = 2 * LEASE_MS_MAX

export interface PlacesLimits {
  readonly peersMax?: number
  readonly shownMin?: number
  readonly unprovenMax?: number
}

export class Places {
  readonly #peersMax: number
  readonly #shownMin: number
  readonly #unprovenMax: number
  /** The first to come first. */
  readonly #peers = new Map<string, Peer>()
  readonly #proven: Set<string>
  /** Before that no lease ends, and nobody is forgotten. */
  #dueMs = Infinity
  /** Since when there have been so many that each is to show its grant. */
  #crowdedMs: number | undefined
  #waryUntilMs = -Infinity
  /** No further unproven peer with an id above this is held. */
  #highest: string | undefined
  /** There was no room for an unproven peer, and nobody has gone since. */
  #isPacked = false

  /** @param own is always proven */
  constructor (own: string, { peersMax = PEERS_MAX, shownMin = SHOWN_MIN, unprovenMax = UNPROVEN_MAX }: PlacesLimits) {
    this.#peersMax = peersMax
    this.#shownMin = shownMin
    this.#unprovenMax = unprovenMax
    this.#proven = new Set([own])
  }

  get (peerId: string): Peer | undefined {
    return this.#peers.get(peerId)
  }

  all (): Iterable<Peer> {
    return this.#peers.values()
  }

  isProven (peerId: string): boolean {
    return this.#proven.has(peerId)
  }

  /** Whether a peer that is held came, or went, in a crowd and has not shown to be a member: it may be made up. */
  isDoubtful ({ absence, atMs, record: { peerId } }: Peer): boolean {
    return (absence === undefined || atMs <= this.#waryUntilMs) && !this.#proven.has(peerId)
  }

  /** Whether so many live that each is to show its grant. */
  isCrowd (living: number): boolean {
    return living >= this.#shownMin
  }

  /** Holds a peer; to be called again whenever it comes, goes, or its lease does. */
  hold (peer: Peer): void {
    this.#peers.set(peer.record.peerId, peer)
    this.#dueMs = Math.min(this.#dueMs, this.#endOf(peer))
    if (peer.absence !== undefined) this.#isPacked = false
  }

  /** A peer that is held has shown to be a member. @returns whether that is new */
  prove (peerId: string): boolean {
    if (this.#proven.has(peerId) || !this.#peers.has(peerId)) return false
    this.#proven.add(peerId)
    return true
  }

  delete (peerId: string): void {
    this.#peers.delete(peerId)
    this.#proven.delete(peerId)
    this.#isPacked = false
  }

  /**
   * Whether there is room for one more peer; if there is not but could be, who is to go for it: the longest absent before any that
   * lives.
   */
  room (peerId: string, isProven: boolean): boolean | Peer {
    if (!isProven && this.#highest !== undefined && peerId > this.#highest) return false
    if (this.#peers.size < this.#peersMax) return true
    if (!isProven && this.#isPacked) return false
    let [absent, unproven, member]: (Peer | undefined)[] = []
    for (const peer of this.#peers.values()) {
      const isMember = this.#proven.has(peer.record.peerId)
      if (peer.absence === undefined) unproven = isMember ? unproven : peer
      else if (isMember) member = older(member, peer)
      else absent = older(absent, peer)
    }
    const goes = isProven ? absent ?? unproven ?? member : absent
    if (!isProven) this.#isPacked = goes === undefined
    return goes ?? false
  }

  /** Those whose lease is over, and those who are to be forgotten. */
  due (nowMs: number): Peer[] {
    if (nowMs < this.#dueMs && nowMs > this.#waryUntilMs) return []
    this.#dueMs = Infinity
    const due: Peer[] = []
    for (const peer of this.#peers.values()) {
      const endMs = this.#endOf(peer)
      this.#dueMs = Math.min(this.#dueMs, endMs)
      if (endMs <= nowMs) due.push(peer)
    }
    return due
  }

  /** Those who are to go because too many have not shown their grant. To be called about once a second. */
  surplus (living: number, nowMs: number): Peer[] {
    this.#highest = undefined
    if (!this.isCrowd(living)) {
      this.#crowdedMs = undefined
      return []
    }
    this.#crowdedMs ??= nowMs
    this.#waryUntilMs = nowMs + WARY_MS
    if (nowMs - this.#crowdedMs < GRACE_MS) return []
    const unproven = [...this.#peers.values()].filter(({ absence, record }) => absence === undefined && !this.#proven.has(record.peerId))
    const max = Math.max(0, Math.min(this.#unprovenMax, this.#peersMax - this.#proven.size))
    if (unproven.length < max) return []
    unproven.sort((left, right) => left.record.peerId < right.record.peerId ? -1 : 1)
    this.#highest = unproven[max - 1]?.record.peerId ?? ''
    return unproven.slice(max)
  }

  /** When a peer is no longer living, or no longer known. */
  #endOf (peer: Peer): number {
    const { absence, atMs } = peer
    if (absence === undefined) return atMs
    if (absence === 'left') return atMs + LEFT_MS_MAX
    return atMs + (this.isDoubtful(peer) ? LEASE_MS_MAX : ABSENT_MS_MAX)
  }
}

/** The one that has been absent for longer. */
function older (left: Peer | undefined, right: Peer): Peer {
  return left === undefined || right.atMs < left.atMs ? right : left
}
