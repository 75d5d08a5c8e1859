/**
 * When a peer can be met: it listens and is found from the moment it is told to, and whenever the network changes the others hear where it
 * is, and are looked for anew.
 */
import { messageOf } from '../base/error.ts'
import type { LateNetwork } from './late-network.ts'
import type { Listing } from './listing.ts'
import type { Neighbours } from './neighbours.ts'
import type { Settings } from './options.ts'
import type { Parts } from './parts.ts'
import type { Reach } from './reach.ts'
import type { Troubles } from './troubles.ts'
import { watchSleep } from './waking.ts'

export interface PresenceParts {
  readonly swarmId: string
  readonly settings: Settings
  readonly reach: Reach
  readonly network: LateNetwork
  readonly neighbours: Neighbours
  readonly listing: Listing
  readonly troubles: Troubles
  readonly parts: Parts
  readonly closing: AbortSignal
  /** What this peer offers is to be told. */
  readonly offer: () => void
}

export class Presence {
  readonly #parts: PresenceParts
  /** Whether others can reach this peer. */
  isListening = false
  #listening: Promise<void> | undefined

  constructor (parts: PresenceParts) {
    this.#parts = parts
  }

  /** Listens, and lets others find it, from now on. A second call waits for the first. */
  async listen (): Promise<void> {
    this.#listening ??= this.#listen()
    await this.#listening
  }

  async #listen (): Promise<void> {
    const { network, neighbours, offer, parts, reach, settings } = this.#parts
    await network.open()
    this.isListening = true
    offer()
    await neighbours.discoveries.announce(network.addresses())
    const stopHearing = network.onAddresses(() => { this.#moved() })
    const stopWatching = watchSleep(settings.clock, () => { neighbours.refresh() })
    parts.add(async () => {
      stopHearing()
      stopWatching()
    })
    if (reach.kind === 'made') this.#remember()
    if (reach.means.mdns) await this.#discoverOnLan()
  }

  async #discoverOnLan (): Promise<void> {
    const { closing, neighbours, network: { peerId }, settings: { clock, random, seams }, swarmId } = this.#parts
    const openMdns = seams.openMdns ?? (await import('#mdns')).openMdns
    if (openMdns === undefined || closing.aborted) return
    await neighbours.discoveries.add('mdns', { swarmId, peerId, clock, random }, openMdns)
  }

  /** Peers of last time are looked for where they were; those of the local swarm are found in its folder. */
  #remember (): void {
    const { listing, neighbours } = this.#parts
    for (const { peerId, addresses, absence } of listing.directory.peers({ all: true })) {
      if (absence === 'stored') neighbours.see(peerId, addresses, 'remembered')
    }
  }

  /** This peer can be dialled elsewhere: the others hear of it, and are looked for anew from there. */
  #moved (): void {
    const { closing, listing, neighbours, network, troubles } = this.#parts
    if (closing.aborted) return
    listing.announce()
    neighbours.discoveries.announce(network.addresses()).catch((error: unknown) => { troubles.note('FOLDER_UNUSABLE', messageOf(error)) })
    neighbours.refresh()
  }
}
