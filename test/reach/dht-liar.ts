/**
 * A member that lies in the hash table, on the wire: to whoever asks, and unasked. It names peers that it made up, and true ones
 * elsewhere: all of them at ports of its own, where it counts who dials and says nothing. Between that it sends what nobody can read.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { concatBytes } from '../../lib/base/bytes.ts'
import type { ByteStream, Connection, Network } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'

/** Peers made up: more than anybody dials in a minute. */
const MADE_UP = 2_000
const SINKS = 2
const ROUND_MS = 20

/** kad-dht's kinds of messages, and the fields of one. */
const [PUT_VALUE, GET_VALUE, ADD_PROVIDER, GET_PROVIDERS] = [0, 1, 2, 3]
const [KEY, RECORD, CLOSER, PROVIDERS] = [2, 3, 8, 9]

const varint = (value: number): Uint8Array => {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.from([...bytes, left])
    bytes.push(left % 128 + 128)
  }
}
const field = (nth: number, bytes: Uint8Array): Uint8Array => concatBytes(varint(nth * 8 + 2), varint(bytes.byteLength), bytes)
const framed = (bytes: Uint8Array): Uint8Array => concatBytes(varint(bytes.byteLength), bytes)
const message = (type: number, ...fields: Uint8Array[]): Uint8Array => framed(concatBytes(varint(8), varint(type), ...fields))
const peerInfo = (peerId: string, addresses: readonly string[]): Uint8Array =>
  concatBytes(field(1, peerIdFromString(peerId).toMultihash().bytes), ...addresses.map(address => field(2, multiaddr(address).bytes)))
const hashed = (digest: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(0x12, 0x20), digest)

export class DhtLiar {
  /** Times that somebody dialled where it said that others are. */
  dialled = 0
  /** Answers and messages sent. */
  told = 0
  /** Times that a stream was not opened, or reset. */
  refused = 0
  readonly #network: Network
  readonly #protocol: string
  readonly #peerId: string
  /** Keys that others look for. */
  readonly #keys: readonly Uint8Array[]
  readonly #truths: () => readonly string[]
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #connections = new Set<Connection>()
  readonly #madeUp = Array.from({ length: MADE_UP }, () => generateKey(systemRandom).peerId)
  /** As on the wire: what a lie costs must not be the liar's own work, in a process with those it lies to. */
  readonly #infos = new Map<string, Uint8Array>()
  #endless: Uint8Array = new Uint8Array(0)
  #crowded: Uint8Array = new Uint8Array(0)
  #sinks: string[] = []
  #nth = 0
  #made = 0
  #lies = false
  #flooding: ReturnType<typeof setInterval> | undefined

  /** @param truths ids of peers that are there */
  constructor (network: Network, swarmId: string, keys: readonly Uint8Array[], truths: () => readonly string[]) {
    this.#network = network
    this.#protocol = `/mcp-swarm/${swarmId}/kad/1.0.0`
    this.#peerId = network.peerId
    this.#keys = keys
    this.#truths = truths
  }

  /** Lies from now on, and floods whoever is connected with so many messages a second each. */
  async begin (perSecond: number): Promise<void> {
    for (let sink = 0; sink < SINKS; sink++) {
      const server = createServer(socket => {
        this.dialled += 1
        this.#sockets.add(socket)
        socket.on('error', () => { socket.destroy() })
        socket.on('close', () => { this.#sockets.delete(socket) })
        socket.resume()
      })
      await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
      this.#servers.push(server)
    }
    this.#sinks = this.#servers.map(server => `/ip4/127.0.0.1/tcp/${(server.address() as { port: number }).port}`)
    this.#endless = message(GET_PROVIDERS, ...this.#peers(20_000).map(info => field(CLOSER, info)))
    this.#crowded = concatBytes(...this.#peers(2_000).map(info => field(PROVIDERS, info)))
    this.#lies = true
    this.#network.handle(this.#protocol, stream => { this.#answer(stream) })
    this.#network.onConnection(connection => {
      this.#connections.add(connection)
      connection.onClose(() => { this.#connections.delete(connection) })
    })
    this.#flooding = setInterval(() => {
      for (const connection of this.#connections) {
        for (let each = 0; each < perSecond * ROUND_MS / 1_000; each++) void this.#pester(connection)
      }
    }, ROUND_MS)
  }

