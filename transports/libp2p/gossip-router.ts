/**
 * Gossipsub without its streams: it decides who gets what, and lanes carry it.
 *
 * It believes that it talks to libp2p. What it registers stays here: a neighbour is announced to it when its lane
 * stands, with a stream to send on that is there already, and one to read. Left to itself it opens streams one after another
 * and waits for each without end, so that one peer that does not answer would keep all later ones out; and of a stream that
 * breaks it tells nobody.
 */
import { gossipsub } from '@libp2p/gossipsub'
import type { GossipSub, Message as PubsubMessage } from '@libp2p/gossipsub'
import type { Connection as LibConnection, PeerId, Stream, StreamHandler, Topology } from '@libp2p/interface'
import { afterTurn } from '../../lib/base/clock.ts'
import { SwarmError, assert } from '../../lib/base/error.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_TOPICS_MAX, GOSSIP_TOPIC_CHARS_MAX } from '../../lib/base/network.ts'
import type { Verdict } from '../../lib/base/network.ts'
import type { Libp2pConnection } from './connection.ts'
import type { Inlet } from './gossip-inlet.ts'
import { boundCache, type Cache } from './gossip-cache.ts'
import { RPC_BYTES_MAX, bodyOf, type Message } from './gossip-frames.ts'
import type { Frame, Outlet } from './gossip-lane.ts'
import type { Components } from './guard.ts'

/** The version of gossipsub inside our protocol: 1.2 tells a neighbour which large messages it need not send. */
const MESHSUB = '/meshsub/1.2.0'

/** How long ids of messages are remembered: far longer than one goes round, short enough for a burst of 10,000 a second. */
const SEEN_MS = 60_000

/** A neighbour that leaves a topic and comes back is taken in again after this, not after ten seconds. */
const UNSUBSCRIBE_BACKOFF_MS = 1_000

/**
 * Neighbours in the mesh of a topic above which some are put out. Gossipsub's own twelve leave those without a mesh that know
 * only peers whom everybody knows: what they hear, they hear a second late.
 */
const MESH_PEERS_MAX = 64

/**
 * Neighbours outside the mesh of a topic that are told each second what was said: what one of them missed it asks for. With
 * gossipsub's own six, and messages told of three times, a leaf outside a mesh has a chance of one in eight to be told never.
 */
const TOLD_PEERS_MIN = 48

/** Ids in one such list: what gossipsub itself reads of one. */
const TOLD_IDS_MAX = 5_000

/** What gossipsub charges for a topic of a neighbour, beside its name. */
const TOPIC_COST_BYTES = 1_024

/** Bytes of messages that answer a neighbour's wish at once: the rest follows in further ones, each below RPC_BYTES_MAX. */
const WISH_BYTES_MAX = RPC_BYTES_MAX / 2

/**
 * Only what the judge rejects counts, squared: nine within half a minute and nothing more is taken from that neighbour, four
 * and it is told of nothing but what is published here. A hundredth is forgiven each second. Gossipsub looks once a second.
 */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0,
  timeInMeshQuantum: 1,
  timeInMeshCap: 1,
  firstMessageDeliveriesWeight: 0,
  firstMessageDeliveriesDecay: 0.5,
  firstMessageDeliveriesCap: 1,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 1_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: 0.99
}

interface Control { ihave: { topicID: string, messageIDs: Uint8Array[] }[], iwant: [], graft: [], prune: [], idontwant: [] }

/** A message of the protocol, as gossipsub has read it. */
type Rpc = object

/** What the package has and does not declare; test/transports/libp2p/gossip-parts.test.ts and gossip-hostile.test.ts hold it to that. */
interface Internals extends GossipSub {
  start (): Promise<void>
  stop (): Promise<void>
  decodeRpc (bytes: Uint8Array): Rpc
  handleReceivedRpc (from: PeerId, rpc: Rpc): Promise<void>
  handleIWant (peerId: string, wish: unknown): { topic: string, data?: Uint8Array }[]
  sendRpc (peerId: string, rpc: { subscriptions: [], messages: { topic: string, data?: Uint8Array }[], control?: Control }): boolean
  selectPeersToPublish (topic: string, floodPublish: boolean): { tosend: Set<string> }
  msgIdToStrFn (id: Uint8Array): string
  readonly topics: ReadonlyMap<string, ReadonlySet<string>>
  readonly streamsOutbound: ReadonlyMap<string, { pushPrefixed: (frame: Uint8Array) => void }>
  readonly seenCache: { put: (id: string) => unknown }
  readonly gossipTracer: { deliverMessage: (id: string) => void }
  readonly mcache: Cache & { getGossipIDs: (topics: Set<string>) => Map<string, Uint8Array[]> }
  readonly score: { readonly params: { readonly topics: Record<string, typeof TOPIC_SCORE> } }
}

