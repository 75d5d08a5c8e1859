/**
 * The admitted connections of each peer, and which one serves new streams.
 *
 * Two peers that dial each other at once end up with two connections. Both ends then decide alike, without a word: a direct one
 * before one that is relayed, and among equals the one dialled by the lower peer id serves; of several dialled by one end, the newest, as its dialler has lost the others. The
 * rest is retired: it gets no new stream, and its dialler closes it RETIRE_MS later, or as soon after that as nobody holds it, so
 * that calls in flight end there in peace. If the serving connection breaks first, a retired one serves again.
 *
 * Every connection is probed (health.ts). One that gives no sign of life is aborted, so that calls on it end. One that has left a
 * doubt unanswered for DOUBT_MS is silent: it serves only while there is no other, and is told of, so that somebody makes another.
 * Nothing ends by that, so that whoever raises doubts about a good connection gains nothing; an answer takes it back.
 * Invariants: `get` never returns a closed connection; `connected` and `disconnected` alternate for each peer.
 */
import type { Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError, assert } from '../base/error.ts'
import type { Connection } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { MISSES_MAX, PROBE_MS, probeIntervalMs } from './health.ts'
import { watch } from './watch.ts'
import type { Watch } from './watch.ts'

/** How long a retired connection stays open at least, in milliseconds: calls that the other end has in flight may end. */
export const RETIRE_MS = 10_000

/** Connections to one peer; of more, the one that would serve last is aborted. */
export const LINKS_PER_PEER_MAX = 4

export interface LinkEvents {
  /** The first link to a peer: it serves. */
  connected: { readonly peerId: string, readonly connection: Connection }
  /** Another connection serves the peer from now on: new streams, long-lived ones too, belong there. */
  moved: { readonly peerId: string, readonly connection: Connection, readonly from: Connection }
  /** The link that serves does not answer, and there is no better one. */
  silent: { readonly peerId: string, readonly connection: Connection }
  /** The last link is gone. `reason.code`: UNREACHABLE when it gave no sign of life, CLOSED when it broke or was closed. */
  disconnected: { readonly peerId: string, readonly reason: SwarmError }
}

interface Link {
  readonly connection: Connection
  readonly watch: Watch
  holds: number
  /** Has left a doubt unanswered. */
  isSilent: boolean
  /** Takes the planned retirement back. */
  cancelRetirement: (() => void) | undefined
  /** Retired for RETIRE_MS: closes when the last hold is released. */
  isDue: boolean
}

export class Links {
  readonly #own: string
  readonly #probe: (connection: Connection, signal: AbortSignal) => Promise<unknown>
  readonly #clock: Clock
  readonly #random: Random
  readonly #events = new Emitter<LinkEvents>()
  /** Of each peer, from best to worst but for those that are silent. Never an empty list. */
  readonly #peers = new Map<string, Link[]>()
  readonly #links = new Map<Connection, Link>()
  #isClosed = false

  /** @param options.probe asks the other end for a sign of life; by default the connection does */
  constructor ({ peerId, clock, random, probe }: {
    readonly peerId: string
    readonly clock: Clock
    readonly random: Random
    readonly probe?: ((connection: Connection, signal: AbortSignal) => Promise<unknown>) | undefined
  }) {
    this.#probe = probe ?? (async (connection, signal) => await connection.probe(signal))
    this.#own = peerId
    this.#clock = clock
    this.#random = random
  }

  /** Connections, retired ones too. */
  get size (): number {
    return this.#links.size
  }

