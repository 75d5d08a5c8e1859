/**
 * Where peers may be dialled, and who says so: a pure core. Each source speaks for itself: what it says takes the place of what it
 * said before, and of nothing else. So a false word, on a LAN say, adds addresses to try and takes none away.
 *
 * Invariants: at most SIGHTED_MAX peers, of which at most HINTED_MAX are known from mere hints, the oldest of which go first; of each
 * peer at most ADDRESSES_MAX addresses are given, the one that worked last first and then those of every source in turn.
 */
import type { Source } from '../base/discovery.ts'
import { ADDRESSES_MAX } from '../mesh/dialler.ts'

/** Peers whose addresses are held. */
export const SIGHTED_MAX = 10_000

/** Peers of whom only anybody's word is held: multicast, or an answer of the DHT. */
export const HINTED_MAX = 512

/** What is heard there may be said by anybody. */
const HINTS: readonly Source[] = ['mdns', 'dht']

/** Best first: those who are likeliest to know where the peer is now. */
const ORDER: readonly Source[] = ['folder', 'asked', 'mdns', 'record', 'inbound', 'ticket', 'remembered', 'dht']

export interface Sighting {
  readonly source: Source
  /** When it was last said, by the clock that `see` was given. */
  readonly atMs: number
}

interface Said extends Sighting {
  readonly addresses: readonly string[]
}

interface Sighted {
  /** Of each source the last; a list, as they are few and the peers many. */
  said: readonly Said[]
  /** Where it was reached last. */
  worked: string | undefined
}

export class Sightings {
  /** The one heard of longest ago first. */
  readonly #peers = new Map<string, Sighted>()
  readonly #hinted = new Set<string>()

  get size (): number {
    return this.#peers.size
  }

  /**
   * A source tells where a peer is, in place of what it told before.
   *
   * @returns whether there is room: hints make room at the cost of older hints, the others at the cost of hints
   */
  see (peerId: string, addresses: readonly string[], source: Source, nowMs: number): boolean {
    const known = this.#peers.get(peerId)
    if (known === undefined && !this.#makeRoom(source)) return false
    const sighted: Sighted = known ?? { said: [], worked: undefined }
    sighted.said = sighted.said.filter(said => said.source !== source).concat({ source, addresses: bounded(addresses), atMs: nowMs })
    this.#peers.set(peerId, sighted)
    this.#classify(peerId, sighted)
    return true
  }

  /** A source takes back what it told. @returns whether nobody tells of the peer any more, which is then forgotten */
  unsee (peerId: string, source: Source): boolean {
    const sighted = this.#peers.get(peerId)
    if (sighted === undefined) return true
    sighted.said = sighted.said.filter(said => said.source !== source)
    if (sighted.said.length === 0) {
      this.forget(peerId)
      return true
    }
    this.#classify(peerId, sighted)
    return false
  }

  /** The peer has answered there, and proven itself. */
  worked (peerId: string, address: string): void {
    const sighted = this.#peers.get(peerId)
    if (sighted === undefined) return
    sighted.worked = address
    this.#hinted.delete(peerId)
  }

  forget (peerId: string): void {
    this.#peers.delete(peerId)
    this.#hinted.delete(peerId)
  }

  has (peerId: string, source: Source): boolean {
    return this.#peers.get(peerId)?.said.some(said => said.source === source) ?? false
  }

  /** Whether only hints tell of the peer, and it was never reached. */
  isHinted (peerId: string): boolean {
    return this.#hinted.has(peerId)
  }

  /** Where a source says that a peer is. */
  said (peerId: string, source: Source): readonly string[] {
    return this.#peers.get(peerId)?.said.find(said => said.source === source)?.addresses ?? []
  }

  /** Who tells of a peer, best first. */
  sources (peerId: string): Sighting[] {
    const said = this.#peers.get(peerId)?.said ?? []
    return ORDER.flatMap(source => said.filter(each => each.source === source)).map(({ source, atMs }) => ({ source, atMs }))
  }

  /** Where to try a peer, best first. */
  addresses (peerId: string): string[] {
    const sighted = this.#peers.get(peerId)
    if (sighted === undefined) return []
    const lists = ORDER.map(source => sighted.said.find(said => said.source === source)?.addresses ?? [])
    const named = new Set(lists.flat())
    const chosen = new Set<string>()
    if (sighted.worked !== undefined && named.has(sighted.worked)) chosen.add(sighted.worked)
    for (let row = 0; row < ADDRESSES_MAX; row++) {
      for (const list of lists) {
        const address = list[row]
        if (address !== undefined && chosen.size < ADDRESSES_MAX) chosen.add(address)
      }
    }
    return [...chosen]
  }

  peers (): string[] {
    return [...this.#peers.keys()]
  }

  #classify (peerId: string, { said, worked }: Sighted): void {
    const isHint = worked === undefined && said.every(({ source }) => HINTS.includes(source))
    if (isHint) this.#hinted.add(peerId)
    else this.#hinted.delete(peerId)
  }

  #makeRoom (source: Source): boolean {
    const isHint = HINTS.includes(source)
    if (isHint && this.#hinted.size >= HINTED_MAX) this.#dropOldestHint()
    if (this.#peers.size >= SIGHTED_MAX && !isHint) this.#dropOldestHint()
    return this.#peers.size < SIGHTED_MAX
  }

  #dropOldestHint (): void {
    const [oldest] = this.#hinted
    if (oldest !== undefined) this.forget(oldest)
  }
}

/** As they came where that will do: what a record says is then held once. */
function bounded (addresses: readonly string[]): readonly string[] {
  const distinct = new Set(addresses)
  return distinct.size === addresses.length && distinct.size <= ADDRESSES_MAX ? addresses : [...distinct].slice(0, ADDRESSES_MAX)
}
