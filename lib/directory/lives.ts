/**
 * How a peer comes and goes: it begins to live, says something else, becomes absent, is forgotten. Its place, its mark and what it
 * offers are kept in step here; which of it happens is directory.ts's to decide.
 */
import type { Change } from './change.ts'
import { markOf, type Marks } from './digest.ts'
import { viewPeer, type Absence, type Peer } from './peer.ts'
import type { Places } from './places.ts'
import type { PeerRecord } from './record.ts'
import type { Stock } from './stock.ts'

export class Lives {
  readonly #own: string
  readonly #places: Places
  readonly #stock: Stock
  readonly #marks: Marks

  /** @param own the id of the peer whose directory it is */
  constructor (own: string, places: Places, stock: Stock, marks: Marks) {
    this.#own = own
    this.#places = places
    this.#stock = stock
    this.#marks = marks
  }

  /** What a peer says of itself now: it lives. @param held as it is known, if it is */
  begin (held: Peer | undefined, record: PeerRecord, wire: string, leaseEndsMs: number): Change[] {
    const joins = held === undefined || held.absence !== undefined
    const peer: Peer = held ?? { record, wire, absence: undefined, atMs: leaseEndsMs, offers: [] }
    const renamed = peer.record.name !== record.name
    this.#stock.touch()
    this.#marks.delete(markOf(peer.wire))
    this.#marks.set(markOf(wire), record.peerId)
    Object.assign(peer, { record, wire, absence: undefined, atMs: leaseEndsMs })
    this.#places.hold(peer)
    const changes = this.#stock.replace(peer, record.agents, { joins, renamed })
    return [{ kind: joins ? 'peer-joined' : 'peer-updated', peer: viewPeer(peer, this.#own) }, ...changes]
  }

  /** A peer has said that it leaves. */
  leave (held: Peer | undefined, record: PeerRecord, wire: string, nowMs: number): Change[] {
    const peer: Peer = held ?? { record, wire, absence: 'stored', atMs: nowMs, offers: [] }
    const changes = peer.absence === undefined ? this.end(peer, 'left', nowMs) : []
    for (const offer of peer.offers) this.#stock.drop(peer, offer)
    Object.assign(peer, { record, wire, absence: 'left', atMs: nowMs })
    this.#places.hold(peer)
    return changes
  }

  /** A peer no longer counts as living. */
  end (peer: Peer, why: Absence, nowMs: number): Change[] {
    peer.absence = why
    peer.atMs = nowMs
    this.#places.hold(peer)
    this.#marks.delete(markOf(peer.wire))
    this.#stock.touch()
    const view = viewPeer(peer, this.#own)
    return [{ kind: 'peer-left', peer: view, why }, ...view.agents.map(agent => ({ kind: 'agent-removed', agent } as const))]
  }

  /** A peer is not to be known any more: one that was absent for long, or one that may be made up. */
  forget (peer: Peer, nowMs: number): Change[] {
    const isDoubtful = this.#places.isDoubtful(peer)
    const changes = peer.absence === undefined ? this.end(peer, 'unproven', nowMs) : []
    for (const offer of peer.offers) this.#stock.drop(peer, offer)
    this.#places.delete(peer.record.peerId)
    return isDoubtful ? [...changes, { kind: 'peer-forgotten', peerId: peer.record.peerId }] : changes
  }

  /** Makes room for one more peer. @returns what that changes; undefined if there is none */
  makeRoom (peerId: string, isProven: boolean, nowMs: number): Change[] | undefined {
    const room = this.#places.room(peerId, isProven)
    if (typeof room === 'boolean') return room ? [] : undefined
    return this.forget(room, nowMs)
  }
}
