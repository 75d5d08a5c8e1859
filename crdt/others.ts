/** What is known of other peers: which clocks they have, and how much of our log they have on their disks. */

/** Peers of whom it is remembered; the one known for longest goes first. */
export const PEERS_MAX = 1_024

/** How long what a peer has asked for may be on its way, in milliseconds: it asks again after as long. */
export const ANSWER_MS = 2_000

export interface Knowledge {
  /** Clocks by client, as the peer last said. */
  vector: ReadonlyMap<number, number>
  /** Up to which sequence of our log it has everything on its disk, as far as it said. */
  agreed: number
  /** The last time that it asked and was sent what it lacked: up to which sequence, and when. */
  answered: { readonly sequence: number, readonly atMs: number } | undefined
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

  answer (peer: string, sequence: number, nowMs: number): void {
    this.#of(peer).answered = { sequence, atMs: nowMs }
  }

  /** What was on its way to a peer may be lost. */
  lost (peer: string): void {
    const knowledge = this.#peers.get(peer)
    if (knowledge !== undefined) knowledge.answered = undefined
  }

  /** Whether all up to a sequence is on its way to a peer, which asked for it. */
  isAnswered (peer: string, sequence: number, nowMs: number): boolean {
    const answered = this.#peers.get(peer)?.answered
    return answered !== undefined && answered.sequence >= sequence && nowMs - answered.atMs < ANSWER_MS
  }

  #of (peer: string): Knowledge {
    const known = this.#peers.get(peer)
    if (known !== undefined) return known
    const [oldest] = this.#peers.keys()
    if (this.#peers.size >= PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest)
    const knowledge: Knowledge = { vector: new Map(), agreed: 0, answered: undefined }
    this.#peers.set(peer, knowledge)
    return knowledge
  }
}