export interface Router {
  readonly pubsub: Pick<Internals, 'subscribe' | 'unsubscribe' | 'getSubscribers' | 'stop'>
  /**
   * Hands a message to neighbours: to all in the topic where there are at most `floodMax`, else to some. Gossipsub's own `publish` does
   * the same in another order: it sends last, when all of its books are kept.
   *
   * @returns whose lanes took it
   */
  send (message: Message, floodMax: number): string[]
  /** Keeps the books of a message that was sent: it is known here, and told to whoever asks. @param id as `idOf` has it */
  remember (message: Message, id: Uint8Array): void
  /** Scores and judges a topic from now on. */
  judge (topic: string, judge: (from: string, data: Uint8Array) => Verdict): void
  unjudge (topic: string): void
  connect (connection: Libp2pConnection, outlet: Outlet): Promise<void>
  receive (connection: Libp2pConnection, inlet: Inlet): void
  forget (connection: Libp2pConnection): void
}

/** @param idOf the id of a message: equal only for one and the same */
export async function openRouter (components: Components, idOf: (topic: string, data: Uint8Array) => Uint8Array): Promise<Router> {
  const held: { handler?: StreamHandler, topology?: Topology } = {}
  const registrar = {
    handle: async (_protocol: string, handler: StreamHandler) => { held.handler = handler },
    unhandle: async () => {},
    register: async (_protocol: string, topology: Topology) => {
      held.topology = topology
      return MESHSUB
    },
    unregister: () => {},
    getTopologies: () => []
  }
  const { peerId, privateKey, peerStore, connectionManager, logger } = components
  const parts = { peerId, privateKey, peerStore, connectionManager, logger, registrar } as unknown as Parameters<ReturnType<typeof gossipsub>>[0]
  const pubsub = gossipsub(settings(idOf))(parts) as unknown as Internals
  pubsub.protocols = [MESHSUB]
  boundCache(pubsub.mcache)
  answerInParts(pubsub)
  tellNewcomers(pubsub)
  const judges = pubsub.topicValidators
  const judgeOf = judges.get.bind(judges)
  judges.get = topic => judgeOf(topic) ?? (() => 'ignore' as never) // what we did not ask for is neither kept nor passed on
  await pubsub.start()
  const { handler, topology } = held
  assert(handler !== undefined && topology !== undefined, 'gossipsub registers with the registrar when it starts')
  return {
    pubsub,
    judge (topic, judge) {
      pubsub.score.params.topics[topic] ??= { ...TOPIC_SCORE } // for good: what is known of neighbours refers to it
      judges.set(topic, (from: PeerId, { data }: PubsubMessage) => judge(from.toString(), data) as never)
    },
    send ({ topic, frame }, floodMax) {
      const { tosend } = pubsub.selectPeersToPublish(topic, (pubsub.topics.get(topic)?.size ?? 0) <= floodMax)
      return [...tosend].filter(peerId => {
        try {
          pubsub.streamsOutbound.get(peerId)?.pushPrefixed(frame)
          return pubsub.streamsOutbound.has(peerId)
        } catch {
          return false // its lane has just ended
        }
      })
    },
    remember ({ topic, data }, msgId) {
      const msgIdStr = pubsub.msgIdToStrFn(msgId)
      pubsub.seenCache.put(msgIdStr)
      pubsub.mcache.put({ msgId, msgIdStr }, { topic, data }, true)
      pubsub.gossipTracer.deliverMessage(msgIdStr)
    },
    unjudge: topic => { judges.delete(topic) },
    async connect (connection, outlet) {
      const opened = new Promise<void>(resolve => {
        void topology.onConnect?.(connection.raw.remotePeer, facade(connection, outlet, resolve))
      })
      await opened
      await new Promise<void>(resolve => { afterTurn(resolve) })
    },
    receive (connection, inlet) {
      const silent = { async * [Symbol.asyncIterator] () {}, close: async () => {}, abort () {} }
      void handler(silent as unknown as Stream, facade(connection, { isOpen: () => false, send () {} }, () => {}))
      inlet.read(async frame => { await take(pubsub, connection.raw.remotePeer, frame).catch(() => undefined) })
    },
    forget (connection) { void topology.onDisconnect?.(connection.raw.remotePeer) }
  }
}

