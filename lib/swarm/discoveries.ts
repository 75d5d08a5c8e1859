/** The means by which peers are found, and this one lets itself be found: the rendezvous folder of this machine, and others that look further. */
import { isRunning } from '#platform'
import { openRendezvous as openFolder } from '#rendezvous'
import type { Discovery, DiscoveryOptions, Source } from '../base/discovery.ts'
import type { SwarmError } from '../base/error.ts'
import type { Rendezvous, RendezvousOptions } from './rendezvous.ts'

export interface DiscoveriesEvents {
  readonly onFound: (peerId: string, addresses: readonly string[], source: Source) => void
  readonly onGone: (peerId: string, source: Source) => void
  /** Peers cannot be found by these means for now; without an error, they can again. */
  readonly onTrouble: (source: Source, error: SwarmError | undefined) => void
}

export class Discoveries {
  readonly #events: DiscoveriesEvents
  readonly #further: Discovery[] = []
  /** The process of each peer whose file is in the rendezvous folder. */
  readonly #processes = new Map<string, number>()
  #folder: Rendezvous | undefined
  /** Where this peer can be dialled, once it is to be found. */
  #addresses: readonly string[] | undefined
  #isClosed = false

  constructor (events: DiscoveriesEvents) {
    this.#events = events
  }

  /** Whether a process that lives is named in the rendezvous folder. */
  get hasCompany (): boolean {
    return [...this.#processes.values()].some(isRunning)
  }

  /** Peers that the rendezvous folder names. */
  get named (): string[] {
    return [...this.#processes.keys()]
  }

  /** Looks for peers of this machine from now on. */
  async openFolder (options: Omit<RendezvousOptions, 'onFound' | 'onGone' | 'onTrouble'>, open = openFolder): Promise<void> {
    this.#folder = await open({
      ...options,
      onFound: ({ peerId, addresses, processId }) => {
        this.#processes.set(peerId, processId)
        this.#events.onFound(peerId, addresses, 'folder')
      },
      onGone: peerId => {
        this.#processes.delete(peerId)
        this.#events.onGone(peerId, 'folder')
      },
      onTrouble: error => { this.#events.onTrouble('folder', error) }
    })
  }

  /** Looks for peers by one more means from now on, and lets itself be found by it. */
  async add (source: Source, options: Pick<DiscoveryOptions, 'swarmId' | 'peerId' | 'clock' | 'random'>, open: (options: DiscoveryOptions) => Promise<Discovery>): Promise<void> {
    const discovery = await open({
      ...options,
      onFound: (peerId, addresses) => { this.#events.onFound(peerId, addresses, source) },
      onGone: peerId => { this.#events.onGone(peerId, source) },
      onTrouble: error => { this.#events.onTrouble(source, error) }
    })
    if (this.#isClosed) return await discovery.close()
    this.#further.push(discovery)
    if (this.#addresses !== undefined) discovery.announce(this.#addresses)
  }

  /** Is found at these addresses from now on, in place of those before. @throws SwarmError FOLDER_UNUSABLE */
  async announce (addresses: readonly string[]): Promise<void> {
    this.#addresses = addresses
    for (const discovery of this.#further) discovery.announce(addresses)
    await this.#folder?.announce(addresses)
  }

  /** Looks anew at once. */
  refresh (): void {
    for (const discovery of this.#further) discovery.refresh()
  }

  /** A peer could not be dialled: its file goes if its process has ended. */
  async check (peerId: string): Promise<void> {
    await this.#folder?.check(peerId)
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([this.#folder?.close(), ...this.#further.map(async discovery => { await discovery.close() })])
  }
}
