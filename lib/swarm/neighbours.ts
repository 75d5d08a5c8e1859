/**
 * The peers this one is connected to: sought wherever somebody tells of them (sightings.ts), admitted, watched, dialled again when a
 * connection breaks, and taken out of the directory when they are gone.
 *
 * Invariants: a peer that was linked leaves routing at once when it says so, when it gives no sign of life, or when its connection
 * broke and dialling it fails. Whom of many to be linked with is the mesh's to choose (mesh.ts); the others are dialled when
 * they are called. Peers of whom anybody may tell wait for their turn (hints.ts), so that whoever makes peers up costs little.
 */
import type { Membership, Welcome } from '../access/hello.ts'
import type { Clock } from '../base/clock.ts'
import type { Source } from '../base/discovery.ts'
import type { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Caller } from '../mcp/host.ts'
import { Dialler, type Progress } from '../mesh/dialler.ts'
import { Keeper } from '../mesh/keeper.ts'
import { Links } from '../mesh/links.ts'
import { Mesh } from '../mesh/mesh.ts'
import { Renewer } from '../mesh/renewal.ts'
import { admitPeers, type Admission } from './admission.ts'
import { Discoveries } from './discoveries.ts'
import { Hints } from './hints.ts'
import { Refusals } from './refusals.ts'
import { Sightings, type Sighting } from './sightings.ts'

/** A peer that nobody vouches for is given up after this many attempts in a row. */
export const ATTEMPTS_MAX = 20

/** The same for one that was only hinted at. */
export const HINT_ATTEMPTS_MAX = 8

/** Those whose peers are dialled for as long as they tell of them. */
const STEADFAST: readonly Source[] = ['folder', 'asked', 'ticket']

/** Those that tell at a start where to look: whoever asks what there is waits for these peers. */
const AWAITED: readonly Source[] = ['ticket', 'remembered']

/** Those whose word ends when the peer has left in order. */
const PASSING: readonly Source[] = ['mdns', 'record', 'inbound', 'remembered', 'dht']

/** Those that tell again only when a peer has begun anew: its connection may be dead even if it is where it was. */
const FRESH: readonly Source[] = ['mdns']

/** How a peer was found, and what is being done to reach it. */
export interface Approach {
  readonly peerId: string
  /** Best first; times by the wall clock. */
  readonly sightings: readonly Sighting[]
  /** When the present link was made, in milliseconds since 1970 UTC; null without one. */
  readonly linkedAtMs: number | null
  /** Undefined while it is linked, or was given up. */
  readonly progress: Progress | undefined
}

export interface NeighbourEvents {
  /** A connection now carries the exchange with a peer; the one that dialled it begins. */
  readonly onLink: (connection: Connection) => void
  /** Another connection serves the peer from now on: what is long-lived belongs there. */
  readonly onMoved: (peerId: string) => void
  /** The last connection to a peer is gone; it may come back. */
  readonly onBroken: (peerId: string) => void
  /** It is gone. */
  readonly onLost: (peerId: string, reason: SwarmError) => void
  /** Asks the other end of a connection for a sign of life; by default the connection does. */
  readonly probe?: (connection: Connection, signal: AbortSignal) => Promise<unknown>
  /** A connection is to be closed, as one too many: the other end is to be told. */
  readonly onPart?: (connection: Connection) => Promise<void>
  /** Peers that share documents with this one, by what they share. */
  readonly groups?: () => readonly ReadonlySet<string>[]
  /** Peers cannot be found by these means for now; without an error, they can again. */
  readonly onTrouble: (source: Source, error: SwarmError | undefined) => void
}

export class Neighbours {
  readonly links: Links
  readonly discoveries: Discoveries
  readonly refusals: Refusals
  readonly #clock: Clock
  readonly #dialler: Dialler
  readonly #keeper: Keeper
  readonly #mesh: Mesh
  readonly #renewer: Renewer
  readonly #events: NeighbourEvents
  readonly #welcomes = new WeakMap<Connection, Welcome>()
  readonly #sightings = new Sightings()
  readonly #linkedAtMs = new Map<string, number>()
  /** Peers of other machines that may answer at any moment: known from before, and not failed yet. */
  readonly #awaited = new Set<string>()
  readonly #admission: Admission
  readonly #hints: Hints
  #isClosed = false

