/**
 * The peers this one is connected to: sought wherever somebody tells of them (sightings.ts), admitted, watched, dialled again when a
 * connection breaks, and taken out of the directory when they are gone.
 *
 * Invariants: a peer that was linked leaves routing at once when it says so, when it gives no sign of life, or when its connection
 * broke and dialling it fails. Whom of many to be linked with is the mesh's to choose (mesh.ts); the others are dialled when
 * they are called. Peers of whom anybody may tell wait for their turn (hints.ts), so that whoever makes peers up costs little.
 */
import { isRunning } from '#platform'
import { openRendezvous as openFolder } from '#rendezvous'
import type { Membership, Welcome } from '../access/hello.ts'
import type { Clock } from '../base/clock.ts'
import type { Discovery, DiscoveryOptions, Source } from '../base/discovery.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Caller } from '../mcp/host.ts'
import { Dialler, type Progress } from '../mesh/dialler.ts'
import { Keeper } from '../mesh/keeper.ts'
import { Links } from '../mesh/links.ts'
import { Mesh } from '../mesh/mesh.ts'
import { Renewer } from '../mesh/renewal.ts'
import { admitPeers, type Admission } from './admission.ts'
import { Hints } from './hints.ts'
import type { Rendezvous, RendezvousOptions } from './rendezvous.ts'
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

/** Refusals remembered for `status`, newest last. */
export const REFUSALS_MAX = 32

export interface Refusal {
  readonly peerId: string
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly code: string
  /** `details.reason` of the error, if it has one. */
  readonly reason: string | null
  readonly message: string
  readonly atMs: number
}

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
  readonly #clock: Clock
  readonly #dialler: Dialler
  readonly #keeper: Keeper
  readonly #mesh: Mesh
  readonly #renewer: Renewer
  readonly #events: NeighbourEvents
  readonly #welcomes = new WeakMap<Connection, Welcome>()
  readonly #sightings = new Sightings()
  /** The process of each peer whose file is in the rendezvous folder. */
  readonly #processes = new Map<string, number>()
  readonly #linkedAtMs = new Map<string, number>()
  /** Peers of other machines that may answer at any moment: known from before, and not failed yet. */
  readonly #awaited = new Set<string>()
  readonly #refusals: Refusal[] = []
  readonly #admission: Admission
  readonly #discoveries: Discovery[] = []
  readonly #hints: Hints
  #rendezvous: Rendezvous | undefined
  /** Where this peer can be dialled, once it is to be found. */
  #addresses: readonly string[] | undefined
  #isClosed = false

  constructor (parts: { network: Network, membership: Membership, clock: Clock, random: Random, events: NeighbourEvents }) {
    const { network, membership, clock, random, events } = parts
    this.#clock = clock
    this.#events = events
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
      onRefused: (connection, error) => { this.#refused(connection, error) }
    })
  }

  /** Connections that did not lead to admission, newest last. */
  get refusals (): readonly Refusal[] {
    return this.#refusals
  }

  /** Whether a process that lives is named in the rendezvous folder. */
  get hasCompany (): boolean {
    return [...this.#processes.values()].some(isRunning)
  }

  /** Looks for peers of this machine from now on. */
  async discover (options: Omit<RendezvousOptions, 'onFound' | 'onGone' | 'onTrouble'>, open = openFolder): Promise<void> {
    this.#rendezvous = await open({
      ...options,
      onFound: ({ peerId, addresses, processId }) => {
        this.#processes.set(peerId, processId)
        this.see(peerId, addresses, 'folder')
      },
      onGone: peerId => {
        this.#processes.delete(peerId)
        this.#unsee(peerId, 'folder')
      },
      onTrouble: error => { this.#events.onTrouble('folder', error) }
    })
  }

  /** Looks for peers by one more means from now on, and lets itself be found by it. */
  async discoverBy (source: Source, options: Pick<DiscoveryOptions, 'swarmId' | 'peerId' | 'clock' | 'random'>, open: (options: DiscoveryOptions) => Promise<Discovery>): Promise<void> {
    const discovery = await open({
      ...options,
      onFound: (peerId, addresses) => { this.see(peerId, addresses, source) },
      onGone: peerId => { this.#unsee(peerId, source) },
      onTrouble: error => { this.#events.onTrouble(source, error) }
    })
    if (this.#isClosed) return await discovery.close()
    this.#discoveries.push(discovery)
    if (this.#addresses !== undefined) discovery.announce(this.#addresses)
  }

  /** Is found at these addresses from now on, in place of those before. @throws SwarmError FOLDER_UNUSABLE */
  async announce (addresses: readonly string[]): Promise<void> {
    this.#addresses = addresses
    for (const discovery of this.#discoveries) discovery.announce(addresses)
    await this.#rendezvous?.announce(addresses)
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
    for (const discovery of this.#discoveries) discovery.refresh()
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
    return [...this.#processes.keys(), ...this.#awaited].some(peerId => !isMet(peerId) && (this.links.get(peerId) !== undefined || (this.#mesh.wants(peerId) && counts(peerId))))
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
      await Promise.all([this.#rendezvous?.close(), ...this.#discoveries.map(async discovery => { await discovery.close() })])
    } finally {
      this.#admission.stop()
      this.#mesh.close()
      this.#keeper.close()
      this.links.close()
      await Promise.all([dialled, this.#dialler.close(), this.#renewer.close()])
    }
  }

  #unsee (peerId: string, source: Source): void {
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
    const checked = this.#rendezvous?.check(peerId)
    // A file that cannot be taken away costs only further attempts, which are bounded by their back-off.
    checked?.catch((cause: unknown) => { this.#note({ peerId, address: '', direction: 'outbound', code: 'FOLDER_UNUSABLE', reason: null, message: String(cause) }) })
    this.#note({ peerId, address: '', direction: 'outbound', code: error.code, reason: null, message: error.message })
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

  /** Remembers that somebody on a connection was not let in. */
  refuse (connection: Connection, error: SwarmError): void {
    this.#refused(connection, error)
  }

  #refused (connection: Connection, error: unknown): void {
    const { peerId, address, direction } = connection
    const code = error instanceof SwarmError ? error.code : 'NOT_ADMITTED'
    const reason = error instanceof SwarmError ? error.details['reason'] : undefined
    this.#note({ peerId, address, direction, code, reason: typeof reason === 'string' ? reason : null, message: error instanceof Error ? error.message : String(error) })
  }

  #note (refusal: Omit<Refusal, 'atMs'>): void {
    this.#refusals.push({ ...refusal, atMs: this.#clock.wallMs() })
    if (this.#refusals.length > REFUSALS_MAX) this.#refusals.shift()
  }
}
