/** The channels to all linked peers, and what comes in from them. */
import type { Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { ByteStream, Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Links } from '../mesh/links.ts'
import { Channel, QUEUE_BYTES_HIGH } from './channel.ts'
import { readInlet } from './inlet.ts'

/** Streams that the other end of one connection may have open: one, and one that it opened anew before we saw its last end. */
export const STREAMS_MAX = 2

/** How long a closing peer waits for what it sends to be read, in milliseconds. */
export const CLOSE_MS = 1_000

export interface ChannelsOptions {
  readonly swarmId: string
  readonly network: Network
  readonly links: Links
  readonly clock: Clock
  readonly random: Random
  /** Whether the other end of a connection is a member still. */
  readonly isMember: (connection: Connection) => boolean
  /** A peer can be sent to, for the first time or again. */
  readonly onOpen: (peerId: string) => void
  readonly onGone: (peerId: string) => void
  readonly onRoom: (peerId: string) => void
  /** @param bytes the receiver's to keep */
  readonly onMessage: (peerId: string, bytes: Uint8Array) => void
  readonly onTrouble: (peerId: string, error: SwarmError) => void
}

/** The protocol id of a swarm's documents. */
export function syncProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/sync/1.0.0`
}

export class Channels {
  readonly #options: ChannelsOptions
  readonly #protocol: string
  readonly #channels = new Map<string, Channel>()
  readonly #open = new Set<string>()
  readonly #stops: (() => void)[]
  readonly #inlets = new Set<ByteStream>()
  #isClosed = false

  constructor (options: ChannelsOptions) {
    this.#options = options
    this.#protocol = syncProtocol(options.swarmId)
    const { links, network } = options
    network.handle(this.#protocol, (stream, connection) => { this.#read(stream, connection) }, { streamsMax: STREAMS_MAX })
    this.#stops = [
      links.on('connected', ({ peerId }) => { this.#add(peerId) }),
      links.on('moved', ({ peerId }) => { this.#channels.get(peerId)?.move() }),
      links.on('disconnected', ({ peerId }) => { this.#remove(peerId) })
    ]
    for (const peerId of links.peers()) this.#add(peerId)
  }

  /** Peers that can be sent to. */
  get peers (): ReadonlySet<string> {
    return this.#open
  }

  /** Whether a peer leaves its answers unread. */
  isFull (peerId: string): boolean {
    return (this.#channels.get(peerId)?.bytes ?? 0) > QUEUE_BYTES_HIGH
  }

  /** A question of a peer was not answered: `onRoom` is told when there is room. */
  owe (peerId: string): void {
    this.#channels.get(peerId)?.owe()
  }

  /** @param message kept: it must not change any more */
  send (peerId: string, message: Uint8Array): void {
    this.#channels.get(peerId)?.send(message)
  }

  /** Sends what waits, and ends. */
  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    this.#options.network.unhandle(this.#protocol)
    await Promise.all([...this.#channels.values()].map(async channel => { await channel.close(CLOSE_MS) }))
    this.#channels.clear()
    this.#open.clear()
    for (const stream of this.#inlets) stream.abort(new SwarmError('CLOSED', 'documents are closed'))
  }

  #add (peerId: string): void {
    if (this.#isClosed || this.#channels.has(peerId)) return
    const { clock, random, links } = this.#options
    const channel = new Channel({
      protocol: this.#protocol, clock, random,
      connection: () => links.get(peerId),
      onOpen: () => {
        if (this.#channels.get(peerId) !== channel) return
        this.#open.add(peerId)
        this.#options.onOpen(peerId)
      },
      onRoom: () => { this.#options.onRoom(peerId) },
      onTrouble: error => { this.#options.onTrouble(peerId, error) }
    })
    this.#channels.set(peerId, channel)
  }

  #remove (peerId: string): void {
    this.#channels.get(peerId)?.abort()
    this.#channels.delete(peerId)
    if (this.#open.delete(peerId)) this.#options.onGone(peerId)
  }

  #read (stream: ByteStream, connection: Connection): void {
    const { peerId } = connection
    const { clock, isMember, onMessage, onTrouble } = this.#options
    if (!isMember(connection) || this.#isClosed) return stream.abort(new SwarmError('NOT_ADMITTED', `peer ${peerId} is not admitted`))
    this.#inlets.add(stream)
    readInlet(stream, {
      clock,
      message: bytes => { if (!this.#isClosed) onMessage(peerId, bytes) },
      closed: error => {
        this.#inlets.delete(stream)
        const isOrder = error === undefined || (error instanceof SwarmError && error.code === 'CLOSED')
        if (!isOrder && !this.#isClosed) onTrouble(peerId, error instanceof SwarmError ? error : new SwarmError('MALFORMED', messageOf(error)))
      }
    })
    // It has documents now, so it no longer refuses.
    if (!this.#open.has(peerId)) this.#channels.get(peerId)?.hint()
  }
}
