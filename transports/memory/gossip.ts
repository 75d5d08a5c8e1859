/**
 * Gossip by flooding: what the judge accepts goes to every neighbour in the topic but the one it came from.
 *
 * A neighbour is a peer with a connection that this end has admitted; the other end drops what comes before it has admitted
 * its own. So each end, once it has admitted, says which topics it is in and asks for the other's: whoever admits last
 * asks someone who listens, and hears the answer.
 */
import { SwarmError, assert } from '../../lib/base/error.ts'
import { GOSSIP_TOPICS_MAX } from '../../lib/base/network.ts'
import type { Gossip, Judge } from '../../lib/base/network.ts'
import { checkJoin, checkPublish } from '../gossip.ts'
import type { MemoryConnection } from './connection.ts'

/** Ids of messages remembered, oldest out: one that comes round again after that many others is judged again. */
export const SEEN_MAX = 8_192

/** What one end tells the other. */
export type Packet =
  | { readonly kind: 'topics', readonly topics: readonly string[], readonly asks: boolean }
  | { readonly kind: 'message', readonly topic: string, readonly id: string, readonly bytes: Uint8Array }

type Message = Extract<Packet, { kind: 'message' }>

export class MemoryGossip implements Gossip {
  readonly #name: string
  readonly #again: (show: () => void) => void
  readonly #judges = new Map<string, Judge>()
  /** What the other end of each admitted connection takes part in. */
  readonly #theirs = new Map<MemoryConnection, ReadonlySet<string>>()
  readonly #seen = new Set<string>()
  #published = 0
  #isOpen = true

  /**
   * @param name no other gossip's, ever: a peer that comes back must not repeat the ids of its earlier life
   * @param again may show a message once more, later
   */
  constructor (name: string, again: (show: () => void) => void) {
    this.#name = name
    this.#again = again
  }

  join (topic: string, judge: Judge): () => void {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `join ${topic}: this peer has closed`)
    assert(!this.#judges.has(topic), `${topic} has one judge`)
    checkJoin(topic, this.#judges.size)
    this.#judges.set(topic, judge)
    this.#announce()
    return () => {
      if (this.#judges.get(topic) !== judge) return
      this.#judges.delete(topic)
      this.#announce()
    }
  }

  async publish (topic: string, bytes: Uint8Array): Promise<number> {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `publish in ${topic}: this peer has closed`)
    checkPublish(topic, bytes)
    this.#published += 1
    const id = `${this.#name}/${this.#published}`
    this.#remember(id)
    return this.#spread({ kind: 'message', topic, id, bytes: bytes.slice() })
  }

  peers (topic: string): string[] {
    return [...this.#ways(topic).keys()]
  }

  /** A connection was admitted at this end. */
  meet (connection: MemoryConnection): void {
    if (!this.#isOpen) return
    this.#theirs.set(connection, new Set())
    connection.whisper({ kind: 'topics', topics: [...this.#judges.keys()], asks: true })
  }

  /** A connection has closed. */
  part (connection: MemoryConnection): void {
    this.#theirs.delete(connection)
  }

  heard (packet: Packet, from: MemoryConnection): void {
    if (!this.#theirs.has(from)) return
    if (packet.kind === 'message') return this.#judge(packet, from.peerId)
    this.#theirs.set(from, new Set(packet.topics.slice(0, GOSSIP_TOPICS_MAX)))
    if (packet.asks) from.whisper({ kind: 'topics', topics: [...this.#judges.keys()], asks: false })
  }

  close (): void {
    this.#isOpen = false
    this.#judges.clear()
    this.#theirs.clear()
  }

  #judge (message: Message, from: string): void {
    const judge = this.#judges.get(message.topic)
    if (judge === undefined || this.#seen.has(message.id)) return
    this.#remember(message.id)
    if (judge({ from, bytes: message.bytes.slice() }) === 'accept') this.#spread(message, from)
    this.#again(() => { this.#judges.get(message.topic)?.({ from, bytes: message.bytes.slice() }) })
  }

  /** @returns how many neighbours it went to */
  #spread (message: Message, from?: string): number {
    const ways = this.#ways(message.topic)
    if (from !== undefined) ways.delete(from)
    for (const connection of ways.values()) connection.whisper(message)
    return ways.size
  }

  /** One connection to each neighbour in a topic. */
  #ways (topic: string): Map<string, MemoryConnection> {
    const ways = new Map<string, MemoryConnection>()
    for (const [connection, topics] of this.#theirs) if (topics.has(topic)) ways.set(connection.peerId, connection)
    return ways
  }

  #announce (): void {
    for (const connection of this.#theirs.keys()) connection.whisper({ kind: 'topics', topics: [...this.#judges.keys()], asks: false })
  }

  #remember (id: string): void {
    this.#seen.add(id)
    for (const oldest of this.#seen) {
      if (this.#seen.size <= SEEN_MAX) return
      this.#seen.delete(oldest)
    }
  }
}
