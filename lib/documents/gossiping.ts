/** The documents' part in gossip: in the topics of those that are open, and for all documents of a topic, since others rely on us to pass on. */
import { SwarmError, assert, messageOf } from '../base/error.ts'
import type { Gossip, Network } from '../base/network.ts'
import { readEnvelope } from '../../crdt/envelope.ts'
import type { Verdict } from '../../crdt/replica.ts'
import { keyOfEnvelope } from './peek.ts'
import { topicOf } from './topic.ts'

export interface GossipingOptions {
  readonly network: Network
  readonly swarmId: string
  readonly isOpen: (key: string) => boolean
  /** An envelope about an open document. */
  readonly onEnvelope: (key: string, from: string, bytes: Uint8Array) => Verdict
  readonly onTrouble: (error: SwarmError) => void
}

export class Gossiping {
  readonly #options: GossipingOptions
  #gossip: Gossip | undefined
  readonly #topics = new Map<string, { documents: number, leave: (() => void) | undefined }>()
  readonly #publishing = new Set<Promise<number>>()
  #isClosed = false

  constructor (options: GossipingOptions) {
    this.#options = options
    options.network.gossip().then(gossip => {
      this.#gossip = gossip
      for (const name of this.#topics.keys()) this.#enter(name)
    }, (error: unknown) => { this.#trouble(error) })
  }

  join (key: string): void {
    const name = topicOf(this.#options.swarmId, key)
    const topic = this.#topics.get(name) ?? { documents: 0, leave: undefined }
    this.#topics.set(name, topic)
    topic.documents++
    if (topic.documents > 1) return
    this.#enter(name)
  }

  leave (key: string): void {
    const name = topicOf(this.#options.swarmId, key)
    const topic = this.#topics.get(name)
    if (topic === undefined || --topic.documents > 0) return
    this.#topics.delete(name)
    topic.leave?.()
  }

  /** An envelope, if there is one, is to be published as soon as it is on disk. */
  prepare (key: string, envelope: Uint8Array | undefined): void {
    if (envelope !== undefined && !this.#isClosed) this.#gossip?.prepare?.(topicOf(this.#options.swarmId, key), envelope)
  }

  /** Resolves when gossip has taken an envelope, with how many peers it went to: 0 also before gossip is there. Never rejects. */
  async publish (key: string, envelope: Uint8Array): Promise<number> {
    const publishing = this.#publish(key, envelope)
    this.#publishing.add(publishing)
    return await publishing.finally(() => { this.#publishing.delete(publishing) })
  }

  /** Resolves when all that is being published has left. */
  async settled (): Promise<void> {
    while (this.#publishing.size > 0) await Promise.all(this.#publishing)
  }

  close (): void {
    this.#isClosed = true
    for (const { leave } of this.#topics.values()) leave?.()
    this.#topics.clear()
  }

  async #publish (key: string, envelope: Uint8Array): Promise<number> {
    try {
      if (this.#gossip === undefined || this.#isClosed) return 0
      return await this.#gossip.publish(topicOf(this.#options.swarmId, key), envelope)
    } catch (error) {
      this.#trouble(error)
      return 0
    }
  }

  #enter (name: string): void {
    const topic = this.#topics.get(name)
    if (this.#isClosed || topic === undefined || this.#gossip === undefined) return
    try {
      topic.leave = this.#gossip.join(name, ({ from, bytes }) => this.#judge(from, bytes))
    } catch (error) {
      this.#trouble(error)
    }
  }

  #judge (from: string, bytes: Uint8Array): Verdict {
    const key = keyOfEnvelope(bytes)
    if (this.#options.isOpen(key)) return this.#options.onEnvelope(key, from, bytes)
    try {
      readEnvelope(bytes, this.#options.swarmId)
      return 'accept'
    } catch (error) {
      assert(error instanceof SwarmError, messageOf(error))
      return error.code === 'VERSION_UNSUPPORTED' ? 'ignore' : 'reject'
    }
  }

  #trouble (error: unknown): void {
    assert(error instanceof SwarmError, messageOf(error))
    if (!this.#isClosed && error.code !== 'CLOSED') this.#options.onTrouble(error)
  }
}
