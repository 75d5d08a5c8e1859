/**
 * The peers this one is connected to: found in the rendezvous folder or by their own dialling, admitted, watched, dialled
 * again when a connection breaks, and taken out of the directory when they are gone.
 *
 * Invariants: a peer is in routing only after its own record has come over an admitted connection; it leaves at once when it
 * says so, when it gives no sign of life, or when its connection broke and dialling it fails; else when its lease ends.
 */
import { isRunning } from '#platform'
import { openRendezvous as openFolder } from '#rendezvous'
import type { Membership, Welcome } from '../access/hello.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Caller } from '../mcp/host.ts'
import { Dialler } from '../mesh/dialler.ts'
import { Keeper } from '../mesh/keeper.ts'
import { Links } from '../mesh/links.ts'
import { admitPeers } from './admission.ts'
import type { Rendezvous, RendezvousOptions } from './rendezvous.ts'

/** A peer that no folder names is given up after this many attempts in a row. */
export const ATTEMPTS_MAX = 20

/** Refusals remembered for `status`, newest last. */
export const REFUSALS_MAX = 32

export interface Refusal {
  readonly peerId: string
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly code: string
  readonly message: string
  readonly atMs: number
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
  /** Peers of this machine cannot be found for now. */
  readonly onTrouble: (error: SwarmError) => void
}

export class Neighbours {
  readonly links: Links
  readonly #clock: Clock
  readonly #dialler: Dialler
  readonly #keeper: Keeper
  readonly #events: NeighbourEvents
  readonly #welcomes = new WeakMap<Connection, Welcome>()
  /** Peers whose file is in the rendezvous folder, each with its process. */
  readonly #named = new Map<string, number>()
  readonly #refusals: Refusal[] = []
  readonly #stopAdmitting: () => void
  #rendezvous: Rendezvous | undefined

  constructor (parts: { network: Network, membership: Membership, clock: Clock, random: Random, events: NeighbourEvents }) {
    const { network, membership, clock, random, events } = parts
    this.#clock = clock
    this.#events = events
    this.links = new Links({ peerId: network.peerId, clock, random })
    this.#dialler = new Dialler({ network, clock, random })
    this.#keeper = new Keeper({ links: this.links, dialler: this.#dialler, clock })
    this.links.on('connected', ({ connection }) => { this.#events.onLink(connection) })
    this.links.on('moved', ({ peerId, connection }) => {
      this.#events.onLink(connection)
      this.#events.onMoved(peerId)
    })
    this.links.on('disconnected', ({ peerId }) => { this.#events.onBroken(peerId) })
    this.#keeper.on('lost', ({ peerId, reason }) => { this.#events.onLost(peerId, reason) })
    this.#dialler.on('failed', ({ peerId, error, attempts }) => { this.#failed(peerId, error, attempts) })
    this.#stopAdmitting = admitPeers(network, membership, clock, {
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
    return [...this.#named.values()].some(isRunning)
  }

  /** Looks for peers of this machine from now on. */
  async discover (options: Omit<RendezvousOptions, 'onFound' | 'onGone' | 'onTrouble'>, open = openFolder): Promise<void> {
    this.#rendezvous = await open({
      ...options,
      onFound: ({ peerId, addresses, processId }) => {
        this.#named.set(peerId, processId)
        this.#dialler.want(peerId, addresses)
      },
      onGone: peerId => {
        this.#named.delete(peerId)
        if (this.links.get(peerId) === undefined) this.#dialler.forget(peerId)
      },
      onTrouble: this.#events.onTrouble
    })
  }

  /** Is found by them from now on. Called once. @throws SwarmError FOLDER_UNUSABLE */
  async announce (addresses: readonly string[]): Promise<void> {
    await this.#rendezvous?.announce(addresses)
  }

  /** Keeps a peer connected whose record names these addresses. */
  keep (peerId: string, addresses: readonly string[]): void {
    if (!this.#named.has(peerId)) this.#dialler.want(peerId, addresses)
  }

  /** A peer that has left in order is not dialled again until it is found anew. */
  forget (peerId: string): void {
    this.#dialler.forget(peerId)
  }

  /** Who is at the other end of an admitted connection, while its grant lasts. */
  callerOf (connection: Connection): Caller | undefined {
    const welcome = this.#welcomes.get(connection)
    if (welcome === undefined || (welcome.memberUntilMs !== null && this.#clock.wallMs() >= welcome.memberUntilMs)) return undefined
    return { peerId: connection.peerId, role: welcome.role }
  }

  /** Whether a peer that the folder names, and that is still linked or sought, has not been met yet. @param counts of those sought */
  isLooking (isMet: (peerId: string) => boolean, counts: (peerId: string) => boolean): boolean {
    return [...this.#named.keys()].some(peerId => !isMet(peerId) && (this.links.get(peerId) !== undefined || (this.#dialler.wants(peerId) && counts(peerId))))
  }

  /** Whether a peer that the folder names is linked, or may answer at any moment. */
  isSought (peerId: string): boolean {
    return this.#named.has(peerId) && (this.links.get(peerId) !== undefined || this.#dialler.wants(peerId))
  }

  async close (): Promise<void> {
    try {
      await this.#rendezvous?.close()
    } finally {
      this.#stopAdmitting()
      this.#keeper.close()
      this.links.close()
      await this.#dialler.close()
    }
  }

  #failed (peerId: string, error: SwarmError, attempts: number): void {
    const checked = this.#rendezvous?.check(peerId)
    // A file that cannot be taken away costs only further attempts, which are bounded by their back-off.
    checked?.catch((cause: unknown) => { this.#note({ peerId, address: '', direction: 'outbound', code: 'FOLDER_UNUSABLE', message: String(cause) }) })
    this.#note({ peerId, address: '', direction: 'outbound', code: error.code, message: error.message })
    if (!this.#named.has(peerId) && attempts >= ATTEMPTS_MAX) this.#dialler.forget(peerId)
  }

  #refused (connection: Connection, error: unknown): void {
    const { peerId, address, direction } = connection
    const code = error instanceof SwarmError ? error.code : 'NOT_ADMITTED'
    this.#note({ peerId, address, direction, code, message: error instanceof Error ? error.message : String(error) })
  }

  #note (refusal: Omit<Refusal, 'atMs'>): void {
    this.#refusals.push({ ...refusal, atMs: this.#clock.wallMs() })
    if (this.#refusals.length > REFUSALS_MAX) this.#refusals.shift()
  }
}