/**
 * Gossipsub takes a frame. It would read a stream itself, and cut it apart once more: through as many generators as take a message longer on
 * its way than all that is done with it. What it cannot read it passes over, as it would by itself.
 */
async function take (pubsub: Internals, peerId: PeerId, frame: Uint8Array): Promise<void> {
  await pubsub.handleReceivedRpc(peerId, pubsub.decodeRpc(bodyOf(frame)))
}

/** A connection as gossipsub uses one: who, where, which way, and a stream that is open already. */
function facade ({ raw }: Libp2pConnection, outlet: Outlet, onOpen: () => void): LibConnection {
  const stream = {
    protocol: MESHSUB,
    send: (frame: Frame) => {
      outlet.send(frame)
      return true
    },
    addEventListener () {}, // it is told when the lane ends
    close: async () => {},
    abort () {}
  }
  return {
    remotePeer: raw.remotePeer,
    remoteAddr: raw.remoteAddr,
    direction: raw.direction,
    status: 'open',
    async newStream () {
      onOpen()
      if (!outlet.isOpen()) throw new SwarmError('CLOSED', 'this stream of gossip has ended')
      return stream
    }
  } as unknown as LibConnection
}

function settings (idOf: (topic: string, data: Uint8Array) => Uint8Array): Parameters<typeof gossipsub>[0] {
  return {
    globalSignaturePolicy: 'StrictNoSign', // documents sign what they publish, once for many updates
    msgIdFn: ({ topic, data }) => idOf(topic, data),
    fallbackToFloodsub: false,
    emitSelf: false,
    tagMeshPeers: false,
    awaitRpcHandler: true,
    Dhi: MESH_PEERS_MAX,
    Dlazy: TOLD_PEERS_MIN,
    seenTTL: SEEN_MS,
    unsubcribeBackoff: UNSUBSCRIBE_BACKOFF_MS,
    maxInboundDataLength: RPC_BYTES_MAX,
    maxTopicBytesPerPeer: GOSSIP_TOPICS_MAX * (TOPIC_COST_BYTES + GOSSIP_TOPIC_CHARS_MAX),
    scoreParams: {
      IPColocationFactorWeight: 0, // an office, or a laptop full of peers, is one address
      behaviourPenaltyWeight: -1, // on a busy machine answers are late, and late is not hostile
      behaviourPenaltyThreshold: 6
    }
  }
}

/** A neighbour may wish for thousands of messages at once; as one answer they would be too long to be read. */
function answerInParts (pubsub: Internals): void {
  const answer = pubsub.handleIWant.bind(pubsub)
  pubsub.handleIWant = (peerId, wish) => {
    let [part, bytes] = [[] as { topic: string, data?: Uint8Array }[], 0]
    for (const message of answer(peerId, wish)) {
      const size = (message.data?.byteLength ?? 0) + message.topic.length
      if (bytes + size > WISH_BYTES_MAX) {
        pubsub.sendRpc(peerId, { subscriptions: [], messages: part })
        part = []
        bytes = 0
      }
      part.push(message)
      bytes += size
    }
    return part
  }
}

/**
 * Says to a neighbour that comes into a mesh what was said of late: it asks for what it has missed. Left to itself gossipsub tells
 * only those outside, once a second; who came in between was told nothing, and after new streams for a silent one nothing either.
 */
function tellNewcomers (pubsub: Internals): void {
  pubsub.addEventListener('gossipsub:graft', ({ detail: { peerId, topic } }) => {
    const messageIDs = pubsub.mcache.getGossipIDs(new Set([topic])).get(topic)?.slice(0, TOLD_IDS_MAX) ?? []
    if (messageIDs.length === 0) return
    pubsub.sendRpc(peerId, { subscriptions: [], messages: [], control: { ihave: [{ topicID: topic, messageIDs }], iwant: [], graft: [], prune: [], idontwant: [] } })
  })
}

/** Bytes around a message in a message of the protocol, its topic among them. */
const ENVELOPE_BYTES_MAX = 1_024
assert(GOSSIP_BYTES_MAX + ENVELOPE_BYTES_MAX < RPC_BYTES_MAX - WISH_BYTES_MAX, 'a wish’s last part, with one message more, can be read')