  constructor (parts: { network: Network, membership: Membership, clock: Clock, random: Random, events: NeighbourEvents }) {
    const { network, membership, clock, random, events } = parts
    this.#clock = clock
    this.#events = events
    this.refusals = new Refusals(clock)
    this.discoveries = new Discoveries({
      onFound: (peerId, addresses, source) => { this.see(peerId, addresses, source) },
      onGone: (peerId, source) => { this.unsee(peerId, source) },
      onTrouble: (source, error) => { this.#events.onTrouble(source, error) }
    })
    this.#hints = new Hints({
      sightings: this.#sightings, network, clock, random,
      onFailed: (peerId, error, attempts) => { this.#failed(peerId, error, attempts) }
    })
    this.links = new Links({ peerId: network.peerId, clock, random, probe: events.probe })
    this.#dialler = new Dialler({ network, clock, random })
    this.#renewer = new Renewer({ links: this.links, network, clock, addresses: peerId => this.#sightings.addresses(peerId) })
    this.#keeper = new Keeper({ links: this.links, dialler: this.#dialler, clock })
    this.#mesh = new Mesh({
      peerId: network.peerId, links: this.links, dialler: this.#dialler, keeper: this.#keeper, clock, random,
      addresses: peerId => this.#sightings.addresses(peerId),
      isKept: peerId => this.#sightings.has(peerId, 'ticket') || this.#sightings.has(peerId, 'asked'),
      groups: () => events.groups?.() ?? [],
      part: async connection => { await events.onPart?.(connection) }
    })
    this.links.on('connected', ({ peerId, connection }) => { this.#linked(peerId, connection) })
    this.links.on('moved', ({ peerId, connection }) => {
      this.#events.onLink(connection)
      this.#events.onMoved(peerId)
    })
    this.links.on('disconnected', ({ peerId }) => {
      this.#linkedAtMs.delete(peerId)
      this.#events.onBroken(peerId)
    })
    this.#keeper.on('lost', ({ peerId, reason }) => { this.#events.onLost(peerId, reason) })
    this.#dialler.on('failed', ({ peerId, error, attempts }) => { this.#failed(peerId, error, attempts) })
    this.#admission = admitPeers(network, membership, clock, {
      onProven: (connection, welcome) => { this.#welcomes.set(connection, welcome) },
      onAdmitted: connection => { this.links.add(connection) },
      onRefused: (connection, error) => { this.refusals.refused(connection, error) }
    })
  }

  /**
   * Somebody tells where a peer is: it is kept connected from now on, as far as that can be believed. If it is linked and said to be
   * elsewhere, the link is doubted: one probe, and if that is not answered at once, a dial beside it (renewal.ts).
   */
  see (peerId: string, addresses: readonly string[], source: Source): void {
    const before = this.#sightings.said(peerId, source)
    if (this.#isClosed || !this.#sightings.see(peerId, addresses, source, this.#clock.wallMs())) return
    if (FRESH.includes(source) || (before.length > 0 && addresses.some(address => !before.includes(address)))) this.links.doubt(peerId)
    if (AWAITED.includes(source) && addresses.length > 0) this.#awaited.add(peerId)
    this.#want(peerId)
  }

  /** Looks for everyone anew, at once: the network has changed, or the machine has slept. */
  refresh (): void {
    if (this.#isClosed) return
    this.discoveries.refresh()
    for (const peerId of this.#sightings.peers()) if (this.links.get(peerId) === undefined) this.#want(peerId)
    this.#dialler.hurry()
    this.#hints.hurry()
    this.links.doubt()
  }

  /** A peer that has left in order is not dialled again until it is found anew, but by those who were told to keep to it. */
  forget (peerId: string): void {
    for (const source of PASSING) this.#sightings.unsee(peerId, source)
    this.#hints.delete(peerId)
    if (!this.#sightings.has(peerId, 'ticket') && !this.#sightings.has(peerId, 'asked')) this.#mesh.forget(peerId)
  }

  /** A peer that is not linked is said to be gone, and could not be dialled. */
  gone (peerId: string): void {
    this.#mesh.gone(peerId)
  }

  /** What is shared with whom has changed. */
  regroup (): void {
    this.#mesh.regroup()
  }

  /** A connection to a peer, dialled if there is none. @throws SwarmError UNREACHABLE, ABORTED */
  async reach (peerId: string, signal: AbortSignal): Promise<Connection> {
    return await this.#mesh.reach(peerId, signal)
  }

  /** The other end of a connection has no use for it. */
  heardPart (connection: Connection): void {
    this.#mesh.heardPart(connection)
  }

  /** Who is at the other end of an admitted connection, while its grant lasts. */
  callerOf (connection: Connection): Caller | undefined {
    const welcome = this.#welcomes.get(connection)
    if (welcome === undefined || (welcome.memberUntilMs !== null && this.#clock.wallMs() >= welcome.memberUntilMs)) return undefined
    return { peerId: connection.peerId, role: welcome.role }
  }

  /** Whether a peer that the folder names, or that is known from before, and that is still linked or sought, has not been met yet. @param counts of those sought */
  isLooking (isMet: (peerId: string) => boolean, counts: (peerId: string) => boolean): boolean {
    return [...this.discoveries.named, ...this.#awaited].some(peerId => !isMet(peerId) && (this.links.get(peerId) !== undefined || (this.#mesh.wants(peerId) && counts(peerId))))
  }

  /** Whether a peer is linked, or may answer at any moment. */
  isSought (peerId: string): boolean {
    return this.links.get(peerId) !== undefined || this.#mesh.wants(peerId) || this.#hints.wants(peerId)
  }

  /** How a peer was found and is being reached. */
  approach (peerId: string): Approach {
    return { peerId, sightings: this.#sightings.sources(peerId), linkedAtMs: this.#linkedAtMs.get(peerId) ?? null, progress: this.#dialler.progress(peerId) ?? this.#hints.progress(peerId) }
  }

  /** The peers that are wanted and not linked. */
  get sought (): string[] {
    return [...new Set([...this.#dialler.peers(), ...this.#hints.peers()])].filter(peerId => this.links.get(peerId) === undefined)
  }

  async close (): Promise<void> {
    this.#isClosed = true
    const dialled = this.#hints.close()
    try {
      await this.discoveries.close()
    } finally {
      this.#admission.stop()
      this.#mesh.close()
      this.#keeper.close()
      this.links.close()
      await Promise.all([dialled, this.#dialler.close(), this.#renewer.close()])
    }
  }

  /** A source takes back what it told. */
  unsee (peerId: string, source: Source): void {
    const isForgotten = this.#sightings.unsee(peerId, source)
    if (isForgotten && this.links.get(peerId) === undefined) this.#giveUp(peerId)
    else if (!isForgotten && (this.#dialler.wants(peerId) || this.#hints.wants(peerId))) this.#want(peerId)
  }

  #want (peerId: string): void {
    const isHinted = this.#sightings.isHinted(peerId) && this.links.get(peerId) === undefined
    if (isHinted && !this.#dialler.wants(peerId)) return this.#hints.add(peerId)
    this.#hints.delete(peerId)
    this.#mesh.want(peerId)
  }

  #linked (peerId: string, connection: Connection): void {
    this.#linkedAtMs.set(peerId, this.#clock.wallMs())
    if (connection.direction === 'inbound') this.#sightings.see(peerId, [], 'inbound', this.#clock.wallMs())
    else this.#sightings.worked(peerId, connection.address.replace(/\/p2p\/\w+$/, ''))
    if (this.#hints.delete(peerId)) this.#mesh.want(peerId) // it has proven itself
    this.#events.onLink(connection)
  }

  #failed (peerId: string, error: SwarmError, attempts: number): void {
    this.#awaited.delete(peerId)
    // A file that cannot be taken away costs only further attempts, which are bounded by their back-off.
    this.discoveries.check(peerId).catch((cause: unknown) => { this.refusals.undialled(peerId, 'FOLDER_UNUSABLE', String(cause)) })
    this.refusals.undialled(peerId, error.code, error.message)
    if (STEADFAST.some(source => this.#sightings.has(peerId, source))) return
    if (attempts >= (this.#sightings.isHinted(peerId) ? HINT_ATTEMPTS_MAX : ATTEMPTS_MAX)) this.#giveUp(peerId)
  }

  #giveUp (peerId: string): void {
    this.#hints.delete(peerId)
    this.#mesh.forget(peerId)
  }

  /** Our grant is another one: every link is shown it, before it ends with the old one. */
  introduceAnew (): void {
    for (const peerId of this.links.peers()) {
      const connection = this.links.get(peerId)
      if (connection !== undefined) this.#admission.introduce(connection)
    }
  }
}
