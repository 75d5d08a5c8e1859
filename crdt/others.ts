/** What is known of other peers: which clocks they have, and how much of our log they have on their disks. */

/** Peers of whom it is remembered; the one known for longest goes first. */
export const PEERS_MAX = 1_024

export interface Knowledge {
  /** Clocks by client, as the peer last said. */
  vector: ReadonlyMap<number, number>
  /** Up to which sequence of our log it has everything on its disk, as far as it said. */
  agreed: number
}

export class Others {
  readonly #peers = new Map<string, Knowledge>()

  get count (): number {
    return this.#peers.size
  }

  find (peer: string): Readonly<Knowledge> | undefined {
    return this.#peers.get(peer)
  }

  learn (peer: string, vector: ReadonlyMap<number, number>): void {
    this.#of(peer).vector = vector
  }

  agree (peer: string, sequence: number): void {
    const knowledge = this.#of(peer)
    knowledge.agreed = Math.max(knowledge.agreed, sequence)
  }

  #of (peer: string): Knowledge {
    const known = this.#peers.get(peer)
    if (known !== undefined) return known
    const [oldest] = this.#peers.keys()
    if (this.#peers.size >= PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest)
    const knowledge = { vector: new Map(), agreed: 0 }
    this.#peers.set(peer, knowledge)
    return knowledge
  }
}