  /** Takes part from now on as one that knows nobody. */
  stop (): void {
    this.#lies = false
    clearInterval(this.#flooding)
  }

  async end (): Promise<void> {
    this.stop()
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map(async server => { await new Promise(resolve => { server.close(resolve) }) }))
  }

  /** So many peers: made up but for every fifth, which is a true one elsewhere. */
  #peers (count: number): Uint8Array[] {
    return Array.from({ length: count }, (_, index) => {
      const truths = this.#truths()
      const truth = index % 5 === 0 ? truths[Math.floor(index / 5) % Math.max(1, truths.length)] : undefined
      const peerId = truth ?? this.#madeUp[this.#made++ % MADE_UP] ?? this.#peerId
      const known: Uint8Array = this.#infos.get(peerId) ?? peerInfo(peerId, this.#sinks)
      this.#infos.set(peerId, known)
      return known
    })
  }

  #answer (stream: ByteStream): void {
    let isAsked = false
    stream.read({
      data: () => {
        if (isAsked) return
        isAsked = true
        this.told += 1
        if (!this.#lies) return this.#send(stream, message(GET_PROVIDERS))
        const lie = (): Uint8Array => message(GET_PROVIDERS, ...this.#peers(20).map(info => field(CLOSER, info)), ...this.#peers(40).map(info => field(PROVIDERS, info)))
        switch (this.#nth++ % 8) {
          case 0: return // silence
          case 1: return this.#send(stream, this.#endless)
          case 2: return this.#pour(stream, concatBytes(varint(2 ** 31 - 1), systemRandom.bytes(1_000)))
          case 3: return this.#send(stream, framed(systemRandom.bytes(500)))
          default: return this.#send(stream, lie())
        }
      },
      ended () {},
      closed () {}
    })
  }

  /** One message that nobody asked for. */
  async #pester (connection: Connection): Promise<void> {
    if (!connection.admitted) return
    this.told += 1
    try {
      const stream = await connection.open(this.#protocol, AbortSignal.timeout(2_000))
      stream.read({ data () {}, ended () {}, closed () {} })
      const own = field(PROVIDERS, peerInfo(this.#peerId, this.#sinks))
      const known = hashed(this.#keys[this.#nth % this.#keys.length] as Uint8Array)
      switch (this.#nth++ % 10) {
        case 0: return // holds the stream
        case 1: return this.#pour(stream, concatBytes(varint(2 ** 31 - 1), systemRandom.bytes(1_000)))
        case 2: return this.#send(stream, framed(systemRandom.bytes(500)))
        case 3: return this.#send(stream, message(PUT_VALUE, field(KEY, systemRandom.bytes(34)), field(RECORD, systemRandom.bytes(4_000))))
        case 4: return this.#send(stream, message(GET_VALUE, field(KEY, systemRandom.bytes(34))))
        case 5: return this.#send(stream, message(ADD_PROVIDER, field(KEY, known), this.#crowded))
        case 6: return this.#send(stream, message(ADD_PROVIDER, field(KEY, known), ...this.#peers(20).map(info => field(PROVIDERS, info))))
        case 7: return this.#send(stream, message(ADD_PROVIDER, field(KEY, known), own))
        default: return this.#send(stream, message(ADD_PROVIDER, field(KEY, hashed(systemRandom.bytes(32))), own))
      }
    } catch {
      this.refused += 1
    }
  }

  #send (stream: ByteStream, bytes: Uint8Array): void {
    try {
      stream.send(bytes)
      void stream.end().catch(() => undefined)
    } catch {
      this.refused += 1
    }
  }

  /** Sends for as long as it is taken, to a bound that tells a limit from none. */
  #pour (stream: ByteStream, bytes: Uint8Array): void {
    let poured = 0
    const more = (): void => {
      try {
        for (let each = 0; each < 64; each++) stream.send(each === 0 && poured === 0 ? bytes : systemRandom.bytes(1_024))
        poured += 1
        if (poured < 64) setImmediate(more)
      } catch {
        this.refused += 1
      }
    }
    more()
  }
}