  on<Name extends keyof LinkEvents> (name: Name, listener: (event: LinkEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Takes an admitted connection; from then on it is watched, and closed when it is not needed. */
  add (connection: Connection): void {
    assert(connection.admitted, 'a link is admitted')
    if (this.#links.has(connection)) return
    if (this.#isClosed) return connection.abort(new SwarmError('CLOSED', 'the swarm is closed'))
    const { peerId } = connection
    const links = this.#peers.get(peerId) ?? []
    const served = serving(links)
    // Why would a connected peer dial anew? Most likely because it has lost the link we still believe in.
    for (const link of links) link.watch.doubt()
    const link = this.#watched(connection)
    this.#links.set(connection, link)
    this.#peers.set(peerId, links)
    links.splice(this.#place(connection, links), 0, link)
    this.#arrange(links)
    if (served === undefined) this.#events.emit('connected', { peerId, connection })
    else this.#tellMove(links, served)
    const worst = links.length > LINKS_PER_PEER_MAX ? links.findLast(link => link.isSilent) ?? links.at(-1) : undefined
    if (worst !== undefined) this.#drop(worst, new SwarmError('OVERLOADED', `${links.length} connections to peer ${peerId}; limit ${LINKS_PER_PEER_MAX}`))
    connection.onClose(() => { this.#remove(link, new SwarmError('CLOSED', `the connection to peer ${peerId} was closed`)) })
  }

  /** The connection for new streams to a peer. */
  get (peerId: string): Connection | undefined {
    return serving(this.#peers.get(peerId) ?? [])?.connection
  }

  /** Whether the link that serves a peer has left a doubt unanswered, and there is no better one. */
  isSilent (peerId: string): boolean {
    return serving(this.#peers.get(peerId) ?? [])?.isSilent ?? false
  }

  /** Ids of the connected peers. */
  peers (): string[] {
    return [...this.#peers.keys()]
  }

  /** Whether a call is in flight on any connection to a peer. */
  isHeld (peerId: string): boolean {
    return this.#peers.get(peerId)?.some(({ holds }) => holds > 0) ?? false
  }

  /** Probes every connection now, or those to one peer: much may have changed unseen. */
  doubt (peerId?: string): void {
    for (const { watch } of peerId === undefined ? this.#links.values() : this.#peers.get(peerId) ?? []) watch.doubt()
  }

  /** Tells that bytes came in on a connection: saves a probe. */
  heard (connection: Connection): void {
    this.#links.get(connection)?.watch.heard()
  }

  /** Keeps a connection open while a call is in flight on it, should it be retired; the returned function ends that. */
  hold (connection: Connection): () => void {
    const link = this.#links.get(connection)
    if (link === undefined) return () => {}
    link.holds++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      link.holds--
      this.#closeIfDue(link)
    }
  }

  /** Aborts every connection to a peer: `disconnected` follows with this reason. */
  drop (peerId: string, reason: SwarmError): void {
    for (const link of [...this.#peers.get(peerId) ?? []].reverse()) this.#drop(link, reason)
  }

  /** Stops watching and tells nothing more. Connections stay as they are: they are the network's to close. */
  close (): void {
    this.#isClosed = true
    for (const link of this.#links.values()) {
      link.watch.stop()
      link.cancelRetirement?.()
    }
    this.#links.clear()
    this.#peers.clear()
  }

  #watched (connection: Connection): Link {
    const unreachable = (): void => {
      const silenceMs = MISSES_MAX * PROBE_MS
      this.#drop(link, new SwarmError('UNREACHABLE', `peer ${connection.peerId} gave no sign of life in ${silenceMs} ms`))
    }
    const intervalMs = (): number => probeIntervalMs(this.#links.size)
    const link: Link = {
      connection,
      watch: watch(connection, {
        clock: this.#clock, random: this.#random, intervalMs, unreachable, probe: this.#probe,
        silent: () => { this.#judge(link, true) },
        alive: () => { if (link.isSilent) this.#judge(link, false) }
      }),
      holds: 0,
      isSilent: false,
      cancelRetirement: undefined,
      isDue: false
    }
    return link
  }

  /** Where a new connection stands among the others of its path: before all that its own dialler made, after those of a lower one. */
  #place (connection: Connection, links: readonly Link[]): number {
    const direct = links.filter(link => link.connection.path === 'direct').length
    const [first, end] = connection.path === 'direct' ? [0, direct] : [direct, links.length]
    if (this.#isLowersDial(connection)) return first
    const index = links.slice(first, end).findIndex(link => !this.#isLowersDial(link.connection))
    return index === -1 ? end : first + index
  }

  #isLowersDial ({ direction, peerId }: Connection): boolean {
    return (direction === 'outbound') === (this.#own < peerId)
  }

  #judge (link: Link, isSilent: boolean): void {
    const { connection } = link
    const links = this.#peers.get(connection.peerId)
    if (links === undefined || !this.#links.has(connection)) return
    const served = serving(links)
    link.isSilent = isSilent
    this.#arrange(links)
    this.#tellMove(links, served)
    const best = serving(links)
    if (isSilent && best?.isSilent === true) this.#events.emit('silent', { peerId: connection.peerId, connection: best.connection })
  }

  #arrange (links: readonly Link[]): void {
    const best = serving(links)
    for (const link of links) {
      if (link === best) {
        link.cancelRetirement?.()
        link.cancelRetirement = undefined
        link.isDue = false
      } else if (link.connection.direction === 'outbound') {
        link.cancelRetirement ??= this.#clock.after(RETIRE_MS, () => {
          link.isDue = true
          this.#closeIfDue(link)
        })
      }
    }
  }

  #closeIfDue (link: Link): void {
    if (!link.isDue || link.holds > 0 || !this.#links.has(link.connection)) return
    this.#remove(link, new SwarmError('CLOSED', 'retired'))
    link.connection.close().catch((cause: unknown) => {
      link.connection.abort(new SwarmError('CLOSED', `could not close the retired connection to peer ${link.connection.peerId}`, { cause }))
    })
  }

  #drop (link: Link, reason: SwarmError): void {
    this.#remove(link, reason)
    link.connection.abort(reason)
  }

  #remove (link: Link, reason: SwarmError): void {
    const { connection } = link
    if (!this.#links.delete(connection)) return
    link.watch.stop()
    link.cancelRetirement?.()
    const links = this.#peers.get(connection.peerId)
    assert(links !== undefined, 'a link is listed under its peer')
    const served = serving(links)
    links.splice(links.indexOf(link), 1)
    if (links.length === 0) {
      this.#peers.delete(connection.peerId)
      return this.#events.emit('disconnected', { peerId: connection.peerId, reason })
    }
    this.#arrange(links)
    this.#tellMove(links, served)
  }

  #tellMove (links: readonly Link[], served: Link | undefined): void {
    const best = serving(links)
    assert(best !== undefined && served !== undefined, 'a connected peer has a link')
    if (best === served) return
    const { connection } = best
    this.#events.emit('moved', { peerId: connection.peerId, connection, from: served.connection })
  }
}

/** The best that answers; where none does, the best. */
function serving (links: readonly Link[]): Link | undefined {
  return links.find(({ isSilent }) => !isSilent) ?? links[0]
}
