/**
 * Gossip over libp2p: gossipsub among admitted peers, loaded when the first topic is wanted.
 *
 * A message goes out as salt and payload, and its id is the hash of topic, salt and payload. The salt, a random start and
 * a count, makes two messages of equal bytes two; the hash makes it impossible to take another message's id: who tried would have
 * to send that very message. (An id of publisher and count could be used up in advance, and the true message would
 * be dropped everywhere as seen.)
 */
import type { Connection as LibConnection } from '@libp2p/interface'
import { sha256 } from '#hash'
import { concatBytes, utf8 } from '../../lib/base/bytes.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError, assert } from '../../lib/base/error.ts'
import type { Gossip, Judge } from '../../lib/base/network.ts'
import type { Random } from '../../lib/base/random.ts'
import { checkJoin, checkPublish } from '../gossip.ts'
import type { Libp2pConnection } from './connection.ts'
import { frameMessage, type Message } from './gossip-frames.ts'
import { Lanes, gossipProtocol } from './gossip-lanes.ts'
import { openRouter } from './gossip-router.ts'
import type { Router } from './gossip-router.ts'
import type { Components, Guard } from './guard.ts'

/** In front of each payload: drawn once, and a count. */
const SALT_RANDOM_BYTES = 8
const SALT_BYTES = SALT_RANDOM_BYTES + 4

const ID_BYTES = 20

/** A topic of at most so many neighbours gets what is published here without a hop between. */
const FLOOD_PEERS_MAX = 12

export interface GossipParts {
  /** Names the protocol; absent for peers that belong to no swarm. */
  readonly swarmId: string | undefined
  readonly components: Components
  readonly guard: Guard
  readonly clock: Clock
  readonly random: Random
  readonly find: (raw: LibConnection) => Libp2pConnection | undefined
}

export async function openGossip ({ swarmId, components, guard, clock, random, find }: GossipParts): Promise<Libp2pGossip> {
  const router = await openRouter(components, idOf)
  const lanes = new Lanes(gossipProtocol(swarmId), clock, router)
  await lanes.listen(guard, find)
  return new Libp2pGossip(router, lanes, random)
}

export class Libp2pGossip implements Gossip {
  readonly #router: Router
  readonly #lanes: Lanes
  readonly #saltStart: Uint8Array
  readonly #topics = new Map<string, Judge>()
  /** Made ahead, by their bytes. */
  readonly #prepared = new WeakMap<Uint8Array, Message & { readonly id: Uint8Array }>()
  #published = 0
  #isOpen = true

  constructor (router: Router, lanes: Lanes, random: Random) {
    this.#router = router
    this.#lanes = lanes
    this.#saltStart = random.bytes(SALT_RANDOM_BYTES)
  }

  join (topic: string, judge: Judge): () => void {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `join ${topic}: this peer has closed`)
    assert(!this.#topics.has(topic), `${topic} has one judge`)
    checkJoin(topic, this.#topics.size)
    this.#topics.set(topic, judge)
    this.#router.judge(topic, (from, data) => data.byteLength < SALT_BYTES ? 'reject' : judge({ from, bytes: data.slice(SALT_BYTES) }))
    this.#router.pubsub.subscribe(topic)
    return () => {
      if (!this.#isOpen || this.#topics.get(topic) !== judge) return
      this.#topics.delete(topic)
      this.#router.unjudge(topic)
      this.#router.pubsub.unsubscribe(topic)
    }
  }

  async publish (topic: string, bytes: Uint8Array): Promise<number> {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `publish in ${topic}: this peer has closed`)
    const prepared = this.#prepared.get(bytes)
    const message = prepared?.topic === topic ? prepared : this.#message(topic, bytes)
    this.#prepared.delete(bytes)
    const recipients = this.#router.send(message, FLOOD_PEERS_MAX)
    const left = this.#lanes.drained(recipients)
    this.#router.remember(message, message.id) // what nobody waits for, once it is on its way
    await left
    return recipients.length
  }

  prepare (topic: string, bytes: Uint8Array): void {
    this.#prepared.set(bytes, this.#message(topic, bytes))
  }

  peers (topic: string): string[] {
    return this.#isOpen ? this.#router.pubsub.getSubscribers(topic).map(String) : []
  }

  /** A connection was admitted. */
  meet (connection: Libp2pConnection): void {
    if (this.#isOpen) this.#lanes.meet(connection)
  }

  close (): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#lanes.close()
    void this.#router.pubsub.stop()
  }

  /** @throws SwarmError TOO_LARGE */
  #message (topic: string, bytes: Uint8Array): Message & { readonly id: Uint8Array } {
    checkPublish(topic, bytes)
    const message = frameMessage(topic, this.#saltStart, this.#count(), bytes)
    return { ...message, id: idOf(topic, message.data) }
  }

  #count (): Uint8Array {
    this.#published = (this.#published + 1) >>> 0
    const bytes = new Uint8Array(SALT_BYTES - SALT_RANDOM_BYTES)
    new DataView(bytes.buffer).setUint32(0, this.#published)
    return bytes
  }
}

function idOf (topic: string, data: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8(topic), Uint8Array.of(0), data)).subarray(0, ID_BYTES)
}
